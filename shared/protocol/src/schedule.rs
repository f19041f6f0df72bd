//! Schedules: what starts runs of a workflow at the times of a cron expression, and how far each is.
//!
//! `engine` decides by them, the owner of a schedule's partition keeps them. Which times an expression means is not said here.

use serde::{Deserialize, Serialize};

use crate::security::SecurityContext;
use crate::{Json, RunId, ScheduleKey, Span, Timestamp, priority};

/// How far back due times are made up for where a schedule does not say: longer than a fleet is away for an update, shorter than what
/// makes a nightly run surprise somebody at noon.
pub const CATCH_UP: Span = Span::from_secs(3600);

/// A schedule as it is written: in a file, and in the body of `PUT /v1/schedules/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleDefinition {
    /// Its name, one of the tenant's.
    pub id: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which workflow it starts.
    pub workflow: String,
    /// Which version of it; the newest at each start where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The input of each run: an object, or absent.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub input: Json,
    /// The field of the input that is given the time for which the run was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_as: Option<String>,
    /// When runs are due: minute, hour, day of the month, month, day of the week; with seconds before them where there are six.
    pub cron: String,
    /// The IANA time zone in which the expression is read.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// No run is due before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// No run is due after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// What is done when a run is due while the one before it is under way.
    #[serde(default)]
    pub overlap: Overlap,
    /// With QUEUE: how many due times wait at most; what is due beyond them is skipped.
    #[serde(default = "one")]
    pub queue_limit: u32,
    /// What was due while nobody could start it is started later, up to this time; what is older is missed.
    #[serde(default = "catch_up")]
    pub catch_up: Span,
    /// The mark of each run; the schedule's id and the due time where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How urgent each run is, 0 to 9, greater is sooner: the priority of its tasks whose steps name none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "priority::given")]
    #[cfg_attr(feature = "schema", schemars(range(max = 9)))]
    pub priority: Option<u8>,
}

/// What is done when a run is due while the one before it is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Overlap {
    /// Nothing is started for that time.
    #[default]
    Skip,
    /// It is started when the one before has ended.
    Queue,
    /// The one before is cancelled; it is started when that has ended.
    CancelOld,
    /// It is started at once, beside the other.
    Allow,
}

/// A registered schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Version of this form.
    pub format: u32,
    /// Whose it is.
    pub tenant_id: String,
    /// What was written.
    pub definition: ScheduleDefinition,
    /// Who wrote it: each run acts on their behalf.
    pub security_context: SecurityContext,
    /// Whether nothing becomes due.
    #[serde(default)]
    pub paused: bool,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<String>,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// When what was written, or whether it is paused, last changed.
    pub updated_at: Timestamp,
}

/// How far a schedule is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScheduleState {
    /// The next time at which a run is due; absent where it is paused or at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Timestamp>,
    /// For which time its last run was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_due: Option<Timestamp>,
    /// Its last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunId>,
    /// Starts that were decided and are not known to be committed, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starting: Vec<ScheduledStart>,
    /// What waits until the run before has ended, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<ScheduledStart>,
    /// How many runs it has started.
    #[serde(default)]
    pub started: u64,
    /// For how many due times nothing was started, because the run before was under way.
    #[serde(default)]
    pub skipped: u64,
    /// How many due times were too long ago when somebody could start them again; of a long time at least so many.
    #[serde(default)]
    pub missed: u64,
    /// How many starts were refused.
    #[serde(default)]
    pub refused: u64,
    /// The last that did not go as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_problem: Option<ScheduleProblem>,
}

/// A run that a schedule starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScheduledStart {
    /// Which run it is to be: the same for the same due time.
    pub run: RunId,
    /// For which time it is due.
    pub due: Timestamp,
    /// Whether somebody asked for it, beside the expression.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub triggered: bool,
    /// When it was last sent to the partition of the run; of one that waits, when the run before was last told to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

/// Something of a schedule that did not go as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScheduleProblem {
    /// When it was noticed.
    pub at: Timestamp,
    /// What it is, with the remedy.
    pub message: String,
}

/// A schedule as it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// How far it is.
    pub state: ScheduleState,
    /// The next times at which runs are due; in a list none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Timestamp>,
}

impl Schedule {
    /// Its name.
    pub fn key(&self) -> ScheduleKey {
        ScheduleKey::new(self.tenant_id.as_str(), self.definition.id.as_str())
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn one() -> u32 {
    1
}

fn catch_up() -> Span {
    CATCH_UP
}
