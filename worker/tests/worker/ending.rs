//! Attempts that last: signs of life, limits, cancels.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use oarlock_broker::{Broker, topology};
use oarlock_protocol::message::{Order, Outcome, TaskMessage};
use oarlock_protocol::{Json, Span, Timestamp};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::harness::{Partition, eventually, stop, task, within};

/// Tells when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(());
        }
    }
}

/// A handler that never ends by itself, and what tells that its future was dropped.
fn endless() -> (impl Fn(Json, TaskContext) -> EndlessRun + Send + Sync + 'static, oneshot::Receiver<()>) {
    let (tell, dropped) = oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let run = move |_: Json, _: TaskContext| {
        let guard = Dropped(tell.lock().unwrap().take());
        let run: EndlessRun = Box::pin(async move {
            let _guard = guard;
            std::future::pending().await
        });
        run
    };
    (run, dropped)
}

type EndlessRun = std::pin::Pin<Box<dyn Future<Output = Result<Json, TaskError>> + Send>>;

#[tokio::test]
async fn a_handler_above_its_time_is_dropped() {
    let (run, dropped) = endless();
    let mut partition = Partition::with(&["endless"]).await;
    let worker = partition.worker().task("endless", run).build().unwrap().start().await.unwrap();
    let mut message = task("endless", Json::Null);
    message.timeout_ms = 50;
    let id = partition.send(&message).await;
    let error = partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("TIMEOUT_EXECUTION", true));
    assert!(error.message.contains("50 ms"), "{}", error.message);
    within(dropped).await.unwrap();
    stop(worker).await;
}

#[tokio::test]
async fn the_deadline_counts_where_it_is_sooner() {
    let (run, dropped) = endless();
    let mut partition = Partition::with(&["endless"]).await;
    let _worker = partition.worker().task("endless", run).build().unwrap().start().await.unwrap();
    let mut message = task("endless", Json::Null);
    message.deadline = Some(Timestamp::from(Utc::now()).after(Span::from_millis(80)));
    let id = partition.send(&message).await;
    assert_eq!(partition.failure(id).await.code, "TIMEOUT_TOTAL");
    within(dropped).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_is_answered_for_all_the_same() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let block = move |_: Json, _: TaskContext| {
        let blocked = Arc::clone(&blocked);
        async move {
            let _ = blocked.lock().unwrap().recv();
            Ok(())
        }
    };
    let mut partition = Partition::with(&["block"]).await;
    let _worker = partition.worker().task("block", block).build().unwrap().start().await.unwrap();
    let mut message = task("block", Json::Null);
    message.timeout_ms = 50;
    let id = partition.send(&message).await;
    assert_eq!(partition.failure(id).await.code, "TIMEOUT_EXECUTION");
    release.send(()).unwrap();
}

#[tokio::test]
async fn a_task_that_lasts_tells_where_it_runs_and_can_be_cancelled() {
    let mut partition = Partition::with(&["wait"]).await;
    let wait = |_: Json, context: TaskContext| async move {
        context.cancelled().await;
        Err::<Json, _>(TaskError::new("STOPPED", "as told").with_details(json!({"at": 3})))
    };
    let worker = partition.worker().task("wait", wait).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("wait", Json::Null)).await;
    let sign = partition.sign().await;
    assert_eq!((sign.n, sign.address.execution_id, sign.deliveries), (0, id, 1));
    assert!(sign.running_ms >= 1000, "{sign:?}");
    let control = sign.control_queue.unwrap();
    assert_eq!(control, topology::control(worker.worker_id().as_str()));
    partition.order(&control, id, Order::Cancel { reason: "the customer left".into() }).await;
    let error = partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.message.as_str()), ("CANCELLED", "the customer left"));
    assert_eq!((error.retryable, error.details), (false, json!({"at": 3})));
    stop(worker).await;
}

#[tokio::test]
async fn a_handler_that_overhears_its_cancel_is_dropped_after_the_grace() {
    let (run, dropped) = endless();
    let mut partition = Partition::with(&["endless"]).await;
    let _worker = partition.worker().task("endless", run).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("endless", Json::Null)).await;
    let control = partition.sign().await.control_queue.unwrap();
    partition.order(&control, id, Order::Cancel { reason: "over".into() }).await;
    assert_eq!(partition.failure(id).await.code, "CANCELLED");
    within(dropped).await.unwrap();
}

#[tokio::test]
async fn a_closed_attempt_ends_and_is_answered_for_where_it_was_opened_again() {
    let (run, dropped) = endless();
    let mut partition = Partition::with(&["endless"]).await;
    let worker = partition.worker().task("endless", run).build().unwrap().start().await.unwrap();
    let message = task("endless", Json::Null);
    let id = partition.send(&message).await;
    let control = partition.sign().await.control_queue.unwrap();
    partition.order(&control, id, Order::Closed).await;
    // A copy of it, of a partition that has lost the commit that closed it.
    partition.send(&message).await;
    within(dropped).await.unwrap();
    assert_eq!(partition.failure(id).await.code, "CANCELLED");
    eventually("the attempt is let go", async || worker.open() == 0).await;
    stop(worker).await;
    assert_eq!(partition.broker.depth(&topology::tasks("endless")).await, Ok(0));
}

#[tokio::test]
async fn heartbeats_come_at_a_third_and_carry_the_newest_details() {
    let (tell, mut steps) = mpsc::channel::<u32>(8);
    let (done, finish) = oneshot::channel::<()>();
    let finish = std::sync::Mutex::new(Some(finish));
    let beat = move |_: Json, context: TaskContext| {
        let tell = tell.clone();
        let finish = finish.lock().unwrap().take();
        async move {
            for step in 1..=3 {
                context.heartbeat(json!({"step": step}));
                tell.send(step).await?;
            }
            finish.unwrap().await?;
            Ok(())
        }
    };
    let mut partition = Partition::with(&["beat"]).await;
    let worker = partition.worker().task("beat", beat).build().unwrap().start().await.unwrap();
    let mut message = task("beat", Json::Null);
    message.heartbeat_ms = 900;
    let id = partition.send(&message).await;
    while within(steps.recv()).await != Some(3) {}
    let (first, second) = (partition.sign().await, partition.sign().await);
    assert_eq!((first.n, first.details), (0, json!({"step": 3})));
    assert_eq!((second.n, second.details), (1, Json::Null));
    assert!((300..900).contains(&first.running_ms), "{}", first.running_ms);
    assert!(second.running_ms - first.running_ms >= 300, "{} {}", first.running_ms, second.running_ms);
    done.send(()).unwrap();
    assert_eq!(partition.result(id).await.outcome, Outcome::Completed { output: Json::Null });
    stop(worker).await;
    let last = partition.raw.last().unwrap();
    assert_eq!(last.message.message_id, format!("{id}-result"), "a sign came after the result");
}

#[tokio::test]
async fn a_short_task_sends_one_message() {
    let mut partition = Partition::with(&["short"]).await;
    let short = |_: Json, context: TaskContext| async move {
        context.heartbeat(json!("hardly begun"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    };
    let worker = partition.worker().task("short", short).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("short", Json::Null)).await;
    let result = partition.result(id).await;
    assert!((100..1000).contains(&result.metrics.execution_time_ms), "{:?}", result.metrics);
    stop(worker).await;
    assert_eq!(partition.raw.len(), 1);
}

type Counted = Ready<Result<usize, TaskError>>;

/// A task that waited for long, and a handler that counts its runs.
fn late() -> (TaskMessage, Arc<AtomicUsize>, impl Fn(Json, TaskContext) -> Counted + Send + Sync + 'static) {
    let mut message = task("count", Json::Null);
    message.ask_after = Some(Timestamp::from_millis(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    (message, begun, move |_, _| ready(Ok(counted.fetch_add(1, Ordering::SeqCst) + 1)))
}

#[tokio::test]
async fn pain_24_a_task_that_waited_for_long_begins_when_it_is_told_that_it_may() {
    let (message, begun, count) = late();
    let mut partition = Partition::with(&["count"]).await;
    let worker = partition.worker().task("count", count).build().unwrap().start().await.unwrap();
    let id = partition.send(&message).await;
    let sign = partition.sign().await;
    assert_eq!((sign.n, begun.load(Ordering::SeqCst)), (0, 0));
    partition.order(&sign.control_queue.unwrap(), id, Order::Continue { n: 0 }).await;
    assert_eq!(partition.output(id).await, json!(1));
    stop(worker).await;
}

#[tokio::test]
async fn pain_24_a_task_that_was_cancelled_before_it_began_never_begins() {
    let (message, begun, count) = late();
    let mut partition = Partition::with(&["count"]).await;
    let worker = partition.worker().task("count", count).build().unwrap().start().await.unwrap();
    let id = partition.send(&message).await;
    let control = partition.sign().await.control_queue.unwrap();
    partition.order(&control, id, Order::Cancel { reason: "over".into() }).await;
    assert_eq!(partition.failure(id).await.code, "CANCELLED");
    let id = partition.send(&late().0).await;
    partition.sign().await;
    partition.order(&control, id, Order::Closed).await;
    assert_eq!(partition.failure(id).await.code, "CANCELLED");
    stop(worker).await;
    assert_eq!(begun.load(Ordering::SeqCst), 0);
    assert_eq!(partition.broker.depth(&topology::tasks("count")).await, Ok(0));
}

#[tokio::test]
async fn a_task_begins_where_nobody_says_whether_it_may() {
    let (message, _, count) = late();
    let mut partition = Partition::with(&["count"]).await;
    let worker = partition.worker().task("count", count).build().unwrap().start().await.unwrap();
    let id = partition.send(&message).await;
    assert_eq!(partition.output(id).await, json!(1));
    stop(worker).await;
}
