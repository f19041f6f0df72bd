//! Deliveries that come twice, come broken, or whose answer cannot be published.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chrono::Utc;
use oarlock_broker::{Broker, Message, topology};
use oarlock_protocol::{FORMAT, Json, Span, Timestamp};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Notify;

use crate::harness::{Partition, envelope, eventually, stop, task};

/// Counts its runs, each of which waits to be let go.
#[derive(Clone, Default)]
struct Gate {
    begun: Arc<AtomicUsize>,
    open: Arc<Notify>,
}

impl Gate {
    fn handler(&self) -> impl Fn(Json, TaskContext) -> GatedRun + Send + Sync + 'static + use<> {
        let gate = self.clone();
        move |_, _| {
            let gate = gate.clone();
            Box::pin(async move {
                let number = gate.begun.fetch_add(1, Ordering::SeqCst) + 1;
                gate.open.notified().await;
                Ok(json!(number))
            })
        }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

type GatedRun = std::pin::Pin<Box<dyn Future<Output = Result<Json, TaskError>> + Send>>;

#[tokio::test]
async fn pain_02_a_long_task_that_is_delivered_again_while_it_runs_runs_once() {
    let gate = Gate::default();
    let mut partition = Partition::with(&["gated"]).await;
    let worker = partition.worker().task("gated", gate.handler()).build().unwrap().start().await.unwrap();
    let (first, other) = (task("gated", Json::Null), task("gated", Json::Null));
    let id = partition.send(&first).await;
    partition.send(&first).await;
    // Taken in order: once this one runs, the copy before it has been handled.
    let after = partition.send(&other).await;
    eventually("both run", async || gate.begun() == 2).await;
    gate.open.notify_waiters();
    assert_eq!(partition.output(id).await, json!(1));
    assert_eq!(partition.output(after).await, json!(2));
    stop(worker).await;
    assert_eq!(partition.raw.len(), 2, "the copy was answered too");
    assert_eq!(
        partition.broker.depth(&topology::tasks("gated")).await,
        Ok(0),
        "the copy was not acknowledged"
    );
}

#[tokio::test]
async fn an_attempt_that_comes_again_is_answered_again_without_running() {
    let gate = Gate::default();
    let mut partition = Partition::with(&["gated"]).await;
    let worker = partition.worker().task("gated", gate.handler()).build().unwrap().start().await.unwrap();
    let message = task("gated", Json::Null);
    let id = partition.send(&message).await;
    gate.open.notify_one();
    assert_eq!(partition.output(id).await, json!(1));
    eventually("it is confirmed", async || worker.open() == 0).await;
    partition.send(&message).await;
    assert_eq!(partition.output(id).await, json!(1));
    assert_eq!(gate.begun(), 1);
    stop(worker).await;
    assert_eq!(partition.broker.depth(&topology::tasks("gated")).await, Ok(0));
}

#[tokio::test]
async fn an_attempt_that_was_refused_for_its_time_is_judged_anew_when_it_comes_again() {
    let mut partition = Partition::with(&["echo"]).await;
    let echo = |input: Json, _: TaskContext| async move { Ok(input) };
    let worker = partition.worker().task("echo", echo).build().unwrap().start().await.unwrap();
    let now = Timestamp::from(Utc::now());
    let mut message = task("echo", json!(7));
    message.start_before = Some(Timestamp::from_millis(now.as_millis() - 1));
    let id = partition.send(&message).await;
    assert_eq!(partition.failure(id).await.code, "TIMEOUT_QUEUE");
    eventually("it is confirmed", async || worker.open() == 0).await;
    // Its store lost the commit that had opened it, and it was ready again later.
    message.start_before = Some(now.after(Span::from_secs(60)));
    partition.send(&message).await;
    assert_eq!(partition.output(id).await, json!(7));
    stop(worker).await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_parked_with_its_reason() {
    let partition = Partition::with(&["echo"]).await;
    let echo = |input: Json, _: TaskContext| async move { Ok(input) };
    let worker = partition.worker().task("echo", echo).build().unwrap().start().await.unwrap();
    let good = envelope(&task("echo", Json::Null));
    let body = |change: fn(&mut Json)| {
        let mut json: Json = serde_json::from_slice(&good.body).unwrap();
        change(&mut json);
        Bytes::from(serde_json::to_vec(&json).unwrap())
    };
    let deep = Bytes::from(["{\"input\":", &"[".repeat(100_000), &"]".repeat(100_000), "}"].concat());
    for (message, reason) in [
        (Message { body: Bytes::from_static(b"\xff{"), ..good.clone() }, "expected value"),
        (Message { body: deep, ..good.clone() }, "recursion limit"),
        (Message { body: body(|m| m["task"] = json!(7)), ..good.clone() }, "invalid type"),
        (Message { body: body(|m| m["format"] = json!(FORMAT + 1)), ..good.clone() }, "update the worker"),
        (Message { body: body(|m| *m = json!({"format": 99})), ..good.clone() }, "format 99"),
        (
            Message { body: body(|m| m["executionContext"]["executionId"] = Json::Null), ..good.clone() },
            "no attempt",
        ),
        (Message { reply_to: None, ..good.clone() }, "reply_to"),
        (Message { kind: "oarlock.start".into(), ..good.clone() }, "oarlock.start"),
    ] {
        let sent = message.body.clone();
        partition.publish(topology::tasks("echo"), message).await;
        let parked = partition.take_from(topology::PARKED).await.message;
        let told =
            parked.headers.iter().find(|(name, _)| name == "x-reason").map(|(_, reason)| reason.as_str());
        assert!(told.is_some_and(|told| told.contains(reason)), "{reason}: {told:?}");
        assert_eq!(parked.body, sent);
    }
    stop(worker).await;
    assert_eq!(partition.broker.depth(&topology::tasks("echo")).await, Ok(0));
}

#[tokio::test]
async fn a_result_that_cannot_be_published_is_tried_again_and_holds_its_task() {
    let mut partition = Partition::with(&["echo"]).await;
    let echo = |input: Json, _: TaskContext| async move { Ok(input) };
    let worker = partition.worker().task("echo", echo).build().unwrap().start().await.unwrap();
    let lost = task("echo", json!("lost"));
    let message = Message { reply_to: Some(topology::inbox(1)), ..envelope(&lost) };
    partition.publish(topology::tasks("echo"), message).await;
    // Others pass it by.
    for n in 0..10 {
        let id = partition.send(&task("echo", json!(n))).await;
        assert_eq!(partition.output(id).await, json!(n));
    }
    assert_eq!(worker.open(), 1);
    partition.broker.declare(&topology::inbox_declaration(1)).await.unwrap();
    let answer = partition.take_from(&topology::inbox(1)).await;
    assert_eq!(answer.message.correlation_id, Some(lost.execution_context.execution_id.unwrap().to_string()));
    stop(worker).await;
    assert_eq!(partition.broker.depth(&topology::tasks("echo")).await, Ok(0));
}

#[tokio::test]
async fn a_panic_in_one_task_leaves_the_others_alone() {
    let mut partition = Partition::with(&["fragile"]).await;
    let fragile = |n: u32, _: TaskContext| async move {
        assert!(!n.is_multiple_of(3), "no threes");
        Ok(n)
    };
    let worker = partition.worker().slots(4).task("fragile", fragile).build().unwrap().start().await.unwrap();
    let mut sent = Vec::new();
    for n in 0..60 {
        sent.push((n, partition.send(&task("fragile", json!(n))).await));
    }
    for (n, id) in sent {
        if u32::is_multiple_of(n, 3) {
            assert_eq!(partition.failure(id).await.code, "PANIC");
        } else {
            assert_eq!(partition.output(id).await, json!(n));
        }
    }
    stop(worker).await;
}
