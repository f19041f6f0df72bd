//! A cancel reaches the worker that holds the task.

use std::sync::Arc;

use oarlock_protocol::Json;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Notify;

use super::system::System;

#[tokio::test]
async fn pain_24_a_cancel_ends_the_handler_that_is_at_work() {
    let system = System::start().await;
    system.register("{id: long, version: 1, tasks: [{id: a, task: wait}, {id: b, task: wait}]}").await;
    let begun = Arc::new(Notify::new());
    let told = begun.clone();
    let wait = move |_: Json, context: TaskContext| {
        let told = told.clone();
        async move {
            context.heartbeat(json!({"at": "the gate"}));
            told.notify_one();
            context.cancelled().await;
            Err::<Json, _>(TaskError::new("CANCELLED", "ended as told"))
        }
    };
    let worker = system.worker().task("wait", wait).build().unwrap().start().await.unwrap();
    let run = system.begin("long", json!({})).await;
    begun.notified().await;
    assert_eq!(system.node.cancel(run.clone(), "enough".to_owned()).await.unwrap(), Some(true));
    let ended = system.end(&run).await;
    assert_eq!(ended.status, WorkflowStatus::Cancelled);
    assert_eq!(ended.error.unwrap().message, "enough");
    assert_eq!(ended.task_instances.len(), 1, "the second step was never begun");
    assert_eq!(ended.task_instances[0].status, TaskStatus::Cancelled);
    assert_eq!(system.node.cancel(run, String::new()).await.unwrap(), Some(false));
    assert_eq!(worker.open(), 0);
}
