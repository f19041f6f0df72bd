//! Announces changes of status on the topic exchange `oarlock.events`, for whoever listens.
//!
//! The owners of partitions hand them over after the commit and go on: a broker that takes them too slowly costs events, which
//! are counted, and never a run its time. Each is told once at most; nothing rests on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oarlock_broker::{Announcement, Message, topic, topology};
use oarlock_protocol::chance;
use oarlock_protocol::message::{Kind, RunEvent, TaskEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::partition::Shared;

/// Events that wait to be announced: some seconds of a busy node, some megabytes.
const MOST_WAITING: usize = 8_192;
/// Events announced together.
const BATCH: usize = 128;
/// An event waits for others so long: few large batches cost a node a fraction of what many small ones do.
const GATHER: Duration = Duration::from_millis(10);
/// The pause before it is looked again whether any event waits, at the end of a node.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The longest word of a topic, in bytes: five of them, two of which are ours, fit the 255 of a topic.
const LONGEST_WORD: usize = 75;

/// Which changes of status are announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Publish {
    /// None.
    None,
    /// Those of runs.
    #[default]
    Runs,
    /// Those of runs, of tasks, and of steps that start a run.
    Tasks,
}

/// A change of status.
pub(crate) enum Event {
    /// Of a run.
    Run(RunEvent),
    /// Of a task.
    Task(TaskEvent),
}

/// Takes events in, and counts what becomes of them.
pub(crate) struct Events {
    publish: Publish,
    waiting: mpsc::Sender<Event>,
    /// Those that were taken in; each is announced or dropped sooner or later.
    told: AtomicU64,
    announced: AtomicU64,
    dropped: AtomicU64,
}

impl Events {
    /// Where events come in, and where they come out to be announced.
    pub(crate) fn new(publish: Publish) -> (Self, mpsc::Receiver<Event>) {
        let (waiting, events) = mpsc::channel(MOST_WAITING);
        let [told, announced, dropped] = [0, 0, 0].map(AtomicU64::new);
        (Self { publish, waiting, told, announced, dropped }, events)
    }

    /// Whether events of tasks are announced: nobody need make them otherwise.
    pub(crate) fn tells_tasks(&self) -> bool {
        self.publish == Publish::Tasks
    }

    /// Takes an event in. It never waits: where too many do, it is dropped.
    pub(crate) fn tell(&self, event: Event) {
        if self.publish == Publish::None {
            return;
        }
        self.told.fetch_add(1, Ordering::Relaxed);
        if self.waiting.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when nothing waits to be announced any more, or after this time.
    pub(crate) async fn settle(&self, within: Duration) {
        let settled = async {
            while !self.is_settled() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(within, settled).await.ok();
    }

    fn is_settled(&self) -> bool {
        let (announced, dropped) = self.counts();
        announced + dropped >= self.told.load(Ordering::Relaxed)
    }

    /// How many were handed to the broker, and how many nobody heard of.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.announced.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }
}

/// Announces what comes, many at once, until it is aborted.
pub(crate) async fn announce_for_ever(shared: Arc<Shared>, mut events: mpsc::Receiver<Event>) {
    let mut batch = Vec::with_capacity(BATCH);
    while events.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(event) = events.try_recv()
            {
                batch.push(event);
            }
        }
        let count = batch.len() as u64;
        let announcements: Vec<Announcement> = batch.drain(..).filter_map(announcement).collect();
        let counts = &shared.events;
        match shared.broker.announce(announcements).await {
            Ok(()) => counts.announced.fetch_add(count, Ordering::Relaxed),
            Err(error) => {
                tracing::debug!(%error, count, "changes of status are not announced");
                counts.dropped.fetch_add(count, Ordering::Relaxed)
            }
        };
    }
}

fn announcement(event: Event) -> Option<Announcement> {
    let (kind, topic, body, correlation_id) = match event {
        Event::Run(event) => {
            let words = ["run", event.status.as_str(), &event.run.tenant, &event.workflow];
            (Kind::RunEvent, topic_of(words), serde_json::to_vec(&event), event.correlation_id)
        }
        Event::Task(event) => {
            let words = ["task", event.status.as_str(), &event.run.tenant, &event.workflow, &event.task];
            (Kind::TaskEvent, topic_of(words), serde_json::to_vec(&event), event.correlation_id)
        }
    };
    let message = Message {
        body: body.ok()?.into(),
        message_id: chance::fresh().to_string(),
        correlation_id,
        kind: kind.as_str().to_owned(),
        ..Message::default()
    };
    Some(Announcement { exchange: topology::EVENTS.to_owned(), topic, message })
}

/// The topic of these words, each made safe; the status in small letters, as topics are.
fn topic_of<const N: usize>(words: [&str; N]) -> String {
    let mut written: Vec<String> = words.iter().map(|word| short(topic::word(word))).collect();
    if let Some(status) = written.get_mut(1) {
        status.make_ascii_lowercase();
    }
    written.join(".")
}

/// A topic that is too long would be refused, and the others of its batch with it.
fn short(mut word: String) -> String {
    let end = (0..=LONGEST_WORD).rev().find(|end| word.is_char_boundary(*end));
    word.truncate(end.unwrap_or_default());
    word
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::instance::WorkflowStatus;
    use oarlock_protocol::{FORMAT, RunId, RunKey, Timestamp};

    use super::*;

    fn ended() -> RunEvent {
        RunEvent {
            format: FORMAT,
            run: RunKey::new("acme.eu", RunId::keyed("t", "d", "1")),
            workflow: "order.v2".to_owned(),
            version: 1,
            status: WorkflowStatus::TimedOut,
            time: Timestamp::default(),
            correlation_id: Some("web-7".to_owned()),
        }
    }

    #[test]
    fn a_name_with_dots_is_one_word_of_the_topic() {
        let told = announcement(Event::Run(ended())).unwrap();
        assert_eq!(told.topic, "run.timed_out.acme_eu.order_v2");
        assert_eq!(told.message.correlation_id.as_deref(), Some("web-7"));
        let long = RunEvent { workflow: "\u{e4}".repeat(100), ..ended() };
        let told = announcement(Event::Run(long)).unwrap();
        assert!(told.topic.len() < 100 && told.check().is_ok(), "{}", told.topic);
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted_and_never_waited_for() {
        let (events, _waiting) = Events::new(Publish::Runs);
        (0..MOST_WAITING + 3).for_each(|_| events.tell(Event::Run(ended())));
        assert_eq!(events.counts(), (0, 3));
        let (silent, _waiting) = Events::new(Publish::None);
        (0..MOST_WAITING + 3).for_each(|_| silent.tell(Event::Run(ended())));
        assert_eq!(silent.counts(), (0, 0));
    }
}
