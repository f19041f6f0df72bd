//! Schemas and versions, from the door to the worker.

use oarlock_protocol::Json;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{System, TENANT, request};

const PRICED: &str = r#"
id: priced
version: 1
input:
  type: object
  required: [items]
  properties:
    currency: {type: string, default: EUR}
    items: {type: array, items: {type: object, required: [price], properties: {price: {type: number}, count: {default: 1}}}}
taskDefinitions:
  - id: quote
    retryPolicy: {maxRetries: 5, initialDelay: 10ms}
    outputSchema: {type: object, required: [total], properties: {total: {type: number}}}
tasks:
  - {id: quote, task: quote, inputMappings: {items: "${ input.items }", currency: "${ input.currency }"}}
output: "${ tasks.quote.output.total }"
"#;

/// Adds up; where there is nothing to add it answers what is no number.
async fn quote(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    assert_eq!(input["currency"], "EUR");
    let items = input["items"].as_array().cloned().unwrap_or_default();
    let sum: f64 =
        items.iter().map(|item| item["price"].as_f64().unwrap() * item["count"].as_f64().unwrap()).sum();
    Ok(if items.is_empty() { json!({"total": "nothing"}) } else { json!({"total": sum}) })
}

#[tokio::test]
async fn an_input_is_filled_in_and_one_that_does_not_fit_starts_nothing() {
    let system = System::start().await;
    system.register(PRICED).await;
    let _worker = system.worker().task("quote", quote).build().unwrap().start().await.unwrap();
    let run = system.run("priced", json!({"items": [{"price": 2}, {"price": 3, "count": 2}]})).await;
    assert_eq!((run.status, run.output), (WorkflowStatus::Completed, Some(json!(8.0))));
    assert_eq!(run.input["items"][0], json!({"price": 2, "count": 1}));
    let wrong = request("priced", json!({"items": [{"price": 1}, {"price": "2"}]}));
    let refused = system.node.start_run(wrong).await.unwrap_err().to_string();
    assert!(refused.contains("/items/1/price: \"2\" is a string, expected a number"), "{refused}");
}

#[tokio::test]
async fn an_output_that_does_not_fit_fails_the_task_at_the_first_attempt() {
    let system = System::start().await;
    system.register(PRICED).await;
    let _worker = system.worker().task("quote", quote).build().unwrap().start().await.unwrap();
    let run = system.run("priced", json!({"items": []})).await;
    let error = run.error.unwrap();
    assert_eq!((run.status, error.code.as_str()), (WorkflowStatus::Failed, "SCHEMA_VIOLATION"));
    assert!(error.message.contains("/total: \"nothing\" is a string"), "{}", error.message);
    let task = &run.task_instances[0];
    assert_eq!((task.status, task.attempts.len()), (TaskStatus::Failed, 1));
}

#[tokio::test]
async fn a_run_keeps_its_version_when_a_newer_one_is_registered() {
    let system = System::start().await;
    let edition = |version: u32, task: &str| {
        format!(
            "{{id: moving, version: {version}, tasks: [{{id: a, task: wait}}, {{id: b, task: {task}}}], output: '${{ tasks.b.output }}'}}"
        )
    };
    system.register(&edition(1, "old")).await;
    let first = system.begin("moving", json!({})).await;
    system.register(&edition(2, "new")).await;
    let newest = system.begin("moving", json!({})).await;
    let mut pinned = request("moving", json!({}));
    pinned.workflow_definition_version = Some(1);
    let pinned = system.node.start_run(pinned).await.unwrap().run;

    async fn wait(_: Json, _: TaskContext) -> Result<Json, TaskError> {
        Ok(json!(null))
    }
    async fn old(_: Json, _: TaskContext) -> Result<Json, TaskError> {
        Ok(json!("old"))
    }
    async fn new(_: Json, _: TaskContext) -> Result<Json, TaskError> {
        Ok(json!("new"))
    }
    let worker = system.worker().task("wait", wait).task("old", old).task("new", new);
    let _worker = worker.build().unwrap().start().await.unwrap();
    for (run, version, output) in [(first, 1, "old"), (newest, 2, "new"), (pinned, 1, "old")] {
        let ended = system.end(&run).await;
        assert_eq!((ended.workflow_definition_version, ended.output), (version, Some(json!(output))));
    }
}

#[tokio::test]
async fn another_content_under_a_version_is_refused_with_what_differs() {
    let system = System::start().await;
    system.register(PRICED).await;
    let read = |text: &str| oarlock_definition::read("priced.yaml", text).definition.unwrap();
    let other = read(&PRICED.replace("maxRetries: 5", "maxRetries: 6"));
    let refused = system.node.register(TENANT, other).await.unwrap_err().to_string();
    assert!(refused.contains("\n  taskDefinitions[quote].retryPolicy.maxRetries: 5 → 6"), "{refused}");
    assert!(!system.node.register(TENANT, read(PRICED)).await.unwrap(), "the registered one stands");
}
