//! Who works in the fleet: seen within a beat, silent and forgotten when it is lost, gone at once when it leaves, marked when it does nothing.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Announcement, Broker, Error, Message, topology};
use oarlock_orchestrator::fleet::{WorkerEntry, WorkerState};
use oarlock_orchestrator::{Clock, Settings};
use oarlock_protocol::message::{BeatMessage, Kind};
use oarlock_protocol::{FORMAT, Json, Span, WorkerId};
use oarlock_worker::{Builder, TaskContext, TaskError};
use serde_json::json;
use tokio::task::JoinHandle;

use super::system::{Parts, System, eventually, settings};

const BEAT: Duration = Duration::from_secs(1);

/// Settings under which a lost worker is soon forgotten.
fn impatient() -> Settings {
    let mut settings = settings();
    settings.workers_kept = Span::from_secs(1);
    settings
}

async fn system(settings: Settings) -> (Parts, System) {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", settings).await;
    (parts, system)
}

fn worker(system: &System) -> Builder {
    system.worker().name("clerk").beat(BEAT).slots(3)
}

/// The only worker, once it is as `fits` wants it.
async fn only(system: &System, what: &str, fits: impl Fn(&WorkerEntry) -> bool) -> WorkerEntry {
    let look = || async {
        let workers = system.node.workers();
        assert!(workers.len() <= 1, "{workers:?}");
        workers.into_iter().find(&fits)
    };
    eventually(what, look).await
}

async fn nobody(system: &System) {
    eventually("nobody is there", || async { system.node.workers().is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_seen_with_what_it_does_and_goes_at_once_when_it_is_drained() {
    let (_parts, system) = system(settings()).await;
    system.register("{id: w, version: 1, tasks: [{id: a, task: add}, {id: b, task: fall}]}").await;
    let add = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(json!(1)) };
    let fall = |_: Json, _: TaskContext| async {
        Err::<Json, _>(TaskError::new("GONE", "it is gone").not_retryable())
    };
    let builder = worker(&system).version("clerk 7").task("add", add).task("fall", fall);
    let running = builder.build().unwrap().start().await.unwrap();
    let seen = only(&system, "it is seen", |_| true).await;
    assert_eq!(seen.worker, running.worker_id().as_str());
    assert_eq!(
        (seen.state, seen.open, seen.slots, seen.version.as_str()),
        (WorkerState::Idle, 0, 3, "clerk 7")
    );
    assert_eq!((&seen.queues, &seen.tasks), (&vec!["add".to_owned(), "fall".to_owned()], &seen.queues));
    assert_eq!((seen.last_active, seen.completed, seen.failed), (None, 0, 0));
    system.run("w", json!({})).await;
    let worked = only(&system, "its work is told", |worker| worker.failed == 1).await;
    assert_eq!((worked.completed, worked.marks), (1, vec![]));
    assert!(worked.since <= seen.since && seen.since.since(worked.since) < Span::from_secs(5));
    assert!(worked.last_active > Some(seen.since) && worked.last_beat > seen.last_beat);
    // It does not take three beats.
    running.drain(Duration::from_secs(5)).await;
    let left = tokio::time::timeout(BEAT, nobody(&system)).await;
    assert!(left.is_ok(), "{:?}", system.node.workers());
    system.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_lost_is_silent_and_then_forgotten() {
    let (parts, one) = system(impatient()).await;
    // Each node hears for itself.
    let other = parts.node("other", impatient()).await;
    one.register("{id: w, version: 1, tasks: [{id: a, task: hang}]}").await;
    let hang = |_: Json, _: TaskContext| async { std::future::pending::<Result<Json, TaskError>>().await };
    let running = worker(&one).task("hang", hang).build().unwrap().start().await.unwrap();
    one.begin("w", json!({})).await;
    for node in [&one, &other] {
        only(node, "it is busy", |worker| worker.state == WorkerState::Busy && worker.open == 1).await;
    }
    drop(running);
    for node in [&one, &other] {
        let lost = only(node, "it is silent", |worker| worker.state == WorkerState::Silent).await;
        assert!(lost.marks[0].contains("and has 1 attempt"), "{:?}", lost.marks);
    }
    nobody(&one).await;
    nobody(&other).await;
    one.node.stop().await;
    other.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_beats_and_takes_nothing_from_a_deep_queue_is_marked() {
    let mut settings = impatient();
    settings.anomalies.rules.worker_idle = Span::from_millis(300);
    let (_parts, system) = system(settings).await;
    system.register("{id: w, version: 1, tasks: [{id: a, task: stuck}]}").await;
    tell(&system.broker, Kind::Beat.as_str(), serde_json::to_vec(&beat("stuck", 60_000)).unwrap()).await;
    let idle = only(&system, "it is seen", |_| true).await;
    assert_eq!((idle.state, idle.marks), (WorkerState::Idle, vec![]));
    for _ in 0..2 {
        system.begin("w", json!({})).await;
    }
    let marked = only(&system, "it is marked", |worker| !worker.marks.is_empty()).await;
    assert_eq!(marked.state, WorkerState::Idle);
    assert!(marked.marks[0].contains("though 2 tasks are in its queue"), "{:?}", marked.marks);
    // Once it takes them, all is well.
    system.take(&topology::tasks("stuck")).await;
    system.take(&topology::tasks("stuck")).await;
    only(&system, "it is not marked any more", |worker| worker.marks.is_empty()).await;
    system.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_fleet_tells_and_nobody_understands_is_counted_and_dropped() {
    let (_parts, system) = system(settings()).await;
    let count = || system.node.counters().unheard.load(std::sync::atomic::Ordering::Relaxed);
    let later = serde_json::to_string(&BeatMessage { format: 99, ..beat("stuck", 60_000) }).unwrap();
    let told = [("oarlock.beat", "{}"), ("oarlock.beat", &*later), ("oarlock.later", "{}"), ("", "no JSON")];
    for (number, (kind, body)) in (0..).zip(told) {
        // The node may not listen yet.
        eventually("it is heard", || async {
            tell(&system.broker, kind, body).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            (count() > number).then_some(())
        })
        .await;
    }
    assert!(system.node.workers().is_empty());
    assert_eq!(system.node.parked().await.unwrap(), []);
    system.node.stop().await;
}

/// What a worker that has nothing and does nothing tells of itself.
fn beat(queue: &str, beat_ms: u64) -> BeatMessage {
    BeatMessage {
        format: FORMAT,
        worker_id: WorkerId::from("stuck.1".to_owned()),
        host: "clerk".to_owned(),
        version: String::new(),
        sent_at: Clock::system().now(),
        started_at: Clock::system().now(),
        beat_ms,
        queues: vec![queue.to_owned()],
        tasks: Vec::new(),
        slots: 1,
        open: 0,
        last_active: None,
        completed: 0,
        failed: 0,
        leaving: false,
    }
}

/// A worker of a queue that beats and takes nothing, until it is dropped.
pub(super) struct Beats(JoinHandle<()>);

impl Beats {
    pub(super) fn of(system: &System, queue: &str) -> Self {
        let (broker, queue) = (system.broker.clone(), queue.to_owned());
        let started_at = Clock::system().now();
        Self(tokio::spawn(async move {
            loop {
                let beat = BeatMessage { started_at, ..beat(&queue, 200) };
                tell(&broker, Kind::Beat.as_str(), serde_json::to_vec(&beat).unwrap()).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }))
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Announces to the fleet as a stranger would.
async fn tell(broker: &Arc<dyn Broker>, kind: &str, body: impl Into<Vec<u8>> + Clone) {
    eventually("it is announced", || async {
        let message =
            Message { kind: kind.to_owned(), body: body.clone().into().into(), ..Message::default() };
        let (exchange, topic) = (topology::FLEET.to_owned(), topology::worker_topic("stuck.1"));
        let told = broker.announce(vec![Announcement { exchange, topic, message }]).await;
        assert!(matches!(told, Ok(()) | Err(Error::Unavailable(_))), "{told:?}");
        told.ok()
    })
    .await;
}
