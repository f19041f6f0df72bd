//! Retries and times that contradict each other or can never work.

use oarlock_protocol::definition::{OnExhausted, RetryPolicy, RetryStrategy, Task, TaskTimeouts};
use oarlock_protocol::security::SecurityRequirements;
use oarlock_protocol::{Span, priority};

use super::Checker;
use crate::code::Code;
use crate::findings::Finding;
use crate::place::Place;

/// More retries than this are a mistake: at the default delays they would go on for years.
const MOST_RETRIES: u32 = 1_000;

impl Checker<'_, '_> {
    /// The policies of a step of its own.
    pub(super) fn step_policies(&mut self, task: &Task, place: &Place) {
        if let Some(policy) = &task.retry_policy {
            self.retry_policy(policy, &place.key("retryPolicy"));
        }
        self.timeouts(&task.timeouts, &place.key("timeouts"));
        if let Some(priority) = task.priority.filter(|priority| *priority > priority::HIGHEST) {
            self.senseless(
                &place.key("priority"),
                format!("the priority {priority} is outside 0 to 9"),
                "9 is the soonest, 4 the default.",
            );
        }
    }

    pub(super) fn retry_policy(&mut self, policy: &RetryPolicy, place: &Place) {
        self.retry_counts(policy, place);
        self.retry_delays(policy, place);
        self.retry_codes(policy, place);
    }

    fn retry_counts(&mut self, policy: &RetryPolicy, place: &Place) {
        if policy.max_retries > MOST_RETRIES {
            let message = format!("{} retries are more than the {MOST_RETRIES} allowed", policy.max_retries);
            self.senseless(
                &place.key("maxRetries"),
                message,
                "Use a longer delay instead; `onExhausted: PAUSE` waits for an operator.",
            );
        }
        if policy.max_retries == 0 && policy.on_exhausted == OnExhausted::Pause {
            let message = "with `maxRetries: 0` the first failure already pauses the run";
            let finding = Finding::new(Code::UselessPolicy, &place.key("onExhausted"), message);
            self.tell(finding.help("Allow some retries before an operator is called."));
        }
        if !(0.0..=1.0).contains(&policy.jitter) {
            self.senseless(
                &place.key("jitter"),
                format!("the jitter {} is outside 0 to 1", policy.jitter),
                "It is a share of the delay: `jitter: 0.2` varies it by a fifth, both ways.",
            );
        }
        if policy.strategy == RetryStrategy::Exponential
            && (policy.backoff_coefficient.is_nan() || policy.backoff_coefficient < 1.0)
        {
            let message =
                format!("with the coefficient {} the delays would shrink", policy.backoff_coefficient);
            self.senseless(
                &place.key("backoffCoefficient"),
                message,
                "Use 1 or more (2 doubles each delay), or `strategy: FIXED`.",
            );
        }
    }

    fn retry_delays(&mut self, policy: &RetryPolicy, place: &Place) {
        let initial = policy.initial_delay;
        if initial.is_zero() && policy.max_retries > 0 {
            let finding = Finding::new(
                Code::UselessPolicy,
                &place.key("initialDelay"),
                "without a delay all retries happen at once",
            );
            self.tell(finding.help("Give what failed a moment to recover, such as `initialDelay: 1s`."));
        }
        if let Some(longest) = policy.max_delay.filter(|longest| *longest < initial) {
            let message = format!("`maxDelay` ({longest}) is shorter than `initialDelay` ({initial})");
            self.senseless(
                &place.key("maxDelay"),
                message,
                "Make it longer, or the initial delay shorter (1s where absent).",
            );
        }
        if let Some(total) = policy.total_time.filter(|total| *total < initial) {
            let message = format!(
                "`totalTime` ({total}) ends before the first retry, which waits `initialDelay` ({initial})"
            );
            self.senseless(
                &place.key("totalTime"),
                message,
                "Make it longer, or the initial delay shorter (1s where absent).",
            );
        }
    }

    fn retry_codes(&mut self, policy: &RetryPolicy, place: &Place) {
        let lists = [
            ("retryableErrors", &policy.retryable_errors),
            ("nonRetryableErrors", &policy.non_retryable_errors),
        ];
        for (field, codes) in lists {
            for (index, code) in codes.iter().enumerate() {
                let place = place.key(field).index(index);
                if code.trim().is_empty() {
                    self.senseless(
                        &place,
                        "an empty error code fits no error".to_owned(),
                        "Write a code such as GATEWAY_TIMEOUT, or a pattern such as \"HTTP_5*\".",
                    );
                } else if field == "nonRetryableErrors"
                    && policy.retryable_errors.iter().take(100).any(|other| other == code)
                {
                    self.senseless(
                        &place,
                        format!("`{code}` is both retryable and not"),
                        "Remove it from one of the two lists.",
                    );
                }
            }
        }
    }

    pub(super) fn timeouts(&mut self, timeouts: &TaskTimeouts, place: &Place) {
        let named = [
            ("queue", timeouts.queue),
            ("execution", timeouts.execution),
            ("heartbeat", timeouts.heartbeat),
            ("total", timeouts.total),
        ];
        for (field, limit) in named {
            self.not_zero(limit, &place.key(field));
        }
        self.within(("execution", timeouts.execution), ("total", timeouts.total), place);
        self.within(("heartbeat", timeouts.heartbeat), ("execution", timeouts.execution), place);
        self.within(("queue", timeouts.queue), ("total", timeouts.total), place);
    }

    fn within(&mut self, inner: (&str, Option<Span>), outer: (&str, Option<Span>), place: &Place) {
        if let (Some(short), Some(long)) = (inner.1, outer.1)
            && short > long
            && !long.is_zero()
        {
            let message = format!(
                "`{}` ({short}) is longer than `{}` ({long}), and so could never strike",
                inner.0, outer.0
            );
            self.senseless(&place.key(inner.0), message, "Make it shorter, or the other one longer.");
        }
    }

    /// A limit in time that leaves no time.
    pub(super) fn not_zero(&mut self, limit: Option<Span>, place: &Place) {
        if limit.is_some_and(Span::is_zero) {
            self.senseless(
                place,
                "a time of zero leaves no time at all".to_owned(),
                "Write how long, such as `30s`, or remove the field for the default.",
            );
        }
    }

    pub(super) fn permissions(&mut self, security: &SecurityRequirements, place: &Place) {
        for (index, permission) in security.required_permissions.iter().enumerate() {
            if permission.trim().is_empty() {
                let place = place.key("requiredPermissions").index(index);
                self.senseless(
                    &place,
                    "an empty permission can be held by nobody".to_owned(),
                    "Write a name such as payments.write, or remove it.",
                );
            }
        }
    }

    pub(super) fn senseless(&mut self, place: &Place, message: String, help: &str) {
        self.tell(Finding::new(Code::SenselessPolicy, place, message).help(help));
    }
}
