//! What follows a failed attempt.

use oarlock_protocol::code::Code;
use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::message::Outcome;
use oarlock_protocol::{ErrorDetails, Json};
use serde_json::json;

use super::steps::{With, task, workflow};
use super::workers::error;
use super::world::{World, scenario};

fn retried(policy: Json) -> Json {
    workflow(json!([task("a").with(json!({"retryPolicy": policy}))]))
}

/// Fails the attempt and finds that the next one comes after exactly this time.
#[track_caller]
fn fails_and_waits(world: &mut World, milliseconds: u64) {
    world.fail("/a", "BUSY");
    assert_eq!((world.status("/a"), world.open().as_str()), ("RETRY_PENDING", ""));
    world.advance(milliseconds - 1);
    assert_eq!(world.open(), "", "it waits for {milliseconds} ms");
    world.advance(1);
    assert_eq!((world.status("/a"), world.open().as_str()), ("SCHEDULED", "/a"));
}

#[test]
fn each_strategy_waits_as_it_says() {
    let rows = [
        (json!({"strategy": "FIXED", "initialDelay": "100ms"}), [100, 100, 100]),
        (json!({"strategy": "LINEAR", "initialDelay": "100ms"}), [100, 200, 300]),
        (
            json!({"strategy": "EXPONENTIAL", "initialDelay": "100ms", "backoffCoefficient": 3.0}),
            [100, 300, 900],
        ),
        (json!({"strategy": "EXPONENTIAL", "initialDelay": "100ms", "maxDelay": "150ms"}), [100, 150, 150]),
        (json!({}), [1000, 2000, 4000]),
    ];
    for (policy, delays) in rows {
        scenario(retried(policy.with(json!({"maxRetries": 3}))), |world| {
            for delay in delays {
                fails_and_waits(world, delay);
            }
            world.complete("/a", json!({}));
            world.ended(Completed, "-");
            let row = world.instance().task_instances.remove(0);
            assert_eq!((row.retry_count, row.attempts.len(), row.error), (3, 4, None));
            assert_eq!(world.run.head.metrics.total_retry_wait_ms, delays.iter().sum::<u64>());
        });
    }
}

#[test]
fn a_task_without_a_policy_is_not_retried() {
    scenario(workflow(json!([task("a")])), |world| {
        world.fail("/a", "BUSY");
        world.ended(Failed, "BUSY");
    });
}

#[test]
fn retries_end_with_the_last_error() {
    scenario(retried(json!({"maxRetries": 1})), |world| {
        fails_and_waits(world, 1000);
        world.fail("/a", "STILL_BUSY");
        world.ended(Failed, "STILL_BUSY");
        assert_eq!((world.run.head.metrics.attempts, world.run.head.metrics.retries), (2, 1));
    });
}

#[test]
fn an_error_that_is_not_retryable_ends_the_task() {
    let policy =
        json!({"maxRetries": 5, "retryableErrors": ["HTTP_5*", "BUSY"], "nonRetryableErrors": ["HTTP_501"]});
    for code in ["HTTP_501", "HTTP_404"] {
        scenario(retried(policy.clone()), |world| {
            world.fail("/a", code);
            world.ended(Failed, code);
        });
    }
    scenario(retried(json!({"maxRetries": 5})), |world| {
        let marked = oarlock_protocol::ErrorDetails { retryable: false, ..error("CARD_DECLINED") };
        world.answer("/a", Outcome::Failed { error: marked });
        world.ended(Failed, "CARD_DECLINED");
    });
    scenario(retried(policy), |world| {
        world.fail("/a", "HTTP_503");
        assert_eq!(world.status("/a"), "RETRY_PENDING");
        world.advance(1000);
        world.complete("/a", json!({}));
    });
}

#[test]
fn no_retry_begins_after_the_policys_total_time() {
    let policy =
        json!({"maxRetries": 100, "strategy": "FIXED", "initialDelay": "100ms", "totalTime": "250ms"});
    scenario(retried(policy), |world| {
        fails_and_waits(world, 100);
        fails_and_waits(world, 100);
        world.fail("/a", "BUSY");
        world.ended(Failed, "BUSY");
    });
}

#[test]
fn no_retry_begins_after_the_tasks_total_timeout() {
    let step = task("a").with(json!({"retryPolicy": {"maxRetries": 9}, "timeouts": {"total": "1500ms"}}));
    scenario(workflow(json!([step])), |world| {
        fails_and_waits(world, 1000);
        world.fail("/a", "BUSY");
        world.ended(Failed, "BUSY");
    });
}

#[test]
fn the_steps_own_policy_stands_before_the_task_definitions() {
    let definitions =
        json!([{"id": "work", "retryPolicy": {"maxRetries": 1, "strategy": "FIXED", "initialDelay": "5s"}}]);
    let own = json!({"retryPolicy": {"maxRetries": 1, "strategy": "FIXED", "initialDelay": "7s"}});
    let declared = |step: Json| workflow(json!([step])).with(json!({"taskDefinitions": definitions}));
    for (definition, delay) in [(declared(task("a")), 5000), (declared(task("a").with(own)), 7000)] {
        scenario(definition, |world| {
            fails_and_waits(world, delay);
            world.complete("/a", json!({}));
        });
    }
}

#[test]
fn jitter_spreads_the_delay_and_is_the_same_after_a_crash() {
    let policy = json!({"maxRetries": 1, "strategy": "FIXED", "initialDelay": "10s", "jitter": 0.5});
    scenario(retried(policy), |world| {
        world.fail("/a", "BUSY");
        let at = world.instance().task_instances[0].next_attempt_at.unwrap();
        let delay = at.since(world.now).as_millis();
        assert!((5_000..=15_000).contains(&delay) && delay != 10_000, "{delay}");
        world.advance(delay);
        world.complete("/a", json!({}));
    });
}

#[test]
fn pain_12_a_late_result_of_an_attempt_that_was_given_up_changes_nothing() {
    scenario(retried(json!({"maxRetries": 1})), |world| {
        let first = world.attempt("/a");
        fails_and_waits(world, 1000);
        let late = Outcome::Completed { output: json!("late") };
        world.answer_attempt("/a", first, late.clone(), Default::default());
        assert!(world.stale > 0 && world.open() == "/a");
        world.complete("/a", json!("in time"));
        world.answer_attempt("/a", first, late, Default::default());
        assert_eq!(world.instance().task_instances[0].output, Some(json!("in time")));
    });
}

#[test]
fn a_result_for_an_attempt_that_never_was_changes_nothing() {
    scenario(workflow(json!([task("a")])), |world| {
        let forged = oarlock_protocol::ExecutionId::from_uuid(uuid::Uuid::from_u128(7));
        let outcome = Outcome::Completed { output: json!(1) };
        for path in ["/a", "/nowhere", "/"] {
            world.answer_attempt(path, forged, outcome.clone(), Default::default());
        }
        assert_eq!((world.status("/a"), world.stale >= 3), ("SCHEDULED", true));
        world.complete("/a", json!({}));
    });
}

#[test]
fn a_refused_task_is_offered_again_without_spending_a_retry() {
    scenario(workflow(json!([task("a")])), |world| {
        for _ in 0..3 {
            world.refuse("/a");
            assert_eq!(world.status("/a"), "RETRY_PENDING");
            world.advance(1000);
        }
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
        let metrics = world.run.head.metrics;
        assert_eq!((metrics.attempts, metrics.retries), (4, 0));
        assert_eq!(world.instance().task_instances[0].retry_count, 0);
    });
}

#[test]
fn a_task_that_is_always_refused_is_unknown() {
    let mut setup = super::world::Setup::from(retried(json!({"maxRetries": 3})));
    setup.settings.refusals = 2;
    scenario(setup, |world| {
        for _ in 0..2 {
            world.refuse("/a");
            world.advance(1000);
        }
        world.refuse("/a");
        world.ended(Failed, "UNKNOWN_TASK");
    });
}

#[test]
fn an_attempt_that_ended_by_a_cancel_of_which_the_run_knows_nothing_is_followed_by_another() {
    scenario(retried(json!({"maxRetries": 0})), |world| {
        let first = world.attempt("/a");
        // The store lost the commit that had told it to end.
        world.fail("/a", "CANCELLED");
        assert_eq!(world.status("/a"), "RETRY_PENDING");
        world.advance(1000);
        assert_ne!(world.attempt("/a"), first, "its worker would repeat the answer");
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
        let metrics = world.run.head.metrics;
        assert_eq!((metrics.attempts, metrics.retries), (2, 0));
    });
}

#[test]
fn a_task_that_always_says_it_was_cancelled_fails() {
    let mut setup = super::world::Setup::from(retried(json!({"maxRetries": 3})));
    setup.settings.refusals = 1;
    scenario(setup, |world| {
        world.fail("/a", "CANCELLED");
        world.advance(1000);
        world.answer("/a", Outcome::Failed { error: ErrorDetails::system(Code::Cancelled, "again") });
        world.ended(Failed, "CANCELLED");
    });
}

#[test]
fn only_refusals_in_a_row_count() {
    let mut setup = super::world::Setup::from(retried(json!({"maxRetries": 3})));
    setup.settings.refusals = 1;
    scenario(setup, |world| {
        world.refuse("/a");
        world.advance(1000);
        world.fail("/a", "BUSY");
        world.advance(1000);
        world.refuse("/a");
        assert_eq!(world.status("/a"), "RETRY_PENDING", "a worker knew it in between");
        world.advance(1000);
        world.complete("/a", json!({}));
    });
}
