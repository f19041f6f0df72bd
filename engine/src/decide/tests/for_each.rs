//! `forEach`: an iteration for each item, and what they give.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed};
use serde_json::json;

use super::steps::{With, for_each, group, set, task, workflow};
use super::world::{Setup, World, scenario};

fn given(input: Json, definition: Json) -> Setup {
    Setup { input, ..Setup::from(definition) }
}

/// A step that collects what its items give.
fn ship(fields: Json) -> Json {
    let fields = json!({"items": "${ input.items }", "collect": "${ label.output.n }"}).with(fields);
    for_each("ship", fields, json!([task("label").with(json!({"inputMappings": {"sku": "${ item }"}}))]))
}

fn shipping(fields: Json, items: Json) -> Setup {
    given(json!({"items": items}), workflow(json!([ship(fields)])))
}

fn label(n: usize) -> String {
    format!("/ship[{n}]/label")
}

#[test]
fn each_item_has_an_iteration_and_its_place_in_what_is_collected() {
    let definition =
        workflow(json!([ship(json!({})), task("after")])).with(json!({"output": "${ ship.output }"}));
    scenario(given(json!({"items": ["a", "b", "c"]}), definition), |world| {
        assert_eq!(world.open(), "/ship[0]/label /ship[1]/label /ship[2]/label");
        for n in [2, 0, 1] {
            assert_eq!(world.input(&label(n)), json!({"sku": (["a", "b", "c"][n])}));
            world.complete(&label(n), json!({"n": n * 10}));
        }
        assert_eq!((world.output("/ship"), world.open().as_str()), (json!([0, 10, 20]), "/after"));
        assert_eq!(world.output("/ship[1]"), json!(10));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!([0, 10, 20])));
    });
}

#[test]
fn a_map_is_gone_over_in_the_order_of_its_keys() {
    let steps = json!([task("t")
        .with(json!({"inputMappings": {"is": "${ key + '=' + string(item) + '#' + string(index) }"}}))]);
    let each = for_each("f", json!({"items": "${ input }", "collect": "${ key + '!' }"}), steps);
    scenario(given(json!({"b": 2, "a": 1}), workflow(json!([each]))), |world| {
        assert_eq!(world.input("/f[0]/t"), json!({"is": "a=1#0"}));
        assert_eq!(world.input("/f[1]/t"), json!({"is": "b=2#1"}));
        world.complete("/f[1]/t", json!({}));
        world.complete("/f[0]/t", json!({}));
        assert_eq!(world.output("/f"), json!({"a": "a!", "b": "b!"}));
    });
}

#[test]
fn without_items_it_is_done_at_once() {
    for (items, collected) in [(json!([]), json!([])), (json!({}), json!({}))] {
        scenario(shipping(json!({}), items), |world| {
            world.ended(Completed, "-");
            assert_eq!(world.output("/ship"), collected);
        });
    }
    let nothing = for_each("f", json!({"items": "${ input.items }"}), json!([task("t")]));
    scenario(given(json!({"items": []}), workflow(json!([nothing]))), |world| {
        assert_eq!(
            (world.status("/f"), world.output("/f")),
            ("COMPLETED", Json::Null),
            "nothing is collected"
        );
    });
}

#[test]
fn items_that_are_no_list_fail_it() {
    for items in [json!(7), json!("text"), Json::Null] {
        scenario(shipping(json!({}), items), |world| world.ended(Failed, "EXPRESSION_FAILED"));
    }
    scenario(given(json!({}), workflow(json!([ship(json!({}))]))), |world| {
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.error("/").message.contains("forEach.items"), "{:?}", world.error("/"));
    });
}

#[test]
fn nested_iterations_see_the_names_of_both() {
    let what = "${ row.name + string(cell) + string(index) + string(rows.output.n) }";
    let inner = for_each(
        "inner",
        json!({"items": "${ row.cells }", "as": "cell"}),
        json!([set("s", json!({"last": what}))]),
    );
    let outer =
        for_each("outer", json!({"items": "${ input.rows }", "as": "row"}), json!([task("rows"), inner]));
    let rows = json!([{"name": "a", "cells": [1, 2]}, {"name": "b", "cells": [3]}]);
    scenario(given(json!({"rows": rows}), workflow(json!([outer]))), |world| {
        world.complete("/outer[1]/rows", json!({"n": 7}));
        assert_eq!(world.variable("last"), json!("b307"));
        assert_eq!(world.status("/outer[1]/inner[0]/s"), "COMPLETED");
        world.complete("/outer[0]/rows", json!({"n": 8}));
        assert_eq!(world.variable("last"), json!("a218"), "siblings are those of its own iteration");
    });
}

#[test]
fn at_most_so_many_are_at_work_at_once() {
    scenario(shipping(json!({"concurrency": 2}), json!([1, 2, 3, 4])), |world| {
        assert_eq!(world.open(), "/ship[0]/label /ship[1]/label");
        world.complete(&label(1), json!({"n": 1}));
        assert_eq!(world.open(), "/ship[0]/label /ship[2]/label");
        world.complete(&label(0), json!({"n": 0}));
        world.complete(&label(3), json!({"n": 3}));
        world.complete(&label(2), json!({"n": 2}));
        assert_eq!(world.output("/ship"), json!([0, 1, 2, 3]));
    });
}

#[test]
fn so_many_may_fail_and_give_null() {
    scenario(shipping(json!({"tolerate": 1}), json!([1, 2, 3])), |world| {
        world.fail(&label(0), "BAD");
        assert_eq!((world.status("/ship[0]"), world.status("/ship")), ("FAILED", "RUNNING"));
        world.complete(&label(1), json!({"n": 1}));
        world.complete(&label(2), json!({"n": 2}));
        world.ended(Completed, "-");
        assert_eq!(world.output("/ship"), json!([null, 1, 2]));
    });
    scenario(shipping(json!({"tolerate": 1}), json!([1, 2, 3])), |world| {
        world.fail(&label(0), "BAD");
        world.fail(&label(1), "WORSE");
        assert_eq!(world.status("/ship"), "RUNNING", "the rest is told to end");
        world.complete(&label(2), json!({"n": 2}));
        world.ended(Failed, "WORSE");
        assert!(world.error("/").message.starts_with("2 of 3 iterations failed"), "{:?}", world.error("/"));
        assert_eq!(world.run.head.failed_at, Some("/ship[1]/label".into()));
    });
}

#[test]
fn a_share_of_a_hundred_may_fail() {
    let items = json!((0..10).collect::<Vec<_>>());
    scenario(shipping(json!({"tolerate": "20%"}), items.clone()), |world| {
        (0..2).for_each(|n| world.fail(&label(n), "BAD"));
        (2..10).for_each(|n| world.complete(&label(n), json!({"n": n})));
        world.ended(Completed, "-");
    });
    scenario(shipping(json!({"tolerate": "20%"}), items), |world| {
        (0..3).for_each(|n| world.fail(&label(n), "BAD"));
        (3..10).for_each(|n| world.complete(&label(n), json!({"n": n})));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn until_ends_it_early_and_well() {
    let setup = shipping(
        json!({"concurrency": 2, "until": "counts.completed >= 1 && counts.total == 4"}),
        json!([1, 2, 3, 4]),
    );
    scenario(setup, |world| {
        world.complete(&label(1), json!({"n": 1}));
        assert_eq!((world.open().as_str(), world.status("/ship")), ("/ship[0]/label", "RUNNING"));
        world.fail(&label(0), "CANCELLED");
        world.ended(Completed, "-");
        assert_eq!(world.output("/ship"), json!([null, 1, null, null]));
        assert_eq!((world.status("/ship[0]"), world.status("/ship[2]")), ("CANCELLED", "-"));
    });
    scenario(shipping(json!({"until": "counts.nothing"}), json!([1])), |world| {
        world.complete(&label(0), json!({"n": 1}));
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.error("/").message.contains("until"));
    });
}

#[test]
fn an_iteration_fails_where_what_it_gives_cannot_be_made() {
    scenario(shipping(json!({"tolerate": 1}), json!([1, 2])), |world| {
        world.complete(&label(0), json!({"no n": 1}));
        assert_eq!(world.error("/ship[0]").code, "EXPRESSION_FAILED");
        world.complete(&label(1), json!({"n": 1}));
        assert_eq!(world.output("/ship"), json!([null, 1]));
    });
    let mut setup = shipping(json!({}), json!([1, 2]));
    setup.settings.payload_bytes = 100;
    scenario(setup, |world| {
        let text = "x".repeat(60);
        world.complete(&label(0), json!({"n": text.clone()}));
        world.complete(&label(1), json!({"n": text.clone()}));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
    });
}

#[test]
fn a_batch_is_a_list_of_items() {
    scenario(shipping(json!({"batch": 2}), json!([1, 2, 3])), |world| {
        assert_eq!(world.input(&label(0)), json!({"sku": [1, 2]}));
        assert_eq!(world.input(&label(1)), json!({"sku": [3]}));
        world.complete(&label(0), json!({"n": 0}));
        world.complete(&label(1), json!({"n": 1}));
        assert_eq!(world.output("/ship"), json!([0, 1]));
    });
    scenario(shipping(json!({"batch": 2}), json!({"a": 1, "b": 2, "c": 3})), |world| {
        assert_eq!(world.input(&label(1)), json!({"sku": {"c": 3}}));
        world.complete(&label(0), json!({"n": 0}));
        world.complete(&label(1), json!({"n": 1}));
        assert_eq!(world.output("/ship"), json!([0, 1]), "no key stands for a batch");
    });
}

#[test]
fn more_items_than_one_decision_begins_are_begun_by_timers() {
    let items = json!((0..1_000).collect::<Vec<_>>());
    let setup = given(json!({"items": items}), workflow(json!([ship(json!({}))])));
    let mut world = World::start_unchecked(&setup);
    for begun in [256, 512, 768, 1_000] {
        assert_eq!(world.published.len(), begun);
        world.settle_once();
    }
    (0..1_000).for_each(|n| world.complete(&label(n), json!({"n": n})));
    world.ended(Completed, "-");
    assert_eq!(world.output("/ship")[999], json!(999));
    assert!(world.timers.keys().all(|path| path.is_root()));
}

#[test]
fn steps_that_need_no_worker_are_begun_in_the_same_chunks() {
    let count = set("s", json!({"n": "${ variables.n + 1 }"}));
    let each = for_each("f", json!({"items": "${ input.items }", "concurrency": 3}), json!([count]));
    let definition = workflow(json!([each])).with(json!({"variables": {"n": 0}}));
    scenario(given(json!({"items": vec![0; 300]}), definition), |world| {
        assert_eq!(world.variable("n"), json!(256));
        world.settle();
        assert_eq!(world.variable("n"), json!(300));
    });
}

#[test]
fn too_many_items_fail_it() {
    let mut setup = shipping(json!({}), json!([1, 2, 3]));
    setup.settings.iterations = 2;
    scenario(setup.clone(), |world| world.ended(Failed, "ITERATION_LIMIT"));
    setup.definition = workflow(json!([ship(json!({"batch": 2}))]));
    scenario(setup, |world| {
        world.complete(&label(0), json!({"n": 0}));
        world.complete(&label(1), json!({"n": 0}));
        world.ended(Completed, "-");
    });
}

#[test]
fn handlers_inside_recover_an_iteration_and_those_outside_all_of_it() {
    let handled =
        task("t").with(json!({"onError": [set("kept", json!({"why": "${ error.code + string(item) }"}))]}));
    let inner = for_each("f", json!({"items": [7, 8]}), json!([handled]));
    scenario(workflow(json!([inner])), |world| {
        world.fail("/f[1]/t", "BAD");
        assert_eq!((world.variable("why"), world.status("/f[1]")), (json!("BAD8"), "COMPLETED"));
        world.complete("/f[0]/t", json!({}));
        world.ended(Completed, "-");
    });
    let handler = set("kept", json!({"why": "${ error.code + '|' + error.taskPath }"}));
    let outer =
        for_each("f", json!({"items": [7, 8]}), json!([task("t")])).with(json!({"onError": [handler]}));
    scenario(workflow(json!([outer, task("after")])), |world| {
        world.fail("/f[1]/t", "BAD");
        world.complete("/f[0]/t", json!({}));
        assert_eq!((world.variable("why"), world.open().as_str()), (json!("BAD|/f[1]/t"), "/after"));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_cancel_ends_what_is_at_work_and_begins_nothing_more() {
    scenario(shipping(json!({"concurrency": 2}), json!([1, 2, 3])), |world| {
        world.complete(&label(0), json!({"n": 0}));
        world.cancel();
        world.complete(&label(1), json!({"n": 1}));
        world.advance(10_000);
        world.ended(Cancelled, "CANCELLED");
        let statuses = ["/ship[0]", "/ship[1]", "/ship[2]", "/ship"].map(|path| world.status(path));
        assert_eq!(statuses, ["COMPLETED", "CANCELLED", "CANCELLED", "CANCELLED"]);
    });
    let each = for_each("f", json!({"items": vec![0; 600]}), json!([task("t")]));
    let mut world = World::start_unchecked(&Setup::from(workflow(json!([group("g", json!([each]))]))));
    world.cancel();
    assert!(!world.timers.contains_key("/g/f"), "no more are begun");
    (0..256).for_each(|n| world.complete(&format!("/g/f[{n}]/t"), json!({})));
    world.ended(Cancelled, "CANCELLED");
}

#[test]
fn a_condition_inside_skips_in_its_own_iteration_only() {
    let odd = task("t").with(json!({"condition": "item % 2 == 1"}));
    let each = for_each("f", json!({"items": [1, 2], "collect": "${ t.status }"}), json!([odd]));
    scenario(workflow(json!([each])), |world| {
        assert_eq!((world.status("/f[0]/t"), world.status("/f[1]/t")), ("SCHEDULED", "SKIPPED"));
        world.complete("/f[0]/t", json!({}));
        assert_eq!(world.output("/f"), json!(["COMPLETED", "SKIPPED"]));
    });
}
