//! Elsewhere a run that lives long is ended because its history grows too long. Here a loop keeps its latest rounds.

use std::time::{Duration, Instant};

use oarlock_protocol::instance::WorkflowStatus;
use serde_json::json;

use super::system::System;

/// More than the 51,200 events after which another system ends a run.
const ROUNDS: u32 = 60_000;
/// Five seconds on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test]
async fn pain_20_a_loop_of_sixty_thousand_rounds_is_no_longer_than_one_of_ten() {
    let system = System::start().await;
    let text = "{id: rounds, version: 1, variables: {n: 0}, tasks: [
        {id: again, loop: {while: 'variables.n < input.rounds', max: 1000000},
            tasks: [{id: count, set: {n: '${ variables.n + 1 }'}}]}], output: '${ variables.n }'}";
    system.register(text).await;
    let short = system.run("rounds", json!({"rounds": 10})).await;
    let began = Instant::now();
    let long = system.begin("rounds", json!({"rounds": ROUNDS})).await;
    let long = system.end_within(&long, PATIENCE).await;
    println!("{ROUNDS} rounds in {:?}", began.elapsed());
    assert_eq!((long.status, long.output), (WorkflowStatus::Completed, Some(json!(ROUNDS))));
    assert_eq!(long.task_instances.len(), short.task_instances.len());
}
