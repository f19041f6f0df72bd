//! Secrets: what a run holds of them, and where they may not stand.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::{Json, TaskPath};
use serde_json::json;

use super::mappings::message;
use super::steps::{With, task, workflow};
use super::world::{Setup, scenario};

#[test]
fn a_secret_travels_as_a_reference_and_is_stored_as_one() {
    let mappings = json!({"token": "${ secrets.token }", "headers": {"auth": "Bearer ${ secrets.token }"}});
    let expected = json!({
        "token": {"$secret": "token"},
        "headers": {"auth": {"$secret": {"text": ["Bearer ", {"name": "token"}]}}},
    });
    scenario(workflow(json!([task("a").with(json!({"inputMappings": mappings}))])), |world| {
        assert_eq!(message(world, "/a").input, expected);
        assert_eq!(world.run.rows[&TaskPath::from("/a")].input, Some(expected.clone()));
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_secret_in_another_place_fails_the_step() {
    let secret = "${ secrets.token }";
    for step in [
        task("a").with(json!({"inputMappings": {"x": "${ upper(secrets.token) }"}})),
        task("a").with(json!({"inputMappings": {"$secret": "token"}})),
        task("a").with(json!({"inputMappings": {"x": {"$secret": "${ input.name }"}}})),
        task("a").with(json!({"inputMappings": {"x": "${ input.looks }"}})),
        task("a").with(json!({"condition": "secrets.token == 'x'"})),
        json!({"id": "a", "set": {"x": secret}}),
        json!({"id": "a", "terminate": {"status": "COMPLETED", "output": {"x": secret}}}),
    ] {
        let mut setup = Setup::from(workflow(json!([step.clone()])).with(json!({"variables": {"x": 1}})));
        setup.input = json!({"name": "token", "looks": {"$secret": "token"}});
        scenario(setup, |world| world.ended(Failed, "EXPRESSION_FAILED"));
    }
}

#[test]
fn a_secret_reaches_no_variable_and_no_output() {
    let mapping = |value: Json| {
        let step = json!({"inputMappings": {"t": "${ secrets.token }"}, "variableMappings": value});
        workflow(json!([task("a").with(step)]))
    };
    for mappings in [
        json!([{"type": "VALUE", "target": "x", "value": "${ secrets.token }"}]),
        json!([{"type": "VALUE", "target": "x", "value": "${ taskInput.t }"}]),
        json!([{"type": "EXPRESSION", "target": "x", "expression": "secrets.token"}]),
    ] {
        scenario(mapping(mappings), |world| {
            world.complete("/a", json!({}));
            world.ended(Failed, "EXPRESSION_FAILED");
        });
    }
    let output = workflow(json!([task("a")])).with(json!({"output": {"x": "${ secrets.token }"}}));
    scenario(output, |world| {
        world.complete("/a", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
    });
}
