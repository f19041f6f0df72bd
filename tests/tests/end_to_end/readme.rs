//! The first own worker of the README: compiled, run, and the same text there.

use oarlock_protocol::instance::WorkflowStatus;
use serde_json::json;

use super::system::System;

#[allow(unreachable_pub, reason = "an example for people, as they would write it")]
#[path = "../../../examples/first_worker.rs"]
mod first_worker;

#[tokio::test]
async fn the_first_worker_of_the_readme_works() {
    let system = System::start().await;
    let definition = "{id: pay, version: 1, tasks: [
        {id: charge, task: payment.charge, inputMappings: {amount: '${ input.amount }'}}], output: '${ tasks.charge.output }'}";
    system.register(definition).await;
    let _worker = first_worker::worker(system.broker.clone()).unwrap().start().await.unwrap();
    let paid = system.run("pay", json!({"amount": 21})).await;
    let key = paid.task_instances[0].id;
    let said = json!(format!("charged 21 under the key {key}"));
    assert_eq!((paid.status, paid.output), (WorkflowStatus::Completed, Some(said)));
    let refused = system.run("pay", json!({"amount": 0})).await;
    assert_eq!(refused.error.unwrap().code, "NOTHING_TO_CHARGE");
}

#[test]
fn the_readme_shows_the_worker_that_is_tested() {
    let readme = include_str!("../../../README.md");
    let worker = include_str!("../../../examples/first_worker.rs");
    assert!(
        readme.contains(&format!("```rust\n{worker}```")),
        "README.md differs from examples/first_worker.rs"
    );
}
