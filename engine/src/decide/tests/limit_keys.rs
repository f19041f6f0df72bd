//! The keys of limits: evaluated when a task has its input, kept with it.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed, Paused};
use oarlock_protocol::message::{Completion, Operation};
use oarlock_protocol::{Json, TaskPath};
use serde_json::json;

use super::steps::{With, task, workflow};
use super::world::{Setup, scenario};
use crate::run::LimitKeys;

fn keyed(key: &str) -> Json {
    let definition = json!([{
        "id": "x.a",
        "concurrencyLimit": {"limit": 2, "key": key},
        "rateLimit": {"limit": 5, "per": "1s", "key": "${ input.plan }/${ workflow.tenantId }"},
    }]);
    let step = task("a").with(json!({"task": "x.a", "inputMappings": {"shop": "${ input.shop }"}}));
    workflow(json!([step])).with(json!({"taskDefinitions": definition}))
}

fn setup(key: &str, shop: Json) -> Setup {
    Setup { input: json!({"shop": shop, "plan": "free"}), ..Setup::from(keyed(key)) }
}

#[test]
fn a_key_is_what_its_task_is_given() {
    for (shop, expected) in [(json!("east"), "east"), (json!(7), "7"), (json!(true), "true")] {
        scenario(setup("${ taskInput.shop }", shop), |world| {
            let work = world.run.rows[&TaskPath::from("/a")].work().unwrap();
            let LimitKeys { concurrency, rate } = work.limit_keys.as_deref().unwrap().clone();
            assert_eq!((concurrency.as_deref(), rate.as_deref()), (Some(expected), Some("free/acme")));
            world.complete("/a", json!({}));
            world.ended(Completed, "-");
        });
    }
}

#[test]
fn a_key_that_names_nothing_fails_its_task() {
    let wrong = [json!(null), json!([1]), json!({"a": 1}), json!(""), json!("x".repeat(201))];
    for shop in wrong {
        scenario(setup("${ taskInput.shop }", shop), |world| {
            world.ended(Failed, "EXPRESSION_FAILED");
            let message = &world.run.head.error.as_ref().unwrap().message;
            assert!(message.contains("the key of the concurrencyLimit of 'x.a' gives"), "{message}");
            assert!(message.contains("a text of 1 to 200 bytes"), "{message}");
        });
    }
}

#[test]
fn a_compensation_whose_key_names_nothing_waits_for_an_operator() {
    let undo = json!({"task": "undo", "inputMappings": {"shop": "${ taskOutput.shop }"}});
    let steps = json!([task("a").with(json!({"compensateWith": undo})), task("b")]);
    let limit = json!([{"id": "undo", "concurrencyLimit": {"limit": 1, "key": "${ taskInput.shop }"}}]);
    scenario(workflow(steps).with(json!({"taskDefinitions": limit})), |world| {
        world.complete("/a", json!({"shop": null}));
        world.fail("/b", "BROKEN");
        let waits = (world.run.head.status, world.error("/a:compensate").code);
        assert_eq!((waits.0, waits.1.as_str()), (Paused, "EXPRESSION_FAILED"));
        world.operate(Operation::Resume);
        assert_eq!(world.run.head.status, Paused, "its key is evaluated again, and names nothing");
        world.end("/a:compensate", Completion::Completed { output: json!({}) });
        world.ended(Failed, "BROKEN");
    });
}
