//! Data in and out of tasks.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::{Json, TaskPath};
use serde_json::json;

use super::steps::{With, parallel, task, workflow};
use oarlock_protocol::message::TaskMessage;

use super::world::{Setup, World, scenario};
use crate::task_message;

fn mapped(id: &str, mappings: Json) -> Json {
    task(id).with(json!({"variableMappings": mappings}))
}

/// The message of an open attempt, as a worker reads it.
pub(super) fn message(world: &World, path: &str) -> TaskMessage {
    let path = TaskPath::from(path);
    let written = task_message::build(&world.plan, &world.run, &path, &world.settings).unwrap();
    serde_json::from_value(serde_json::to_value(written).unwrap()).unwrap()
}

fn input_of(world: &World, path: &str) -> Json {
    message(world, path).input
}

#[test]
fn an_input_keeps_the_types_of_expressions_and_takes_texts_together() {
    let given = json!({"items": "${ input.items }", "text": "${ input.items.size() } items", "fixed": [1, {"a": true}],
        "nested": {"deep": ["${ variables.x }"]}, "literal": "$${ no }"});
    let definition = workflow(json!([task("a").with(json!({"inputMappings": given}))]));
    let mut setup = Setup::from(definition.with(json!({"variables": {"x": 1.5}})));
    setup.input = json!({"items": [1, 2]});
    scenario(setup, |world| {
        let expected = json!({"items": [1, 2], "text": "2 items", "fixed": [1, {"a": true}],
            "nested": {"deep": [1.5]}, "literal": "${ no }"});
        assert_eq!(input_of(world, "/a"), expected);
        world.complete("/a", json!({}));
    });
}

#[test]
fn each_kind_of_mapping_writes_its_variable() {
    let step = mapped(
        "a",
        json!([
            {"type": "DIRECT", "source": "quote.total", "target": "total"},
            {"type": "EXPRESSION", "target": "big", "expression": "taskOutput.quote.total > 100"},
            {"type": "TRANSFORM", "source": "customer", "target": "label", "transformation": ["trim", "uppercase"]},
            {"type": "VALUE", "target": "pair", "value": {"in": "${ taskInput.n }", "out": "${ taskOutput.quote.total }"}},
        ]),
    )
    .with(json!({"inputMappings": {"n": 5}}));
    scenario(workflow(json!([step])), |world| {
        world.complete("/a", json!({"quote": {"total": 120}, "customer": " ada "}));
        world.ended(Completed, "-");
        assert_eq!((world.variable("total"), world.variable("big")), (json!(120), json!(true)));
        assert_eq!(world.variable("label"), json!("ADA"));
        assert_eq!(world.variable("pair"), json!({"in": 5, "out": 120}));
    });
}

#[test]
fn a_default_stands_for_what_is_missing() {
    let step = mapped(
        "a",
        json!([
            {"type": "DIRECT", "source": "no.such", "target": "direct", "default": 7},
            {"type": "TRANSFORM", "source": "nor", "target": "transformed", "transformation": ["uppercase"], "default": "x"},
        ]),
    );
    scenario(workflow(json!([step])), |world| {
        world.complete("/a", json!({"no": {}}));
        assert_eq!((world.variable("direct"), world.variable("transformed")), (json!(7), json!("X")));
    });
}

#[test]
fn a_mapping_that_fails_fails_the_task_and_none_is_written() {
    let first = json!({"type": "DIRECT", "source": "n", "target": "n"});
    let broken = [
        (json!({"type": "DIRECT", "source": "a.b", "target": "m"}), "a.b"),
        (
            json!({"type": "EXPRESSION", "expression": "taskOutput.n + 'x' / 2", "target": "m"}),
            "taskOutput.n",
        ),
        (json!({"type": "TRANSFORM", "source": "n", "transformation": ["uppercase"], "target": "m"}), "m"),
        (json!({"type": "VALUE", "value": "${ taskOutput.none }", "target": "m"}), "none"),
    ];
    for (mapping, told) in broken {
        let definition = workflow(json!([mapped("a", json!([first, mapping])), task("never")]));
        scenario(definition.with(json!({"variables": {"n": 0, "m": 0}})), |world| {
            world.complete("/a", json!({"n": 1}));
            world.ended(Failed, "EXPRESSION_FAILED");
            assert!(world.error("/a").message.contains(told), "{}", world.error("/a").message);
            assert_eq!((world.variable("n"), world.variable("m")), (json!(0), json!(0)));
            assert_eq!(world.status("/a"), "FAILED");
        });
    }
}

#[test]
fn mappings_run_in_order_each_seeing_the_one_before() {
    let step = mapped(
        "a",
        json!([
            {"type": "DIRECT", "source": "n", "target": "n"},
            {"type": "EXPRESSION", "expression": "variables.n * 2", "target": "twice"},
            {"type": "EXPRESSION", "expression": "variables.twice + variables.n", "target": "n"},
        ]),
    );
    scenario(workflow(json!([step])).with(json!({"variables": {"n": 100}})), |world| {
        world.complete("/a", json!({"n": 1}));
        assert_eq!((world.variable("twice"), world.variable("n")), (json!(2), json!(3)));
    });
}

#[test]
fn parallel_branches_accumulate_without_losing_any() {
    let add =
        json!([{"type": "EXPRESSION", "expression": "variables.total + taskOutput.n", "target": "total"}]);
    let branches = json!([mapped("a", add.clone()), mapped("b", add.clone()), mapped("c", add)]);
    scenario(workflow(json!([parallel("p", branches)])).with(json!({"variables": {"total": 0}})), |world| {
        for (path, n) in [("/p/b", 10), ("/p/a", 1), ("/p/c", 100)] {
            world.complete(path, json!({"n": n}));
        }
        assert_eq!(world.variable("total"), json!(111));
    });
}

#[test]
fn an_output_is_kept_as_long_as_something_may_read_it() {
    let read = task("c").with(json!({"inputMappings": {"n": "${ a.output.n }"}}));
    scenario(workflow(json!([task("a"), task("b"), read])), |world| {
        world.complete("/a", json!({"n": 7}));
        world.complete("/b", json!({"n": 8}));
        assert_eq!(input_of(world, "/c"), json!({"n": 7}));
        world.complete("/c", json!({}));
    });
}

#[test]
fn an_input_that_cannot_be_evaluated_fails_the_task_before_any_attempt() {
    let step = task("a").with(json!({"inputMappings": {"n": "${ variables.never }"}}));
    scenario(workflow(json!([step])), |world| {
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.error("/").message.contains("inputMappings.n"), "{}", world.error("/").message);
        assert_eq!(world.run.head.metrics.attempts, 0);
    });
}

#[test]
fn a_task_is_shown_the_variables_it_names() {
    let definition = workflow(json!([parallel(
        "p",
        json!([task("all"), task("one").with(json!({"contextVariables": ["b"]}))])
    )]));
    scenario(definition.with(json!({"variables": {"a": 1, "b": 2}})), |world| {
        let shown = |world: &World, path: &str| {
            Json::Object(message(world, path).execution_context.workflow_variables)
        };
        assert_eq!(shown(world, "/p/all"), json!({"a": 1, "b": 2}));
        assert_eq!(shown(world, "/p/one"), json!({"b": 2}));
        world.settings.snapshot_bytes = 5;
        assert_eq!(shown(world, "/p/all"), json!({}), "a large snapshot must be asked for by name");
        assert_eq!(shown(world, "/p/one"), json!({"b": 2}));
        world.complete("/p/all", json!({}));
        world.complete("/p/one", json!({}));
    });
}

#[test]
fn the_run_tells_of_itself() {
    let set = json!({"id": "s", "set": {"who": "${ workflow.tenantId + workflow.correlationId }", "version": "${ workflow.version }",
        "started": "${ workflow.startTime == now }"}});
    scenario(workflow(json!([set])), |world| {
        assert_eq!(world.variable("who"), json!("acmeorder-7"));
        assert_eq!((world.variable("version"), world.variable("started")), (json!(1), json!(true)));
    });
}
