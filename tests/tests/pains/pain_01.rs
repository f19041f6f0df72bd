//! Brokers close the channel of a worker that holds a message for too long. So nothing that waits is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oarlock_broker::topology;
use oarlock_protocol::Json;
use oarlock_protocol::instance::{TaskInstance, TaskStatus, WorkflowStatus};
use oarlock_worker::{Answer, TaskContext, TaskError};
use serde_json::json;

use super::system::{System, eventually};

/// A retry, a second look and a wait: each lasts for three seconds.
const LATER: &str = "{id: later, version: 1, tasks: [{id: all, parallel: [
    {id: retried, task: fails_first, retryPolicy: {maxRetries: 1, strategy: FIXED, initialDelay: 3s}},
    {id: deferred, task: looks_twice}, {id: waited, wait: {duration: 3s}}]}]}";

async fn fails_first(_: Json, context: TaskContext) -> Result<Json, TaskError> {
    match context.attempt() {
        1 => Err(TaskError::new("BUSY", "later")),
        _ => Ok(Json::Null),
    }
}

#[tokio::test]
async fn pain_01_nothing_that_waits_holds_a_delivery() {
    let system = System::start().await;
    system.register(LATER).await;
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    let looks_twice = move |_: Json, context: TaskContext| {
        counted.fetch_add(1, Ordering::Relaxed);
        let first = context.state().is_none();
        async move {
            let again = Answer::again(Duration::from_secs(3), json!("begun"));
            Ok::<_, TaskError>(if first { again } else { Answer::Completed(Json::Null) })
        }
    };
    let worker = system.worker().task("fails_first", fails_first).task("looks_twice", looks_twice);
    let worker = worker.build().unwrap().start().await.unwrap();
    let run = system.begin("later", json!({})).await;
    let all_wait = || async {
        let now = system.node.get(&run).await.unwrap().unwrap();
        let waits = |id: &str, status| {
            let is = |task: &&TaskInstance| task.execution_context.task_path.as_str().ends_with(id);
            now.task_instances.iter().find(is).is_some_and(|task| task.status == status)
        };
        let retried = waits("/retried", TaskStatus::RetryPending);
        (retried && waits("/deferred", TaskStatus::RetryPending) && waits("/waited", TaskStatus::Running))
            .then_some(())
    };
    eventually("all three wait", all_wait).await;
    eventually("the worker holds nothing", || async { (worker.open() == 0).then_some(()) }).await;
    // Whatever a consumer held would go back to its queue, and be counted there.
    assert_eq!(worker.drain(Duration::ZERO).await.given_back, 0);
    for queue in ["fails_first", "looks_twice"] {
        assert_eq!(system.broker.depth(&topology::tasks(queue)).await, Ok(0), "{queue}");
    }
    let worker = system.worker().task("fails_first", fails_first);
    let looks = Arc::clone(&looks);
    let looks_again = move |_: Json, _: TaskContext| {
        looks.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, TaskError>(Json::Null) }
    };
    let _worker = worker.task("looks_twice", looks_again).build().unwrap().start().await.unwrap();
    let ended = system.end(&run).await;
    assert_eq!(ended.status, WorkflowStatus::Completed);
    assert!(
        ended.task_instances.iter().flat_map(|task| &task.attempts).all(|attempt| attempt.deliveries <= 1)
    );
}
