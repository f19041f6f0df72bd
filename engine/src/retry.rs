//! Whether a failed attempt is followed by another, and when. The only place where that is decided.

use oarlock_protocol::definition::{RetryPolicy, RetryStrategy};
use oarlock_protocol::{ErrorDetails, Span, TaskInstanceId, Timestamp};

use crate::router::matches;

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another attempt, then.
    Retry {
        /// When it becomes ready.
        at: Timestamp,
    },
    /// None: this error is not worth one.
    NotRetryable,
    /// None: the policy allows no more.
    Exhausted,
}

/// What the decision depends on beside policy and error.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// The task: jitter is made from it, so that the same decision made twice is the same.
    pub task: TaskInstanceId,
    /// How many retries there were.
    pub retry_count: u32,
    /// When the first attempt was dispatched.
    pub first_dispatch: Timestamp,
}

/// Decides what follows an attempt that failed with `error` at `now`.
pub fn decide(
    policy: Option<&RetryPolicy>,
    error: &ErrorDetails,
    history: History,
    now: Timestamp,
) -> Decision {
    let Some(policy) = policy else { return Decision::NotRetryable };
    if !retryable(policy, error) {
        return Decision::NotRetryable;
    }
    if history.retry_count >= policy.max_retries {
        return Decision::Exhausted;
    }
    let at = now.after(delay(policy, history.task, history.retry_count));
    match policy.total_time {
        Some(total) if at > history.first_dispatch.after(total) => Decision::Exhausted,
        _ => Decision::Retry { at },
    }
}

/// Whether the policy holds the error worth a retry.
fn retryable(policy: &RetryPolicy, error: &ErrorDetails) -> bool {
    let listed = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &error.code));
    if listed(&policy.non_retryable_errors) {
        return false;
    }
    if policy.retryable_errors.is_empty() { error.retryable } else { listed(&policy.retryable_errors) }
}

/// The wait before retry `retry_count` (counted from 0): grown, capped, then jittered.
pub fn delay(policy: &RetryPolicy, task: TaskInstanceId, retry_count: u32) -> Span {
    let initial = policy.initial_delay.as_millis() as f64;
    let grown = match policy.strategy {
        RetryStrategy::Fixed => initial,
        RetryStrategy::Linear => initial * (f64::from(retry_count) + 1.0),
        RetryStrategy::Exponential => initial * policy.backoff_coefficient.powf(f64::from(retry_count)),
    };
    let cap = policy.max_delay.unwrap_or(oarlock_protocol::duration::LONGEST).as_millis() as f64;
    let capped = if grown.is_finite() { grown.min(cap) } else { cap };
    let factor = 1.0 + policy.jitter.clamp(0.0, 1.0) * (2.0 * fraction(task, retry_count) - 1.0);
    // `as` saturates: no delay is negative or out of range.
    Span::from_millis((capped * factor).round() as u64)
}

/// A number in 0..1 that depends on nothing but the task and the retry: splitmix64 over both.
fn fraction(task: TaskInstanceId, retry_count: u32) -> f64 {
    let id = task.as_uuid().as_u128();
    let mut z =
        (id as u64) ^ ((id >> 64) as u64) ^ u64::from(retry_count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::definition::RetryStrategy::{Exponential, Fixed, Linear};
    use oarlock_protocol::{Json, RunId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn task() -> TaskInstanceId {
        TaskInstanceId::of(RunId::keyed("t", "d", "k"), "/a")
    }

    fn policy(strategy: RetryStrategy) -> RetryPolicy {
        RetryPolicy { max_retries: 5, strategy, initial_delay: Span::from_millis(100), ..Default::default() }
    }

    fn error(code: &str, retryable: bool) -> ErrorDetails {
        ErrorDetails { code: code.into(), message: String::new(), details: Json::Null, retryable }
    }

    fn history(retry_count: u32) -> History {
        History { task: task(), retry_count, first_dispatch: NOW }
    }

    #[test]
    fn delays_grow_as_the_strategy_says() {
        let rows = [
            (Fixed, None, [100, 100, 100, 100]),
            (Linear, None, [100, 200, 300, 400]),
            (Exponential, None, [100, 200, 400, 800]),
            (Exponential, Some(300), [100, 200, 300, 300]),
        ];
        for (strategy, cap, expected) in rows {
            let policy = RetryPolicy { max_delay: cap.map(Span::from_millis), ..policy(strategy) };
            let delays = [0, 1, 2, 3].map(|n| delay(&policy, task(), n).as_millis());
            assert_eq!(delays, expected, "{strategy:?} {cap:?}");
        }
    }

    #[test]
    fn an_endless_growth_is_capped() {
        let policy = RetryPolicy { backoff_coefficient: 1e300, ..policy(Exponential) };
        assert_eq!(delay(&policy, task(), 1000), oarlock_protocol::duration::LONGEST);
    }

    #[test]
    fn jitter_stays_in_its_share_and_is_the_same_each_time() {
        let policy = RetryPolicy { jitter: 0.2, ..policy(Fixed) };
        let delays: Vec<u64> = (0..200).map(|n| delay(&policy, task(), n).as_millis()).collect();
        assert!(delays.iter().all(|delay| (80..=120).contains(delay)), "{delays:?}");
        assert!(delays.iter().any(|&d| d < 90) && delays.iter().any(|&d| d > 110), "spread over the share");
        assert_eq!(delay(&policy, task(), 7), delay(&policy, task(), 7));
    }

    #[test]
    fn codes_decide_before_the_errors_own_mark() {
        let listed = RetryPolicy {
            retryable_errors: vec!["GATEWAY_TIMEOUT".into(), "HTTP_5*".into()],
            non_retryable_errors: vec!["HTTP_501".into()],
            ..policy(Fixed)
        };
        let rows = [
            (&listed, "HTTP_503", false, true),
            (&listed, "HTTP_501", true, false),
            (&listed, "OTHER", true, false),
            (&policy(Fixed), "OTHER", true, true),
            (&policy(Fixed), "OTHER", false, false),
        ];
        for (policy, code, marked, expected) in rows {
            let decision = decide(Some(policy), &error(code, marked), history(0), NOW);
            assert_eq!(matches!(decision, Decision::Retry { .. }), expected, "{code} {marked}");
        }
        assert_eq!(decide(None, &error("X", true), history(0), NOW), Decision::NotRetryable);
    }

    #[test]
    fn retries_end_by_count_and_by_total_time() {
        let at = |delay| Decision::Retry { at: NOW.after(Span::from_millis(delay)) };
        assert_eq!(decide(Some(&policy(Fixed)), &error("X", true), history(4), NOW), at(100));
        assert_eq!(decide(Some(&policy(Fixed)), &error("X", true), history(5), NOW), Decision::Exhausted);
        let short = RetryPolicy { total_time: Some(Span::from_millis(250)), ..policy(Linear) };
        assert_eq!(decide(Some(&short), &error("X", true), history(1), NOW), at(200));
        assert_eq!(decide(Some(&short), &error("X", true), history(2), NOW), Decision::Exhausted);
    }
}
