//! Payloads kept elsewhere: looked into by expressions, passed on by reference, gone over where they lie.

use std::sync::Arc;

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::message::PayloadReference;
use serde_json::json;

use super::steps::{With, task, workflow};
use super::world::{Setup, World, request, scenario};
use crate::decide::{start, start_with};
use crate::payloads::{AtHand, Read};

fn reference(name: &str) -> PayloadReference {
    PayloadReference { uri: format!("kept:{name}"), size: 9, sha256: name.to_owned() }
}

fn refers(name: &str) -> Json {
    reference(name).to_json()
}

fn data(value: Json) -> Read {
    Ok(Arc::new(value))
}

fn setup(definition: Json, input: Json) -> Setup {
    let kept = vec![
        (reference("order"), data(json!({"total": 7, "items": refers("items")}))),
        (reference("items"), data(json!([{"id": "a"}, {"id": "b"}, {"id": "c"}]))),
        (reference("map"), data(json!({"x": 1, "y": 2}))),
        (reference("gone"), Err("it is gone".to_owned())),
    ];
    Setup { input, kept, ..Setup::from(definition) }
}

fn input_of(world: &World, path: &str) -> Json {
    super::mappings::message(world, path).input
}

#[test]
fn an_input_is_looked_into_before_the_first_step_and_passed_on_untouched() {
    let given = json!({"order": "${ input.order }", "total": "${ input.order.total }",
        "ids": "${ input.order.items.map(item, item.id) }", "text": "${ input.order.total } euros"});
    let step = task("a").with(json!({"inputMappings": given, "condition": "input.order.total > 5"}));
    scenario(setup(workflow(json!([step])), json!({"order": refers("order")})), |world| {
        let expected =
            json!({"order": refers("order"), "total": 7, "ids": ["a", "b", "c"], "text": "7 euros"});
        assert_eq!(input_of(world, "/a"), expected);
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn mappings_lead_through_an_output_and_take_references_as_they_are() {
    let mappings = json!([
        {"type": "DIRECT", "source": "total", "target": "total"},
        {"type": "DIRECT", "source": "items", "target": "items"},
        {"type": "DIRECT", "source": "items[1].id", "target": "second"},
        {"type": "TRANSFORM", "source": "items", "target": "count", "transformation": ["size"]},
        {"type": "EXPRESSION", "target": "more", "expression": "variables.items.size() + taskOutput.total"},
    ]);
    let step = task("a").with(json!({"variableMappings": mappings}));
    scenario(setup(workflow(json!([step])), json!({})), |world| {
        world.complete("/a", refers("order"));
        world.ended(Completed, "-");
        let variables = ["total", "items", "second", "count", "more"].map(|name| world.variable(name));
        assert_eq!(variables, [json!(7), refers("items"), json!("b"), json!(3), json!(10)]);
        assert_eq!(world.instance().task_instances[0].output, Some(refers("order")));
    });
}

#[test]
fn a_for_each_goes_over_items_that_stay_where_they_are() {
    let each = json!({"id": "each", "forEach": {"items": "${ input.order.items }", "as": "item",
        "collect": "${ one.output.got }"}, "tasks": [task("one").with(json!({"inputMappings": {"id": "${ item.id }"}}))]});
    let definition = workflow(json!([each])).with(json!({"output": "${ tasks.each.output }"}));
    scenario(setup(definition, json!({"order": refers("order")})), |world| {
        assert_eq!(input_of(world, "/each[1]/one"), json!({"id": "b"}));
        for (number, id) in ["a", "b", "c"].iter().enumerate() {
            world.complete(&format!("/each[{number}]/one"), json!({"got": id}));
        }
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!(["a", "b", "c"])));
    });
}

#[test]
fn a_for_each_over_a_map_kept_elsewhere_collects_by_its_keys() {
    let each = json!({"id": "each", "forEach": {"items": "${ input.map }", "as": "item", "collect": "${ item * 10 }"},
        "tasks": [task("one").with(json!({"inputMappings": {"key": "${ key }"}}))]});
    let definition = workflow(json!([each])).with(json!({"output": "${ tasks.each.output }"}));
    scenario(setup(definition, json!({"map": refers("map")})), |world| {
        assert_eq!(input_of(world, "/each[1]/one"), json!({"key": "y"}));
        world.complete("/each[0]/one", json!({}));
        world.complete("/each[1]/one", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!({"x": 10, "y": 20})));
    });
}

#[test]
fn a_payload_that_cannot_be_read_fails_the_step_that_looks_into_it() {
    for step in [
        task("a").with(json!({"condition": "input.gone.x == 1"})),
        task("a").with(json!({"inputMappings": {"x": "${ input.gone.x }"}})),
        json!({"id": "a", "forEach": {"items": "${ input.gone }", "as": "x"}, "tasks": [task("b")]}),
        json!({"id": "a", "switch": [{"when": "has(input.gone.x)", "tasks": [task("b")]}]}),
    ] {
        scenario(setup(workflow(json!([step])), json!({"gone": refers("gone")})), |world| {
            world.ended(Failed, "PAYLOAD_UNAVAILABLE");
            let error = world.run.head.error.as_ref().unwrap();
            assert!(error.message.contains("it is gone"), "{error:?}");
        });
    }
}

#[test]
fn its_failure_is_handled_like_any_other() {
    let recovered = task("a").with(json!({"inputMappings": {"x": "${ input.gone.x }"},
        "onError": [task("b").with(json!({"inputMappings": {"code": "${ error.code }"}}))]}));
    scenario(setup(workflow(json!([recovered])), json!({"gone": refers("gone")})), |world| {
        assert_eq!(input_of(world, "/a:onError/b"), json!({"code": "PAYLOAD_UNAVAILABLE"}));
        world.complete("/a:onError/b", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_decision_that_needs_a_payload_says_which_and_goes_no_further() {
    let steps = json!([task("a").with(json!({"condition": "input.order.total == 7"})), task("b")]);
    let setup = setup(workflow(steps), json!({"order": refers("order")}));
    let plan = super::steps::plan(setup.definition.clone());
    let start = |at_hand| start_with(&plan, request(&setup), at_hand, &setup.settings, super::world::BEGIN);
    let (mut run, _) = start(AtHand::following()).unwrap();
    assert_eq!(run.payloads.take_needed(), Some(reference("order")));
    assert!(!run.rows.contains_key(&oarlock_protocol::TaskPath::from("/b")));
    let mut at_hand = AtHand::following();
    at_hand.put(reference("order"), data(json!({"total": 7})));
    assert_eq!(start(at_hand).unwrap().0.payloads.take_needed(), None);
}

#[test]
fn without_a_store_of_payloads_a_reference_is_data_like_any_other() {
    let step = task("a").with(json!({"inputMappings": {"uri": "${ input.order['$payload'].uri }"}}));
    let setup =
        Setup { kept: Vec::new(), ..setup(workflow(json!([step])), json!({"order": refers("order")})) };
    let plan = super::steps::plan(setup.definition.clone());
    let (mut run, _) = start(&plan, request(&setup), &setup.settings, super::world::BEGIN).unwrap();
    assert_eq!(run.payloads.take_needed(), None);
    let row = &run.rows[&oarlock_protocol::TaskPath::from("/a")];
    assert_eq!(row.input, Some(json!({"uri": "kept:order"})));
}
