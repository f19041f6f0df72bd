//! Stores of workflow systems grow until they are full. Here every key has an owner and an end.

use oarlock_orchestrator::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::SignalMessage;
use oarlock_protocol::{FORMAT, Json, RunId, Span};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, TENANT, eventually, request, settings};

const WIDE: &str = "{id: wide, version: 1, variables: {n: 0}, tasks: [
    {id: all, forEach: {items: [1, 2, 3], collect: '${ one.output }'}, variables: {m: 1}, tasks: [
        {id: one, task: flaky, inputMappings: {n: '${ item }'}, retryPolicy: {maxRetries: 1, initialDelay: 10ms}}]},
    {id: again, loop: {until: 'index == 2'}, tasks: [{id: count, set: {n: '${ variables.n + 1 }'}}]},
    {id: told, wait: {signal: go}}], output: '${ tasks.all.output }'}";
const UNDONE: &str = "{id: undone, version: 1, tasks: [
    {id: a, task: flaky, inputMappings: {n: 1}, retryPolicy: {maxRetries: 1, initialDelay: 10ms}, compensateWith: {task: flaky}},
    {id: end, terminate: {status: FAILED, message: enough}}]}";
const ENDLESS: &str = "{id: endless, version: 1, tasks: [{id: a, wait: {signal: never}}]}";

async fn flaky(input: Json, context: TaskContext) -> Result<Json, TaskError> {
    match context.attempt() {
        1 if !input["n"].is_null() => Err(TaskError::new("BUSY", "later")),
        _ => Ok(input["n"].clone()),
    }
}

#[tokio::test]
async fn pain_18_nothing_of_a_run_stays_in_the_store_after_its_retention() {
    let parts = Parts::fresh().await;
    // The statistics of an hour are no run's: they leave by a time of their own (`end_to_end/statistics.rs`).
    let statistics = Span::default();
    let mut settings = Settings { deduplication: Span::from_millis(300), statistics, ..settings() };
    // Long enough to see how they end.
    settings.engine.retention = Span::from_secs(5);
    let system = parts.node("short", settings).await;
    for definition in [WIDE, UNDONE, ENDLESS] {
        system.register(definition).await;
    }
    let _worker = system.worker().task("flaky", flaky).build().unwrap().start().await.unwrap();
    let before = parts.keys();
    let mut keyed = request("wide", json!({"order": 7}));
    keyed.workflow_instance_id = RunId::keyed(TENANT, "wide", "k");
    let wide = system.node.start_run(keyed).await.unwrap().run;
    let undone = system.begin("undone", json!({})).await;
    let endless = system.begin("endless", json!({})).await;
    let signal = SignalMessage {
        format: FORMAT,
        run: wide.clone(),
        signal_id: "s".to_owned(),
        name: "go".to_owned(),
        payload: Json::Null,
    };
    system.node.signal(signal).await.unwrap();
    system.node.cancel(endless.clone(), "enough".to_owned()).await.unwrap();
    let statuses = [WorkflowStatus::Completed, WorkflowStatus::Failed, WorkflowStatus::Cancelled];
    for (run, status) in [&wide, &undone, &endless].into_iter().zip(statuses) {
        assert_eq!(system.end(run).await.status, status);
    }
    assert!(parts.keys().len() > before.len(), "they were there");
    eventually("the store is as it was before", || async { (parts.keys() == before).then_some(()) }).await;
}
