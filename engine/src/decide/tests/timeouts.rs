//! Limits in time.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed, TimedOut};
use oarlock_protocol::message::{Order, Outcome};
use serde_json::json;

use super::steps::{With, group, parallel, task, workflow};
use super::world::{Setup, World, scenario};
use crate::event::Event;

fn limited(timeouts: Json) -> Json {
    workflow(json!([task("a").with(json!({"timeouts": timeouts}))]))
}

#[test]
fn a_task_that_admission_never_lets_out_ends_by_its_queue_timeout() {
    let steps =
        json!([{"id": "wait", "task": "work"}, task("a").with(json!({"timeouts": {"queue": "10s"}}))]);
    scenario(workflow(steps), |world| {
        world.admits = false;
        world.complete("/wait", json!({}));
        world.advance(9_999);
        assert_eq!(world.status("/a"), "READY");
        world.advance(1);
        world.ended(Failed, "TIMEOUT_QUEUE");
        world.event(Event::Admitted { path: "/a".into() });
        assert_eq!(world.open(), "");
    });
}

#[test]
fn a_task_no_worker_takes_ends_by_its_queue_timeout_and_is_retried() {
    let step = json!({"timeouts": {"queue": "10s"}, "retryPolicy": {"maxRetries": 1}});
    scenario(workflow(json!([task("a").with(step)])), |world| {
        let first = world.attempt("/a");
        // The worker judges first; this side waits a little for its answer.
        world.advance(14_999);
        assert_eq!(world.status("/a"), "SCHEDULED");
        world.advance(1);
        assert_eq!((world.status("/a"), world.error("/a").code.as_str()), ("RETRY_PENDING", "TIMEOUT_QUEUE"));
        world.answer_attempt("/a", first, Outcome::Completed { output: json!(1) }, Default::default());
        assert_eq!(world.status("/a"), "RETRY_PENDING", "a late result changes nothing");
        world.advance(1_000);
        world.complete("/a", json!(2));
        world.ended(Completed, "-");
        assert_eq!(world.instance().task_instances[0].output, Some(json!(2)));
    });
}

#[test]
fn the_time_ready_counts_to_the_queue_timeout_of_the_attempt() {
    let steps = json!([task("first"), task("a").with(json!({"timeouts": {"queue": "10s"}}))]);
    scenario(workflow(steps), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.advance(8_000);
        world.admit("/a");
        world.advance(6_999);
        assert_eq!(world.status("/a"), "SCHEDULED");
        world.advance(1);
        world.ended(Failed, "TIMEOUT_QUEUE");
    });
}

#[test]
fn an_attempt_that_runs_too_long_is_closed_from_here_even_while_it_beats() {
    scenario(limited(json!({"execution": "30s", "heartbeat": "20s"})), |world| {
        world.progress("/a", 0);
        for n in 1..=3 {
            world.advance(10_000);
            world.progress("/a", n);
        }
        world.advance(4_999);
        assert_eq!(world.status("/a"), "RUNNING");
        world.told.clear();
        world.advance(1);
        world.ended(Failed, "TIMEOUT_EXECUTION");
        assert_eq!(world.told, [("one".to_owned(), Order::Closed)]);
    });
}

#[test]
fn a_silent_worker_loses_its_attempt() {
    scenario(limited(json!({"heartbeat": "10s"})), |world| {
        world.progress("/a", 0);
        world.advance(9_999);
        assert_eq!(world.status("/a"), "RUNNING");
        world.advance(1);
        world.ended(Failed, "TIMEOUT_HEARTBEAT");
    });
}

#[test]
fn pain_10_an_attempt_lives_by_its_heartbeats_and_not_by_its_age() {
    scenario(limited(json!({"heartbeat": "10s"})), |world| {
        for n in 0..10 {
            world.progress("/a", n);
            world.advance(9_000);
            assert_eq!(world.status("/a"), "RUNNING", "after beat {n}");
        }
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_worker_that_never_gave_a_sign_is_not_missed_before_the_queue_timeout() {
    scenario(limited(json!({"heartbeat": "1s", "execution": "1s"})), |world| {
        world.advance(60_000);
        assert_eq!(world.status("/a"), "SCHEDULED");
        world.complete("/a", json!({}));
    });
}

#[test]
fn all_attempts_together_end_by_the_total_timeout() {
    let step = json!({"timeouts": {"total": "10s"}, "retryPolicy": {"maxRetries": 9, "strategy": "FIXED", "initialDelay": "4s"}});
    scenario(workflow(json!([task("a").with(step)])), |world| {
        world.fail("/a", "BUSY");
        world.advance(4_000);
        world.progress("/a", 0);
        world.advance(10_999);
        assert_eq!(world.status("/a"), "RUNNING");
        world.advance(1);
        assert_eq!(world.status("/a"), "TIMED_OUT");
        world.ended(Failed, "TIMEOUT_TOTAL");
    });
}

#[test]
fn a_worker_that_finds_the_total_time_over_ends_the_task_as_timed_out() {
    let step = json!({"timeouts": {"total": "10s"}, "retryPolicy": {"maxRetries": 9}});
    scenario(workflow(json!([task("a").with(step)])), |world| {
        world.advance(10_000);
        world.fail("/a", "TIMEOUT_TOTAL");
        assert_eq!(world.status("/a"), "TIMED_OUT");
        world.ended(Failed, "TIMEOUT_TOTAL");
    });
    scenario(workflow(json!([task("a")])), |world| {
        world.fail("/a", "TIMEOUT_TOTAL");
        assert_eq!(world.status("/a"), "FAILED", "a code alone is no time limit");
    });
}

#[test]
fn a_ready_task_ends_by_its_total_timeout() {
    let steps = json!([task("first"), task("a").with(json!({"timeouts": {"total": "10s"}}))]);
    scenario(workflow(steps), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.advance(10_000);
        assert_eq!(world.status("/a"), "TIMED_OUT");
        world.ended(Failed, "TIMEOUT_TOTAL");
    });
}

#[test]
fn a_task_that_timed_out_is_recovered_by_its_handlers() {
    let step = json!({"timeouts": {"total": "10s"}, "onError": [task("instead")]});
    scenario(workflow(json!([task("a").with(step)])), |world| {
        world.advance(15_000);
        assert_eq!((world.status("/a"), world.open().as_str()), ("TIMED_OUT", "/a:onError/instead"));
        world.complete("/a:onError/instead", json!({}));
        world.ended(Completed, "-");
    });
}

fn run_limited(extra: Json) -> Json {
    let steps = json!([group("g", json!([parallel("p", json!([task("a"), task("b")])), task("c")]))]);
    workflow(steps).with(json!({"timeouts": {"total": "1m"}})).with(extra)
}

#[test]
fn a_run_ends_by_its_total_timeout_once_its_attempts_have_closed() {
    scenario(run_limited(json!({})), |world| {
        world.progress("/g/p/a", 0);
        world.told.clear();
        world.complete("/g/p/b", json!({}));
        // Silence would end the attempt first.
        while world.run.head.ending.is_none() {
            let n = world.now.as_millis().unsigned_abs();
            world.progress("/g/p/a", n);
            world.advance(20_000);
        }
        assert!(
            world.told.iter().any(|(queue, order)| queue == "one" && matches!(order, Order::Cancel { .. }))
        );
        assert_eq!(world.run.head.status.as_str(), "RUNNING", "an attempt is open");
        world.fail("/g/p/a", "CANCELLED");
        world.ended(TimedOut, "TIMEOUT_TOTAL");
        assert_eq!((world.status("/g/p/a"), world.status("/g")), ("CANCELLED", "CANCELLED"));
        assert_eq!(world.status("/g/c"), "-");
    });
}

#[test]
fn the_handlers_of_a_run_that_timed_out_have_time() {
    let handler =
        task("tell").with(json!({"inputMappings": {"why": "${ error.code + ' ' + error.taskPath }"}}));
    scenario(run_limited(json!({"onError": [handler]})), |world| {
        world.advance(60_000);
        world.advance(10_000);
        assert_eq!(world.open(), "/:onError/tell", "the cancelled attempts had their grace");
        assert_eq!(world.run.rows["/:onError/tell"].input, Some(json!({"why": "TIMEOUT_TOTAL /"})));
        world.advance(3_600_000);
        world.event(Event::Timer { path: "/".into() });
        world.complete("/:onError/tell", json!({}));
        world.ended(TimedOut, "TIMEOUT_TOTAL");
    });
}

#[test]
fn a_total_timeout_does_not_touch_the_handlers_of_a_run_whose_output_failed() {
    let definition = workflow(json!([task("a")])).with(json!({
        "timeouts": {"total": "1m"}, "output": "${ input.never }", "onError": [task("tell")],
    }));
    scenario(definition, |world| {
        world.complete("/a", json!({}));
        assert!(!world.timers.contains_key("/"), "its total time no longer matters");
        world.advance(120_000);
        world.event(Event::Timer { path: "/".into() });
        assert_eq!(world.open(), "/:onError/tell");
        world.complete("/:onError/tell", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
    });
}

#[test]
fn a_run_that_ends_in_time_is_not_touched_by_its_timeout() {
    scenario(run_limited(json!({})), |world| {
        for path in ["/g/p/a", "/g/p/b", "/g/c"] {
            world.complete(path, json!({}));
        }
        world.advance(120_000);
        world.ended(Completed, "-");
    });
}

#[test]
fn a_finished_run_is_forgotten_after_its_retention() {
    let keeps = |world: &mut World, milliseconds: u64| {
        world.complete("/a", json!({}));
        world.advance(milliseconds - 1);
        assert!(!world.forgotten);
        world.advance(1);
        assert!(world.forgotten);
    };
    scenario(workflow(json!([task("a")])).with(json!({"retention": "2h"})), |world| keeps(world, 7_200_000));
    let mut setup = Setup::from(workflow(json!([task("a")])));
    setup.settings.retention = oarlock_protocol::Span::from_secs(5);
    scenario(setup, |world| keeps(world, 5_000));
}

#[test]
fn time_never_runs_backwards_within_a_run() {
    scenario(workflow(json!([task("a"), task("b")])), |world| {
        world.advance(10_000);
        world.complete("/a", json!({}));
        let before = world.now;
        // The next owner's clock is behind.
        world.now = super::world::BEGIN;
        world.complete("/b", json!({}));
        assert_eq!(world.run.head.end_time, Some(before));
    });
}

#[test]
fn timers_that_fire_early_or_for_nothing_are_harmless() {
    let steps = json!([task("a").with(json!({"retryPolicy": {"maxRetries": 1}}))]);
    scenario(workflow(steps).with(json!({"timeouts": {"total": "1h"}})), |world| {
        let fire = |world: &mut World, path: &str| world.event(Event::Timer { path: path.into() });
        ["/", "/a", "/nowhere"].iter().for_each(|path| fire(world, path));
        assert_eq!(world.open(), "/a");
        world.fail("/a", "BUSY");
        fire(world, "/a");
        assert_eq!(world.status("/a"), "RETRY_PENDING", "it waits its time");
        world.advance(1_000);
        world.complete("/a", json!({}));
        ["/", "/a"].iter().for_each(|path| fire(world, path));
        assert!(!world.forgotten);
    });
}

#[test]
fn the_time_for_which_a_pause_held_a_task_back_is_no_time_in_a_queue() {
    let steps = json!([task("first"), task("a").with(json!({"timeouts": {"queue": "10s", "total": "30s"}}))]);
    scenario(workflow(steps), |world| {
        world.admits = false;
        world.complete("/first", json!({}));
        world.advance(9_000);
        let until = world.now.after(oarlock_protocol::Span::from_secs(5));
        world.event(Event::HeldBack { path: "/a".into(), until });
        world.advance(9_999);
        assert_eq!(world.status("/a"), "READY", "it counts from then, and never from a time to come");
        world.advance(1);
        world.ended(Failed, "TIMEOUT_QUEUE");
        world.event(Event::HeldBack { path: "/a".into(), until: world.now });
        world.event(Event::HeldBack { path: "/b".into(), until: world.now });
    });
}
