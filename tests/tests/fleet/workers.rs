//! Workers that die, and workers that are told to end.

use serde_json::Value as Json;

use super::harness::{Fleet, GATED, ended, start};
use super::program::{PATIENCE, until};

/// The only attempt of the only task of a run.
fn attempt(run: &Json) -> &Json {
    let [attempt] = &run["taskInstances"][0]["attempts"].as_array().unwrap()[..] else { panic!("{run:#}") };
    attempt
}

#[test]
fn pain_03_what_a_killed_worker_had_begun_another_finishes() {
    let mut fleet = Fleet::new();
    fleet.add_orchestrators(1);
    fleet.register(GATED);
    let client = fleet.orchestrators[0].client();
    let first = fleet.add_worker(4).word_after("worker ");
    let run = start(&client, "gated", "k", 1);
    let execution = until("the orchestrator knows that the first worker holds it", PATIENCE, || {
        let run = client.get(&format!("/v1/runs/{run}")).unwrap().json();
        let running = run["taskInstances"][0]["status"] == "RUNNING";
        running.then(|| attempt(&run)["executionId"].as_str().unwrap().to_owned())
    });
    let second = fleet.add_worker(4).word_after("worker ");
    fleet.workers[0].kill();
    until("the second worker begins", PATIENCE, || (fleet.executions().len() >= 2).then_some(()));
    fleet.open_gate();
    let run = ended(&client, &run);
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    assert_eq!(run["taskInstances"][0]["retryCount"], 0);
    let attempt = attempt(&run);
    assert_eq!(attempt["executionId"], execution);
    assert_eq!(attempt["deliveries"], 2, "{attempt:#}");
    assert_eq!(attempt["workerId"], second);
    assert_eq!(attempt["earlierWorkers"], serde_json::json!([first]));
    let executions = fleet.executions();
    assert!(executions.iter().all(|one| one.id == execution), "{executions:?}");
    let workers: Vec<_> = executions.iter().map(|one| one.worker).collect();
    assert_eq!(workers, [fleet.workers[0].pid(), fleet.workers[1].pid()]);
}

#[test]
fn pain_23_a_worker_that_is_told_to_end_lets_its_task_end() {
    let mut fleet = Fleet::new();
    fleet.add_orchestrators(1);
    fleet.register(GATED);
    let client = fleet.orchestrators[0].client();
    let first = fleet.add_worker(4).word_after("worker ");
    let run = start(&client, "gated", "k", 1);
    until("the task has begun", PATIENCE, || (fleet.executions().len() == 1).then_some(()));
    // One that would take the task, were it given back.
    fleet.add_worker(4).word_after("takes tasks from ");
    fleet.workers[0].tell_to_end();
    fleet.workers[0].word_after("ending: 1 ");
    let later = start(&client, "gated", "later", 1);
    until("the other worker takes what comes", PATIENCE, || (fleet.executions().len() >= 2).then_some(()));
    fleet.open_gate();
    assert_eq!(fleet.workers[0].exit_code(), Some(0));
    let run = ended(&client, &run);
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    let held = attempt(&run);
    assert_eq!((&held["workerId"], &held["deliveries"]), (&Json::from(first), &Json::from(1)));
    assert_eq!(ended(&client, &later)["status"], "COMPLETED");
    let workers: Vec<_> = fleet.executions().iter().map(|one| one.worker).collect();
    assert_eq!(workers, [fleet.workers[0].pid(), fleet.workers[1].pid()], "each begins once");
}
