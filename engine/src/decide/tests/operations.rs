//! What operators do: pause and resume runs of every kind, and have failed ones done again.

use std::collections::BTreeSet;

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed, Paused, Running, TimedOut};
use oarlock_protocol::message::{Operation, Outcome};
use serde_json::json;

use super::steps::{With, for_each, group, looped, parallel, set, task, wait, workflow};
use super::world::{Setup, World, scenario};

fn again(world: &mut World) {
    world.operate(Operation::Retry);
    assert_eq!(
        (world.run.head.status, world.run.head.error.clone(), world.run.head.end_time),
        (Running, None, None)
    );
}

#[test]
fn a_paused_run_takes_answers_and_dispatches_nothing() {
    let chain = json!([task("a"), task("b")]);
    scenario(workflow(json!([parallel("p", json!([group("g", chain), task("c")]))])), |world| {
        world.operate(Operation::Pause);
        world.operate(Operation::Pause);
        assert_eq!((world.run.head.status, world.open().as_str()), (Paused, "/p/c /p/g/a"));
        world.complete("/p/g/a", json!({}));
        world.complete("/p/c", json!({}));
        assert_eq!((world.status("/p/g/b"), world.open().as_str()), ("READY", ""));
        world.advance(1_000_000_000);
        world.operate(Operation::Resume);
        assert_eq!((world.run.head.status, world.open().as_str()), (Running, "/p/g/b"));
        world.complete("/p/g/b", json!({}));
        world.ended(Completed, "-");
        world.operate(Operation::Pause);
        world.operate(Operation::Resume);
        assert_eq!(world.rejected.last().map(|error| error.code.as_str()), Some("CONFLICT"));
    });
}

#[test]
fn waits_loops_and_iterations_go_on_where_a_pause_ends() {
    let each = for_each("f", json!({"items": [1, 2, 3], "concurrency": 1}), json!([task("t")]));
    let repeat = looped("l", json!({"until": "index == 1", "delay": "10s"}), json!([task("u")]));
    let waiting = group("g", json!([wait("w", json!({"signal": "go"})), task("v")]));
    scenario(workflow(json!([parallel("p", json!([each, repeat, waiting]))])), |world| {
        world.complete("/p/l[0]/u", json!({}));
        world.operate(Operation::Pause);
        world.complete("/p/f[0]/t", json!({}));
        world.signal("1", "go", json!({}));
        world.advance(10_000);
        assert_eq!(world.open(), "");
        assert_eq!(["/p/f[1]/t", "/p/l[1]/u", "/p/g/v"].map(|path| world.status(path)), ["READY"; 3]);
        world.operate(Operation::Resume);
        assert_eq!(world.open(), "/p/f[1]/t /p/g/v /p/l[1]/u");
        for path in ["/p/f[1]/t", "/p/f[2]/t", "/p/g/v", "/p/l[1]/u"] {
            world.complete(path, json!({}));
        }
        world.ended(Completed, "-");
    });
}

#[test]
fn a_run_in_which_a_task_is_held_can_be_held_back_beside_that() {
    let held = task("a").with(json!({"retryPolicy": {"maxRetries": 0, "onExhausted": "PAUSE"}}));
    let steps = json!([parallel("p", json!([held, task("b")]))]);
    scenario(workflow(steps).with(json!({"onError": [task("tell")]})), |world| {
        world.fail("/p/a", "BUSY");
        world.operate(Operation::Pause);
        world.fail("/p/b", "BAD");
        assert_eq!((world.run.head.status, world.open().as_str()), (Paused, ""));
        world.operate(Operation::Resume);
        world.complete("/:onError/tell", json!({}));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn what_failed_is_done_again_and_what_completed_is_not() {
    let steps = json!([task("a"), group("g", json!([task("b"), task("c")])), task("d")]);
    let definition =
        workflow(steps).with(json!({"output": "${ [a.output.n, b.output.n, c.output.n, d.output.n] }"}));
    scenario(definition, |world| {
        world.complete("/a", json!({"n": 1}));
        world.complete("/g/b", json!({"n": 2}));
        let old = world.attempt("/g/c");
        world.fail("/g/c", "BAD");
        world.ended(Failed, "BAD");
        world.advance(1_000);
        again(world);
        assert_eq!((world.run.head.generation, world.open().as_str()), (1, "/g/c"));
        assert_ne!(world.attempt("/g/c"), old);
        let stale = world.stale;
        world.answer_attempt("/g/c", old, Outcome::Completed { output: json!({"n": 0}) }, Default::default());
        assert!(world.stale > stale && world.open() == "/g/c", "a result of the old generation is stale");
        world.complete("/g/c", json!({"n": 3}));
        world.complete("/d", json!({"n": 4}));
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!([1, 2, 3, 4])));
        let metrics = world.run.head.metrics;
        assert_eq!((metrics.task_count, metrics.completed_tasks, metrics.failed_tasks), (4, 4, 0));
    });
}

#[test]
fn names_of_attempts_never_come_again() {
    let steps = json!([task("a").with(json!({"onError": [task("h")]}))]);
    scenario(workflow(steps).with(json!({"onError": [task("tell")]})), |world| {
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            for path in ["/a", "/a:onError/h", "/:onError/tell"] {
                assert!(seen.insert(world.attempt(path)), "{path}");
                world.fail(path, "BAD");
            }
            world.ended(Failed, "BAD");
            again(world);
        }
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
        assert_eq!((world.status("/a:onError"), world.status("/:onError")), ("-", "-"));
    });
}

#[test]
fn what_was_let_pass_or_recovered_is_not_done_again() {
    let passed = task("a").with(json!({"continueOnFailure": true}));
    let recovered = task("b").with(json!({"onError": [task("h")]}));
    let late = wait("w", json!({"signal": "go", "timeout": "1s"}))
        .with(json!({"onTimeout": [task("l")], "onError": [task("m")]}));
    scenario(workflow(json!([passed, recovered, late, task("c")])), |world| {
        world.fail("/a", "BAD");
        world.fail("/b", "BAD");
        world.complete("/b:onError/h", json!({}));
        world.advance(1_000);
        world.complete("/w:onTimeout/l", json!({}));
        world.fail("/c", "BAD");
        again(world);
        assert_eq!(world.open(), "/c");
        world.complete("/c", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn failed_iterations_are_done_again_within_their_concurrency() {
    let fields = json!({"items": [0, 1, 2, 3], "concurrency": 2, "tolerate": 1, "collect": "${ t.output }"});
    let each = for_each("f", fields, json!([task("s"), task("t")]));
    scenario(workflow(json!([each])), |world| {
        for n in 0..2 {
            world.complete(&format!("/f[{n}]/s"), json!({}));
        }
        world.complete("/f[0]/t", json!("first"));
        world.fail("/f[1]/t", "BAD");
        world.complete("/f[2]/s", json!({}));
        world.fail("/f[3]/s", "BAD");
        world.fail("/f[2]/t", "CANCELLED");
        world.ended(Failed, "BAD");
        again(world);
        assert_eq!((world.open().as_str(), world.status("/f[3]")), ("/f[1]/t /f[2]/t", "PENDING"));
        world.complete("/f[2]/t", json!("third"));
        assert_eq!(world.open(), "/f[1]/t /f[3]/s");
        world.complete("/f[3]/s", json!({}));
        world.complete("/f[3]/t", json!("fourth"));
        world.complete("/f[1]/t", json!("second"));
        world.ended(Completed, "-");
        assert_eq!(world.output("/f"), json!(["first", "second", "third", "fourth"]));
    });
}

#[test]
fn a_run_that_is_done_again_can_be_cancelled_before_every_iteration_had_its_turn() {
    let each =
        for_each("f", json!({"items": [0, 1, 2], "tolerate": "50%", "concurrency": 1}), json!([task("t")]));
    scenario(workflow(json!([each])), |world| {
        world.fail("/f[0]/t", "BAD");
        world.fail("/f[1]/t", "BAD");
        again(world);
        assert_eq!((world.open().as_str(), world.status("/f[1]")), ("/f[0]/t", "PENDING"));
        world.cancel();
        world.fail("/f[0]/t", "CANCELLED");
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(
            (world.status("/f[1]"), world.status("/f[1]/t"), world.status("/f[2]")),
            ("CANCELLED", "CANCELLED", "-")
        );
        again(world);
        for n in 0..3 {
            world.complete(&format!("/f[{n}]/t"), json!({}));
        }
        world.ended(Completed, "-");
    });
}

#[test]
fn steps_that_could_not_begin_begin_again() {
    let each =
        for_each("f", json!({"items": "${ variables.list }", "collect": "${ item }"}), json!([task("t")]));
    let steps = json!([set("s", json!({"list": "${ input.list }"})), each]);
    let setup = Setup { input: json!({"list": 7}), ..Setup::from(workflow(steps)) };
    scenario(setup, |world| {
        world.ended(Failed, "EXPRESSION_FAILED");
        world.operate(Operation::Retry);
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.run.head.generation > 0 && world.status("/f") == "FAILED");
    });
    let mapped = task("t").with(json!({"inputMappings": {"n": "${ get(variables, 'n', taskless) }"}}));
    scenario(workflow(json!([mapped])), |world| {
        world.ended(Failed, "EXPRESSION_FAILED");
        world.operate(Operation::Retry);
        world.ended(Failed, "EXPRESSION_FAILED");
        assert_eq!(world.run.head.metrics.task_count, 1);
    });
}

#[test]
fn a_step_that_is_made_anew_has_nothing_of_the_old_one() {
    let handlers = json!([task("h"), task("k")]);
    let failing = set("s", json!({"x": "${ input.none }"})).with(json!({"onError": handlers}));
    scenario(workflow(json!([failing])), |world| {
        world.complete("/s:onError/h", json!({"old": true}));
        world.fail("/s:onError/k", "BAD");
        again(world);
        assert_eq!((world.open().as_str(), world.output("/s:onError/h")), ("/s:onError/h", Json::Null));
        world.complete("/s:onError/h", json!({}));
        world.complete("/s:onError/k", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_loop_goes_on_where_it_failed_and_begins_anew_where_it_was_not_done() {
    let repeat = looped("l", json!({"until": "u.output.done", "max": 2}), json!([task("t"), task("u")]));
    let round = |world: &mut World, n: usize, done: bool| {
        world.complete(&format!("/l[{n}]/t"), json!({}));
        world.complete(&format!("/l[{n}]/u"), json!({"done": done}));
    };
    scenario(workflow(json!([repeat])), |world| {
        world.complete("/l[0]/t", json!({}));
        world.fail("/l[0]/u", "BAD");
        again(world);
        assert_eq!(world.open(), "/l[0]/u");
        world.complete("/l[0]/u", json!({"done": false}));
        round(world, 1, false);
        world.ended(Failed, "ITERATION_LIMIT");
        again(world);
        round(world, 0, false);
        round(world, 1, true);
        world.ended(Completed, "-");
    });
}

#[test]
fn a_cancelled_run_goes_on_where_it_was() {
    let steps =
        json!([task("a"), parallel("p", json!([task("b"), wait("w", json!({"signal": "go"}))])), task("c")]);
    scenario(workflow(steps), |world| {
        world.complete("/a", json!({}));
        world.signal("1", "other", json!({}));
        world.cancel();
        world.fail("/p/b", "CANCELLED");
        world.ended(Cancelled, "CANCELLED");
        again(world);
        assert_eq!((world.open().as_str(), world.status("/p/w")), ("/p/b", "RUNNING"));
        world.complete("/p/b", json!({}));
        world.signal("2", "go", json!({}));
        world.complete("/c", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_run_that_took_too_long_has_its_time_anew() {
    scenario(workflow(json!([task("a"), task("b")])).with(json!({"timeouts": {"total": "1m"}})), |world| {
        world.advance(60_000);
        world.fail("/a", "CANCELLED");
        world.ended(TimedOut, "TIMEOUT_TOTAL");
        world.advance(30_000);
        again(world);
        world.event(crate::event::Event::Timer { path: "/".into() });
        world.advance(59_999);
        assert_eq!(world.run.head.status, Running);
        world.complete("/a", json!({}));
        world.advance(1);
        world.complete("/b", json!({}));
        world.ended(TimedOut, "TIMEOUT_TOTAL");
    });
}

#[test]
fn joined_blocks_count_anew_what_is_done_again() {
    let p = parallel("p", json!([task("a"), task("b"), task("c")]))
        .with(json!({"join": {"need": 2, "cancelRest": true}}));
    scenario(workflow(json!([p])), |world| {
        world.complete("/p/a", json!({}));
        world.fail("/p/b", "BAD");
        world.fail("/p/c", "BAD");
        world.ended(Failed, "JOIN_NOT_MET");
        again(world);
        assert_eq!(world.open(), "/p/b /p/c");
        world.complete("/p/c", json!({}));
        world.fail("/p/b", "CANCELLED");
        world.ended(Completed, "-");
    });
}

#[test]
fn a_terminate_holds_again() {
    let stop = json!({"id": "stop", "condition": "variables.bad", "terminate": {"status": "FAILED", "message": "no"}});
    let steps = json!([task("a"), stop, task("b")]);
    scenario(workflow(steps).with(json!({"variables": {"bad": true}})), |world| {
        world.complete("/a", json!({}));
        world.ended(Failed, "TERMINATED");
        world.operate(Operation::Retry);
        world.ended(Failed, "TERMINATED");
        assert_eq!(world.status("/b"), "-", "nothing goes past it");
    });
}

#[test]
fn an_output_that_could_not_be_made_is_made_again() {
    scenario(workflow(json!([task("a")])).with(json!({"output": "${ a.output.n }"})), |world| {
        world.complete("/a", json!({"no n": 1}));
        world.ended(Failed, "EXPRESSION_FAILED");
        world.operate(Operation::Retry);
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.run.head.generation >= 1);
    });
}

#[test]
fn a_block_that_is_done_again_goes_on_with_its_variables() {
    let seen = |id: &str| task(id).with(json!({"inputMappings": {"n": "${ variables.n }"}}));
    let g = group("g", json!([set("s", json!({"n": 5})), task("t"), seen("u")]))
        .with(json!({"variables": {"n": 1}}));
    scenario(workflow(json!([g])), |world| {
        world.fail("/g/t", "BAD");
        again(world);
        world.complete("/g/t", json!({}));
        assert_eq!(world.input("/g/u"), json!({"n": 5}));
        world.complete("/g/u", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_run_that_undid_what_it_had_done_is_not_done_again() {
    let a = task("a").with(json!({"compensateWith": {"task": "undo"}}));
    scenario(workflow(json!([a, task("b")])), |world| {
        world.complete("/a", json!({}));
        world.fail("/b", "BAD");
        world.complete("/a:compensate", json!({}));
        world.operate(Operation::Retry);
        world.ended(Failed, "BAD");
        let refusal = world.rejected.last().unwrap();
        assert_eq!((refusal.code.as_str(), refusal.message.contains("undone")), ("CONFLICT", true));
    });
    let a = task("a").with(json!({"compensateWith": {"task": "undo"}}));
    scenario(workflow(json!([a, task("b")])), |world| {
        world.fail("/a", "BAD");
        again(world);
        world.complete("/a", json!({}));
        world.fail("/b", "BAD");
        assert_eq!(
            world.open(),
            "/a:compensate",
            "nothing had been undone, so it was done again, and is undone now"
        );
        world.complete("/a:compensate", json!({}));
    });
}

#[test]
fn a_run_that_completed_or_goes_on_is_not_done_again() {
    scenario(workflow(json!([task("a")])), |world| {
        world.operate(Operation::Retry);
        assert_eq!((world.open().as_str(), world.run.head.generation), ("/a", 0));
        world.complete("/a", json!({}));
        world.operate(Operation::Retry);
        assert_eq!(world.rejected.last().map(|error| error.code.as_str()), Some("CONFLICT"));
        world.ended(Completed, "-");
    });
    let mut setup = Setup::from(workflow(json!([task("a")])));
    setup.input = Json::Null;
    let mut world = World::start_unchecked(&setup);
    world.run.head.parent = Some(oarlock_protocol::message::Parent {
        address: oarlock_protocol::message::AttemptAddress {
            run: world.run.key.clone(),
            task_path: "/child".into(),
            execution_id: world.attempt("/a"),
        },
        depth: 1,
        wait: true,
    });
    world.fail("/a", "BAD");
    world.operate(Operation::Retry);
    assert_eq!(world.rejected.last().map(|error| error.code.as_str()), Some("CONFLICT"));
}
