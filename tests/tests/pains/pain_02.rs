//! A worker that loses its connection loses what it holds, and long tasks begin anew elsewhere. Ours holds none by then, and takes
//! none that it cannot begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Parts, System, eventually, settings};

/// The first sign of life comes after a second.
const WORK: &str = "{id: work, version: 1, tasks: [
    {id: a, task: work, inputMappings: {lasts: '${ input.lasts }'}, timeouts: {heartbeat: 30s}}]}";

/// A system whose tasks begin, and wait at a gate where they are to last.
struct Bench {
    system: System,
    begun: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    // Dropped last.
    parts: Parts,
}

impl Bench {
    async fn new() -> Self {
        let parts = Parts::fresh().await;
        let system = parts.node("alone", settings()).await;
        system.register(WORK).await;
        Self { system, begun: Arc::default(), gate: Arc::new(Semaphore::new(0)), parts }
    }

    /// A worker for one task at a time.
    async fn worker(&self) -> Running {
        let (begun, gate) = (self.begun.clone(), self.gate.clone());
        let work = move |input: Json, _: TaskContext| {
            let (begun, gate) = (begun.clone(), gate.clone());
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                if input["lasts"] == true {
                    gate.acquire().await.unwrap().forget();
                }
                Ok::<_, TaskError>(Json::Null)
            }
        };
        let worker = self.system.worker().slots(1).early_ack(Duration::from_millis(100)).task("work", work);
        worker.build().unwrap().start().await.unwrap()
    }

    async fn begin(&self, lasts: bool) -> RunKey {
        self.system.begin("work", json!({"lasts": lasts})).await
    }

    async fn completes_at_its_first_delivery(&self, run: &RunKey) {
        let ended = self.system.end(run).await;
        assert_eq!(ended.status, WorkflowStatus::Completed);
        let [attempt] = &ended.task_instances[0].attempts[..] else { panic!("{ended:#?}") };
        assert_eq!(attempt.deliveries, 1, "{ended:#?}");
    }

    /// Waits until the broker holds so many. It tells late; so whoever waits for none first waits for some.
    async fn until_held(&self, count: u64) {
        let held = || async {
            let queues = self.parts.vhost().queues().unwrap();
            let queue = queues.iter().find(|queue| queue.name == "oarlock.tasks.work")?;
            (queue.ready + queue.unacknowledged == count).then_some(())
        };
        eventually(&format!("the broker holds {count}"), held).await;
    }

    /// A worker at a task that lasts and was acknowledged early.
    async fn full_worker(&self) -> (Running, RunKey) {
        let run = self.begin(true).await;
        self.until_held(1).await;
        let worker = self.worker().await;
        self.until_held(0).await;
        (worker, run)
    }
}

#[tokio::test]
async fn pain_02_long_tasks_stay_with_their_worker_and_keep_none_from_another() {
    let bench = Bench::new().await;
    let (full, long) = bench.full_worker().await;
    // Sent while nobody else is there, and the broker knows of nothing that this worker does.
    let short = bench.begin(false).await;
    let other = bench.worker().await;
    bench.completes_at_its_first_delivery(&short).await;
    let vhost = bench.parts.vhost();
    // The management interface learns of connections only after a while.
    let close = || async { (vhost.close_connections().unwrap() >= 2).then_some(()) };
    eventually("the connections are closed", close).await;
    let short = bench.begin(false).await;
    bench.completes_at_its_first_delivery(&short).await;
    assert_eq!(full.open(), 1);
    bench.gate.add_permits(1);
    bench.completes_at_its_first_delivery(&long).await;
    other.drain(Duration::from_secs(5)).await;
    // When its task has ended the first one takes others.
    let short = bench.begin(false).await;
    bench.completes_at_its_first_delivery(&short).await;
    assert_eq!(bench.begun.load(Ordering::Relaxed), 4, "each began once");
}
