//! `onExhausted: PAUSE`: a run that waits for an operator.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed, Paused, Running};
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::{World, scenario};
use crate::event::Event;
use oarlock_protocol::message::Operation;

fn pausing(id: &str) -> Json {
    task(id).with(json!({"retryPolicy": {"maxRetries": 0, "onExhausted": "PAUSE"}}))
}

fn status(world: &World) -> oarlock_protocol::instance::WorkflowStatus {
    world.run.head.status
}

#[test]
fn exhausted_retries_pause_the_run_until_an_operator_lets_it_go_on() {
    let policy = json!({"maxRetries": 1, "onExhausted": "PAUSE", "totalTime": "2s"});
    scenario(workflow(json!([task("a").with(json!({"retryPolicy": policy})), task("b")])), |world| {
        world.fail("/a", "BUSY");
        world.advance(1000);
        world.fail("/a", "BUSY");
        assert_eq!((status(world), world.status("/a"), world.open().as_str()), (Paused, "RETRY_PENDING", ""));
        world.advance(3_600_000);
        world.event(Event::Operation(Operation::Resume));
        assert_eq!((status(world), world.open().as_str()), (Running, "/a"));
        world.fail("/a", "BUSY");
        assert_eq!((status(world), world.status("/a")), (Running, "RETRY_PENDING"), "its retries begin anew");
        world.advance(1000);
        world.complete("/a", json!({}));
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn an_error_that_is_not_retryable_does_not_pause() {
    let policy = json!({"maxRetries": 0, "onExhausted": "PAUSE", "nonRetryableErrors": ["BAD"]});
    scenario(workflow(json!([task("a").with(json!({"retryPolicy": policy}))])), |world| {
        world.fail("/a", "BAD");
        world.ended(Failed, "BAD");
    });
}

#[test]
fn a_paused_run_records_results_and_dispatches_nothing() {
    let branch = group("g", json!([task("first"), task("second")]));
    scenario(workflow(json!([parallel("p", json!([pausing("held"), branch]))])), |world| {
        world.fail("/p/held", "BUSY");
        world.complete("/p/g/first", json!({"kept": true}));
        assert_eq!((status(world), world.status("/p/g/first")), (Paused, "COMPLETED"));
        assert_eq!((world.status("/p/g/second"), world.open().as_str()), ("READY", ""));
        world.event(Event::Operation(Operation::Resume));
        assert_eq!(world.open(), "/p/g/second /p/held");
        world.complete("/p/held", json!({}));
        world.complete("/p/g/second", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn what_was_offered_before_the_pause_is_withdrawn_and_not_let_out() {
    let branch = group("g", json!([task("a"), task("waits")]));
    scenario(workflow(json!([parallel("p", json!([pausing("held"), branch]))])), |world| {
        world.admits = false;
        world.complete("/p/g/a", json!({}));
        world.fail("/p/held", "BUSY");
        assert_eq!((status(world), world.offers.len()), (Paused, 0));
        world.admit("/p/g/waits");
        assert_eq!((world.status("/p/g/waits"), world.open().as_str()), ("READY", ""));
        world.admits = true;
        world.event(Event::Operation(Operation::Resume));
        assert_eq!(world.open(), "/p/g/waits /p/held");
        world.complete("/p/held", json!({}));
        world.complete("/p/g/waits", json!({}));
    });
}

#[test]
fn a_retry_that_falls_due_while_paused_waits_for_the_operator() {
    let retried = task("r").with(json!({"retryPolicy": {"maxRetries": 1}}));
    scenario(workflow(json!([parallel("p", json!([pausing("held"), retried]))])), |world| {
        world.fail("/p/r", "BUSY");
        world.fail("/p/held", "BUSY");
        world.advance(5000);
        assert_eq!((world.status("/p/r"), world.open().as_str()), ("READY", ""));
        world.event(Event::Operation(Operation::Resume));
        assert_eq!(world.open(), "/p/held /p/r");
        world.complete("/p/held", json!({}));
        world.complete("/p/r", json!({}));
    });
}

#[test]
fn the_time_of_a_pause_is_no_time_in_a_queue() {
    let branch = group("g", json!([task("a"), task("b").with(json!({"timeouts": {"queue": "10s"}}))]));
    scenario(workflow(json!([parallel("p", json!([pausing("held"), branch]))])), |world| {
        world.fail("/p/held", "BUSY");
        world.complete("/p/g/a", json!({}));
        world.advance(60_000);
        assert_eq!((status(world), world.status("/p/g/b")), (Paused, "READY"));
        world.event(Event::Operation(Operation::Resume));
        world.complete("/p/held", json!({}));
        world.complete("/p/g/b", json!({}));
        assert_eq!(world.run.head.metrics.total_queue_time_ms, 0);
    });
}

#[test]
fn total_timeouts_keep_running_while_paused() {
    let total = json!({"timeouts": {"total": "10s"}});
    let held = pausing("held").with(total.clone());
    let branch = group("g", json!([task("a"), task("b").with(total)]));
    let recovered = |step: Json| step.with(json!({"continueOnFailure": true}));
    let steps = json!([parallel("p", json!([recovered(held), recovered(branch)]))]);
    scenario(workflow(steps), |world| {
        world.fail("/p/held", "BUSY");
        world.complete("/p/g/a", json!({}));
        world.advance(10_000);
        assert_eq!((world.status("/p/held"), world.status("/p/g/b")), ("TIMED_OUT", "TIMED_OUT"));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_paused_run_can_be_cancelled() {
    scenario(workflow(json!([parallel("p", json!([pausing("held"), task("open")]))])), |world| {
        world.fail("/p/held", "BUSY");
        world.cancel();
        assert_eq!((world.status("/p/held"), status(world)), ("CANCELLED", Paused), "an attempt is open");
        world.complete("/p/open", json!({}));
        world.ended(Cancelled, "CANCELLED");
    });
}

#[test]
fn a_sibling_that_fails_ends_a_pause() {
    let handler = json!([task("tell")]);
    let definition = workflow(json!([parallel("p", json!([pausing("held"), task("b")]))]));
    scenario(definition.with(json!({"onError": handler})), |world| {
        world.fail("/p/held", "BUSY");
        world.fail("/p/b", "BAD");
        assert_eq!((status(world), world.open().as_str()), (Running, "/:onError/tell"));
        world.complete("/:onError/tell", json!({}));
        world.ended(Failed, "BAD");
    });
}

#[test]
fn a_resume_of_a_run_that_is_not_paused_changes_nothing() {
    scenario(workflow(json!([task("a")])), |world| {
        world.event(Event::Operation(Operation::Resume));
        assert!(world.stale > 0 && world.open() == "/a");
        world.complete("/a", json!({}));
        world.event(Event::Operation(Operation::Resume));
        world.ended(Completed, "-");
    });
}
