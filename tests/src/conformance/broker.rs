//! The rules of the broker port. See [`oarlock_broker::port`].

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oarlock_broker::{
    Announcement, Broker, Consumer, Delivery, Error, Health, Hears, Message, Publication, QueueDeclaration,
    QueueKind, Subscription,
};

use super::{PATIENCE, eventually};

mod announcing;
mod consuming;
mod load;
mod publishing;
mod queues;
mod settling;

pub use announcing::*;
pub use consuming::*;
pub use load::*;
pub use publishing::*;
pub use queues::*;
pub use settling::*;

/// Makes the tests of an adapter: `broker_rules!(embedded, fresh_embedded)`, where the function answers a [`Harness`].
#[macro_export]
macro_rules! broker_rules {
    ($adapter:ident, $fresh:path) => {
        $crate::rules! { $adapter, $fresh, broker, [
            messages_keep_their_properties,
            messages_come_in_order,
            publishing_to_a_missing_queue_fails_alone,
            a_waiting_consumer_gets_what_is_published,
            receive_answers_at_most_as_many_as_asked,
            tags_grow_from_one,
            prefetch_bounds_what_is_unacknowledged,
            the_greatest_priority_is_served_first,
            a_full_consumer_of_great_priority_lets_others_work,
            a_dropped_receive_loses_nothing,
            a_stopped_consumer_gets_nothing_more_and_settles_what_it_has,
            many_publishers_and_consumers_lose_and_double_nothing,
            an_acknowledged_delivery_is_gone,
            acknowledging_through_a_tag_settles_all_before,
            an_unknown_tag_does_nothing,
            an_acknowledger_works_elsewhere,
            what_a_dropped_consumer_held_comes_back_in_order,
            what_consumers_give_back_comes_before_what_is_new,
            a_tag_of_an_ended_consumer_settles_nothing,
            a_requeued_delivery_comes_first_and_is_counted,
            a_rejected_delivery_goes_to_the_dead_letter_queue,
            a_rejected_delivery_without_a_dead_letter_queue_is_gone,
            the_delivery_limit_gives_up_rejected_messages,
            the_delivery_limit_gives_up_messages_of_dropped_consumers,
            without_a_limit_nothing_is_given_up,
            declaring_again_changes_nothing,
            another_declaration_is_refused,
            a_missing_queue_is_told,
            depth_counts_what_waits,
            an_exclusive_queue_goes_with_its_last_consumer,
            a_new_broker_is_ready,
            an_announcement_reaches_everyone_whose_pattern_fits,
            announcements_keep_their_properties,
            an_announcement_that_nobody_hears_is_no_error,
            a_listener_hears_nothing_of_before,
            a_listener_goes_with_its_consumer,
            announcements_come_in_order,
            only_an_exclusive_queue_may_hear,
        ] }
    };
}

/// A fresh broker for one rule.
pub struct Harness {
    broker: Arc<dyn Broker>,
    prefix: String,
    quiet: Duration,
    _guard: Box<dyn Any + Send + Sync>,
}

impl Harness {
    /// A harness around `broker`, all of whose queues begin with `prefix`. After `quiet` without a delivery a
    /// rule believes that none comes. `guard` is dropped when the rule is over, and cleans up.
    pub fn new(
        broker: Arc<dyn Broker>,
        prefix: impl Into<String>,
        quiet: Duration,
        guard: impl Any + Send + Sync,
    ) -> Self {
        Self { broker, prefix: prefix.into(), quiet, _guard: Box::new(guard) }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A durable queue that gives nothing up.
    async fn queue(&self, name: &str) -> String {
        self.declare(name, QueueKind::Durable, None, None).await
    }

    /// A queue whose dead letters go to the second one.
    async fn mortal_queue(&self, delivery_limit: Option<u32>) -> (String, String) {
        let dead = self.queue("dead").await;
        (self.declare("mortal", QueueKind::Durable, delivery_limit, Some(&dead)).await, dead)
    }

    async fn declare(
        &self,
        name: &str,
        kind: QueueKind,
        delivery_limit: Option<u32>,
        dead: Option<&str>,
    ) -> String {
        let name = self.name(name);
        let dead_letter = dead.map(str::to_owned);
        let declaration =
            QueueDeclaration { name: name.clone(), kind, delivery_limit, dead_letter, hears: Vec::new() };
        self.broker.declare(&declaration).await.unwrap();
        name
    }

    /// Publishes a message for each number of the range, in one call.
    async fn publish(&self, queue: &str, numbers: std::ops::Range<u32>) {
        let publications = numbers.map(|number| publication(queue, number)).collect();
        for outcome in self.broker.publish(publications).await {
            outcome.unwrap();
        }
    }

    /// The declaration of a queue that hears these exchanges and patterns.
    fn listener(&self, name: &str, kind: QueueKind, hears: &[(&str, &str)]) -> QueueDeclaration {
        let hears = hears.iter().map(|(exchange, pattern)| {
            let (exchange, pattern) = (self.name(exchange), (*pattern).to_owned());
            Hears { exchange, pattern }
        });
        let (name, hears) = (self.name(name), hears.collect());
        QueueDeclaration { name, kind, delivery_limit: None, dead_letter: None, hears }
    }

    /// Listens on a queue of its own.
    async fn listen(&self, name: &str, hears: &[(&str, &str)]) -> Box<dyn Consumer> {
        let declaration = self.listener(name, QueueKind::Exclusive, hears);
        self.broker.declare(&declaration).await.unwrap();
        self.consume(&declaration.name, 1_000).await
    }

    fn announcement(&self, exchange: &str, topic: &str, number: u32) -> Announcement {
        let message = publication("", number).message;
        Announcement { exchange: self.name(exchange), topic: topic.to_owned(), message }
    }

    async fn announce(&self, exchange: &str, topic: &str, number: u32) {
        let told = vec![self.announcement(exchange, topic, number)];
        // A new broker connects first; an announcement does not wait for that.
        let mut health = self.broker.health();
        health.wait_for(|health| *health == Health::Ready).await.unwrap();
        self.broker.announce(told).await.unwrap();
    }

    async fn consume(&self, queue: &str, prefetch: u16) -> Box<dyn Consumer> {
        self.consume_with_priority(queue, prefetch, 0).await
    }

    async fn consume_with_priority(&self, queue: &str, prefetch: u16, priority: i32) -> Box<dyn Consumer> {
        let subscription = Subscription { queue: queue.to_owned(), prefetch, priority };
        self.broker.consume(subscription).await.unwrap()
    }

    /// Fails when a delivery comes.
    async fn nothing_comes(&self, consumer: &mut Box<dyn Consumer>) {
        if let Ok(deliveries) = tokio::time::timeout(self.quiet, consumer.receive(10)).await {
            panic!("nothing should have come: {:?}", deliveries.map(|deliveries| numbers(&deliveries)));
        }
    }

    /// Waits until so many messages wait in the queue.
    async fn depth_becomes(&self, queue: &str, wanted: u64) {
        let what = format!("a depth of {wanted} in {queue}");
        eventually(&what, || async { (self.broker.depth(queue).await.unwrap() == wanted).then_some(()) })
            .await;
    }
}

/// Waits for exactly `count` deliveries.
async fn receive(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut received = Vec::new();
    while received.len() < count {
        let more = tokio::time::timeout(PATIENCE, consumer.receive(count - received.len())).await;
        received.extend(more.expect("deliveries come").unwrap());
    }
    received
}

fn publication(queue: &str, number: u32) -> Publication {
    let body = Bytes::from(number.to_string());
    let message =
        Message { body, message_id: format!("m{number}"), kind: "task".into(), ..Message::default() };
    Publication { queue: queue.to_owned(), message }
}

/// The numbers that the messages carry.
fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

fn number(delivery: &Delivery) -> u32 {
    std::str::from_utf8(&delivery.message.body).unwrap().parse().unwrap()
}
