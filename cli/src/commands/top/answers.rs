//! What servers answer, as far as `top` shows it. Fields that are absent are what they are by default: a server of another release is no
//! reason to show nothing.

use oarlock_protocol::Timestamp;
use oarlock_protocol::instance::WorkflowSummary;
use serde::Deserialize;

/// `/readyz`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Ready {
    pub(super) status: String,
    pub(super) problems: Vec<String>,
    pub(super) broker: String,
    pub(super) members: Vec<oarlock_protocol::Json>,
    pub(super) partitions: u32,
}

/// `/v1/queues`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Queues {
    pub(super) queues: Vec<Queue>,
    pub(super) untold_partitions: Vec<u32>,
}

/// A task queue.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Queue {
    pub(super) queue: String,
    pub(super) backlog: u64,
    pub(super) ready: u64,
    pub(super) published: u64,
    pub(super) in_flight: u64,
    pub(super) due: u64,
    pub(super) oldest_wait_ms: Option<u64>,
    pub(super) arrivals_per_second: f64,
    pub(super) completions_per_second: f64,
    pub(super) workers: u32,
    pub(super) slots: u64,
    /// What `/v1/scaling` says beside; absent where it was not asked.
    #[serde(skip)]
    pub(super) wanted: Option<u32>,
}

/// `/v1/scaling/{queue}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Scaling {
    pub(super) wanted: u32,
}

/// `/v1/workers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Workers {
    pub(super) workers: Vec<Worker>,
}

/// A worker.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Worker {
    pub(super) worker: String,
    pub(super) host: String,
    pub(super) queues: Vec<String>,
    pub(super) slots: u32,
    pub(super) open: u32,
    pub(super) state: String,
    pub(super) marks: Vec<String>,
}

/// `/v1/anomalies`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Anomalies {
    pub(super) anomalies: Vec<Finding>,
}

/// What is unusual.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Finding {
    pub(super) severity: String,
    pub(super) text: String,
}

/// `/v1/runs`: a page, or several together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Runs {
    pub(super) runs: Vec<WorkflowSummary>,
    /// Whether there are older ones, which were not asked for.
    pub(super) next: Option<String>,
}

/// A length of time in at most six characters, for columns.
pub(super) fn short(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long ago that was.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    short(now.since(then).as_millis())
}
