//! Task definitions, and the policies that steps may have of their own.

use oarlock_protocol::definition::{ConcurrencyLimit, RateLimit, RetryPolicy, TaskDefinition, TaskTimeouts};

use super::Decoder;
use crate::place::Place;
use crate::tree::{Node, Value};

const TASK_DEFINITION: &[&str] = &[
    "id",
    "version",
    "description",
    "queue",
    "inputSchema",
    "outputSchema",
    "retryPolicy",
    "continueOnFailure",
    "timeouts",
    "securityRequirements",
    "rateLimit",
    "concurrencyLimit",
];

const RETRY_POLICY: &[&str] = &[
    "maxRetries",
    "strategy",
    "initialDelay",
    "backoffCoefficient",
    "maxDelay",
    "jitter",
    "totalTime",
    "retryableErrors",
    "nonRetryableErrors",
    "onExhausted",
];

impl Decoder<'_, '_> {
    pub(super) fn task_definitions(&mut self, node: &Node, place: &Place) -> Option<Vec<TaskDefinition>> {
        let wanted = "a list of task definitions (`- id: payment.charge`)";
        self.list(node, place, wanted, Self::task_definition, TaskDefinition::default)
    }

    fn task_definition(&mut self, node: &Node, place: &Place) -> Option<TaskDefinition> {
        let fields = self.fields(node, place, "a task definition", TASK_DEFINITION)?;
        Some(TaskDefinition {
            id: self.required(&fields, "id", Self::text).unwrap_or_default(),
            version: self.optional(&fields, "version", Self::version).unwrap_or(1),
            description: self.optional(&fields, "description", Self::text),
            queue: self.optional(&fields, "queue", Self::text),
            input_schema: self.optional(&fields, "inputSchema", Self::schema),
            output_schema: self.optional(&fields, "outputSchema", Self::schema),
            retry_policy: self.optional(&fields, "retryPolicy", Self::retry_policy),
            continue_on_failure: self.optional(&fields, "continueOnFailure", Self::boolean).unwrap_or(false),
            timeouts: self.optional(&fields, "timeouts", Self::task_timeouts).unwrap_or_default(),
            security_requirements: self.optional(&fields, "securityRequirements", Self::security),
            rate_limit: self.optional(&fields, "rateLimit", Self::rate_limit),
            concurrency_limit: self.optional(&fields, "concurrencyLimit", Self::concurrency_limit),
        })
    }

    pub(super) fn retry_policy(&mut self, node: &Node, place: &Place) -> Option<RetryPolicy> {
        let fields = self.fields(node, place, "a retry policy", RETRY_POLICY)?;
        let defaults = RetryPolicy::default();
        Some(RetryPolicy {
            max_retries: self.required(&fields, "maxRetries", Self::count).unwrap_or(1),
            strategy: self
                .optional(&fields, "strategy", |decoder, node, place| {
                    decoder.choice(node, place, &["FIXED", "LINEAR", "EXPONENTIAL"])
                })
                .unwrap_or_default(),
            initial_delay: self
                .optional(&fields, "initialDelay", Self::span)
                .unwrap_or(defaults.initial_delay),
            backoff_coefficient: self
                .optional(&fields, "backoffCoefficient", Self::number)
                .unwrap_or(defaults.backoff_coefficient),
            max_delay: self.optional(&fields, "maxDelay", Self::span),
            jitter: self.optional(&fields, "jitter", Self::number).unwrap_or(defaults.jitter),
            total_time: self.optional(&fields, "totalTime", Self::span),
            retryable_errors: self.optional(&fields, "retryableErrors", Self::texts).unwrap_or_default(),
            non_retryable_errors: self
                .optional(&fields, "nonRetryableErrors", Self::texts)
                .unwrap_or_default(),
            on_exhausted: self
                .optional(&fields, "onExhausted", |decoder, node, place| {
                    decoder.choice(node, place, &["FAIL", "PAUSE"])
                })
                .unwrap_or_default(),
        })
    }

    pub(super) fn task_timeouts(&mut self, node: &Node, place: &Place) -> Option<TaskTimeouts> {
        let fields = self.fields(
            node,
            place,
            "the timeouts of a task",
            &["queue", "execution", "heartbeat", "total"],
        )?;
        Some(TaskTimeouts {
            queue: self.optional(&fields, "queue", Self::span),
            execution: self.optional(&fields, "execution", Self::span),
            heartbeat: self.optional(&fields, "heartbeat", Self::span),
            total: self.optional(&fields, "total", Self::span),
        })
    }

    fn rate_limit(&mut self, node: &Node, place: &Place) -> Option<RateLimit> {
        let fields = self.fields(node, place, "a rate limit", &["limit", "per", "key"])?;
        let limit = self.required(&fields, "limit", Self::at_least_one);
        let per = self.required(&fields, "per", Self::span);
        let key = self.optional(&fields, "key", Self::text);
        Some(RateLimit { limit: limit?, per: per?, key })
    }

    fn concurrency_limit(&mut self, node: &Node, place: &Place) -> Option<ConcurrencyLimit> {
        if !matches!(node.value, Value::Map(_)) {
            return self.at_least_one(node, place).map(ConcurrencyLimit::Whole);
        }
        let fields = self.fields(node, place, "a concurrency limit", &["limit", "key"])?;
        let limit = self.required(&fields, "limit", Self::at_least_one);
        let key = self.required(&fields, "key", Self::text);
        Some(ConcurrencyLimit::Keyed { limit: limit?, key: key? })
    }

    pub(super) fn at_least_one(&mut self, node: &Node, place: &Place) -> Option<u32> {
        self.whole_number(node, place, 1, u64::from(u32::MAX))
    }
}
