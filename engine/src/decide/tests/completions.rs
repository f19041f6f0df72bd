//! DEFERRED and ACCEPTED answers, and tasks that are ended from outside.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed, Paused};
use oarlock_protocol::message::{Completion, Operation, Outcome};
use oarlock_protocol::{ErrorDetails, Json, TaskPath};
use serde_json::json;

use super::steps::{With, for_each, parallel, task, wait, workflow};
use super::workers::error;
use super::world::{World, scenario};
use crate::event::Event;

fn later(milliseconds: u64, state: Json) -> Outcome {
    Outcome::Deferred { after_ms: milliseconds, state }
}

fn done(output: Json) -> Completion {
    Completion::Completed { output }
}

fn given_up() -> Completion {
    Completion::Failed { error: ErrorDetails { retryable: false, ..error("GIVEN_UP") } }
}

fn retried(id: &str) -> Json {
    task(id).with(json!({"retryPolicy": {"maxRetries": 1}}))
}

#[track_caller]
fn rejected(world: &World, code: &str) {
    assert_eq!(world.rejected.last().map(|error| error.code.as_str()), Some(code));
}

#[test]
fn what_is_put_off_is_looked_at_again_with_its_state_and_spends_no_retry() {
    scenario(workflow(json!([task("a")])), |world| {
        assert_eq!(world.message("/a").get("state"), None);
        for n in 1..=3 {
            world.answer("/a", later(60_000, json!({"job": n})));
            assert_eq!((world.status("/a"), world.open().as_str()), ("RETRY_PENDING", ""));
            world.advance(60_000);
            assert_eq!(world.message("/a")["state"], json!({"job": n}));
        }
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
        let row = world.instance().task_instances.remove(0);
        assert_eq!((row.retry_count, row.attempts.len(), row.error), (0, 4, None));
        assert_eq!(world.run.head.metrics.retries, 0);
    });
}

#[test]
fn a_failed_look_keeps_the_state_for_the_next() {
    scenario(workflow(json!([retried("a")])), |world| {
        world.answer("/a", later(1_000, json!("job")));
        world.advance(1_000);
        world.fail("/a", "BUSY");
        world.advance(1_000);
        assert_eq!(world.message("/a")["state"], json!("job"));
        world.answer("/a", later(1_000, Json::Null));
        world.advance(1_000);
        assert_eq!(world.message("/a").get("state"), None, "a look that leaves nothing");
        world.complete("/a", json!({}));
    });
}

#[test]
fn the_total_time_bounds_what_is_put_off() {
    scenario(workflow(json!([task("a").with(json!({"timeouts": {"total": "90s"}}))])), |world| {
        world.answer("/a", later(60_000, json!(1)));
        world.advance(60_000);
        world.answer("/a", later(60_000, json!(2)));
        world.event(Event::Timer { path: "/a".into() });
        world.advance(29_999);
        assert_eq!(world.status("/a"), "RETRY_PENDING");
        world.advance(1);
        world.ended(Failed, "TIMEOUT_TOTAL");
        assert_eq!(world.status("/a"), "TIMED_OUT");
    });
}

#[test]
fn a_state_that_is_too_large_fails_the_attempt() {
    for state in [json!("x".repeat(17 * 1024)), super::steps::nested(1_000)] {
        scenario(workflow(json!([task("a")])), |world| {
            world.answer("/a", later(1, state.clone()));
            world.ended(Failed, "INVALID_OUTPUT");
        });
    }
}

#[test]
fn what_is_put_off_ends_with_the_run() {
    scenario(workflow(json!([task("a")])), |world| {
        world.answer("/a", later(60_000, json!(1)));
        world.cancel();
        assert_eq!(world.status("/a"), "CANCELLED");
    });
    scenario(workflow(json!([task("a")])), |world| {
        world.cancel();
        world.answer("/a", later(60_000, json!(1)));
        assert_eq!(world.status("/a"), "CANCELLED");
    });
}

#[test]
fn what_was_handed_on_waits_as_long_as_it_takes() {
    scenario(workflow(json!([task("a"), task("b")])), |world| {
        world.progress("/a", 0);
        world.answer("/a", Outcome::Accepted);
        assert_eq!((world.status("/a"), world.timers.contains_key("/a")), ("RUNNING", false));
        world.advance(1_000_000_000);
        world.event(Event::MessagesLost { path: "/a".into() });
        assert_eq!(world.status("/a"), "RUNNING", "no message of it is left to be lost");
        world.end("/a", done(json!({"by": "ada"})));
        assert_eq!((world.output("/a"), world.open().as_str()), (json!({"by": "ada"}), "/b"));
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn the_total_time_bounds_what_was_handed_on() {
    scenario(workflow(json!([task("a").with(json!({"timeouts": {"total": "90s"}}))])), |world| {
        world.answer("/a", Outcome::Accepted);
        world.advance(94_999);
        assert_eq!(world.status("/a"), "RUNNING");
        world.advance(1);
        world.ended(Failed, "TIMEOUT_TOTAL");
    });
}

#[test]
fn a_failure_from_outside_is_followed_by_what_the_policy_says() {
    scenario(workflow(json!([retried("a")])), |world| {
        world.answer("/a", Outcome::Accepted);
        world.end("/a", Completion::Failed { error: error("BUSY") });
        assert_eq!(world.status("/a"), "RETRY_PENDING");
        world.advance(1_000);
        world.answer("/a", Outcome::Accepted);
        world.end("/a", given_up());
        world.ended(Failed, "GIVEN_UP");
    });
}

#[test]
fn a_cancel_of_what_was_handed_on_waits_for_its_time_only() {
    scenario(workflow(json!([task("a")])), |world| {
        world.answer("/a", Outcome::Accepted);
        world.cancel();
        assert_eq!(world.open(), "/a");
        world.advance(10_000);
        assert_eq!(world.status("/a"), "CANCELLED");
    });
}

#[test]
fn whatever_has_not_ended_can_be_ended_from_outside() {
    let mapped = json!([{"type": "DIRECT", "source": "n", "target": "seen"}]);
    let step = retried("a").with(json!({"variableMappings": mapped}));
    type Play = fn(&mut World);
    let stages: [(&str, Play); 4] = [
        ("SCHEDULED", |_| {}),
        ("RUNNING", |world| world.progress("/a", 0)),
        ("RETRY_PENDING", |world| world.fail("/a", "BUSY")),
        ("RETRY_PENDING", |world| world.answer("/a", later(60_000, Json::Null))),
    ];
    for (status, play) in stages {
        scenario(workflow(json!([step.clone(), task("b")])), |world| {
            play(world);
            assert_eq!(world.status("/a"), status);
            world.end("/a", done(json!({"n": 7})));
            assert_eq!((world.variable("seen"), world.open().as_str()), (json!(7), "/b"));
            world.complete("/b", json!({}));
            world.ended(Completed, "-");
        });
    }
    scenario(workflow(json!([task("first"), step, task("b")])), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.end("/a", done(json!({"n": 7})));
        assert_eq!((world.status("/a"), world.offers.len()), ("COMPLETED", 1), "only /b is offered");
        world.admit("/b");
        world.complete("/b", json!({}));
    });
}

#[test]
fn its_worker_hears_that_the_attempt_is_closed() {
    scenario(workflow(json!([task("a")])), |world| {
        world.progress("/a", 0);
        world.told.clear();
        world.end("/a", done(json!({})));
        assert!(
            matches!(world.told.as_slice(), [(queue, oarlock_protocol::message::Order::Closed)] if queue == "one")
        );
    });
}

#[test]
fn what_is_held_for_an_operator_is_ended_by_one() {
    let held = task("a").with(json!({"retryPolicy": {"maxRetries": 0, "onExhausted": "PAUSE"}}));
    scenario(workflow(json!([held.clone(), task("b")])), |world| {
        world.fail("/a", "BUSY");
        world.end("/a", done(json!({})));
        assert_eq!((world.run.head.status, world.status("/b")), (Paused, "READY"));
        world.operate(Operation::Resume);
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
    });
    scenario(workflow(json!([held])), |world| {
        world.fail("/a", "BUSY");
        world.end("/a", Completion::Failed { error: error("GIVEN_UP") });
        world.ended(Failed, "GIVEN_UP");
    });
}

#[test]
fn the_same_failure_from_outside_counts_once() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 5}}));
    scenario(workflow(json!([step])), |world| {
        world.answer("/a", Outcome::Accepted);
        (0..3).for_each(|_| world.end("/a", Completion::Failed { error: error("BUSY") }));
        world.advance(1_000);
        world.complete("/a", json!({}));
        assert_eq!(world.run.head.metrics.retries, 1);
    });
}

#[test]
fn what_cannot_be_ended_is_refused_with_the_reason() {
    let steps = json!([parallel("p", json!([task("a"), wait("w", json!({"duration": "1s"}))])), task("b")]);
    scenario(workflow(steps), |world| {
        for path in ["/no", "/p/a[0]", "/b", "not a path"] {
            world.end(path, done(json!({})));
            rejected(world, "NOT_FOUND");
        }
        for path in ["/p", "/p/w"] {
            world.end(path, done(json!({})));
            rejected(world, "CONFLICT");
        }
        world.end("/p/a", done(json!("x".repeat(1024 * 1024))));
        rejected(world, "PAYLOAD_TOO_LARGE");
        world.end("/p/a", done(super::steps::nested(1_000)));
        rejected(world, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.open(), "/p/a", "nothing was changed");
        world.complete("/p/a", json!({}));
        world.end("/p/a", done(json!({})));
        rejected(world, "CONFLICT");
        world.advance(1_000);
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
        world.end("/b", given_up());
        rejected(world, "CONFLICT");
        world.ended(Completed, "-");
    });
}

#[test]
fn a_named_attempt_must_be_the_latest() {
    scenario(workflow(json!([retried("a")])), |world| {
        let first = world.attempt("/a");
        world.fail("/a", "BUSY");
        world.advance(1_000);
        let second = world.attempt("/a");
        let end = |world: &mut World, execution_id, completion| {
            world.event(Event::Complete {
                path: TaskPath::from("/a"),
                execution_id: Some(execution_id),
                completion,
            });
        };
        end(world, first, done(json!({})));
        rejected(world, "CONFLICT");
        assert_eq!(world.open(), "/a");
        let before = world.rejected.len();
        end(world, second, done(json!({})));
        world.ended(Completed, "-");
        end(world, second, done(json!({})));
        assert_eq!(world.rejected.len(), before, "the same again is no error");
    });
}

#[test]
fn one_iteration_is_ended_and_the_others_are_not() {
    let each = for_each("f", json!({"items": [1, 2], "collect": "${ t.output }"}), json!([task("t")]));
    scenario(workflow(json!([each])), |world| {
        world.end("/f[1]/t", done(json!("from outside")));
        assert_eq!(world.open(), "/f[0]/t");
        world.end("/f[01]/t", done(json!(0)));
        rejected(world, "NOT_FOUND");
        world.complete("/f[0]/t", json!("from its worker"));
        assert_eq!(world.output("/f"), json!(["from its worker", "from outside"]));
    });
}

#[test]
fn what_ends_by_a_cancel_can_still_be_completed() {
    scenario(workflow(json!([task("a")])), |world| {
        world.answer("/a", Outcome::Accepted);
        world.cancel();
        world.end("/a", done(json!({"n": 1})));
        assert_eq!((world.status("/a"), world.output("/a")), ("COMPLETED", json!({"n": 1})));
        assert_eq!(world.run.head.status.as_str(), "CANCELLED");
    });
}
