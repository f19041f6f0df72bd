//! Which step follows which.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::scenario;

#[test]
fn steps_follow_each_other() {
    scenario(workflow(json!([task("a"), task("b"), task("c")])), |world| {
        for path in ["/a", "/b", "/c"] {
            assert_eq!(world.open(), path);
            world.complete(path, json!({}));
        }
        world.ended(Completed, "-");
    });
}

#[test]
fn an_empty_depends_on_starts_at_once() {
    let steps = json!([task("a"), task("b").with(json!({"dependsOn": []})), task("c")]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/a /b");
        world.complete("/a", json!({}));
        assert_eq!(world.open(), "/b", "c waits for every earlier sibling");
        world.complete("/b", json!({}));
        assert_eq!(world.open(), "/c");
        world.complete("/c", json!({}));
    });
}

#[test]
fn depends_on_waits_for_each_it_names_and_for_no_other() {
    let steps = json!([
        task("a").with(json!({"dependsOn": []})),
        task("b").with(json!({"dependsOn": []})),
        task("slow").with(json!({"dependsOn": []})),
        task("join").with(json!({"dependsOn": ["b", "a"]})),
    ]);
    scenario(workflow(steps), |world| {
        world.complete("/b", json!({}));
        assert_eq!(world.open(), "/a /slow");
        world.complete("/a", json!({}));
        assert_eq!(world.open(), "/join /slow");
        world.complete("/join", json!({}));
        world.complete("/slow", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn depends_on_may_name_a_later_sibling() {
    let steps =
        json!([task("a").with(json!({"dependsOn": ["b"]})), task("b").with(json!({"dependsOn": []}))]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/b");
        world.complete("/b", json!({}));
        assert_eq!(world.open(), "/a");
        world.complete("/a", json!({}));
    });
}

#[test]
fn a_diamond_joins_once() {
    let after = |id: &str, names: serde_json::Value| task(id).with(json!({"dependsOn": names}));
    let steps = json!([
        task("top"),
        after("left", json!(["top"])),
        after("right", json!(["top"])),
        after("bottom", json!(["left", "right"])),
    ]);
    scenario(workflow(steps), |world| {
        world.complete("/top", json!({}));
        assert_eq!(world.open(), "/left /right");
        world.complete("/right", json!({}));
        world.complete("/left", json!({}));
        assert_eq!(world.open(), "/bottom");
        world.complete("/bottom", json!({}));
        assert_eq!(world.run.head.metrics.task_count, 4);
    });
}

#[test]
fn a_join_waits_for_the_last_even_where_others_settle_in_one_decision() {
    let set = |id: &str| json!({"id": id, "set": {"x": 1}, "dependsOn": []});
    let steps = json!([
        set("one"),
        set("two"),
        task("slow").with(json!({"dependsOn": []})),
        task("join").with(json!({"dependsOn": ["one", "two", "slow"]})),
    ]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/slow");
        world.complete("/slow", json!({}));
        assert_eq!(world.open(), "/join");
        world.complete("/join", json!({}));
    });
}

#[test]
fn pain_14_what_joins_steps_that_end_together_begins_once() {
    let set = |id: &str| json!({"id": id, "set": {"x": 1}, "dependsOn": []});
    let steps = json!([set("one"), set("two"), task("join").with(json!({"dependsOn": ["one", "two"]}))]);
    scenario(workflow(steps), |world| {
        world.complete("/join", json!({}));
        assert_eq!(world.run.head.metrics.task_count, 1);
    });
}

#[test]
fn a_step_without_depends_on_waits_for_all_before_it_however_they_are_mixed() {
    let steps = json!([
        task("a"),
        task("early").with(json!({"dependsOn": []})),
        task("after_early").with(json!({"dependsOn": ["early"]})),
        task("last"),
    ]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/a /early");
        world.complete("/early", json!({}));
        assert_eq!(world.open(), "/a /after_early");
        world.complete("/after_early", json!({}));
        assert_eq!(world.open(), "/a");
        world.complete("/a", json!({}));
        assert_eq!(world.open(), "/last");
        world.complete("/last", json!({}));
    });
}

#[test]
fn the_children_of_a_parallel_start_at_once_and_it_ends_with_the_last() {
    let steps = json!([parallel("p", json!([task("a"), task("b"), task("c")])), task("after")]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/p/a /p/b /p/c");
        for path in ["/p/c", "/p/a", "/p/b"] {
            assert_eq!(world.status("/p"), "RUNNING");
            world.complete(path, json!({}));
        }
        assert_eq!((world.status("/p"), world.open().as_str()), ("COMPLETED", "/after"));
        world.complete("/after", json!({}));
    });
}

#[test]
fn children_of_a_parallel_may_depend_on_each_other() {
    let steps = json!([parallel("p", json!([task("a"), task("b").with(json!({"dependsOn": ["a"]}))]))]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/p/a");
        world.complete("/p/a", json!({}));
        assert_eq!(world.open(), "/p/b");
        world.complete("/p/b", json!({}));
    });
}

#[test]
fn groups_nest_and_end_from_the_inside_out() {
    let inner = group("inner", json!([task("a"), task("b")]));
    let steps = json!([group("outer", json!([inner, task("c")])), task("d")]);
    scenario(workflow(steps), |world| {
        world.complete("/outer/inner/a", json!({}));
        world.complete("/outer/inner/b", json!({}));
        assert_eq!((world.status("/outer/inner"), world.status("/outer")), ("COMPLETED", "RUNNING"));
        world.complete("/outer/c", json!({}));
        assert_eq!((world.status("/outer"), world.open().as_str()), ("COMPLETED", "/d"));
        world.complete("/d", json!({}));
    });
}

#[test]
fn a_switch_takes_the_first_case_that_holds() {
    let cases = json!([
        {"when": "input.n > 10", "tasks": [task("many")]},
        {"when": "input.n > 1", "tasks": [task("some"), task("more")]},
        {"otherwise": true, "tasks": [task("few")]},
    ]);
    let steps = json!([{"id": "route", "switch": cases}, task("after")]);
    for (n, expected) in [(11, vec!["many"]), (2, vec!["some", "more"]), (0, vec!["few"])] {
        let mut setup = super::world::Setup::from(workflow(steps.clone()));
        setup.input = json!({"n": n});
        scenario(setup, |world| {
            for id in &expected {
                assert_eq!(world.open(), format!("/route/{id}"));
                world.complete(&format!("/route/{id}"), json!({}));
            }
            assert_eq!((world.status("/route"), world.open().as_str()), ("COMPLETED", "/after"));
            world.complete("/after", json!({}));
        });
    }
}

#[test]
fn a_switch_without_a_case_that_holds_is_done() {
    let steps =
        json!([{"id": "route", "switch": [{"when": "false", "tasks": [task("never")]}]}, task("after")]);
    scenario(workflow(steps), |world| {
        assert_eq!((world.status("/route"), world.open().as_str()), ("COMPLETED", "/after"));
        world.complete("/after", json!({}));
    });
}

#[test]
fn a_switch_whose_condition_cannot_be_evaluated_fails() {
    let steps = json!([{"id": "route", "switch": [{"when": "input.missing > 1", "tasks": [task("never")]}]}]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.status("/route"), "FAILED");
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.error("/").message.contains("input.missing > 1"), "{}", world.error("/").message);
    });
}

#[test]
fn set_gives_variables_values_and_needs_no_worker() {
    let steps = json!([
        {"id": "first", "set": {"a": 2, "b": {"text": "${ 'x' + input.name }"}}},
        {"id": "second", "set": {"a": "${ variables.a * 3 }"}},
    ]);
    let mut setup = super::world::Setup::from(workflow(steps).with(json!({"output": "${ variables.a }"})));
    setup.input = json!({"name": "y"});
    scenario(setup, |world| {
        assert_eq!(world.variable("b"), json!({"text": "xy"}));
        assert_eq!(world.run.output, Some(json!(6)));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_terminate_ends_the_run_with_its_own_output_and_lets_what_is_open_end_first() {
    let stop = json!({"id": "stop", "dependsOn": ["a"], "terminate": {"status": "COMPLETED", "output": {"n": "${ a.output.n }"}}});
    let steps = json!([task("a"), task("slow").with(json!({"dependsOn": []})), stop, task("never")]);
    scenario(workflow(steps).with(json!({"output": "${ input.never }"})), |world| {
        world.complete("/a", json!({"n": 7}));
        assert_eq!(world.run.head.status.as_str(), "RUNNING", "an attempt is open");
        world.complete("/slow", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!({"n": 7})));
        assert_eq!(world.status("/never"), "-");
    });
}

#[test]
fn a_terminate_without_an_output_leaves_the_workflows() {
    let steps = json!([{"id": "stop", "terminate": {"status": "COMPLETED"}}, task("never")]);
    scenario(workflow(steps).with(json!({"output": {"done": true}})), |world| {
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!({"done": true})));
    });
}

#[test]
fn nothing_begins_beside_a_terminate() {
    let stop = json!({"id": "stop", "terminate": {"status": "COMPLETED"}});
    scenario(workflow(json!([parallel("p", json!([stop, task("never")]))])), |world| {
        world.ended(Completed, "-");
        assert_eq!(world.status("/p/never"), "-");
    });
}

#[test]
fn a_terminate_can_fail_the_run_with_a_message() {
    let stop = json!({"id": "stop", "terminate": {"status": "FAILED", "message": "only ${ input.n } left", "output": {"n": 1}}});
    let mut setup = super::world::Setup::from(workflow(json!([group("g", json!([stop])), task("never")])));
    setup.input = json!({"n": 3});
    scenario(setup, |world| {
        world.ended(Failed, "TERMINATED");
        assert_eq!(world.error("/").message, "only 3 left");
        assert_eq!(world.error("/").details, json!({"n": 1}));
        assert_eq!(world.run.head.failed_at.as_ref().unwrap().as_str(), "/g/stop");
    });
}

#[test]
fn terminate_when_ends_the_run_after_its_mappings() {
    let steps = json!([
        task("poll").with(json!({
            "variableMappings": [{"type": "DIRECT", "source": "found", "target": "found"}],
            "terminateWhen": "variables.found == taskOutput.found && taskOutput.found",
        })),
        task("next"),
    ]);
    let definition = workflow(steps).with(json!({"output": "${ variables.found }"}));
    scenario(definition.clone(), |world| {
        world.complete("/poll", json!({"found": true}));
        world.ended(Completed, "-");
        assert_eq!((world.run.output.clone(), world.status("/next")), (Some(json!(true)), "-"));
    });
    scenario(definition, |world| {
        world.complete("/poll", json!({"found": false}));
        assert_eq!(world.open(), "/next");
        world.complete("/next", json!({}));
        assert_eq!(world.run.output, Some(json!(false)));
    });
}

#[test]
fn a_terminate_when_that_cannot_be_evaluated_fails_its_task_and_writes_nothing() {
    let step = task("a").with(json!({
        "variableMappings": [{"type": "DIRECT", "source": "n", "target": "n"}],
        "terminateWhen": "taskOutput.missing",
    }));
    scenario(workflow(json!([step])), |world| {
        world.complete("/a", json!({"n": 1}));
        world.ended(Failed, "EXPRESSION_FAILED");
        assert_eq!(world.variable("n"), json!(null));
    });
}

#[test]
fn a_block_without_children_is_done_at_once() {
    let steps = json!([
        group("none", json!([])),
        {"id": "route", "switch": [{"otherwise": true, "tasks": []}]},
        parallel("nothing", json!([])),
        task("after"),
    ]);
    scenario(workflow(steps), |world| {
        assert_eq!(world.open(), "/after");
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
    scenario(workflow(json!([])), |world| world.ended(Completed, "-"));
}
