//! Conditions: what is skipped, and what others see of it.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::scenario;

fn skipped(step: serde_json::Value) -> serde_json::Value {
    step.with(json!({"condition": "false"}))
}

#[test]
fn a_skipped_step_counts_as_done_for_what_waits_on_it() {
    let steps =
        json!([skipped(task("a")), task("by_order"), task("by_name").with(json!({"dependsOn": ["a"]})),]);
    scenario(workflow(steps), |world| {
        assert_eq!((world.status("/a"), world.open().as_str()), ("SKIPPED", "/by_name /by_order"));
        world.complete("/by_order", json!({}));
        world.complete("/by_name", json!({}));
        world.ended(Completed, "-");
        let metrics = world.run.head.metrics;
        assert_eq!((metrics.task_count, metrics.skipped_tasks, metrics.completed_tasks), (3, 1, 2));
    });
}

#[test]
fn a_condition_sees_what_came_before() {
    let steps = json!([
        task("a").with(json!({"variableMappings": [{"type": "DIRECT", "source": "n", "target": "n"}]})),
        task("more").with(json!({"condition": "${ variables.n > 1 && a.output.n > 1 && input.go }"})),
        task("less").with(json!({"condition": "variables.n <= 1"})),
    ]);
    let mut setup = super::world::Setup::from(workflow(steps));
    setup.input = json!({"go": true});
    scenario(setup, |world| {
        world.complete("/a", json!({"n": 2}));
        assert_eq!(world.open(), "/more");
        world.complete("/more", json!({}));
        assert_eq!(world.status("/less"), "SKIPPED");
    });
}

#[test]
fn a_skipped_group_skips_all_it_holds() {
    let inner = parallel("p", json!([task("deep")]));
    let ask = json!({"id": "ask", "set": {
        "status": "${ tasks.deep.status }",
        "whole": "${ tasks.deep }",
        "group": "${ g.status }",
        "output": "${ get(tasks.deep, 'output', 'none') }",
        "has": "${ has(tasks.deep.output) }",
    }});
    scenario(workflow(json!([skipped(group("g", json!([inner, task("b")]))), ask])), |world| {
        world.ended(Completed, "-");
        assert_eq!((world.status("/g"), world.status("/g/p/deep")), ("SKIPPED", "-"));
        assert_eq!(world.variable("status"), json!("SKIPPED"));
        assert_eq!(world.variable("whole"), json!({"status": "SKIPPED"}));
        assert_eq!(world.variable("group"), json!("SKIPPED"));
        assert_eq!((world.variable("output"), world.variable("has")), (json!("none"), json!(false)));
    });
}

#[test]
fn a_step_of_a_case_that_was_not_taken_is_skipped() {
    let cases =
        json!([{"when": "true", "tasks": [task("taken")]}, {"otherwise": true, "tasks": [task("other")]}]);
    let ask = json!({"id": "ask", "set": {"status": "${ tasks.other.status + ' ' + tasks.taken.status }"}});
    scenario(workflow(json!([{"id": "s", "switch": cases}, ask])), |world| {
        world.complete("/s/taken", json!({}));
        assert_eq!(world.variable("status"), json!("SKIPPED COMPLETED"));
    });
}

#[test]
fn the_output_of_a_skipped_task_is_an_error_that_says_so() {
    let steps =
        json!([skipped(task("a")), task("b").with(json!({"inputMappings": {"n": "${ a.output.n }"}}))]);
    scenario(workflow(steps), |world| {
        world.ended(Failed, "EXPRESSION_FAILED");
        let message = world.error("/").message;
        assert!(message.contains("'a' is SKIPPED") && message.contains("has()"), "{message}");
    });
}

#[test]
fn the_output_of_a_skipped_task_may_be_asked_for() {
    let input = json!({"n": "${ has(tasks.a.output.n) ? a.output.n : 0 }", "m": "${ get(a, 'output', 5) }"});
    let steps = json!([skipped(task("a")), task("b").with(json!({"inputMappings": input}))]);
    scenario(workflow(steps), |world| {
        let row = &world.run.rows["/b"];
        assert_eq!(row.input, Some(json!({"n": 0, "m": 5})));
        world.complete("/b", json!({}));
    });
}

#[test]
fn a_condition_that_cannot_be_evaluated_fails_its_step() {
    for step in [task("a"), group("a", json!([task("b")]))] {
        let step = step.with(json!({"condition": "input.nothing > 1"}));
        scenario(workflow(json!([step])), |world| {
            assert_eq!(world.status("/a"), "FAILED");
            world.ended(Failed, "EXPRESSION_FAILED");
            assert!(world.error("/").message.contains("input.nothing"), "{}", world.error("/").message);
        });
    }
}

#[test]
fn a_condition_that_fails_can_be_recovered() {
    let handler = json!({"id": "note", "set": {"why": "${ error.code }"}});
    let broken = group("a", json!([task("b")])).with(json!({"condition": "1", "onError": [handler]}));
    scenario(workflow(json!([broken, task("after")])), |world| {
        assert_eq!((world.open().as_str(), world.variable("why")), ("/after", json!("EXPRESSION_FAILED")));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}
