//! What a handler does, and what is answered for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use oarlock_broker::{Broker, topology};
use oarlock_protocol::message::Outcome;
use oarlock_protocol::{FORMAT, Json, Span, Timestamp};
use oarlock_worker::{BuildError, TaskContext, TaskError, Worker};
use serde_json::json;

use crate::harness::{Partition, stop, task};

#[derive(serde::Deserialize)]
struct Order {
    amount: u64,
}

#[derive(serde::Serialize)]
struct Receipt {
    charged: u64,
}

async fn charge(order: Order, _: TaskContext) -> Result<Receipt, TaskError> {
    match order.amount {
        0 => Err(TaskError::new("CARD_DECLINED", "nothing to charge").not_retryable()),
        13 => panic!("unlucky {}", order.amount),
        99 => Err("x".parse::<u8>().map(|_| ()).unwrap_err())?,
        charged => Ok(Receipt { charged }),
    }
}

#[tokio::test]
async fn a_task_is_answered_and_then_acknowledged() {
    let mut partition = Partition::with(&["pay"]).await;
    let worker = partition.worker().task("pay", charge).build().unwrap().start().await.unwrap();
    let message = task("pay", json!({"amount": 7}));
    let id = partition.send(&message).await;
    let result = partition.result(id).await;
    assert_eq!(result.outcome, Outcome::Completed { output: json!({"charged": 7}) });
    assert_eq!((result.format, result.deliveries), (FORMAT, 1));
    assert_eq!(&result.worker_id, worker.worker_id());
    assert_eq!(&*result.address.run.tenant, "acme");
    assert_eq!(result.address.run.run, message.execution_context.workflow_instance_id);
    let envelope = &partition.raw[0].message;
    assert_eq!(
        (envelope.message_id.as_str(), envelope.correlation_id.clone()),
        (&*format!("{id}-result"), Some(id.to_string()))
    );
    stop(worker).await;
    assert_eq!(partition.broker.depth(&topology::tasks("pay")).await, Ok(0));
}

#[tokio::test]
async fn failures_keep_their_codes() {
    let mut partition = Partition::with(&["pay"]).await;
    let _worker = partition.worker().task("pay", charge).build().unwrap().start().await.unwrap();
    for (input, code, retryable, message) in [
        (json!({"amount": 0}), "CARD_DECLINED", false, "nothing to charge"),
        (json!({"amount": 13}), "PANIC", true, "unlucky 13"),
        (json!({"amount": 99}), "TASK_FAILED", true, "invalid digit"),
        (json!({"amount": "7"}), "INVALID_INPUT", false, "`amount`"),
        (json!({}), "INVALID_INPUT", false, "amount"),
    ] {
        let id = partition.send(&task("pay", input)).await;
        let error = partition.failure(id).await;
        assert_eq!((error.code.as_str(), error.retryable), (code, retryable), "{error:?}");
        assert!(error.message.contains(message), "{error:?}");
    }
}

#[tokio::test]
async fn a_context_tells_what_the_message_told() {
    async fn tell(_: Json, context: TaskContext) -> Result<Json, TaskError> {
        Ok(json!({
            "run": context.workflow_instance_id(), "path": context.task_path(), "execution": context.execution_id(),
            "attempt": context.attempt(), "key": context.idempotency_key(), "user": context.security_context().user_id,
            "colour": context.variables()["colour"], "correlation": context.correlation_id(),
            "deadline": context.deadline().is_some(), "remaining": context.remaining().as_secs(),
        }))
    }
    let mut partition = Partition::with(&["tell"]).await;
    let _worker = partition.worker().task("tell", tell).build().unwrap().start().await.unwrap();
    let mut message = task("tell", Json::Null);
    message.attempt = 3;
    message.deadline = Some(Timestamp::from(Utc::now()).after(Span::from_secs(1000)));
    let id = partition.send(&message).await;
    let told = partition.output(id).await;
    let context = &message.execution_context;
    assert_eq!(
        told,
        json!({
            "run": context.workflow_instance_id, "path": "/step", "execution": id, "attempt": 3,
            "key": message.idempotency_key, "user": "ada", "colour": "red", "correlation": "order-7",
            "deadline": true, "remaining": 59,
        })
    );
}

#[tokio::test]
async fn what_came_too_late_is_not_begun() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = {
        let begun = Arc::clone(&begun);
        move |_: Json, _| {
            begun.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        }
    };
    let mut partition = Partition::with(&["late"]).await;
    let _worker = partition.worker().task("late", count).build().unwrap().start().await.unwrap();
    let past = Some(Timestamp::from_millis(Timestamp::from(Utc::now()).as_millis() - 1));
    let mut queued = task("late", Json::Null);
    queued.start_before = past;
    let mut over = task("late", Json::Null);
    over.deadline = past;
    let (queued, over) = (partition.send(&queued).await, partition.send(&over).await);
    let error = partition.failure(queued).await;
    assert_eq!((error.code.as_str(), error.retryable), ("TIMEOUT_QUEUE", true));
    let error = partition.failure(over).await;
    assert_eq!((error.code.as_str(), error.retryable), ("TIMEOUT_TOTAL", false));
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_output_above_the_limit_is_a_failure_with_the_remedy() {
    async fn repeat(count: usize, _: TaskContext) -> Result<String, TaskError> {
        Ok("x".repeat(count))
    }
    let mut partition = Partition::with(&["repeat"]).await;
    let worker = partition.worker().max_payload_bytes(10_000).task("repeat", repeat);
    let _worker = worker.build().unwrap().start().await.unwrap();
    let fits = partition.send(&task("repeat", json!(9_998))).await;
    assert_eq!(partition.output(fits).await.as_str().map(str::len), Some(9_998));
    let large = partition.send(&task("repeat", json!(9_999))).await;
    let error = partition.failure(large).await;
    assert_eq!((error.code.as_str(), error.retryable), ("PAYLOAD_TOO_LARGE", false));
    assert!(error.message.contains("10001") && error.message.contains("10000"), "{}", error.message);
}

#[tokio::test]
async fn an_output_that_nests_too_deeply_is_a_failure_for_good() {
    async fn nest(depth: usize, _: TaskContext) -> Result<Json, TaskError> {
        Ok((0..depth).fold(Json::Null, |inner, _| json!([inner])))
    }
    let mut partition = Partition::with(&["nest"]).await;
    let _worker = partition.worker().task("nest", nest).build().unwrap().start().await.unwrap();
    let fits = partition.send(&task("nest", json!(64))).await;
    assert!(partition.output(fits).await.is_array());
    for depth in [65, 200] {
        let deep = partition.send(&task("nest", json!(depth))).await;
        let error = partition.failure(deep).await;
        assert_eq!((error.code.as_str(), error.retryable), ("INVALID_OUTPUT", false));
        assert!(error.message.contains("64 levels"), "{}", error.message);
    }
}

#[tokio::test]
async fn error_details_that_nest_too_deeply_are_left_out() {
    async fn moan(_: Json, _: TaskContext) -> Result<(), TaskError> {
        let details = (0..200).fold(Json::Null, |inner, _| json!([inner]));
        Err(TaskError::new("MOAN", "deeply").with_details(details))
    }
    let mut partition = Partition::with(&["moan"]).await;
    let _worker = partition.worker().task("moan", moan).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("moan", Json::Null)).await;
    let error = partition.failure(id).await;
    assert_eq!(error.code, "MOAN");
    assert!(error.details.to_string().contains("left out"), "{}", error.details);
}

#[tokio::test]
async fn an_error_is_bounded_in_message_and_details() {
    async fn moan(_: Json, _: TaskContext) -> Result<(), TaskError> {
        Err(TaskError::new("MOAN", "m".repeat(1_000_000)).with_details(json!("d".repeat(1_000_000))))
    }
    let mut partition = Partition::with(&["moan"]).await;
    let _worker = partition.worker().task("moan", moan).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("moan", Json::Null)).await;
    let error = partition.failure(id).await;
    assert!(error.message.len() < 10_000 && error.details.to_string().len() < 1_000, "{}", error.details);
}

#[tokio::test]
async fn a_task_without_handler_is_refused() {
    let mut partition = Partition::with(&["shared"]).await;
    let worker = partition.worker().task_on("shared", "pay", charge);
    let worker = worker.build().unwrap().start().await.unwrap();
    let mut known = task("pay", json!({"amount": 1}));
    let unknown = task("shared", Json::Null);
    let refused = partition.send(&unknown).await;
    assert_eq!(partition.result(refused).await.outcome, Outcome::Refused);
    known.attempt = 2;
    partition.publish(topology::tasks("shared"), crate::harness::envelope(&known)).await;
    assert_eq!(partition.output(known.execution_context.execution_id.unwrap()).await, json!({"charged": 1}));
    stop(worker).await;
}

#[tokio::test]
async fn a_worker_that_cannot_work_is_not_built() {
    let partition = Partition::with(&[]).await;
    let wrong = |worker: oarlock_worker::Builder| worker.build().err().unwrap();
    assert_eq!(wrong(partition.worker()), BuildError::NoTask);
    assert_eq!(wrong(partition.worker().task("pay", charge).slots(0)), BuildError::Slots(0));
    assert_eq!(wrong(partition.worker().task("pay", charge).slots(70_000)), BuildError::Slots(70_000));
    for beat in [Duration::from_millis(999), Duration::from_secs(61)] {
        assert_eq!(wrong(partition.worker().task("pay", charge).beat(beat)), BuildError::Beat(beat));
    }
    assert_eq!(
        wrong(partition.worker().task("pay", charge).task("pay", charge)),
        BuildError::Twice("pay".into())
    );
    for worker in [partition.worker().task("p y", charge), partition.worker().task_on("a/b", "pay", charge)] {
        assert!(matches!(wrong(worker), BuildError::Name(_)));
    }
    assert!(Worker::builder(Arc::new(partition.broker.clone())).task("pay", charge).build().is_ok());
}
