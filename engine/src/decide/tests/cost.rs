//! What a decision costs, counted in rows written, not in time.

use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::{Setup, World, scenario};
use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::Completed;

fn tasks(count: usize) -> Vec<Json> {
    (0..count).map(|n| task(&format!("t{n}"))).collect()
}

/// Completes every task of the run, and tells the most rows that one event wrote.
fn most_rows_written(world: &mut World, path: impl Fn(usize) -> String, count: usize) -> usize {
    let mut most = 0;
    for n in 0..count {
        let attempt = world.attempt(&path(n));
        let result = oarlock_protocol::message::Outcome::Completed { output: json!({"n": n}) };
        world.admits = false;
        world.answer_attempt(&path(n), attempt, result, Default::default());
        most = most.max(world.written.rows.len());
        for offered in std::mem::take(&mut world.offers) {
            world.admit(offered.as_str());
            most = most.max(world.written.rows.len());
        }
    }
    world.ended(Completed, "-");
    most
}

#[test]
fn an_event_of_a_long_sequence_writes_as_little_as_one_of_a_short_one() {
    let most = [1_000, 10_000].map(|count| {
        let setup = Setup::from(workflow(json!([group("g", json!(tasks(count)))])));
        most_rows_written(&mut World::start_unchecked(&setup), |n| format!("/g/t{n}"), count)
    });
    assert!(most[0] <= 2 && most[1] <= 2, "{most:?}");
}

#[test]
fn an_event_of_a_wide_parallel_writes_as_little_as_one_of_a_narrow_one() {
    let most = [1_000, 10_000].map(|count| {
        let setup = Setup::from(workflow(json!([parallel("p", json!(tasks(count)))])));
        most_rows_written(&mut World::start_unchecked(&setup), |n| format!("/p/t{n}"), count)
    });
    assert!(most[0] <= 2 && most[1] <= 2, "{most:?}");
}

#[test]
fn a_join_of_ten_thousand_is_found_in_one_pass() {
    let names: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
    let mut steps = tasks(10_000);
    steps.push(json!({"id": "join", "task": "work", "dependsOn": names}));
    let setup = Setup::from(workflow(json!([parallel("p", json!(steps))])));
    let mut world = World::start_unchecked(&setup);
    for n in (0..10_000).rev() {
        world.complete(&format!("/p/t{n}"), json!({}));
    }
    assert_eq!(world.open(), "/p/join");
    world.complete("/p/join", json!({}));
    world.ended(Completed, "-");
}

#[test]
fn ten_thousand_steps_in_one_decision_need_no_stack() {
    let mut steps = vec![json!({"id": "zero", "set": {"n": 0}})];
    steps.extend((0..10_000).map(|n| json!({"id": format!("s{n}"), "set": {"n": "${ variables.n + 1 }"}})));
    let world = World::start_unchecked(&Setup::from(workflow(json!([group("g", json!(steps))]))));
    world.ended(Completed, "-");
    assert_eq!(world.variable("n"), json!(10_000));
}

/// Tasks that each copy a text of 64 KiB, all at once.
fn burdened(count: usize) -> Setup {
    let copy = |n| task(&format!("t{n}")).with(json!({"inputMappings": {"text": "${ input.text }"}}));
    let copies: Vec<Json> = (0..count).map(copy).collect();
    let mut setup = Setup::from(workflow(json!([parallel("p", json!(copies))])));
    setup.input = json!({"text": "x".repeat(64 * 1024)});
    setup
}

#[test]
fn what_ends_a_block_writes_no_input_again() {
    let mut world = World::start_unchecked(&burdened(600));
    assert_eq!(world.published.len(), 600);
    world.cancel();
    assert_eq!(world.written.rows.len(), 601);
    assert!(world.written.bytes < 601 * 1024, "{}", world.written.bytes);
    assert_eq!(world.instance().task_instances[600].input.as_ref(), Some(&world.run.input));
}

#[test]
fn what_ends_handlers_writes_no_output_again() {
    let written = json!([{"type": "VALUE", "value": "${ taskOutput.missing }", "target": "v"}]);
    let failing = |n| {
        let handlers = json!([task(&format!("h{n}"))]);
        task(&format!("t{n}")).with(json!({"variableMappings": written, "onError": handlers}))
    };
    let tasks: Vec<Json> = (0..100).map(failing).collect();
    let mut world = World::start_unchecked(&Setup::from(workflow(json!([parallel("p", json!(tasks))]))));
    world.admits = false;
    for n in 0..100 {
        world.complete(&format!("/p/t{n}"), json!({"text": "x".repeat(64 * 1024)}));
    }
    assert_eq!(world.offers.len(), 100);
    world.cancel();
    // Each failed task, its handlers and the task in them, and the block around all.
    assert_eq!(world.written.rows.len(), 301);
    assert!(world.written.bytes < 301 * 1024, "{}", world.written.bytes);
}

#[test]
fn the_retries_of_a_task_write_its_input_once() {
    let retried = task("a").with(json!({
        "inputMappings": {"text": "${ input.text }"},
        "retryPolicy": {"maxRetries": 9, "strategy": "FIXED", "initialDelay": "1ms"},
    }));
    let mut setup = Setup::from(workflow(json!([retried])));
    setup.input = json!({"text": "x".repeat(64 * 1024)});
    scenario(setup, |world| {
        for _ in 0..9 {
            world.fail("/a", "BUSY");
            assert!(world.written.bytes < 16 * 1024, "{}", world.written.bytes);
            world.advance(1);
            assert!(world.written.bytes < 16 * 1024, "{}", world.written.bytes);
        }
        world.complete("/a", json!({}));
        assert_eq!(world.instance().task_instances[0].input.as_ref(), Some(&world.run.input));
    });
}

#[test]
fn a_run_that_is_given_its_output_writes_it_once() {
    let stop = json!({"id": "stop", "terminate": {"status": "COMPLETED", "output": "${ input.text }"}});
    let steps = json!([parallel("p", json!([task("a"), task("b"), group("g", json!([task("c"), stop]))]))]);
    let mut setup = Setup::from(workflow(steps));
    setup.input = json!({"text": "x".repeat(64 * 1024)});
    scenario(setup, |world| {
        world.complete("/p/g/c", json!({}));
        assert_eq!((world.run.head.status.as_str(), world.instance().output), ("RUNNING", None));
        for path in ["/p/a", "/p/b"] {
            world.complete(path, json!({}));
            assert!(world.written.bytes < 16 * 1024, "{}", world.written.bytes);
        }
        world.ended(Completed, "-");
        assert_eq!(world.instance().output, Some(world.run.input["text"].clone()));
    });
}

#[test]
fn a_task_that_is_retried_without_end_keeps_a_small_row() {
    let policy = json!({"maxRetries": 1_000, "strategy": "FIXED", "initialDelay": "1ms"});
    let step = json!({"id": "a", "task": "work", "retryPolicy": policy});
    scenario(workflow(json!([step])), |world| {
        for _ in 0..60 {
            world.fail("/a", "BUSY");
            world.advance(1);
        }
        world.complete("/a", json!({}));
        let row = world.instance().task_instances.remove(0);
        assert_eq!((row.retry_count, row.attempts.len()), (60, crate::run::KEPT_ATTEMPTS));
        let numbers: Vec<u32> =
            crate::view::history(&world.plan, &world.run).iter().filter_map(|e| e.attempt).collect();
        assert!(numbers.iter().all(|&n| n > 0), "{numbers:?}");
    });
}
