//! `compensateWith`: what was done is undone before the run ends otherwise than COMPLETED.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{
    Cancelled, Compensating, Completed, Failed, Paused, Running, TimedOut,
};
use oarlock_protocol::message::{Completion, Operation, Outcome};
use serde_json::json;

use super::steps::{With, for_each, group, parallel, set, task, workflow};
use super::workers::error;
use super::world::{World, scenario};
use crate::event::Event;

fn undone(id: &str, fields: Json) -> Json {
    task(id).with(json!({"compensateWith": json!({"task": "undo"}).with(fields)}))
}

fn two() -> Json {
    json!([undone("a", json!({})), undone("b", json!({})), task("c")])
}

/// Runs up to the failing third step.
fn until_c_fails(world: &mut World) {
    world.complete("/a", json!({"n": 1}));
    world.complete("/b", json!({"n": 2}));
    world.fail("/c", "BAD");
}

#[test]
fn what_was_done_last_is_undone_first() {
    scenario(workflow(two()), |world| {
        until_c_fails(world);
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/b:compensate"));
        world.complete("/b:compensate", json!({}));
        assert_eq!(world.open(), "/a:compensate");
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "BAD");
        let kinds: Vec<String> =
            world.instance().task_instances.iter().map(|t| format!("{:?}", t.kind)).collect();
        assert_eq!(kinds, ["Task", "Compensation", "Task", "Compensation", "Task"]);
    });
    scenario(
        workflow(json!([parallel("p", json!([undone("a", json!({})), undone("b", json!({}))])), task("c")])),
        |world| {
            world.complete("/p/b", json!({}));
            world.complete("/p/a", json!({}));
            world.fail("/c", "BAD");
            assert_eq!(world.open(), "/p/a:compensate", "the order is that of closing");
            world.complete("/p/a:compensate", json!({}));
            world.complete("/p/b:compensate", json!({}));
        },
    );
}

#[test]
fn only_one_is_open_at_a_time_and_nothing_begins_before_all_has_closed() {
    let steps = json!([undone("a", json!({})), parallel("p", json!([task("c"), task("slow")]))]);
    scenario(workflow(steps), |world| {
        world.complete("/a", json!({}));
        world.fail("/p/c", "BAD");
        assert_eq!((world.run.head.status, world.open().as_str()), (Running, "/p/slow"));
        world.complete("/p/slow", json!({}));
        assert_eq!(world.open(), "/a:compensate");
        world.complete("/a:compensate", json!({}));
    });
}

#[test]
fn a_definite_failure_is_undone_only_where_attempts_count() {
    for (when, opened) in [("COMPLETED", ""), ("ATTEMPTED", "/a:compensate")] {
        scenario(workflow(json!([undone("a", json!({"when": when}))])), |world| {
            world.fail("/a", "BAD");
            assert_eq!(world.open(), opened, "{when}");
            if !opened.is_empty() {
                world.complete(opened, json!({}));
            }
            world.ended(Failed, "BAD");
        });
    }
}

#[test]
fn an_outcome_that_nobody_knows_is_undone() {
    let mut setup = super::world::Setup::from(workflow(json!([undone("a", json!({}))])));
    setup.settings.timeouts.heartbeat = None;
    scenario(setup.clone(), |world| {
        world.progress("/a", 0);
        world.advance(3_605_000);
        assert_eq!(
            (world.error("/a").code.as_str(), world.open().as_str()),
            ("TIMEOUT_EXECUTION", "/a:compensate")
        );
        world.complete("/a:compensate", json!({}));
    });
    scenario(setup.clone(), |world| {
        world.cancel();
        world.advance(10_000);
        assert_eq!(world.open(), "/a:compensate", "it did not answer");
        world.complete("/a:compensate", json!({}));
        world.ended(Cancelled, "CANCELLED");
    });
    scenario(setup.clone(), |world| {
        world.answer("/a", Outcome::Deferred { after_ms: 60_000, state: json!(1) });
        world.cancel();
        assert_eq!(world.open(), "/a:compensate", "what was put off is under way somewhere");
        world.complete("/a:compensate", json!({}));
        world.ended(Cancelled, "CANCELLED");
    });
    scenario(setup, |world| {
        world.advance(24 * 3_600_000 + 5_000);
        world.ended(Failed, "TIMEOUT_QUEUE");
        assert_eq!(world.status("/a:compensate"), "-", "nobody had begun it");
    });
}

#[test]
fn what_was_never_dispatched_is_not_undone() {
    let steps = json!([
        undone("a", json!({"when": "ATTEMPTED"})),
        undone("b", json!({"when": "ATTEMPTED"})).with(json!({"condition": "false"}))
    ]);
    scenario(workflow(json!([task("first"), group("g", steps)])), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.cancel();
        world.ended(Cancelled, "CANCELLED");
        assert_eq!((world.status("/g/a"), world.status("/g/a:compensate")), ("CANCELLED", "-"));
    });
    let failing =
        undone("a", json!({"when": "ATTEMPTED"})).with(json!({"inputMappings": {"n": "${ input.none }"}}));
    scenario(workflow(json!([failing])), |world| world.ended(Failed, "EXPRESSION_FAILED"));
}

#[test]
fn what_an_operator_completed_before_its_dispatch_is_undone() {
    scenario(workflow(json!([task("first"), undone("a", json!({})), task("c")])), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.end("/a", Completion::Completed { output: json!({}) });
        world.admits = true;
        world.offers.clear();
        world.admit("/c");
        world.fail("/c", "BAD");
        assert_eq!(world.open(), "/a:compensate");
        world.complete("/a:compensate", json!({}));
    });
}

#[test]
fn it_is_given_what_the_step_was_given_and_gave_and_its_key() {
    let given = json!({"in": "${ taskInput.x }", "out": "${ taskOutput.n }", "v": "${ variables.v }"});
    let a =
        undone("a", json!({"inputMappings": given})).with(json!({"inputMappings": {"x": "${ input.x }"}}));
    let unknown = undone("b", json!({"when": "ATTEMPTED", "inputMappings": {"out": "${ taskOutput }"}}));
    let mut setup = super::world::Setup::from(workflow(json!([a, set("s", json!({"v": 3})), unknown])));
    setup.input = json!({"x": 1});
    scenario(setup, |world| {
        let original = world.message("/a");
        world.complete("/a", json!({"n": 2}));
        world.fail("/b", "BAD");
        assert_eq!(world.input("/b:compensate"), json!({"out": null}));
        world.complete("/b:compensate", json!({}));
        let message = world.message("/a:compensate");
        assert_eq!(message["input"], json!({"in": 1, "out": 2, "v": 3}));
        assert_eq!(
            (&message["task"], &message["idempotencyKey"]),
            (&json!("undo"), &original["idempotencyKey"])
        );
        assert_ne!(message["executionContext"]["executionId"], original["executionContext"]["executionId"]);
        world.complete("/a:compensate", json!({}));
    });
}

#[test]
fn each_iteration_is_undone_with_its_own_item() {
    let inner =
        undone("t", json!({"inputMappings": {"is": "${ [item, index, taskOutput.n, mark.output.m] }"}}));
    let each = for_each("f", json!({"items": ["a", "b"], "concurrency": 1}), json!([task("mark"), inner]));
    scenario(workflow(json!([each, task("c")])), |world| {
        for n in 0..2 {
            world.complete(&format!("/f[{n}]/mark"), json!({"m": n * 7}));
            world.complete(&format!("/f[{n}]/t"), json!({"n": n}));
        }
        world.fail("/c", "BAD");
        assert_eq!(world.input("/f[1]/t:compensate"), json!({"is": ["b", 1, 1, 7]}));
        world.complete("/f[1]/t:compensate", json!({}));
        assert_eq!(world.input("/f[0]/t:compensate"), json!({"is": ["a", 0, 0, 0]}));
        world.complete("/f[0]/t:compensate", json!({}));
        world.ended(Failed, "BAD");
    });
}

/// Fails the compensation until no retry is left.
fn exhaust(world: &mut World, path: &str) {
    for pause in [1_000, 2_000, 4_000] {
        world.fail(path, "BUSY");
        assert_eq!(world.status(path), "RETRY_PENDING");
        world.advance(pause);
    }
    world.fail(path, "BUSY");
    assert_eq!(
        (world.run.head.status, world.status(path), world.open().as_str()),
        (Paused, "RETRY_PENDING", "")
    );
}

#[test]
fn one_that_cannot_be_done_waits_for_an_operator() {
    scenario(workflow(two()), |world| {
        until_c_fails(world);
        exhaust(world, "/b:compensate");
        world.advance(1_000_000_000);
        world.operate(Operation::Resume);
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/b:compensate"));
        exhaust(world, "/b:compensate");
        world.end("/b:compensate", Completion::Completed { output: json!({}) });
        assert_eq!((world.run.head.status, world.status("/a:compensate")), (Paused, "READY"));
        world.operate(Operation::Resume);
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "BAD");
    });
    scenario(workflow(two()), |world| {
        until_c_fails(world);
        let error = oarlock_protocol::ErrorDetails { retryable: false, ..error("NEVER") };
        world.answer("/b:compensate", Outcome::Failed { error: error.clone() });
        assert_eq!(world.run.head.status, Paused, "what is not worth a retry is an operator's too");
        world.end("/b:compensate", Completion::Failed { error: self::error("GIVEN_UP") });
        assert_eq!(world.status("/b:compensate"), "FAILED");
        world.operate(Operation::Resume);
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn no_time_ends_one_unseen() {
    let limited = undone("a", json!({"timeouts": {"total": "1m"}}));
    scenario(workflow(json!([limited, task("c")])), |world| {
        world.complete("/a", json!({}));
        world.fail("/c", "BAD");
        world.advance(65_000);
        assert_eq!(
            (world.run.head.status, world.error("/a:compensate").code.as_str()),
            (Paused, "TIMEOUT_TOTAL")
        );
        world.advance(600_000);
        world.operate(Operation::Resume);
        world.advance(30_000);
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn one_whose_input_cannot_be_made_waits_too() {
    let steps = json!([undone("a", json!({"inputMappings": {"n": "${ taskOutput.none }"}})), task("c")]);
    scenario(workflow(steps), |world| {
        world.complete("/a", json!({}));
        world.fail("/c", "BAD");
        assert_eq!(
            (world.run.head.status, world.error("/a:compensate").code.as_str()),
            (Paused, "EXPRESSION_FAILED")
        );
        world.operate(Operation::Resume);
        assert_eq!(world.run.head.status, Paused);
        world.end("/a:compensate", Completion::Completed { output: json!({}) });
        world.ended(Failed, "BAD");
    });
}

#[test]
fn it_can_be_paused_and_not_cancelled() {
    scenario(workflow(two()), |world| {
        until_c_fails(world);
        world.cancel();
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/b:compensate"));
        world.operate(Operation::Pause);
        world.complete("/b:compensate", json!({}));
        assert_eq!((world.run.head.status, world.open().as_str()), (Paused, ""));
        world.cancel();
        world.operate(Operation::Resume);
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/a:compensate"));
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn a_run_whose_output_could_not_be_made_is_undone_and_not_cancelled() {
    let definition = workflow(json!([undone("a", json!({}))])).with(json!({"output": "${ a.output.none }"}));
    scenario(definition, |world| {
        world.complete("/a", json!({}));
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/a:compensate"));
        world.cancel();
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
    });
}

#[test]
fn a_pause_that_was_asked_for_lasts_when_the_run_fails_meanwhile() {
    scenario(workflow(two()).with(json!({"onError": [task("tell")]})), |world| {
        world.complete("/a", json!({}));
        world.complete("/b", json!({}));
        world.operate(Operation::Pause);
        world.fail("/c", "BAD");
        assert_eq!((world.run.head.status, world.open().as_str()), (Paused, ""));
        world.operate(Operation::Resume);
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/b:compensate"));
        world.complete("/b:compensate", json!({}));
        world.operate(Operation::Pause);
        world.complete("/a:compensate", json!({}));
        assert_eq!((world.run.head.status, world.open().as_str()), (Paused, ""), "handlers wait too");
        world.operate(Operation::Resume);
        assert_eq!((world.run.head.status, world.open().as_str()), (Running, "/:onError/tell"));
        world.complete("/:onError/tell", json!({}));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn the_handlers_of_the_run_work_after_it() {
    let tell = set("tell", json!({"why": "${ error.code + tasks.a.status }"}));
    scenario(workflow(two()).with(json!({"onError": [tell]})), |world| {
        until_c_fails(world);
        world.complete("/b:compensate", json!({}));
        assert_eq!(world.variable("why"), Json::Null);
        world.complete("/a:compensate", json!({}));
        assert_eq!(world.variable("why"), json!("BADCOMPLETED"));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn a_run_that_is_cancelled_or_takes_too_long_is_undone() {
    scenario(workflow(two()), |world| {
        world.complete("/a", json!({}));
        world.cancel();
        world.fail("/b", "OTHER");
        assert_eq!((world.run.head.status, world.open().as_str()), (Compensating, "/a:compensate"));
        world.complete("/a:compensate", json!({}));
        world.ended(Cancelled, "CANCELLED");
    });
    scenario(workflow(two()).with(json!({"timeouts": {"total": "1m"}})), |world| {
        world.complete("/a", json!({}));
        world.complete("/b", json!({}));
        world.advance(60_000);
        world.complete("/c", json!({}));
        world.complete("/b:compensate", json!({}));
        world.advance(600_000);
        world.complete("/a:compensate", json!({}));
        world.ended(TimedOut, "TIMEOUT_TOTAL");
    });
}

#[test]
fn a_terminate_that_fails_the_run_undoes_it_and_one_that_completes_it_does_not() {
    for (status, opened) in [("FAILED", "/a:compensate"), ("COMPLETED", "")] {
        let stop = json!({"id": "stop", "terminate": {"status": status}});
        scenario(workflow(json!([undone("a", json!({})), stop])), |world| {
            world.complete("/a", json!({}));
            assert_eq!(world.open(), opened);
            if !opened.is_empty() {
                world.complete(opened, json!({}));
            }
        });
    }
    scenario(workflow(json!([undone("a", json!({}))])), |world| {
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn what_handlers_recovered_is_not_undone() {
    let steps =
        json!([group("g", json!([undone("a", json!({})), task("c")])).with(json!({"onError": [task("h")]}))]);
    scenario(workflow(steps), |world| {
        world.complete("/g/a", json!({}));
        world.fail("/g/c", "BAD");
        world.complete("/g:onError/h", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.status("/g/a:compensate"), "-");
    });
}

#[test]
fn a_late_result_of_the_original_changes_nothing() {
    scenario(workflow(two()), |world| {
        let old = world.attempt("/a");
        until_c_fails(world);
        world.answer_attempt("/a", old, Outcome::Completed { output: json!({}) }, Default::default());
        assert!(world.stale > 0);
        world.event(Event::Timer { path: "/".into() });
        world.complete("/b:compensate", json!({}));
        world.complete("/a:compensate", json!({}));
    });
}
