//! Variables of a step of its own: seen inside, written inside, gone after.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::message::Operation;
use serde_json::json;

use super::steps::{With, for_each, group, looped, parallel, set, task, workflow};
use super::world::{World, scenario};

fn own(step: Json) -> Json {
    step.with(json!({"variables": {"n": "${ variables.start + 1 }"}}))
}

fn definition(step: Json) -> Json {
    let tell = set("tell", json!({"after": "${ get(variables, 'n', 'gone') }"}));
    workflow(json!([step, tell])).with(json!({"variables": {"start": 10}}))
}

/// Takes the output's `by` onto the step's own variable, then looks at it twice in a row.
fn adds(id: &str) -> Json {
    let mappings = json!([
        {"type": "EXPRESSION", "expression": "variables.n + taskOutput.by", "target": "n"},
        {"type": "EXPRESSION", "expression": "variables.n * 100", "target": "seen"},
    ]);
    task(id).with(json!({"variableMappings": mappings, "inputMappings": {"n": "${ variables.n }"}}))
}

fn snapshot(world: &World, path: &str) -> Json {
    world.message(path)["executionContext"]["workflowVariables"].clone()
}

#[test]
fn a_group_has_its_own_and_takes_them_along() {
    scenario(definition(own(group("g", json!([adds("a"), adds("b")])))), |world| {
        assert_eq!(snapshot(world, "/g/a"), json!({"start": 10, "n": 11}));
        world.complete("/g/a", json!({"by": 5}));
        assert_eq!(world.variable("seen"), json!(1600), "a mapping sees what the one before it wrote");
        assert_eq!(world.input("/g/b"), json!({"n": 16}));
        assert_eq!(snapshot(world, "/g/b"), json!({"start": 10, "n": 16, "seen": 1600}));
        world.complete("/g/b", json!({"by": 1}));
        world.ended(Completed, "-");
        assert_eq!((world.variable("after"), world.variable("n")), (json!("gone"), Json::Null));
    });
}

#[test]
fn a_parallel_and_a_switch_have_them_too() {
    scenario(definition(own(parallel("p", json!([adds("a"), adds("b")])))), |world| {
        world.complete("/p/b", json!({"by": 5}));
        world.complete("/p/a", json!({"by": 5}));
        assert_eq!((world.variable("seen"), world.variable("after")), (json!(2100), json!("gone")));
    });
    let case = json!({"id": "s", "switch": [{"when": "variables.start == 10", "tasks": [adds("a")]}]});
    scenario(definition(own(case)), |world| {
        assert_eq!(world.input("/s/a"), json!({"n": 11}));
        world.complete("/s/a", json!({"by": 5}));
        assert_eq!((world.variable("seen"), world.variable("after")), (json!(1600), json!("gone")));
    });
}

#[test]
fn each_iteration_has_its_own() {
    let fields = json!({"items": [1, 2], "collect": "${ variables.n }"});
    let each = for_each("f", fields, json!([adds("a")])).with(json!({"variables": {"n": "${ item * 10 }"}}));
    scenario(definition(each), |world| {
        assert_eq!((world.input("/f[0]/a"), world.input("/f[1]/a")), (json!({"n": 10}), json!({"n": 20})));
        world.complete("/f[0]/a", json!({"by": 1}));
        world.complete("/f[1]/a", json!({"by": 2}));
        assert_eq!((world.output("/f"), world.variable("after")), (json!([11, 22]), json!("gone")));
    });
}

#[test]
fn each_round_of_a_loop_has_its_own_and_its_until_and_output_see_the_last() {
    let fields = json!({"until": "variables.n > 14", "output": "${ variables.n }"});
    scenario(definition(own(looped("l", fields, json!([adds("a")])))), |world| {
        world.complete("/l[0]/a", json!({"by": 1}));
        assert_eq!(world.input("/l[1]/a"), json!({"n": 11}), "each round begins anew");
        world.complete("/l[1]/a", json!({"by": 4}));
        assert_eq!((world.output("/l"), world.variable("after")), (json!(15), json!("gone")));
        world.ended(Completed, "-");
    });
}

#[test]
fn the_nearest_step_that_has_it_is_written_to() {
    let inner = own(group("g", json!([set("s", json!({"n": 1, "m": 2, "start": 3}))])));
    let outer = group("o", json!([inner, set("keep", json!({"kept": "${ variables.m }"}))]))
        .with(json!({"variables": {"m": 0}}));
    scenario(definition(outer), |world| {
        assert_eq!((world.variable("kept"), world.variable("start")), (json!(2), json!(3)));
        assert_eq!((world.variable("n"), world.variable("m")), (Json::Null, Json::Null));
    });
}

#[test]
fn what_cannot_be_made_fails_the_step_once() {
    let failing = group("g", json!([task("a")])).with(json!({"variables": {"n": "${ input.none }"}}));
    scenario(definition(failing.clone().with(json!({"continueOnFailure": true}))), |world| {
        assert_eq!((world.error("/g").code.as_str(), world.status("/g/a")), ("EXPRESSION_FAILED", "-"));
        world.ended(Completed, "-");
    });
    let each = for_each("f", json!({"items": [1]}), json!([task("a")]))
        .with(json!({"variables": {"n": "${ item.none }"}}));
    scenario(definition(each), |world| world.ended(Failed, "EXPRESSION_FAILED"));
}

#[test]
fn a_step_that_was_let_pass_leaves_none_and_one_that_may_be_done_again_keeps_its_own() {
    let passed = own(group("g", json!([adds("a")])).with(json!({"continueOnFailure": true})));
    scenario(definition(passed), |world| {
        world.fail("/g/a", "BAD");
        assert!(world.run.scoped.is_empty());
        assert_eq!(world.variable("after"), json!("gone"));
    });
    let repeat =
        looped("l", json!({"until": "variables.n > 12", "delay": "1m"}), json!([adds("a"), adds("b")]));
    scenario(definition(own(repeat)), |world| {
        world.complete("/l[0]/a", json!({"by": 1}));
        world.fail("/l[0]/b", "BAD");
        world.operate(Operation::Retry);
        world.complete("/l[0]/b", json!({"by": 1}));
        assert_eq!(world.variable("seen"), json!(1300), "it goes on with what it had");
        world.ended(Completed, "-");
    });
    let each = for_each("f", json!({"items": [1, 2], "tolerate": 1}), json!([adds("a")]));
    scenario(definition(own(each)), |world| {
        world.fail("/f[0]/a", "BAD");
        assert_eq!(world.run.scoped.len(), 2);
        world.complete("/f[1]/a", json!({"by": 1}));
        world.ended(Completed, "-");
        assert!(world.run.scoped.is_empty(), "a run that completed keeps none");
    });
}

#[test]
fn handlers_inside_see_them_and_named_ones_travel_alone() {
    let handled = task("a").with(json!({"onError": [adds("h")], "contextVariables": ["n"]}));
    scenario(definition(own(group("g", json!([handled])))), |world| {
        assert_eq!(snapshot(world, "/g/a"), json!({"n": 11}));
        world.fail("/g/a", "BAD");
        world.complete("/g/a:onError/h", json!({"by": 1}));
        assert_eq!(world.variable("seen"), json!(1200));
    });
}

#[test]
fn a_named_one_that_is_too_large_fails_the_task() {
    let large = json!({"variables": {"big": "${ input.text }"}});
    let step = group("g", json!([task("a").with(json!({"contextVariables": ["big", "more"]}))])).with(large);
    let mut setup = super::world::Setup::from(
        workflow(json!([step])).with(json!({"variables": {"more": "x".repeat(60)}})),
    );
    setup.input = json!({"text": "x".repeat(60)});
    setup.settings.payload_bytes = 100;
    scenario(setup, |world| world.ended(Failed, "PAYLOAD_TOO_LARGE"));
}
