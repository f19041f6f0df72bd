//! The stored form of a run's head: `origin`, which the start fixes and nothing changes, and `head`, which most events
//! write.
//!
//! ```text
//! {"format":1,"workflow":"pay","version":2,"at":1795740482464,"context":{…},"digest":"5d0c…","input":{"n":1}}
//! {"status":"RUNNING","updated":17,"counts":{"tasks":2,"completed":1,"attempts":2,"queueMs":3,"executionMs":9}}
//! ```

use std::borrow::Cow;

use bytes::Bytes;
use oarlock_engine::run::{Ending, Head};
use oarlock_protocol::instance::{WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::message::Parent;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::trace::{self, TraceParent};
use oarlock_protocol::{ErrorDetails, Json, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};

use super::form::{Object, after, is_usual, present, since, unless};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Origin<'a> {
    format: u32,
    workflow: Cow<'a, str>,
    version: u32,
    /// When the run was made, in milliseconds since the epoch: the times of the head count from here.
    at: i64,
    context: Cow<'a, SecurityContext>,
    digest: Cow<'a, str>,
    /// Who made it: the user of the context.
    #[serde(default, skip_serializing_if = "is_usual")]
    by: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    correlation: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    priority: Option<u8>,
    #[serde(default, skip_serializing_if = "is_usual")]
    parent: Option<Cow<'a, Parent>>,
    /// The span that the run belongs to; a stored one that is invalid loses the run its place in a trace, no more.
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "trace::if_valid")]
    traceparent: Option<TraceParent>,
    /// A small input of the run.
    #[serde(default, skip_serializing, deserialize_with = "present")]
    input: Option<Json>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moving<'a> {
    status: WorkflowStatus,
    /// Its end, or when it was made.
    #[serde(default, skip_serializing_if = "is_usual")]
    updated: Option<i64>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "present")]
    start: Option<Option<i64>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    end: Option<i64>,
    #[serde(default, skip_serializing_if = "is_usual")]
    error: Option<Cow<'a, ErrorDetails>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    failed_at: Option<Cow<'a, TaskPath>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    ending: Option<Cow<'a, Ending>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    handling: bool,
    #[serde(default, skip_serializing_if = "is_usual")]
    held_back: bool,
    #[serde(default, skip_serializing_if = "is_usual")]
    opened: Option<i64>,
    #[serde(default, skip_serializing_if = "is_usual")]
    generation: u64,
    #[serde(default, skip_serializing_if = "is_usual")]
    compensating: bool,
    #[serde(default, skip_serializing_if = "is_usual")]
    closings: u64,
    #[serde(default, skip_serializing_if = "is_usual")]
    counts: Counts,
    /// A small output of the run.
    #[serde(default, skip_serializing)]
    output: Option<Json>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    #[serde(skip_serializing_if = "is_usual")]
    tasks: u64,
    #[serde(skip_serializing_if = "is_usual")]
    completed: u64,
    #[serde(skip_serializing_if = "is_usual")]
    failed: u64,
    #[serde(skip_serializing_if = "is_usual")]
    skipped: u64,
    #[serde(skip_serializing_if = "is_usual")]
    attempts: u64,
    #[serde(skip_serializing_if = "is_usual")]
    retries: u64,
    #[serde(skip_serializing_if = "is_usual")]
    queue_ms: u64,
    #[serde(skip_serializing_if = "is_usual")]
    execution_ms: u64,
    #[serde(skip_serializing_if = "is_usual")]
    retry_wait_ms: u64,
    #[serde(skip_serializing_if = "is_usual")]
    cpu_ms: u64,
    #[serde(skip_serializing_if = "is_usual")]
    memory_bytes: u64,
    #[serde(skip_serializing_if = "is_usual")]
    input_bytes: u64,
    #[serde(skip_serializing_if = "is_usual")]
    output_bytes: u64,
}

/// The stored form of what the start fixed, and whether the run's input lies inside.
pub(super) fn encode_origin(head: &Head, input: &Json) -> (Bytes, bool) {
    let context = &head.security_context;
    let mut origin = Object::of(&Origin {
        format: head.format,
        workflow: Cow::Borrowed(&head.workflow_definition_id),
        version: head.workflow_definition_version,
        at: head.created_at.as_millis(),
        context: Cow::Borrowed(context),
        digest: Cow::Borrowed(&head.request_digest),
        by: unless(&head.created_by, &&context.user_id).map(|by| Cow::Borrowed(by.as_str())),
        correlation: head.correlation_id.as_deref().map(Cow::Borrowed),
        priority: head.priority,
        parent: head.parent.as_ref().map(Cow::Borrowed),
        traceparent: head.traceparent,
        input: None,
    });
    let is_inside = origin.holds("input", input);
    (origin.into_bytes(), is_inside)
}

/// The stored form of what changes of a head, and whether the run's output lies inside. No output is the same as `null`.
pub(super) fn encode_head(head: &Head, output: Option<&Json>) -> (Bytes, bool) {
    let base = head.created_at;
    let time = |time: Option<Timestamp>| time.map(|time| since(base, time));
    let mut moving = Object::of(&Moving {
        status: head.status,
        updated: unless(head.updated_at, &head.end_time.unwrap_or(base)).map(|time| since(base, time)),
        start: unless(head.start_time, &Some(base)).map(time),
        end: time(head.end_time),
        error: head.error.as_ref().map(Cow::Borrowed),
        failed_at: head.failed_at.as_ref().map(Cow::Borrowed),
        ending: head.ending.as_ref().map(Cow::Borrowed),
        handling: head.handling,
        held_back: head.held_back,
        opened: time(head.opened_at),
        generation: head.generation,
        compensating: head.compensating,
        closings: head.closings,
        counts: Counts::of(&head.metrics),
        output: None,
    });
    let is_inside = output.is_some_and(|output| moving.holds("output", output));
    (moving.into_bytes(), is_inside)
}

/// A head with the data of the run that lay inside.
pub(super) struct Decoded {
    pub(super) head: Head,
    pub(super) input: Option<Json>,
    pub(super) output: Option<Json>,
}

/// Makes a head of its two parts.
pub(super) fn decode(origin: &[u8], head: &[u8]) -> Result<Decoded, serde_json::Error> {
    let origin: Origin<'static> = serde_json::from_slice(origin)?;
    let moving: Moving<'static> = serde_json::from_slice(head)?;
    let base = Timestamp::from_millis(origin.at);
    let time = |time: Option<i64>| time.map(|time| after(base, time));
    let end_time = time(moving.end);
    let security_context = origin.context.into_owned();
    let head = Head {
        format: origin.format,
        workflow_definition_id: origin.workflow.into_owned(),
        workflow_definition_version: origin.version,
        status: moving.status,
        start_time: moving.start.map_or(Some(base), time),
        end_time,
        error: moving.error.map(Cow::into_owned),
        failed_at: moving.failed_at.map(Cow::into_owned),
        ending: moving.ending.map(Cow::into_owned),
        handling: moving.handling,
        held_back: moving.held_back,
        opened_at: time(moving.opened),
        correlation_id: origin.correlation.map(Cow::into_owned),
        priority: origin.priority,
        parent: origin.parent.map(Cow::into_owned),
        traceparent: origin.traceparent,
        generation: moving.generation,
        compensating: moving.compensating,
        closings: moving.closings,
        created_by: origin.by.map_or_else(|| security_context.user_id.clone(), Cow::into_owned),
        security_context,
        metrics: moving.counts.into_metrics(),
        request_digest: origin.digest.into_owned(),
        created_at: base,
        updated_at: time(moving.updated).or(end_time).unwrap_or(base),
    };
    Ok(Decoded { head, input: origin.input, output: moving.output })
}

impl Counts {
    fn of(metrics: &WorkflowMetrics) -> Self {
        Self {
            tasks: metrics.task_count,
            completed: metrics.completed_tasks,
            failed: metrics.failed_tasks,
            skipped: metrics.skipped_tasks,
            attempts: metrics.attempts,
            retries: metrics.retries,
            queue_ms: metrics.total_queue_time_ms,
            execution_ms: metrics.total_execution_time_ms,
            retry_wait_ms: metrics.total_retry_wait_ms,
            cpu_ms: metrics.total_cpu_time_ms,
            memory_bytes: metrics.total_memory_bytes,
            input_bytes: metrics.total_input_bytes,
            output_bytes: metrics.total_output_bytes,
        }
    }

    fn into_metrics(self) -> WorkflowMetrics {
        WorkflowMetrics {
            task_count: self.tasks,
            completed_tasks: self.completed,
            failed_tasks: self.failed,
            skipped_tasks: self.skipped,
            attempts: self.attempts,
            retries: self.retries,
            total_queue_time_ms: self.queue_ms,
            total_execution_time_ms: self.execution_ms,
            total_retry_wait_ms: self.retry_wait_ms,
            total_cpu_time_ms: self.cpu_ms,
            total_memory_bytes: self.memory_bytes,
            total_input_bytes: self.input_bytes,
            total_output_bytes: self.output_bytes,
        }
    }
}
