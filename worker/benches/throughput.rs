//! How many short tasks a second a worker does on the embedded broker: `cargo bench -p oarlock-worker`.
//!
//! The bodies are made beforehand and the results are not read, so that what is measured is the worker and the broker.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figure and ends where it fails"
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{Broker, Message, Publication, Subscription, topology};
use oarlock_protocol::{ExecutionId, Json, RunId, TaskInstanceId};
use oarlock_worker::{TaskContext, TaskError, Worker};
use serde_json::json;

const TASKS: usize = 200_000;
const BATCH: usize = 256;

async fn add(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(json!({"sum": input["a"].as_i64().unwrap_or(0) + 1}))
}

fn publication() -> Publication {
    let run = RunId::random();
    let instance = TaskInstanceId::of(run, "/chain/step");
    let execution = ExecutionId::of(instance, 1);
    let body = json!({
        "format": 1, "task": "add", "attempt": 1, "idempotencyKey": instance, "timeoutMs": 30000, "heartbeatMs": 30000,
        "startBefore": "2999-01-01T00:00:00.000Z", "deadline": "2999-01-01T00:00:00.000Z",
        "input": {"a": 41, "text": "some words to carry along"},
        "executionContext": {
            "workflowInstanceId": run, "workflowVariables": {"total": 7, "state": "open"}, "taskPath": "/chain/step",
            "executionId": execution, "correlationId": "order-4711",
            "securityContext": {"userId": "ada", "tenantId": "acme", "permissions": ["orders.write"]},
        },
    });
    let message = Message {
        body: Bytes::from(body.to_string()),
        message_id: execution.to_string(),
        correlation_id: Some(execution.to_string()),
        reply_to: Some(topology::inbox(0)),
        kind: "oarlock.task".to_owned(),
        headers: Vec::new(),
    };
    Publication { queue: topology::tasks("add"), message }
}

async fn measure(slots: usize) {
    let broker = Embedded::new();
    for queue in [topology::tasks_declaration("add", 20), topology::inbox_declaration(0)] {
        broker.declare(&queue).await.unwrap();
    }
    let mut batches: Vec<Vec<Publication>> =
        (0..TASKS / BATCH).map(|_| (0..BATCH).map(|_| publication()).collect()).collect();
    let worker = Worker::builder(Arc::new(broker.clone())).slots(slots).task("add", add).build().unwrap();
    let subscription = Subscription { queue: topology::inbox(0), prefetch: 1000, priority: 0 };
    let mut inbox = broker.consume(subscription).await.unwrap();
    let running = worker.start().await.unwrap();
    let (begun, cpu_before) = (Instant::now(), cpu_seconds());
    let publish = tokio::spawn(async move {
        while let Some(batch) = batches.pop() {
            broker.publish(batch).await;
        }
    });
    let mut left = TASKS / BATCH * BATCH;
    while left > 0 {
        let batch = inbox.receive(1000).await.unwrap();
        left -= batch.len();
        if let Some(last) = batch.last() {
            inbox.acknowledger().ack_through(last.tag).await.unwrap();
        }
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    publish.await.unwrap();
    let tasks = (TASKS / BATCH * BATCH) as f64;
    println!(
        "slots {slots:>4}: {:>8.0} tasks/s, {:.1} us of processor time a task",
        tasks / seconds,
        cpu / tasks * 1e6
    );
    drop(running);
}

/// The processor time of this process so far: what stays comparable where others use the machine; 0 elsewhere than on Linux.
fn cpu_seconds() -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for slots in [8, 64, 256, 1024] {
        runtime.block_on(measure(slots));
    }
}
