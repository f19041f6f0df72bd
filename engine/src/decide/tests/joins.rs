//! `join`: some of the steps inside are enough.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed, Running};
use serde_json::json;

use super::steps::{With, for_each, group, looped, parallel, set, task, workflow};
use super::world::{Setup, scenario};

fn three() -> Json {
    json!([task("a"), task("b"), task("c")])
}

fn need(step: Json, need: u32, cancel_rest: bool) -> Json {
    step.with(json!({"join": {"need": need, "cancelRest": cancel_rest}}))
}

#[test]
fn enough_are_enough_and_the_rest_is_cancelled() {
    scenario(workflow(json!([need(parallel("p", three()), 1, true), task("after")])), |world| {
        world.complete("/p/b", json!({}));
        assert_eq!((world.status("/p"), world.open().as_str()), ("RUNNING", "/p/a /p/c"));
        world.fail("/p/a", "CANCELLED");
        world.complete("/p/c", json!({}));
        assert_eq!((world.status("/p"), world.open().as_str()), ("COMPLETED", "/after"));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn without_cancel_the_rest_goes_on_and_the_run_waits_for_it() {
    scenario(workflow(json!([need(parallel("p", three()), 1, false), task("after")])), |world| {
        world.complete("/p/b", json!({}));
        assert_eq!((world.status("/p"), world.open().as_str()), ("COMPLETED", "/after /p/a /p/c"));
        world.complete("/after", json!({}));
        world.fail("/p/a", "BAD");
        let ending = world.run.rows["/p"].block().and_then(|block| block.ending.clone());
        assert_eq!(ending, None, "nobody is told to end");
        assert_eq!(
            (world.run.head.status, world.open().as_str()),
            (Running, "/p/c"),
            "late failures do not matter"
        );
        world.complete("/p/c", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.status("/p/a"), "FAILED");
    });
    scenario(workflow(json!([need(parallel("p", three()), 1, false), task("after")])), |world| {
        world.complete("/p/b", json!({}));
        world.complete("/p/a", json!({}));
        world.complete("/p/c", json!({}));
        assert_eq!(world.open(), "/after");
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn what_cannot_be_met_fails_as_soon_as_that_is_known() {
    scenario(workflow(json!([need(parallel("p", three()), 2, false)])), |world| {
        world.fail("/p/a", "BAD");
        assert_eq!((world.status("/p"), world.open().as_str()), ("RUNNING", "/p/b /p/c"));
        world.fail("/p/b", "WORSE");
        let ending = world.run.rows["/p"].block().map(|block| block.ending.is_some());
        assert_eq!((ending, world.open().as_str()), (Some(true), "/p/c"), "the rest is told to end");
        world.complete("/p/c", json!({}));
        world.ended(Failed, "JOIN_NOT_MET");
        assert!(
            ["BAD", "WORSE"].contains(&world.error("/").details["lastFailure"]["code"].as_str().unwrap())
        );
    });
    let each = for_each("f", json!({"items": [1, 2]}), json!([task("t")]));
    scenario(workflow(json!([need(each, 3, false)])), |world| {
        world.ended(Failed, "JOIN_NOT_MET");
        assert_eq!(world.status("/f[0]"), "-", "nothing is begun for what cannot be");
    });
}

#[test]
fn what_was_skipped_or_let_pass_is_not_complete() {
    let skipped = task("a").with(json!({"condition": "false"}));
    let passed = task("b").with(json!({"continueOnFailure": true}));
    scenario(workflow(json!([need(parallel("p", json!([skipped, passed, task("c")])), 1, true)])), |world| {
        world.fail("/p/b", "BAD");
        assert_eq!(world.status("/p"), "RUNNING");
        world.complete("/p/c", json!({}));
        world.ended(Completed, "-");
    });
    let skipped = task("a").with(json!({"condition": "false"}));
    scenario(workflow(json!([need(parallel("p", json!([skipped, task("b")])), 2, true)])), |world| {
        world.ended(Failed, "JOIN_NOT_MET");
    });
}

#[test]
fn a_group_in_order_goes_on_behind_what_waits_for_it() {
    scenario(workflow(json!([need(group("g", three()), 1, false), task("after")])), |world| {
        world.complete("/g/a", json!({}));
        assert_eq!((world.status("/g"), world.open().as_str()), ("COMPLETED", "/after /g/b"));
        world.complete("/after", json!({}));
        assert_eq!(world.run.head.status, Running);
        world.complete("/g/b", json!({}));
        world.complete("/g/c", json!({}));
        world.ended(Completed, "-");
    });
    scenario(workflow(json!([need(group("g", three()), 2, true), task("after")])), |world| {
        world.fail("/g/a", "BAD");
        world.complete("/g/b", json!({}));
        world.complete("/g/c", json!({}));
        assert_eq!((world.status("/g"), world.open().as_str()), ("COMPLETED", "/after"));
        world.complete("/after", json!({}));
    });
    scenario(workflow(json!([need(group("g", three()), 1, true), task("after")])), |world| {
        world.complete("/g/a", json!({}));
        assert_eq!((world.open().as_str(), world.status("/g/b")), ("/after", "-"));
        world.complete("/after", json!({}));
    });
}

#[test]
fn steps_that_need_no_worker_finish_a_joined_block_once() {
    let sets = json!([set("s", json!({"x": 1})), set("t", json!({"x": 2})), set("u", json!({"x": 3}))]);
    let steps =
        json!([parallel("around", json!([need(parallel("p", sets), 1, false), task("a"), task("b")]))]);
    scenario(workflow(steps), |world| {
        world.complete("/around/a", json!({}));
        assert_eq!(world.run.head.status, Running);
        world.complete("/around/b", json!({}));
        world.ended(Completed, "-");
    });
}

fn ship(need_: u32, cancel_rest: bool, fields: Json) -> Setup {
    let fields = json!({"items": [0, 1, 2], "collect": "${ item }"}).with(fields);
    Setup::from(workflow(json!([
        need(for_each("f", fields, json!([task("t")])), need_, cancel_rest),
        task("after")
    ])))
}

#[test]
fn enough_iterations_are_enough() {
    scenario(ship(1, true, json!({})), |world| {
        world.complete("/f[1]/t", json!({}));
        world.fail("/f[0]/t", "CANCELLED");
        world.fail("/f[2]/t", "CANCELLED");
        assert_eq!((world.output("/f"), world.open().as_str()), (json!([null, 1, null]), "/after"));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
    scenario(ship(1, false, json!({"concurrency": 2})), |world| {
        world.fail("/f[0]/t", "BAD");
        world.complete("/f[1]/t", json!({}));
        assert_eq!((world.output("/f"), world.open().as_str()), (json!([null, 1, null]), "/after /f[2]/t"));
        world.complete("/after", json!({}));
        world.complete("/f[2]/t", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.output("/f"), json!([null, 1, null]), "what it gives was made at the join");
    });
    scenario(ship(2, false, json!({})), |world| {
        world.fail("/f[0]/t", "BAD");
        world.fail("/f[1]/t", "BAD");
        world.complete("/f[2]/t", json!({}));
        world.ended(Failed, "JOIN_NOT_MET");
    });
}

#[test]
fn iterations_not_begun_before_the_join_go_on_behind_it() {
    scenario(ship(1, false, json!({"concurrency": 1})), |world| {
        world.complete("/f[0]/t", json!({}));
        assert_eq!(world.open(), "/after /f[1]/t");
        world.complete("/after", json!({}));
        world.fail("/f[1]/t", "BAD");
        world.complete("/f[2]/t", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_join_inside_a_loop_and_inside_an_iteration_holds_the_round_until_the_rest_has_ended() {
    let steps = json!([need(parallel("p", three()), 1, false), task("after")]);
    scenario(workflow(json!([looped("l", json!({"until": "index == 1"}), steps.clone())])), |world| {
        for n in 0..2 {
            world.complete(&format!("/l[{n}]/p/a"), json!({}));
            world.complete(&format!("/l[{n}]/after"), json!({}));
            world.complete(&format!("/l[{n}]/p/b"), json!({}));
            assert_eq!(world.open(), format!("/l[{n}]/p/c"), "the next round has not begun");
            world.complete(&format!("/l[{n}]/p/c"), json!({}));
        }
        world.ended(Completed, "-");
    });
    let each = for_each("f", json!({"items": [0, 1], "concurrency": 1}), steps);
    scenario(workflow(json!([each])), |world| {
        for n in 0..2 {
            world.complete(&format!("/f[{n}]/p/a"), json!({}));
            world.complete(&format!("/f[{n}]/after"), json!({}));
            world.complete(&format!("/f[{n}]/p/b"), json!({}));
            assert_eq!(world.open(), format!("/f[{n}]/p/c"));
            world.fail(&format!("/f[{n}]/p/c"), "BAD");
        }
        world.ended(Completed, "-");
    });
}

#[test]
fn what_goes_on_behind_a_join_ends_with_the_run() {
    scenario(workflow(json!([need(parallel("p", three()), 1, false), task("after")])), |world| {
        world.complete("/p/b", json!({}));
        world.fail("/after", "BAD");
        assert_eq!(world.open(), "/p/a /p/c");
        world.fail("/p/a", "CANCELLED");
        world.complete("/p/c", json!({}));
        world.ended(Failed, "BAD");
        assert_eq!((world.status("/p"), world.status("/p/a")), ("COMPLETED", "CANCELLED"));
    });
    scenario(workflow(json!([need(parallel("p", three()), 1, false), task("after")])), |world| {
        world.complete("/p/b", json!({}));
        world.cancel();
        world.advance(10_000);
        world.ended(Cancelled, "CANCELLED");
    });
}

#[test]
fn a_joined_block_in_a_joined_block() {
    let inner = need(parallel("inner", json!([task("a"), task("b")])), 1, false);
    let outer = need(parallel("outer", json!([inner, task("c")])), 1, true);
    scenario(workflow(json!([outer])), |world| {
        world.complete("/outer/inner/a", json!({}));
        assert_eq!(world.open(), "/outer/c /outer/inner/b", "both are told to end");
        world.fail("/outer/c", "CANCELLED");
        assert_eq!(world.status("/outer"), "RUNNING");
        world.fail("/outer/inner/b", "CANCELLED");
        world.ended(Completed, "-");
    });
}
