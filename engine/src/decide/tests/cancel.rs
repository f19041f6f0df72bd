//! The cancel of a run in each of its states.

use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed};
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::scenario;

#[test]
fn a_run_whose_task_is_not_let_out_yet_is_cancelled_at_once() {
    scenario(workflow(json!([task("first"), task("a")])), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.cancel();
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(
            (world.error("/").message.as_str(), world.status("/a")),
            ("no longer wanted", "CANCELLED")
        );
        assert!(world.offers.is_empty());
    });
}

#[test]
fn open_attempts_are_waited_for() {
    scenario(
        workflow(json!([parallel("p", json!([task("a"), task("b"), task("c")])), task("never")])),
        |world| {
            world.cancel();
            assert_eq!(world.open(), "/p/a /p/b /p/c");
            world.complete("/p/a", json!({}));
            world.fail("/p/b", "CANCELLED");
            world.advance(10_000);
            world.ended(Cancelled, "CANCELLED");
            let statuses = ["/p/a", "/p/b", "/p/c", "/p", "/never"].map(|path| world.status(path));
            assert_eq!(statuses, ["COMPLETED", "CANCELLED", "CANCELLED", "CANCELLED", "-"]);
        },
    );
}

#[test]
fn a_retry_that_waits_is_cancelled_at_once() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 3}}));
    scenario(workflow(json!([group("g", json!([step]))])), |world| {
        world.fail("/g/a", "BUSY");
        world.cancel();
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(world.error("/g/a").code, "BUSY", "its last error is kept");
    });
}

#[test]
fn a_cancelled_run_starts_no_handlers() {
    let g = group("g", json!([task("a")])).with(json!({"onError": [task("recover")]}));
    scenario(workflow(json!([g])).with(json!({"onError": [task("tell")]})), |world| {
        world.cancel();
        world.fail("/g/a", "BAD");
        world.ended(Cancelled, "CANCELLED");
        assert_eq!((world.status("/g:onError"), world.status("/:onError")), ("-", "-"));
    });
}

#[test]
fn a_cancel_of_a_failed_run_ends_its_handlers_and_leaves_it_failed() {
    let definition = workflow(json!([task("a")])).with(json!({"onError": [task("tell"), task("more")]}));
    scenario(definition.clone(), |world| {
        world.fail("/a", "BAD");
        world.cancel();
        world.cancel();
        assert_eq!(world.open(), "/:onError/tell");
        world.fail("/:onError/tell", "CANCELLED");
        world.ended(Failed, "BAD");
        assert_eq!(world.status("/:onError/more"), "-");
    });
    scenario(definition, |world| {
        world.admits = false;
        world.fail("/a", "BAD");
        world.cancel();
        world.ended(Failed, "BAD");
    });
}

#[test]
fn a_cancel_of_a_run_that_is_failing_leaves_it_failing() {
    let definition = workflow(json!([parallel("p", json!([task("a"), task("open")]))]));
    scenario(definition, |world| {
        world.fail("/p/a", "BAD");
        world.cancel();
        world.complete("/p/open", json!({}));
        // The block failed first; the run was cancelled before it heard of it.
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(world.status("/p"), "FAILED");
    });
}

#[test]
fn a_second_cancel_changes_nothing() {
    scenario(workflow(json!([task("a")])), |world| {
        world.cancel();
        let deadline = world.next_timer();
        world.advance(5_000);
        world.cancel();
        assert_eq!(world.next_timer(), deadline, "the grace is not prolonged");
        world.advance(5_000);
        world.ended(Cancelled, "CANCELLED");
    });
}

#[test]
fn a_cancel_after_the_end_changes_nothing() {
    scenario(workflow(json!([task("a")])), |world| {
        world.complete("/a", json!({}));
        let stale = world.stale;
        world.cancel();
        assert!(world.stale > stale);
        world.ended(Completed, "-");
    });
}

#[test]
fn an_endless_reason_is_cut() {
    scenario(workflow(json!([task("a")])), |world| {
        world.event(crate::event::Event::Cancel { reason: "why ".repeat(100_000) });
        assert!(format!("{:?}", world.run.head).len() < 20_000);
        world.advance(10_000);
        world.ended(Cancelled, "CANCELLED");
    });
}
