//! What a worker tells of itself, again and again, to whoever looks after the fleet. It is only told: nothing of a run rests on it.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, WorkerId};

/// A worker's sign of life. Its times are by the worker's clock, and are compared with each other only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BeatMessage {
    /// Version of this form.
    pub format: u32,
    /// Who beats: fresh at every process start.
    pub worker_id: WorkerId,
    /// The machine it runs on.
    #[serde(default)]
    pub host: String,
    /// Its program and version, for people.
    #[serde(default)]
    pub version: String,
    /// When it beats.
    pub sent_at: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
    /// How often it beats, in milliseconds: it is silent after three beats that do not come.
    pub beat_ms: u64,
    /// The queues it takes tasks from, at most 100 of them.
    pub queues: Vec<String>,
    /// The tasks it has handlers for, at most 100 of them.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// How many attempts it can have at once.
    pub slots: u32,
    /// How many it has.
    pub open: u32,
    /// When it last began or ended one; absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Timestamp>,
    /// How many attempts it has answered COMPLETED since it was started.
    #[serde(default)]
    pub completed: u64,
    /// How many it has answered FAILED since then.
    #[serde(default)]
    pub failed: u64,
    /// Whether it leaves: this is its last beat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}
