//! A broker counts deliveries for purposes of its own. Retries are counted in the run's record and nowhere else.

use oarlock_broker::{Subscription, topology};
use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{System, next};

const RETRIES: &str = "{id: retries, version: 1, tasks: [{id: a, task: busy,
    retryPolicy: {maxRetries: 6, strategy: FIXED, initialDelay: 10ms}}], output: '${ tasks.a.output }'}";

async fn busy(_: Json, context: TaskContext) -> Result<u32, TaskError> {
    match context.attempt() {
        attempt @ ..6 => Err(TaskError::new("BUSY", format!("attempt {attempt}"))),
        attempt => Ok(attempt),
    }
}

#[tokio::test]
async fn pain_05_retries_spend_nothing_of_the_brokers_delivery_limit() {
    // After three deliveries of a message the broker gives it up.
    let system = System::start().await;
    system.register(RETRIES).await;
    let _worker = system.worker().task("busy", busy).build().unwrap().start().await.unwrap();
    let ended = system.run("retries", json!({})).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!(6))));
    let attempts = &ended.task_instances[0].attempts;
    assert_eq!(attempts.len(), 6);
    assert!(attempts.iter().all(|attempt| attempt.deliveries == 1), "{attempts:#?}");
}

#[tokio::test]
async fn pain_05_a_task_whose_deliveries_are_used_up_by_others_is_tried_again_by_its_own_policy() {
    let system = System::start().await;
    system.register(RETRIES).await;
    let run = system.begin("retries", json!({})).await;
    for delivered in 1..=3 {
        let queue = topology::tasks("busy");
        let mut worker =
            system.broker.consume(Subscription { queue, prefetch: 1, priority: 0 }).await.unwrap();
        // It dies of something else.
        assert_eq!(next(&mut *worker).await.deliveries, delivered);
    }
    let innocent = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(json!("fine")) };
    let _worker = system.worker().task("busy", innocent).build().unwrap().start().await.unwrap();
    let ended = system.end(&run).await;
    assert_eq!((ended.status, &ended.output), (WorkflowStatus::Completed, &Some(json!("fine"))));
    let [lost, good] = &ended.task_instances[0].attempts[..] else { panic!("{ended:#?}") };
    assert_eq!(lost.error.as_ref().unwrap().code, "DELIVERY_LIMIT");
    assert_eq!((good.deliveries, ended.task_instances[0].retry_count), (1, 1));
}
