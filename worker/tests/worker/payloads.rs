//! Payloads kept elsewhere: handlers are given them whole, and what they answer is kept.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::topology;
use oarlock_payloads::{Limits, Objects, Payloads};
use oarlock_protocol::message::{Outcome, PayloadReference, TaskMessage};
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{Exec, Running, TaskContext, TaskError};
use serde_json::json;

use crate::harness::{Partition, eventually, stop, task};

const LIMITS: Limits = Limits { offload_bytes: 1_000, largest_bytes: 3_000_000 };

/// A store in a directory, and a worker on it whose task `echo` answers its input and `count` what it was given.
struct Bench {
    partition: Partition,
    worker: Running,
    payloads: Payloads,
    folder: tempfile::TempDir,
}

async fn echo(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

async fn count(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(json!({"bytes": input.to_string().len()}))
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Objects::open(&format!("file://{}", folder.path().join("p").display()), 3_000_000);
    assert!(store.is_err(), "a store must not be made where there is none");
    std::fs::create_dir(folder.path().join("p")).unwrap();
    let store = Objects::open(&format!("file://{}", folder.path().join("p").display()), 3_000_000).unwrap();
    let payloads = Payloads::new(Arc::new(store), LIMITS);
    let partition = Partition::with(&["echo", "count", "make", "size"]).await;
    let command = |line: &str| Arc::new(Exec::new(line, folder.path().to_owned()));
    let worker = partition.worker().payloads(payloads.clone()).task("echo", echo).task("count", count);
    let worker = worker
        .handler("make", "make", command(r#"head -c 2000000 /dev/zero | tr '\0' 7 | sed 's/.*/"&"/'"#))
        .handler("size", "size", command("wc -c"));
    let worker = worker.build().unwrap().start().await.unwrap();
    Bench { partition, worker, payloads, folder }
}

fn run_of(task: &TaskMessage) -> RunKey {
    let context = &task.execution_context;
    RunKey::new(context.security_context.tenant_id.as_str(), context.workflow_instance_id)
}

fn large() -> Json {
    json!(vec!["text"; 1_000])
}

#[tokio::test]
async fn a_large_output_is_kept_and_its_reference_answered() {
    let mut bench = bench().await;
    let message = task("echo", large());
    let id = bench.partition.send(&message).await;
    let output = bench.partition.output(id).await;
    let reference = PayloadReference::of(&output).unwrap_or_else(|| panic!("{output}"));
    assert!(reference.uri.contains(&format!("/acme/{}/", message.execution_context.workflow_instance_id)));
    assert_eq!(bench.payloads.read("acme", &reference).await.unwrap(), large());
    // Of a map only what is large is kept: the rest stays at hand.
    let id = bench.partition.send(&task("echo", json!({"lines": large(), "count": 1_000}))).await;
    let output = bench.partition.output(id).await;
    assert!(PayloadReference::of(&output["lines"]).is_some() && output["count"] == 1_000, "{output}");
    let small = bench.partition.send(&task("echo", json!("small"))).await;
    assert_eq!(bench.partition.output(small).await, json!("small"));
    stop(bench.worker).await;
}

#[tokio::test]
async fn references_anywhere_in_an_input_are_read_before_the_handler_runs() {
    let mut bench = bench().await;
    let mut message = task("count", Json::Null);
    let kept = bench.payloads.keep(&run_of(&message), &large()).await.unwrap();
    for (input, whole) in [
        (kept.clone(), large()),
        (json!({"a": [kept.clone(), 1], "b": {"c": kept}}), json!({"a": [large(), 1], "b": {"c": large()}})),
    ] {
        message.input = input;
        let id = bench.partition.send(&message).await;
        assert_eq!(bench.partition.output(id).await, json!({"bytes": whole.to_string().len()}));
        message = TaskMessage { execution_context: task("", Json::Null).execution_context, ..message };
    }
}

#[tokio::test]
async fn commands_read_and_write_large_data_like_any_other() {
    let mut bench = bench().await;
    let message = task("make", Json::Null);
    let id = bench.partition.send(&message).await;
    let made = bench.partition.output(id).await;
    assert_eq!(PayloadReference::of(&made).unwrap().size, 2_000_002);
    let id = bench.partition.send(&TaskMessage { input: made, ..task("size", Json::Null) }).await;
    assert_eq!(bench.partition.output(id).await, json!(2_000_002));
}

#[tokio::test]
async fn an_output_beyond_the_largest_payload_is_a_failure() {
    let mut bench = bench().await;
    let kept = bench.payloads.keep(&run_of(&task("", Json::Null)), &json!("x".repeat(2_000_000))).await;
    let kept = kept.unwrap();
    let id = bench.partition.send(&task("echo", json!([kept]))).await;
    assert!(matches!(bench.partition.result(id).await.outcome, Outcome::Completed { .. }));
    let id = bench.partition.send(&task("echo", json!([kept, kept]))).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("PAYLOAD_TOO_LARGE", false), "{error:?}");
}

#[tokio::test]
async fn a_payload_that_was_changed_or_is_another_tenants_fails_the_attempt() {
    let mut bench = bench().await;
    let message = task("count", Json::Null);
    let theirs = RunKey::new("other", message.execution_context.workflow_instance_id);
    let theirs = bench.payloads.keep(&theirs, &large()).await.unwrap();
    let id = bench.partition.send(&TaskMessage { input: theirs, ..message }).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("PAYLOAD_UNAVAILABLE", false), "{error:?}");
    let message = task("count", Json::Null);
    let kept = bench.payloads.keep(&run_of(&message), &large()).await.unwrap();
    let file = PayloadReference::of(&kept).unwrap().uri;
    let file = Path::new(file.strip_prefix("file://").unwrap());
    let mut bytes = std::fs::read(file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(file, bytes).unwrap();
    let id = bench.partition.send(&TaskMessage { input: kept, ..message }).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("PAYLOAD_UNAVAILABLE", false), "{error:?}");
    assert!(error.message.contains("SHA-256"), "{error:?}");
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_on_both_sides_of_a_handler() {
    let mut bench = bench().await;
    let message = task("echo", Json::Null);
    let kept = bench.payloads.keep(&run_of(&message), &large()).await.unwrap();
    let (here, away) = (bench.folder.path().join("p"), bench.folder.path().join("away"));
    for input in [kept, large()] {
        std::fs::rename(&here, &away).unwrap();
        let began = task("echo", input);
        let id = bench.partition.send(&began).await;
        let payloads = bench.payloads.clone();
        eventually("the store is missed", async || payloads.problem().is_some()).await;
        assert!(bench.partition.is_silent(id));
        std::fs::rename(&away, &here).unwrap();
        assert!(PayloadReference::of(&bench.partition.output(id).await).is_some());
        assert_eq!(bench.payloads.problem(), None);
    }
}

#[tokio::test]
async fn an_attempt_that_waits_for_the_store_ends_at_its_limit() {
    let mut bench = bench().await;
    std::fs::rename(bench.folder.path().join("p"), bench.folder.path().join("away")).unwrap();
    let timeout_ms = u64::try_from(Duration::from_millis(300).as_millis()).unwrap();
    let id = bench.partition.send(&TaskMessage { timeout_ms, ..task("echo", large()) }).await;
    assert_eq!(bench.partition.failure(id).await.code, "TIMEOUT_EXECUTION");
    stop(bench.worker).await;
    assert_eq!(oarlock_broker::Broker::depth(&bench.partition.broker, &topology::tasks("echo")).await, Ok(0));
}

#[tokio::test]
async fn a_worker_without_a_store_does_not_hand_references_to_its_handlers() {
    let mut bench = bench().await;
    stop(bench.worker).await;
    let worker = bench.partition.worker().task("count", count).build().unwrap().start().await.unwrap();
    let message = task("count", Json::Null);
    let kept = bench.payloads.keep(&run_of(&message), &large()).await.unwrap();
    let id = bench.partition.send(&TaskMessage { input: kept, ..message }).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("PAYLOAD_UNAVAILABLE", true), "{error:?}");
    assert!(error.message.contains("[payloads]"), "{error:?}");
    stop(worker).await;
}
