//! Payloads, permissions and figures.

use oarlock_protocol::depth::DEEPEST;
use oarlock_protocol::instance::TaskMetrics;
use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::message::Outcome;
use oarlock_protocol::{ErrorDetails, Json};
use serde_json::json;

use super::steps::{With, nested, parallel, task, workflow};
use super::workers::error;
use super::world::{Setup, World, scenario};

/// A scenario in which a payload may have 100 bytes.
fn narrow(definition: Json) -> Setup {
    let mut setup = Setup::from(definition);
    setup.settings.payload_bytes = 100;
    setup
}

fn large() -> String {
    "x".repeat(101)
}

#[test]
fn an_input_that_is_too_large_is_not_dispatched() {
    let step = task("a").with(json!({"inputMappings": {"text": "${ input.text + input.text }"}}));
    let mut setup = narrow(workflow(json!([step])));
    setup.input = json!({"text": "x".repeat(60)});
    scenario(setup, |world| {
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.run.head.metrics.attempts, 0);
    });
}

#[test]
fn an_output_that_is_too_large_fails_its_attempt_and_is_not_kept() {
    scenario(narrow(workflow(json!([task("a")]))), |world| {
        world.complete("/a", json!({"text": large()}));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.instance().task_instances[0].output, None);
    });
}

#[test]
fn a_variable_that_is_too_large_is_not_written() {
    let doubled = "${ taskOutput.text + taskOutput.text }";
    let step =
        task("a").with(json!({"variableMappings": [{"type": "VALUE", "value": doubled, "target": "v"}]}));
    scenario(narrow(workflow(json!([step]))), |world| {
        world.complete("/a", json!({"text": "x".repeat(60)}));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert!(world.error("/").message.contains("'v'"), "{}", world.error("/").message);
        assert_eq!(world.variable("v"), json!(null));
    });
    scenario(narrow(workflow(json!([{"id": "s", "set": {"v": large()}}]))), |world| {
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.variable("v"), json!(null));
    });
}

#[test]
fn a_workflow_output_that_is_too_large_fails_the_run() {
    scenario(narrow(workflow(json!([])).with(json!({"output": large()}))), |world| {
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
    });
    for status in ["COMPLETED", "FAILED"] {
        let stop = json!({"id": "stop", "terminate": {"status": status, "output": large()}});
        scenario(narrow(workflow(json!([stop]))), |world| {
            world.ended(Failed, "PAYLOAD_TOO_LARGE");
            assert_eq!(world.run.output, None);
        });
    }
}

#[test]
fn an_error_keeps_no_more_than_it_may() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 1}}));
    scenario(workflow(json!([step])), |world| {
        let details = json!({"stderr": "x".repeat(200_000)});
        let huge =
            ErrorDetails { code: "C".repeat(5_000), message: "m".repeat(100_000), details, retryable: true };
        world.answer("/a", Outcome::Failed { error: huge });
        let row = format!("{:?}", world.run.rows["/a"]);
        assert!(row.len() < 40_000, "{}", row.len());
        world.advance(1_000);
        world.complete("/a", json!({}));
    });
}

#[test]
fn the_details_that_terminate_gives_are_bounded_as_any() {
    let stop = json!({"id": "stop", "terminate": {"status": "FAILED", "output": "x".repeat(100_000)}});
    scenario(workflow(json!([stop])), |world| {
        world.ended(Failed, "TERMINATED");
        let details = world.error("/").details.to_string();
        assert!(details.contains("left out"), "{} bytes", details.len());
    });
}

#[test]
fn a_task_that_names_more_variables_than_a_message_holds_is_not_dispatched() {
    let variables = json!({"variables": {"x": "x".repeat(60), "y": "y".repeat(60)}});
    let naming = |names: Json| task("a").with(json!({"contextVariables": names}));
    let recovered = naming(json!(["x", "y"])).with(json!({"onError": [{"id": "ask", "set": {"z": 1}}]}));
    scenario(narrow(workflow(json!([naming(json!(["x", "y"]))])).with(variables.clone())), |world| {
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert!(world.error("/").message.contains("contextVariables"), "{}", world.error("/").message);
        assert_eq!(world.run.head.metrics.attempts, 0);
    });
    scenario(narrow(workflow(json!([recovered])).with(variables.clone())), |world| {
        world.ended(Completed, "-");
    });
    scenario(narrow(workflow(json!([naming(json!(["x"]))])).with(variables)), |world| {
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
    });
}

/// A scenario in which a decision may store 1000 bytes, begun with a text of 100.
fn frugal(definition: Json) -> Setup {
    let mut setup = Setup::from(definition);
    setup.settings.decision_bytes = 1000;
    setup.input = json!({"text": "x".repeat(100)});
    setup
}

/// Tasks that each copy the run's input.
fn copies(count: usize, more: &Json) -> Json {
    let copy = |n| task(&format!("t{n}")).with(json!({"inputMappings": {"text": "${ input.text }"}}));
    (0..count).map(|n| copy(n).with(more.clone())).collect()
}

#[test]
fn a_step_that_sets_free_more_than_a_commit_holds_ends_the_run() {
    let ignored = json!({"continueOnFailure": true});
    let handled = json!({"onError": copies(1, &json!({}))});
    for more in [json!({}), ignored, handled] {
        let definition = workflow(json!([task("a"), parallel("p", copies(20, &more)), task("after")]));
        scenario(frugal(definition), |world| {
            world.complete("/a", json!({}));
            world.ended(Failed, "PAYLOAD_TOO_LARGE");
            assert!(world.error("/").message.contains("one step sets free"), "{}", world.error("/").message);
            assert_eq!((world.status("/p/t7"), world.status("/p/t8")), ("CANCELLED", "FAILED"));
            assert_eq!((world.status("/p/t9"), world.status("/after")), ("-", "-"));
            assert_eq!(world.run.head.failed_at, Some("/p/t8".into()));
            let stored: usize = world
                .instance()
                .task_instances
                .into_iter()
                .filter_map(|t| t.input)
                .map(|input| input.to_string().len())
                .sum();
            assert!(stored < 1200, "{stored}");
        });
    }
    scenario(frugal(workflow(json!([parallel("p", copies(8, &json!({})))]))), |world| {
        (0..8).for_each(|n| world.complete(&format!("/p/t{n}"), json!({})));
        world.ended(Completed, "-");
    });
}

#[test]
fn the_handlers_of_a_run_that_stored_too_much_still_run() {
    let definition = |count| {
        let handlers = parallel("h", copies(count, &json!({})));
        workflow(json!([task("a"), parallel("p", copies(20, &json!({})))]))
            .with(json!({"onError": [handlers]}))
    };
    scenario(frugal(definition(2)), |world| {
        world.complete("/a", json!({}));
        assert_eq!(world.open(), "/:onError/h/t0 /:onError/h/t1");
        world.complete("/:onError/h/t0", json!({}));
        world.complete("/:onError/h/t1", json!({}));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.run.head.failed_at, Some("/p/t8".into()));
    });
    scenario(frugal(definition(20)), |world| {
        world.complete("/a", json!({}));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.status("/:onError/h/t8"), "FAILED");
    });
}

#[test]
fn variables_count_among_what_a_decision_stores() {
    let set = |n| json!({"id": format!("s{n}"), "set": {format!("v{n}"): "${ input.text }"}});
    let sets: Json = (0..20).map(set).collect();
    scenario(frugal(workflow(sets)), |world| {
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!((world.variable("v8").is_string(), world.variable("v9").is_string()), (true, false));
    });
    let mapping = |n| json!({"type": "VALUE", "value": "${ input.text }", "target": format!("v{n}")});
    let mappings: Json = (0..20).map(mapping).collect();
    scenario(frugal(workflow(json!([task("a").with(json!({"variableMappings": mappings}))]))), |world| {
        world.complete("/a", json!({}));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
        assert_eq!(world.variable("v0"), json!(null));
    });
}

#[test]
fn an_output_that_nests_too_deeply_fails_its_task_for_good() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 3}}));
    scenario(workflow(json!([step])), |world| {
        world.complete("/a", nested(DEEPEST + 1));
        world.ended(Failed, "INVALID_OUTPUT");
        assert_eq!(world.run.head.metrics.attempts, 1);
    });
    scenario(workflow(json!([task("a")])), |world| {
        world.complete("/a", nested(DEEPEST));
        world.ended(Completed, "-");
    });
}

#[test]
fn no_expression_makes_a_value_that_cannot_be_read_again() {
    let deeper = || json!({"v": ["${ input }"]});
    let mapped = json!([{"type": "VALUE", "value": ["${ input }"], "target": "v"}]);
    let stop = |status| json!([{"id": "stop", "terminate": {"status": status, "output": ["${ input }"]}}]);
    let definitions = [
        workflow(json!([{"id": "s", "set": deeper()}])),
        workflow(json!([task("a").with(json!({"inputMappings": deeper()}))])),
        workflow(json!([])).with(json!({"output": ["${ input }"]})),
        workflow(stop("COMPLETED")),
        workflow(stop("FAILED")),
        workflow(json!([task("a").with(json!({"variableMappings": mapped}))])),
    ];
    for definition in definitions {
        let mut setup = Setup::from(definition);
        setup.input = nested(DEEPEST);
        scenario(setup, |world| {
            if !world.open().is_empty() {
                world.complete("/a", json!({}));
            }
            world.ended(Failed, "EXPRESSION_FAILED");
            assert!(world.error("/").message.contains("64 levels"), "{}", world.error("/").message);
        });
    }
}

fn demanding(extra: Json) -> Json {
    let definitions = json!([{"id": "work", "securityRequirements": {"requiredPermissions": ["pay"]}}]);
    workflow(json!([task("a").with(extra)])).with(json!({"taskDefinitions": definitions}))
}

#[test]
fn a_task_whose_permission_is_missing_is_never_dispatched() {
    scenario(demanding(json!({"retryPolicy": {"maxRetries": 5}})), |world| {
        world.ended(Failed, "PERMISSION_DENIED");
        assert_eq!(world.run.head.metrics.attempts, 0);
        assert!(world.error("/").message.contains("pay"), "{}", world.error("/").message);
    });
}

#[test]
fn a_missing_permission_can_be_recovered() {
    let ask = json!({"id": "ask", "set": {"code": "${ error.code }"}});
    scenario(demanding(json!({"onError": [ask]})), |world| {
        world.ended(Completed, "-");
        assert_eq!(world.variable("code"), json!("PERMISSION_DENIED"));
    });
}

#[test]
fn a_task_runs_under_the_permissions_it_demands_and_no_others() {
    let mut setup = Setup::from(demanding(json!({})));
    setup.permissions = vec!["read".to_owned(), "pay".to_owned()];
    scenario(setup, |world| {
        let message = super::mappings::message(world, "/a");
        assert_eq!(message.execution_context.security_context.permissions, ["pay"]);
        world.complete("/a", json!({}));
    });
}

fn answer(world: &mut World, path: &str, outcome: Outcome, execution_time_ms: u64) {
    let metrics = TaskMetrics { execution_time_ms, cpu_time_ms: 7, memory_bytes: 1000 };
    let attempt = world.attempt(path);
    world.answer_attempt(path, attempt, outcome, metrics);
}

#[test]
fn the_figures_of_a_run_are_exact() {
    let done = || Outcome::Completed { output: json!({}) };
    let retried =
        task("a").with(json!({"retryPolicy": {"maxRetries": 1, "strategy": "FIXED", "initialDelay": "3s"}}));
    let steps = json!([
        parallel("p", json!([retried, task("b").with(json!({"continueOnFailure": true}))])),
        task("skipped").with(json!({"condition": "false"})),
        {"id": "note", "set": {"x": 1}},
        task("c"),
    ]);
    scenario(workflow(steps), |world| {
        world.advance(500);
        answer(world, "/p/a", Outcome::Failed { error: error("BUSY") }, 300);
        world.advance(500);
        answer(world, "/p/b", Outcome::Failed { error: error("BAD") }, 100);
        world.advance(2_500);
        world.advance(400);
        answer(world, "/p/a", done(), 400);
        world.admits = false;
        world.advance(1_000);
        answer(world, "/c", done(), 50);
        world.ended(Completed, "-");
        let m = world.run.head.metrics;
        assert_eq!((m.task_count, m.completed_tasks, m.failed_tasks, m.skipped_tasks), (4, 2, 1, 1));
        assert_eq!((m.attempts, m.retries), (4, 1));
        // Ready to begun: a 200, b 900, a again 0, c 950.
        assert_eq!(m.total_queue_time_ms, 200 + 900 + 950);
        assert_eq!(m.total_execution_time_ms, 300 + 100 + 400 + 50);
        assert_eq!(m.total_retry_wait_ms, 3_000);
        assert_eq!((m.total_cpu_time_ms, m.total_memory_bytes), (28, 4_000));
    });
}

#[test]
fn figures_no_worker_can_mean_do_no_harm() {
    scenario(workflow(json!([task("a"), task("b")])), |world| {
        let huge = TaskMetrics { execution_time_ms: u64::MAX, cpu_time_ms: u64::MAX, memory_bytes: u64::MAX };
        for path in ["/a", "/b"] {
            world.advance(1_000);
            let attempt = world.attempt(path);
            world.answer_attempt(path, attempt, Outcome::Completed { output: json!({}) }, huge);
        }
        world.ended(Completed, "-");
        let metrics = world.run.head.metrics;
        assert_eq!(metrics.total_cpu_time_ms, u64::MAX);
        assert_eq!((metrics.total_queue_time_ms, metrics.total_execution_time_ms), (0, 2_000));
    });
}

#[test]
fn a_value_counts_about_as_many_bytes_as_its_text_has() {
    let ones = json!(vec![1; 1_000]);
    let rows =
        [json!({"n": [0, 7, 10, -10, u64::MAX, i64::MIN]}), json!({"a": "text", "b": {"c": null}}), ones];
    for value in rows {
        let (counted, written) = (crate::mapping::size(&value), value.to_string().len());
        assert!((written..=written + 2).contains(&counted), "{value}: {counted}, {written}");
    }
}
