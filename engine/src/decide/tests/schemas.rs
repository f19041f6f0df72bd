//! Inputs, outputs and payloads that must fit a schema.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::message::Completion;
use oarlock_protocol::{Json, TaskPath};
use serde_json::json;

use super::steps::{self, With, task, workflow};
use super::world::{BEGIN, Setup, World, request, scenario};
use crate::decide::{digest, start};
use crate::event::Event;

/// A workflow whose tasks are defined so.
fn defined(definition: Json) -> Json {
    let definition = json!({"id": "work"}).with(definition);
    workflow(json!([task("a")])).with(json!({"taskDefinitions": [definition]}))
}

fn demands_total() -> Json {
    json!({
        "type": "object",
        "required": ["total"],
        "properties": {"total": {"type": "number"}, "currency": {"type": "string", "default": "EUR"}},
    })
}

fn with_input(schema: Json, input: Json) -> Setup {
    let mut setup = Setup::from(workflow(json!([task("a")])).with(json!({"input": schema})));
    setup.input = input;
    setup
}

#[test]
fn a_start_whose_input_does_not_fit_is_refused_with_every_place() {
    let items = json!({"type": "array", "items": {"properties": {"price": {"type": "number"}}}});
    let schema = json!({"type": "object", "required": ["orderId"], "properties": {"items": items}});
    let setup = with_input(schema, json!({"items": [{"price": 1}, {"price": "2"}]}));
    let plan = steps::plan(setup.definition.clone());
    let error = start(&plan, request(&setup), &setup.settings, BEGIN).unwrap_err().0;
    assert_eq!((error.code.as_str(), error.retryable), ("SCHEMA_VIOLATION", false));
    for place in ["the workflow's input", "/items/1/price: \"2\" is a string", "/orderId: is missing"] {
        assert!(error.message.contains(place), "{}", error.message);
    }
    let places: Vec<_> = error.details["violations"].as_array().unwrap().iter().map(|v| &v["path"]).collect();
    assert!(places.contains(&&json!("/orderId")) && places.len() == 2, "{places:?}");
}

#[test]
fn a_run_begins_with_the_defaults_of_its_input_and_the_digest_of_what_was_sent() {
    let setup = with_input(demands_total(), json!({"total": 1}));
    let world = World::start_unchecked(&setup);
    assert_eq!(world.instance().input, json!({"total": 1, "currency": "EUR"}));
    assert_eq!(world.run.head.request_digest, digest(&request(&setup)));
    let none = json!({"type": "object", "properties": {"currency": {"default": "EUR"}}});
    let world = World::start_unchecked(&with_input(none, Json::Null));
    assert_eq!(world.instance().input, json!({"currency": "EUR"}));
}

#[test]
fn defaults_count_to_the_size_of_an_input() {
    let mut setup = with_input(json!({"properties": {"text": {"default": "x".repeat(200)}}}), json!({}));
    setup.settings.payload_bytes = 100;
    let plan = steps::plan(setup.definition.clone());
    let error = start(&plan, request(&setup), &setup.settings, BEGIN).unwrap_err().0;
    assert_eq!(error.code, "PAYLOAD_TOO_LARGE");
}

#[test]
fn a_task_whose_input_does_not_fit_fails_without_an_attempt() {
    let retried = json!({"retryPolicy": {"maxRetries": 3, "retryableErrors": ["*"]}});
    let definition = defined(json!({"inputSchema": demands_total()}).with(retried));
    scenario(definition, |world| {
        world.ended(Failed, "SCHEMA_VIOLATION");
        let error = world.error("/a");
        assert!(error.message.contains("the input of task 'work'"), "{}", error.message);
        assert!(error.message.contains("/total: is missing"), "{}", error.message);
        assert_eq!(world.instance().task_instances[0].attempts.len(), 0);
    });
}

#[test]
fn a_task_is_given_the_defaults_of_its_schema() {
    let mut definition = defined(json!({"inputSchema": demands_total()}));
    definition["tasks"][0]["inputMappings"] = json!({"total": "${ 1 + 1 }"});
    scenario(definition, |world| {
        let input = world.instance().task_instances[0].input.clone();
        assert_eq!(input, Some(json!({"total": 2, "currency": "EUR"})));
        world.complete("/a", json!(null));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_secret_fits_the_schema_of_an_input() {
    let mut definition = defined(json!({"inputSchema": demands_total()}));
    definition["tasks"][0]["inputMappings"] = json!({"total": "${ secrets.sum }"});
    scenario(definition, |world| {
        assert_eq!(world.open(), "/a");
        world.complete("/a", json!(null));
        world.ended(Completed, "-");
    });
}

#[test]
fn an_output_that_does_not_fit_fails_the_attempt_before_any_mapping() {
    let mut definition =
        defined(json!({"outputSchema": demands_total()})).with(json!({"variables": {"total": 0}}));
    definition["tasks"][0]["variableMappings"] =
        json!([{"type": "DIRECT", "source": "total", "target": "total"}]);
    definition["tasks"][0]["retryPolicy"] = json!({"maxRetries": 3});
    scenario(definition, |world| {
        world.complete("/a", json!({"total": "many"}));
        world.ended(Failed, "SCHEMA_VIOLATION");
        let error = world.error("/a");
        assert!(error.message.contains("the output of task 'work'"), "{}", error.message);
        assert!(
            error.message.contains("/total: \"many\" is a string, expected a number"),
            "{}",
            error.message
        );
        assert_eq!(world.variable("total"), json!(0));
        let task = world.instance().task_instances.remove(0);
        assert_eq!(task.attempts[0].error.as_ref().unwrap().code, "SCHEMA_VIOLATION");
        assert_eq!(task.retry_count, 0, "a policy that does not name the code does not try again");
    });
}

#[test]
fn a_policy_that_names_the_code_tries_a_wrong_output_again() {
    let policy = json!({"maxRetries": 1, "initialDelay": "1s", "retryableErrors": ["SCHEMA_VIOLATION"]});
    scenario(defined(json!({"outputSchema": demands_total(), "retryPolicy": policy})), |world| {
        world.complete("/a", json!({}));
        assert_eq!(world.status("/a"), "RETRY_PENDING");
        world.advance(1_000);
        world.complete("/a", json!({"total": 1}));
        world.ended(Completed, "-");
        let output = world.instance().task_instances[0].output.clone();
        assert_eq!(output, Some(json!({"total": 1, "currency": "EUR"})), "with the defaults");
    });
}

#[test]
fn a_completion_from_outside_that_does_not_fit_is_refused_and_the_task_goes_on() {
    let setup = Setup::from(defined(json!({"outputSchema": demands_total()})));
    let mut world = World::start_unchecked(&setup);
    let complete = |output| Event::Complete {
        path: TaskPath::from("/a"),
        execution_id: None,
        completion: Completion::Completed { output },
    };
    world.event(complete(json!({"total": "many"})));
    assert_eq!(world.rejected.last().unwrap().code, "SCHEMA_VIOLATION");
    assert_eq!(world.open(), "/a");
    world.event(complete(json!({"total": 1})));
    world.ended(Completed, "-");
}

#[test]
fn a_signal_that_does_not_fit_is_refused_and_the_wait_goes_on() {
    let wait = json!({"id": "w1", "wait": {"signal": "paid", "schema": demands_total()}});
    let mut world = World::start_unchecked(&Setup::from(workflow(json!([wait]))));
    let signal = |id: &str, payload| Event::Signal { id: id.to_owned(), name: "paid".to_owned(), payload };
    world.event(signal("1", json!({})));
    let error = world.rejected.last().unwrap();
    assert_eq!(error.code, "SCHEMA_VIOLATION");
    assert!(error.message.contains("/total: is missing"), "{}", error.message);
    assert_eq!(world.status("/w1"), "RUNNING");
    world.event(signal("1", json!({"total": 1})));
    world.ended(Completed, "-");
    let output = world.instance().task_instances[0].output.clone();
    assert_eq!(output, Some(json!({"total": 1, "currency": "EUR"})));
}

#[test]
fn an_early_signal_that_does_not_fit_is_dropped_when_its_wait_begins() {
    let wait = json!({"id": "w1", "wait": {"signal": "paid", "schema": demands_total()}});
    let mut world = World::start_unchecked(&Setup::from(workflow(json!([task("a"), wait]))));
    for (id, payload) in [("1", json!({})), ("2", json!({"total": 2}))] {
        world.event(Event::Signal { id: id.to_owned(), name: "paid".to_owned(), payload });
    }
    world.complete("/a", json!(null));
    world.ended(Completed, "-");
    assert_eq!(world.instance().task_instances[1].output, Some(json!({"total": 2, "currency": "EUR"})));
}

#[test]
fn a_schema_that_does_not_compile_is_no_plan() {
    for definition in [
        workflow(json!([task("a")])).with(json!({"input": {"type": "money"}})),
        defined(json!({"inputSchema": {"type": "money"}})),
        defined(json!({"outputSchema": {"properties": {"a": {"$ref": "https://example.com"}}}})),
    ] {
        let definition = std::sync::Arc::new(serde_json::from_value(definition).unwrap());
        let error = crate::plan::Plan::compile(definition).unwrap_err().to_string();
        assert!(error.contains("/type: ") || error.contains("/properties/a/$ref: "), "{error}");
    }
}
