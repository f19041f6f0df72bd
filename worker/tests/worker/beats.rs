//! What a worker tells of itself: at once when it starts, now and then, and a last time when it leaves.

use std::time::Duration;

use oarlock_broker::{Broker, Consumer, Subscription, topology};
use oarlock_protocol::Json;
use oarlock_protocol::message::{BeatMessage, Kind};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use crate::harness::{PATIENCE, Partition, task};

/// Listens as an orchestrator does.
async fn listen(partition: &Partition) -> Box<dyn Consumer> {
    partition.broker.declare(&topology::fleet_declaration("test")).await.unwrap();
    let subscription = Subscription { queue: topology::fleet("test"), prefetch: 100, priority: 0 };
    partition.broker.consume(subscription).await.unwrap()
}

async fn next(fleet: &mut Box<dyn Consumer>) -> BeatMessage {
    let told = tokio::time::timeout(PATIENCE, fleet.receive(1)).await.expect("a beat comes").unwrap();
    assert_eq!(told[0].message.kind, Kind::Beat.as_str());
    serde_json::from_slice(&told[0].message.body).unwrap()
}

#[tokio::test]
async fn a_worker_beats_at_once_and_a_last_time_when_it_is_drained() {
    let mut partition = Partition::with(&["echo"]).await;
    let mut fleet = listen(&partition).await;
    let echo = |input: Json, _: TaskContext| async { Ok::<_, TaskError>(input) };
    let worker = partition.worker().beat(Duration::from_secs(60)).slots(2).task("echo", echo);
    let running = worker.build().unwrap().start().await.unwrap();
    let first = next(&mut fleet).await;
    assert_eq!((first.worker_id.as_str(), first.beat_ms), (running.worker_id().as_str(), 60_000));
    assert_eq!((first.slots, first.open, first.last_active, first.leaving), (2, 0, None, false));
    assert_eq!((first.queues.clone(), first.tasks.clone()), (vec!["echo".to_owned()], first.queues.clone()));
    assert!(first.version.starts_with("oarlock "), "{}", first.version);
    let done = partition.send(&task("echo", json!(1))).await;
    partition.result(done).await;
    running.drain(PATIENCE).await;
    let last = next(&mut fleet).await;
    assert!(last.leaving && last.last_active >= Some(first.sent_at), "{last:?}");
    assert_eq!((last.completed, last.failed, last.started_at), (1, 0, first.started_at));
}

#[tokio::test]
async fn it_beats_as_often_as_it_says() {
    let partition = Partition::with(&["echo"]).await;
    let mut fleet = listen(&partition).await;
    let echo = |input: Json, _: TaskContext| async { Ok::<_, TaskError>(input) };
    let worker = partition.worker().beat(Duration::from_secs(1)).task("echo", echo);
    let _running = worker.build().unwrap().start().await.unwrap();
    let first = next(&mut fleet).await;
    next(&mut fleet).await;
    let last = next(&mut fleet).await;
    // By its own clock, so that a test that waits for a core does not count.
    let between = last.sent_at.since(first.sent_at).as_millis();
    assert!((2_000..20_000).contains(&between), "{between} ms");
}
