//! Starting, stopping, losing the broker, and how many run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{
    Acknowledge, Announcement, Broker, Consumer, Delivery, Error, Health, Publication, QueueDeclaration,
    Subscription, topology,
};
use oarlock_protocol::Json;
use oarlock_worker::{TaskContext, TaskError, Worker};
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::harness::{Partition, eventually, stop, task, within};

async fn echo(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

async fn never(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    std::future::pending().await
}

#[tokio::test]
async fn a_queue_that_is_declared_later_is_found() {
    let mut partition = Partition::with(&[]).await;
    let worker = partition.worker().task("echo", echo).build().unwrap().start().await.unwrap();
    partition.broker.declare(&topology::tasks_declaration("echo", 20)).await.unwrap();
    let id = partition.send(&task("echo", json!(1))).await;
    assert_eq!(partition.output(id).await, json!(1));
    stop(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_bound_what_runs_over_all_queues() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        move |_: Json, _: TaskContext| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }
    };
    let mut partition = Partition::with(&["a", "b"]).await;
    let worker = partition.worker().slots(3).task("a", count.clone()).task("b", count);
    let worker = worker.build().unwrap().start().await.unwrap();
    let mut sent = Vec::new();
    for n in 0..60 {
        sent.push(partition.send(&task(if n % 2 == 0 { "a" } else { "b" }, Json::Null)).await);
    }
    for id in sent {
        partition.output(id).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    stop(worker).await;
}

#[tokio::test]
async fn draining_lets_what_runs_end_and_takes_nothing_new() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gated = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move |input: Json, _: TaskContext| {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                begun.notify_one();
                go_on.notified().await;
                Ok(input)
            }
        }
    };
    let mut partition = Partition::with(&["gated"]).await;
    let worker = partition.worker().slots(1).task("gated", gated).build().unwrap().start().await.unwrap();
    let running = partition.send(&task("gated", json!("runs"))).await;
    within(begun.notified()).await;
    let waiting = partition.send(&task("gated", json!("waits"))).await;
    let drained = tokio::spawn(worker.drain(Duration::from_secs(20)));
    go_on.notify_one();
    assert_eq!(partition.output(running).await, json!("runs"));
    assert_eq!(within(drained).await.unwrap().given_back, 0);
    assert!(partition.is_silent(waiting));
    assert_eq!(partition.broker.depth(&topology::tasks("gated")).await, Ok(1));
}

#[tokio::test]
async fn what_overstays_the_draining_goes_to_another_worker() {
    let mut partition = Partition::with(&["job"]).await;
    let first = partition.worker().task("job", never).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("job", json!(1))).await;
    eventually("it runs", async || first.open() == 1).await;
    assert_eq!(within(first.drain(Duration::from_millis(10))).await.given_back, 1);
    let second = partition.worker().task("job", echo).build().unwrap().start().await.unwrap();
    let result = partition.result(id).await;
    assert_eq!((result.deliveries, &result.worker_id), (2, second.worker_id()));
    stop(second).await;
}

#[tokio::test]
async fn what_a_dropped_worker_held_is_handed_out_again() {
    let mut partition = Partition::with(&["job"]).await;
    let first = partition.worker().task("job", never).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("job", json!(1))).await;
    eventually("it runs", async || first.open() == 1).await;
    drop(first);
    let second = partition.worker().task("job", echo).build().unwrap().start().await.unwrap();
    assert_eq!(partition.result(id).await.deliveries, 2);
    stop(second).await;
}

/// A broker whose connection is cut: every call fails and every consumer ends until it is mended.
#[derive(Clone)]
struct Cuttable {
    inner: Embedded,
    cut: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

impl Cuttable {
    fn set(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn check(&self) -> Result<(), Error> {
        match self.cut.load(Ordering::SeqCst) {
            true => Err(Error::Unavailable("the wire is cut".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Broker for Cuttable {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.check()?;
        self.inner.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.check()?;
        self.inner.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        match self.check() {
            Ok(()) => self.inner.publish(publications).await,
            Err(error) => vec![Err(error); publications.len()],
        }
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        self.check()?;
        self.inner.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        self.check()?;
        let inner = self.inner.consume(subscription).await?;
        Ok(Box::new(CuttableConsumer { inner, broker: self.clone() }))
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.inner.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    fn keeps_messages(&self) -> bool {
        true
    }
}

struct CuttableConsumer {
    inner: Box<dyn Consumer>,
    broker: Cuttable,
}

#[async_trait]
impl Consumer for CuttableConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        let mut changed = std::pin::pin!(self.broker.changed.notified());
        changed.as_mut().enable();
        self.broker.check().map_err(|_| Error::Ended)?;
        tokio::select! {
            () = changed => Err(Error::Ended),
            received = self.inner.receive(max) => received,
        }
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.inner.stop().await
    }

    fn acknowledger(&self) -> Arc<dyn Acknowledge> {
        self.inner.acknowledger()
    }
}

#[tokio::test]
async fn a_lost_broker_is_waited_for_and_nothing_is_lost() {
    let mut partition = Partition::with(&["gated"]).await;
    let broker = Cuttable { inner: partition.broker.clone(), cut: Arc::default(), changed: Arc::default() };
    let (runs, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let gated = {
        let (runs, go_on) = (Arc::clone(&runs), Arc::clone(&go_on));
        move |input: Json, _: TaskContext| {
            let (runs, go_on) = (Arc::clone(&runs), Arc::clone(&go_on));
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                go_on.notified().await;
                Ok(input)
            }
        }
    };
    let worker = Worker::builder(Arc::new(broker.clone())).task("gated", gated).build().unwrap();
    let worker = worker.start().await.unwrap();
    let during = partition.send(&task("gated", json!("during"))).await;
    eventually("it runs", async || runs.load(Ordering::SeqCst) == 1).await;
    broker.set(true);
    go_on.notify_one();
    let after = partition.send(&task("gated", json!("after"))).await;
    broker.set(false);
    // The first one's delivery went back with its consumer; it is answered once or twice, and run once.
    assert_eq!(partition.output(during).await, json!("during"));
    eventually("the other runs", async || runs.load(Ordering::SeqCst) == 2).await;
    go_on.notify_one();
    assert_eq!(partition.output(after).await, json!("after"));
    stop(worker).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(partition.broker.depth(&topology::tasks("gated")).await, Ok(0));
}

#[tokio::test]
async fn a_worker_may_start_before_its_broker() {
    let mut partition = Partition::with(&["echo"]).await;
    let broker = Cuttable { inner: partition.broker.clone(), cut: Arc::default(), changed: Arc::default() };
    broker.set(true);
    let worker = Worker::builder(Arc::new(broker.clone())).task("echo", echo).build().unwrap();
    let worker = worker.start().await.unwrap();
    let id = partition.send(&task("echo", json!(1))).await;
    broker.set(false);
    assert_eq!(partition.output(id).await, json!(1));
    stop(worker).await;
}
