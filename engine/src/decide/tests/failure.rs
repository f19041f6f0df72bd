//! Failures that nothing recovers, and what becomes of everything beside them.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed, Running};
use oarlock_protocol::message::Order;
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::{Setup, World, scenario};

#[test]
fn a_failed_task_fails_the_blocks_around_it_and_the_run() {
    let steps = json!([group("g", json!([group("h", json!([task("a"), task("b")]))])), task("c")]);
    scenario(workflow(steps), |world| {
        world.fail("/g/h/a", "BAD");
        world.ended(Failed, "BAD");
        assert_eq!(world.run.head.failed_at.as_ref().unwrap().as_str(), "/g/h/a");
        for (path, status) in
            [("/g/h/a", "FAILED"), ("/g/h/b", "-"), ("/g/h", "FAILED"), ("/g", "FAILED"), ("/c", "-")]
        {
            assert_eq!(world.status(path), status, "{path}");
        }
        assert_eq!(world.error("/g").code, "BAD");
    });
}

#[test]
fn continue_on_failure_goes_on_and_shows_the_error_but_maps_nothing() {
    let step = task("a").with(json!({
        "continueOnFailure": true,
        "variableMappings": [{"type": "VALUE", "value": 1, "target": "mapped"}],
    }));
    let look = json!({"id": "look", "set": {
        "code": "${ tasks.a.error.code }", "status": "${ a.status }", "path": "${ has(a.output) }",
    }});
    scenario(workflow(json!([step, look])), |world| {
        world.fail("/a", "BAD");
        world.ended(Completed, "-");
        assert_eq!((world.variable("code"), world.variable("status")), (json!("BAD"), json!("FAILED")));
        assert_eq!((world.variable("mapped"), world.variable("path")), (json!(null), json!(false)));
        assert_eq!(world.run.head.metrics.failed_tasks, 1);
    });
}

#[test]
fn a_task_definition_may_say_continue_on_failure_and_a_step_may_say_otherwise() {
    let definitions = json!([{"id": "work", "continueOnFailure": true}]);
    let definition = |step| workflow(json!([step, task("b")])).with(json!({"taskDefinitions": definitions}));
    scenario(definition(task("a")), |world| {
        world.fail("/a", "BAD");
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
    });
    scenario(definition(task("a").with(json!({"continueOnFailure": false}))), |world| {
        world.fail("/a", "BAD");
        world.ended(Failed, "BAD");
    });
}

#[test]
fn a_group_may_continue_on_failure() {
    let steps = json!([
        group("g", json!([task("a"), task("never")])).with(json!({"continueOnFailure": true})),
        task("b")
    ]);
    scenario(workflow(steps), |world| {
        world.fail("/g/a", "BAD");
        assert_eq!((world.status("/g"), world.open().as_str()), ("FAILED", "/b"));
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
        assert_eq!(world.status("/g/never"), "-");
    });
}

#[test]
fn a_failing_child_cancels_what_has_not_begun_at_once() {
    let retried = task("waits").with(json!({"retryPolicy": {"maxRetries": 3}}));
    let steps = json!([parallel(
        "p",
        json!([task("fails"), retried, group("g", json!([task("a"), task("ready")]))])
    )]);
    scenario(workflow(steps), |world| {
        world.fail("/p/waits", "BUSY");
        world.admits = false;
        world.complete("/p/g/a", json!({}));
        assert_eq!((world.status("/p/waits"), world.status("/p/g/ready")), ("RETRY_PENDING", "READY"));
        world.fail("/p/fails", "BAD");
        world.ended(Failed, "BAD");
        for path in ["/p/waits", "/p/g/ready", "/p/g"] {
            assert_eq!(world.status(path), "CANCELLED", "{path}");
        }
        assert_eq!(
            (world.error("/p/waits").code, world.error("/p/g/ready").code),
            ("BUSY".into(), "CANCELLED".into())
        );
        assert!(world.offers.is_empty(), "it is withdrawn");
    });
}

fn two_open() -> Setup {
    Setup::from(workflow(json!([parallel("p", json!([task("fails"), task("open")])), task("never")])))
}

fn fails_beside_an_open_attempt(world: &mut World) {
    world.progress("/p/open", 0);
    world.told.clear();
    world.fail("/p/fails", "BAD");
    let cancel = Order::Cancel { reason: "the task was cancelled".to_owned() };
    assert_eq!(world.told, [("one".to_owned(), cancel)]);
    assert_eq!(
        (world.run.head.status, world.status("/p"), world.open().as_str()),
        (Running, "RUNNING", "/p/open")
    );
}

#[test]
fn an_open_sibling_is_told_and_its_result_is_kept() {
    scenario(two_open(), |world| {
        fails_beside_an_open_attempt(world);
        world.complete("/p/open", json!({"kept": 1}));
        world.ended(Failed, "BAD");
        assert_eq!(world.status("/p/open"), "COMPLETED");
        assert_eq!(world.instance().task_instances[2].output, Some(json!({"kept": 1})));
    });
}

#[test]
fn an_open_sibling_that_answers_cancelled_is_cancelled() {
    scenario(two_open(), |world| {
        fails_beside_an_open_attempt(world);
        world.fail("/p/open", "CANCELLED");
        world.ended(Failed, "BAD");
        assert_eq!(world.status("/p/open"), "CANCELLED");
    });
}

#[test]
fn an_open_sibling_that_does_not_answer_is_given_up_after_its_grace() {
    scenario(two_open(), |world| {
        fails_beside_an_open_attempt(world);
        world.advance(9_999);
        assert_eq!(world.open(), "/p/open");
        world.advance(1);
        world.ended(Failed, "BAD");
        assert_eq!(
            (world.status("/p/open"), world.error("/p/open").code.as_str()),
            ("CANCELLED", "CANCELLED")
        );
        assert_eq!(world.run.head.metrics.failed_tasks, 1, "cancelled is not failed");
    });
}

#[test]
fn an_open_sibling_that_fails_or_is_refused_is_not_retried() {
    let open = task("open").with(json!({"retryPolicy": {"maxRetries": 3}}));
    let definition = workflow(json!([parallel("p", json!([task("fails"), open]))]));
    scenario(definition.clone(), |world| {
        world.fail("/p/fails", "BAD");
        world.fail("/p/open", "BUSY");
        world.ended(Failed, "BAD");
        assert_eq!(world.status("/p/open"), "CANCELLED");
    });
    scenario(definition, |world| {
        world.fail("/p/fails", "BAD");
        world.refuse("/p/open");
        world.ended(Failed, "BAD");
    });
}

#[test]
fn the_results_of_cancelled_siblings_are_not_mapped() {
    let open = task("open").with(
        json!({"variableMappings": [{"type": "VALUE", "value": 1, "target": "x"}], "terminateWhen": "true"}),
    );
    scenario(workflow(json!([parallel("p", json!([task("fails"), open]))])), |world| {
        world.fail("/p/fails", "BAD");
        world.complete("/p/open", json!({}));
        world.ended(Failed, "BAD");
        assert_eq!(world.variable("x"), json!(null));
    });
}

#[test]
fn the_first_failure_is_the_runs_error() {
    scenario(workflow(json!([parallel("p", json!([task("a"), task("b"), task("c")]))])), |world| {
        world.fail("/p/b", "FIRST");
        world.fail("/p/a", "SECOND");
        world.fail("/p/c", "THIRD");
        world.ended(Failed, "FIRST");
        assert_eq!(world.error("/p/a").code, "SECOND");
    });
}

#[test]
fn an_inner_block_that_is_failing_does_not_recover_once_the_outer_one_ends() {
    let inner =
        parallel("inner", json!([task("a"), task("open")])).with(json!({"onError": [task("handler")]}));
    scenario(workflow(json!([parallel("outer", json!([inner, task("b")]))])), |world| {
        world.fail("/outer/inner/a", "INNER");
        world.fail("/outer/b", "OUTER");
        world.complete("/outer/inner/open", json!({}));
        world.ended(Failed, "OUTER");
        assert_eq!((world.status("/outer/inner"), world.status("/outer/inner:onError")), ("FAILED", "-"));
    });
}

#[test]
fn a_set_that_fails_fails_its_block() {
    let steps =
        json!([group("g", json!([{"id": "s", "set": {"ok": 1, "x": "${ input.none }"}}])), task("never")]);
    scenario(workflow(steps), |world| {
        world.ended(Failed, "EXPRESSION_FAILED");
        assert_eq!((world.status("/g/s"), world.variable("ok")), ("FAILED", json!(null)));
    });
}

#[test]
fn a_workflow_output_that_cannot_be_evaluated_fails_the_run() {
    let definition = workflow(json!([task("a")])).with(json!({"output": {"x": ["${ a.output.none }"]}}));
    scenario(definition.clone(), |world| {
        world.complete("/a", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
        assert!(world.error("/").message.contains("output/x/0"), "{}", world.error("/").message);
        assert_eq!(world.run.output, None);
    });
    scenario(definition.with(json!({"onError": [task("tell")]})), |world| {
        world.complete("/a", json!({}));
        assert_eq!((world.run.head.status, world.open().as_str()), (Running, "/:onError/tell"));
        world.complete("/:onError/tell", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
    });
}

#[test]
fn a_failure_while_a_terminate_waits_leaves_the_run_completed() {
    let steps = json!([
        task("open").with(json!({"dependsOn": []})),
        task("a").with(json!({"dependsOn": []})),
        {"id": "stop", "dependsOn": ["a"], "terminate": {"status": "COMPLETED", "output": 1}},
    ]);
    scenario(workflow(steps), |world| {
        world.complete("/a", json!({}));
        world.fail("/open", "BAD");
        world.ended(Completed, "-");
        assert_eq!(world.run.output, Some(json!(1)));
    });
}
