//! `onError` of a task, a group and the workflow.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed, Running};
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::scenario;

fn handled(step: Json, handlers: Json) -> Json {
    step.with(json!({"onError": handlers}))
}

/// A handler that keeps what it sees of the error.
fn note(id: &str) -> Json {
    json!({"id": id, "set": {id: "${ error.code + '|' + error.message + '|' + error.taskPath }"}})
}

#[test]
fn the_handlers_of_a_task_recover_it() {
    let steps = json!([handled(task("a"), json!([note("why"), task("undo")])), task("after")]);
    scenario(workflow(steps), |world| {
        world.fail("/a", "BAD");
        assert_eq!(world.variable("why"), json!("BAD|BAD happened|/a"));
        assert_eq!((world.status("/a"), world.open().as_str()), ("FAILED", "/a:onError/undo"));
        world.complete("/a:onError/undo", json!({}));
        assert_eq!((world.status("/a:onError"), world.open().as_str()), ("COMPLETED", "/after"));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
        let metrics = world.run.head.metrics;
        assert_eq!((metrics.task_count, metrics.failed_tasks, metrics.completed_tasks), (3, 1, 2));
    });
}

#[test]
fn the_handlers_of_a_group_see_where_the_error_arose() {
    let steps = json!([
        handled(group("g", json!([group("h", json!([task("a")]))])), json!([note("why")])),
        task("after")
    ]);
    scenario(workflow(steps), |world| {
        world.fail("/g/h/a", "BAD");
        assert_eq!(world.variable("why"), json!("BAD|BAD happened|/g/h/a"));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn the_handlers_of_a_group_wait_until_every_open_attempt_has_closed() {
    let p = handled(parallel("p", json!([task("a"), task("slow")])), json!([task("handler")]));
    scenario(workflow(json!([p, task("after")])), |world| {
        world.fail("/p/a", "BAD");
        assert_eq!(world.open(), "/p/slow");
        world.complete("/p/slow", json!({}));
        assert_eq!(world.open(), "/p:onError/handler");
        world.complete("/p:onError/handler", json!({}));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn the_workflows_handlers_inform_and_the_run_stays_failed() {
    let definition = workflow(json!([group("g", json!([task("a")]))]));
    scenario(handled(definition, json!([note("why"), task("tell")])), |world| {
        world.fail("/g/a", "BAD");
        assert_eq!(world.variable("why"), json!("BAD|BAD happened|/g/a"));
        assert_eq!((world.run.head.status, world.error("/").code.as_str()), (Running, "BAD"));
        world.complete("/:onError/tell", json!({}));
        world.ended(Failed, "BAD");
        assert_eq!(world.run.output, None);
    });
}

#[test]
fn a_handler_that_fails_fails_the_block_around_with_its_own_error() {
    let steps =
        json!([group("g", json!([handled(task("a"), json!([task("undo"), task("more")]))])), task("never")]);
    scenario(workflow(steps), |world| {
        world.fail("/g/a", "BAD");
        world.fail("/g/a:onError/undo", "WORSE");
        world.ended(Failed, "WORSE");
        assert_eq!(world.run.head.failed_at.as_ref().unwrap().as_str(), "/g/a:onError/undo");
        assert_eq!((world.error("/g/a").code, world.status("/g/a:onError")), ("BAD".to_owned(), "FAILED"));
        assert_eq!(world.status("/g/a:onError/more"), "-");
    });
}

#[test]
fn a_step_that_continues_on_failure_goes_on_even_where_its_handlers_fail() {
    let step = handled(task("a"), json!([task("tell")])).with(json!({"continueOnFailure": true}));
    scenario(workflow(json!([step, task("after")])), |world| {
        world.fail("/a", "BAD");
        world.fail("/a:onError/tell", "WORSE");
        assert_eq!(world.open(), "/after");
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
        assert_eq!((world.error("/a").code, world.error("/a:onError").code), ("BAD".into(), "WORSE".into()));
    });
}

#[test]
fn the_workflows_handlers_that_fail_leave_the_runs_error() {
    scenario(handled(workflow(json!([task("a")])), json!([task("tell"), task("more")])), |world| {
        world.fail("/a", "BAD");
        world.fail("/:onError/tell", "WORSE");
        world.ended(Failed, "BAD");
    });
}

#[test]
fn handlers_may_have_handlers() {
    let undo = handled(task("undo"), json!([note("inner")]));
    let steps = json!([handled(task("a"), json!([undo, note("outer")])), task("after")]);
    scenario(workflow(steps), |world| {
        world.fail("/a", "BAD");
        world.fail("/a:onError/undo", "WORSE");
        assert_eq!(world.variable("inner"), json!("WORSE|WORSE happened|/a:onError/undo"));
        assert_eq!(world.variable("outer"), json!("BAD|BAD happened|/a"));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn handlers_inside_a_group_see_the_error_of_the_step_they_belong_to() {
    let steps =
        json!([handled(task("a"), json!([group("g", json!([parallel("p", json!([note("why")]))]))]))]);
    scenario(workflow(steps), |world| {
        world.fail("/a", "BAD");
        assert_eq!(world.variable("why"), json!("BAD|BAD happened|/a"));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_failing_sibling_cancels_handlers_at_work() {
    let a = handled(task("a"), json!([task("undo"), task("more")]));
    scenario(workflow(json!([parallel("p", json!([a, task("b")]))])), |world| {
        world.fail("/p/a", "BAD");
        world.fail("/p/b", "OTHER");
        assert_eq!(world.open(), "/p/a:onError/undo");
        world.complete("/p/a:onError/undo", json!({}));
        world.ended(Failed, "OTHER");
        assert_eq!((world.status("/p/a"), world.status("/p/a:onError")), ("FAILED", "CANCELLED"));
        assert_eq!(world.status("/p/a:onError/more"), "-");
    });
}

#[test]
fn a_handler_may_be_skipped_and_may_decide_by_the_error() {
    let only = task("only").with(json!({"condition": "error.code == 'OTHER'"}));
    scenario(workflow(json!([handled(task("a"), json!([only])), task("after")])), |world| {
        world.fail("/a", "BAD");
        assert_eq!((world.status("/a:onError/only"), world.open().as_str()), ("SKIPPED", "/after"));
        world.complete("/after", json!({}));
    });
}

#[test]
fn a_terminate_in_a_tasks_handlers_ends_the_run_as_it_says() {
    let stop = json!({"id": "stop", "terminate": {"status": "COMPLETED", "output": "${ error.code }"}});
    let a = handled(task("a"), json!([stop, task("never")]));
    scenario(workflow(json!([parallel("p", json!([a, task("open")]))])), |world| {
        world.fail("/p/a", "BAD");
        assert_eq!((world.run.head.status, world.open().as_str()), (Running, "/p/open"));
        world.complete("/p/open", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!("BAD")));
    });
}

#[test]
fn a_terminate_in_the_workflows_handlers_ends_them() {
    let stop = json!({"id": "stop", "terminate": {"status": "COMPLETED"}});
    let definition = handled(workflow(json!([task("a")])), json!([stop, task("never")]));
    scenario(definition.clone(), |world| {
        world.fail("/a", "BAD");
        world.ended(Failed, "BAD");
        assert_eq!(world.status("/:onError/never"), "-");
    });
    scenario(definition.with(json!({"output": "${ input.none }"})), |world| {
        world.complete("/a", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
    });
}

#[test]
fn a_cancel_while_the_handlers_of_a_task_work_ends_the_run_cancelled() {
    scenario(
        workflow(json!([handled(task("a"), json!([task("undo"), task("more")])), task("never")])),
        |world| {
            world.fail("/a", "BAD");
            world.cancel();
            world.complete("/a:onError/undo", json!({}));
            world.ended(Cancelled, "CANCELLED");
        },
    );
}
