//! An output that the store cannot take leaves runs RUNNING for ever elsewhere. Here it is a failure, and failures fit.

use oarlock_protocol::instance::{TaskMetrics, WorkflowStatus};
use oarlock_protocol::message::{AttemptAddress, Kind, Outcome, ResultMessage, TaskMessage};
use oarlock_protocol::{ErrorDetails, FORMAT, Json, RunKey, WorkerId};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{System, TENANT, request};

/// More than ten times what is allowed, and less than the broker takes.
const LARGE: usize = 12 * 1024 * 1024;
const ONE: &str = "{id: one, version: 1, tasks: [{id: a, task: large}], output: '${ tasks.a.output }'}";

#[tokio::test]
async fn pain_19_an_output_of_megabytes_fails_its_task_and_the_run_ends() {
    let system = System::start().await;
    system.register(ONE).await;
    let large = |_: Json, _: TaskContext| async { Ok::<_, TaskError>("x".repeat(LARGE)) };
    let worker = system.worker().task("large", large).build().unwrap().start().await.unwrap();
    let run = system.run("one", json!({})).await;
    let error = run.error.unwrap();
    assert_eq!((run.status, error.code.as_str()), (WorkflowStatus::Failed, "PAYLOAD_TOO_LARGE"));
    assert!(error.message.contains("keep large data elsewhere"), "{}", error.message);
    let failing = |_: Json, _: TaskContext| async {
        let error = TaskError::new("BAD", "y".repeat(LARGE)).with_details(json!("z".repeat(LARGE)));
        Err::<Json, _>(error)
    };
    worker.drain(std::time::Duration::from_secs(5)).await;
    let _worker = system.worker().task("large", failing).build().unwrap().start().await.unwrap();
    let run = system.run("one", json!({})).await;
    let error = run.error.unwrap();
    assert_eq!((run.status, error.code.as_str()), (WorkflowStatus::Failed, "BAD"));
    assert!(serde_json::to_vec(&error).unwrap().len() < 128 * 1024, "what tells of it fits");
}

#[tokio::test]
async fn pain_19_a_worker_that_does_not_measure_its_answer_cannot_hang_the_run() {
    let system = System::start().await;
    system.register(ONE).await;
    let outcomes = [
        (Outcome::Completed { output: json!("x".repeat(LARGE)) }, "PAYLOAD_TOO_LARGE"),
        (Outcome::Failed { error: error("BAD", "y".repeat(LARGE)) }, "BAD"),
    ];
    for (outcome, code) in outcomes {
        let run = system.begin("one", json!({})).await;
        let task: TaskMessage =
            serde_json::from_slice(&system.take("oarlock.tasks.large").await.body).unwrap();
        let result = ResultMessage {
            format: FORMAT,
            address: AttemptAddress {
                run: RunKey::new(TENANT, run.run),
                task_path: task.execution_context.task_path,
                execution_id: task.execution_context.execution_id.unwrap(),
            },
            worker_id: WorkerId::fresh("by-hand"),
            outcome,
            metrics: TaskMetrics::default(),
            deliveries: 1,
        };
        system.tell_inbox(Kind::Result.as_str(), serde_json::to_vec(&result).unwrap()).await;
        let ended = system.end(&run).await;
        assert_eq!((ended.status, ended.error.unwrap().code.as_str()), (WorkflowStatus::Failed, code));
    }
    let refused = system.node.start_run(request("one", json!("x".repeat(LARGE)))).await.unwrap_err();
    assert!(refused.to_string().contains("bytes"), "{refused}");
}

fn error(code: &str, message: String) -> ErrorDetails {
    ErrorDetails { code: code.into(), message, details: Json::Null, retryable: false }
}
