//! Signs of life.

use oarlock_protocol::instance::WorkflowStatus::Completed;
use oarlock_protocol::message::Order;
use oarlock_protocol::{ExecutionId, TaskInstanceId, TaskPath};
use serde_json::json;
use uuid::Uuid;

use super::steps::{With, task, workflow};
use super::workers::worker;
use super::world::{Faults, World, scenario};
use crate::event::Event;

fn attempt_of(world: &World) -> oarlock_protocol::instance::Attempt {
    world.instance().task_instances[0].attempts[0].clone()
}

#[test]
fn the_first_sign_says_that_it_runs_and_where() {
    scenario(workflow(json!([task("a")])), |world| {
        world.advance(5_000);
        let mut sign = world.sign("/a", world.attempt("/a"), "one", 0);
        sign.running_ms = 1_000;
        world.event(Event::Progress(Box::new(sign)));
        assert_eq!(world.status("/a"), "RUNNING");
        assert_eq!(world.told, [("one".to_owned(), Order::Continue { n: 0 })]);
        let attempt = attempt_of(world);
        assert_eq!(attempt.worker_id, Some(worker("one")));
        assert_eq!(world.now.since(attempt.start_time.unwrap()).as_millis(), 1_000);
        world.advance(2_000);
        world.complete("/a", json!({}));
        let metrics = world.run.head.metrics;
        assert_eq!((metrics.total_queue_time_ms, metrics.total_execution_time_ms), (4_000, 3_000));
    });
}

#[test]
fn a_sign_that_claims_to_have_run_before_its_dispatch_does_not() {
    scenario(workflow(json!([task("a")])), |world| {
        let mut sign = world.sign("/a", world.attempt("/a"), "one", 0);
        sign.running_ms = u64::MAX;
        world.advance(1_000);
        world.event(Event::Progress(Box::new(sign)));
        let attempt = attempt_of(world);
        assert_eq!(attempt.start_time, Some(attempt.scheduled_at));
        world.complete("/a", json!({}));
    });
}

#[test]
fn only_the_first_sign_of_a_worker_is_written() {
    scenario(workflow(json!([task("a")])), |world| {
        world.progress("/a", 0);
        assert_eq!(world.written.rows, [TaskPath::from("/a")]);
        for n in [1, 2, 7] {
            world.told.clear();
            world.progress("/a", n);
            assert!(world.written.rows.is_empty(), "{:?}", world.written);
            assert_eq!(world.told, [("one".to_owned(), Order::Continue { n })]);
        }
        world.complete("/a", json!({}));
    });
}

#[test]
fn a_sign_that_was_overtaken_changes_nothing() {
    scenario(workflow(json!([task("a")])), |world| {
        world.progress("/a", 5);
        world.advance(5_000);
        world.told.clear();
        world.progress("/a", 4);
        assert!(world.told.is_empty() && world.stale > 0);
        world.complete("/a", json!({}));
    });
}

#[test]
fn a_sign_that_was_overtaken_is_no_sign_of_life() {
    let mut world = World::start(&workflow(json!([task("a")])).into(), Faults::None);
    world.progress("/a", 5);
    let due = world.next_timer();
    world.advance(5_000);
    world.progress("/a", 4);
    assert_eq!(world.next_timer(), due);
    world.progress("/a", 6);
    assert!(world.next_timer() > due);
}

#[test]
fn a_second_worker_takes_over_after_a_redelivery() {
    scenario(workflow(json!([task("a").with(json!({"timeouts": {"heartbeat": "10s"}}))])), |world| {
        let attempt = world.attempt("/a");
        world.progress("/a", 7);
        let late = world.sign("/a", attempt, "one", 8);
        world.advance(9_000);
        let mut second = world.sign("/a", attempt, "two", 0);
        second.deliveries = 2;
        world.event(Event::Progress(Box::new(second)));
        world.told.clear();
        world.event(Event::Progress(Box::new(late)));
        assert!(world.told.is_empty(), "the first worker has lost it: {:?}", world.told);
        assert_eq!(attempt_of(world).worker_id, Some(worker("two")));
        assert_eq!(attempt_of(world).earlier_workers, [worker("one")], "who was lost stays named");
        world.advance(9_000);
        assert_eq!(world.status("/a"), "RUNNING", "the second worker has its own time");
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
        let attempt = attempt_of(world);
        assert_eq!(
            (attempt.deliveries, attempt.worker_id),
            (2, Some(worker("one"))),
            "whoever answers first"
        );
        assert_eq!(attempt.earlier_workers, [worker("two")]);
    });
}

#[test]
fn a_worker_with_a_closed_or_forged_attempt_is_told_to_end() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 1}}));
    scenario(workflow(json!([step])), |world| {
        let forged = ExecutionId::from_uuid(Uuid::from_u128(7));
        let closed = world.attempt("/a");
        world.fail("/a", "BUSY");
        world.advance(1_000);
        for (path, attempt) in [("/a", closed), ("/a", forged), ("/nowhere", forged)] {
            world.told.clear();
            let sign = world.sign(path, attempt, "one", 0);
            world.event(Event::Progress(Box::new(sign)));
            assert!(world.told.contains(&("one".to_owned(), Order::Closed)), "{path}");
            assert_eq!(world.status("/a"), "SCHEDULED");
        }
        world.complete("/a", json!({}));
    });
}

#[test]
fn a_worker_with_an_attempt_that_the_store_has_lost_is_not_told_to_end() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 1}}));
    scenario(workflow(json!([step, task("b")])), |world| {
        for (path, number) in [("/a", 2), ("/b", 1)] {
            let task = TaskInstanceId::of(world.run.key.run, path);
            let sign = world.sign(path, ExecutionId::of(task, number), "one", 0);
            world.event(Event::Progress(Box::new(sign)));
            assert_eq!(world.told, [], "{path} may be opened yet, under the same name");
        }
        world.complete("/a", json!({}));
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_beat_from_a_worker_that_was_told_to_cancel_is_told_again() {
    scenario(workflow(json!([task("a")])), |world| {
        world.progress("/a", 0);
        world.cancel();
        world.told.clear();
        world.progress("/a", 1);
        assert!(matches!(world.told[..], [(_, Order::Cancel { .. })]), "{:?}", world.told);
        world.fail("/a", "CANCELLED");
    });
}

#[test]
fn a_worker_that_outlives_its_message_runs_it_again() {
    scenario(workflow(json!([task("a")])), |world| {
        world.progress("/a", 0);
        world.event(Event::MessagesLost { path: TaskPath::from("/a") });
        assert_eq!(world.status("/a"), "SCHEDULED");
        world.progress("/a", 1);
        assert_eq!(world.status("/a"), "RUNNING", "no time in a queue counts any more");
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
    });
}
