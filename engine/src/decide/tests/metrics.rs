//! What a run tells of its cost: bytes in and out, and which steps made it last.

use serde_json::json;

use super::steps::{With, looped, task, workflow};
use super::world::{World, scenario};

/// The critical path: the steps and how long each lasted.
fn critical(world: &World) -> Vec<(String, u64)> {
    let path = world.instance().critical_path;
    path.into_iter().map(|step| (step.task_path.to_string(), step.lasted_ms)).collect()
}

fn steps(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(path, lasted)| ((*path).to_owned(), *lasted)).collect()
}

#[test]
fn the_critical_path_leads_through_the_branch_that_was_waited_for() {
    let branches = json!([
        {"id": "long", "tasks": [task("x"), task("y")]},
        {"id": "short", "tasks": [task("z")]},
    ]);
    let definition = workflow(json!([task("a"), {"id": "p", "parallel": branches}, task("b")]));
    scenario(definition, |world| {
        world.advance(5);
        world.complete("/a", json!({}));
        world.advance(10);
        world.complete("/p/long/x", json!({}));
        world.advance(1);
        world.complete("/p/short/z", json!({}));
        world.advance(20);
        world.complete("/p/long/y", json!({}));
        world.advance(2);
        let so_far = [("/a", 5), ("/p/long/x", 10), ("/p/long/y", 21)];
        world.complete("/b", json!({}));
        assert_eq!(critical(world), steps(&[&so_far[..], &[("/b", 2)]].concat()));
    });
}

#[test]
fn a_pause_between_iterations_leads_to_the_iteration_before_it() {
    let branches = json!([
        looped("l", json!({"until": "${ t.output.done }", "delay": "1s", "max": 5}), json!([task("t")])),
        {"id": "other", "tasks": [task("u"), task("v")]},
    ]);
    scenario(workflow(json!([{"id": "p", "parallel": branches}])), |world| {
        world.advance(10);
        world.complete("/p/l[0]/t", json!({"done": false}));
        world.advance(500);
        world.complete("/p/other/u", json!({}));
        world.complete("/p/other/v", json!({}));
        world.advance(500);
        world.advance(30);
        world.complete("/p/l[1]/t", json!({"done": true}));
        assert_eq!(critical(world), steps(&[("/p/l[0]/t", 10), ("/p/l[1]/t", 30)]));
    });
}

#[test]
fn what_waited_and_what_was_executed_are_told_apart_over_all_attempts() {
    let retried = task("a").with(json!({"retryPolicy": {"maxRetries": 1, "initialDelay": "1s"}}));
    scenario(workflow(json!([retried])), |world| {
        world.advance(40);
        world.fail("/a", "SOME");
        world.advance(1_000);
        world.advance(60);
        world.complete("/a", json!({}));
        let path = world.instance().critical_path;
        assert_eq!(path.len(), 1);
        assert_eq!((path[0].lasted_ms, path[0].queue_time_ms + path[0].execution_time_ms), (1_100, 100));
    });
}

#[test]
fn the_bytes_of_each_attempt_are_counted_and_summed() {
    let given = task("a").with(json!({"inputMappings": {"text": "abc"}}));
    let retried = given.with(json!({"retryPolicy": {"maxRetries": 1, "initialDelay": "1s"}}));
    scenario(workflow(json!([retried])), |world| {
        world.fail("/a", "SOME");
        world.advance(1_000);
        world.complete("/a", json!({"n": 17}));
        let instance = world.instance();
        let bytes = |(taken, given): (u64, u64), attempt: &oarlock_protocol::instance::Attempt| {
            (taken + attempt.input_bytes, given + attempt.output_bytes)
        };
        let attempts = &instance.task_instances[0].attempts;
        let (taken, given) = attempts.iter().fold((0, 0), bytes);
        assert!(attempts[0].input_bytes >= r#"{"text":"abc"}"#.len() as u64);
        assert_eq!((attempts[0].output_bytes, given), (0, attempts[1].output_bytes));
        assert!(given >= r#"{"n":17}"#.len() as u64);
        let sums = (instance.metrics.total_input_bytes, instance.metrics.total_output_bytes);
        assert_eq!(sums, (taken, given));
    });
}
