//! A cancel that only workers hear is lost where none listens. Ours is part of the run, and asked for before a task begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oarlock_broker::topology;
use oarlock_orchestrator::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, Span};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, settings};

#[tokio::test]
async fn pain_24_a_task_that_was_cancelled_while_no_worker_was_there_never_begins() {
    let mut settings: Settings = settings();
    settings.engine.cancel_grace = Span::from_millis(300);
    let parts = Parts::fresh().await;
    let system = parts.node("alone", settings).await;
    system.register("{id: one, version: 1, tasks: [{id: a, task: step}]}").await;
    let cancelled = system.begin("one", json!({})).await;
    assert_eq!(system.node.cancel(cancelled.clone(), "not today".to_owned()).await.unwrap(), Some(true));
    assert_eq!(system.end(&cancelled).await.status, WorkflowStatus::Cancelled);
    assert_eq!(system.broker.depth(&topology::tasks("step")).await, Ok(1), "its message is there still");
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let step = move |_: Json, _: TaskContext| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, TaskError>(Json::Null) }
    };
    let worker = system.worker().slots(1).task("step", step).build().unwrap().start().await.unwrap();
    assert_eq!(system.run("one", json!({})).await.status, WorkflowStatus::Completed);
    assert_eq!(begun.load(Ordering::Relaxed), 1, "that of the second run alone");
    worker.drain(std::time::Duration::from_secs(5)).await;
    assert_eq!(system.broker.depth(&topology::tasks("step")).await, Ok(0), "it is acknowledged all the same");
}
