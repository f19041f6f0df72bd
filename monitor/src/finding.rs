//! What the rules find: the form in which it is shown.

use std::sync::Arc;

use oarlock_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// Something unusual, as it stands now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// What it is about. Kind and subject name a finding: no two open ones have both in common.
    pub subject: Subject,
    /// When it began, as far as is known: before it was told.
    pub since: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// What it rests on.
    pub evidence: Evidence,
    /// All of it in one plain sentence. Times of the day are UTC.
    pub text: String,
}

/// What is unusual, with the unit of its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// How long attempts take, in milliseconds.
    Duration,
    /// How long attempts wait in their queue, in milliseconds.
    QueueTime,
    /// Which ratio of attempts fails, 0..1.
    FailureRatio,
    /// How much memory attempts take, in bytes.
    Memory,
    /// How large inputs are, in bytes.
    InputSize,
    /// How large outputs are, in bytes.
    OutputSize,
    /// A run stands still: how long it may, and how long it does, in milliseconds.
    StuckRun,
    /// A queue with work and workers completes nothing: for how long that is usual, and for how long it is so, in milliseconds.
    StalledQueue,
    /// A worker's beat is missing: how often it beats, and how long ago it did, in milliseconds.
    SilentWorker,
    /// A worker beats and does nothing though there is work: how long it may, and how long it does, in milliseconds.
    IdleWorker,
    /// Attempts fail and are made again: retries per completed attempt.
    RetryStorm,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase", tag = "type")]
pub enum Subject {
    /// A task definition of a tenant.
    Task(Key),
    /// A run of a tenant.
    Run {
        /// Whose it is.
        tenant: String,
        /// Its id.
        id: String,
    },
    /// A task queue.
    Queue {
        /// Its name.
        name: String,
    },
    /// A worker.
    Worker {
        /// Its id.
        id: String,
    },
}

/// A task definition of a tenant: what a series is kept of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The tenant.
    pub tenant: Arc<str>,
    /// The id of the task definition.
    pub definition: Arc<str>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Worth knowing; nobody needs to get up.
    Notice,
    /// Worth a look today.
    Warning,
    /// Worth a look now.
    Severe,
}

/// What a finding rests on; the unit of the first two is told at [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// How it usually is.
    pub baseline: f64,
    /// How it is.
    pub current: f64,
    /// How many observations say so.
    pub count: u64,
    /// How much they say so. Of a change: standard deviations of a CUSUM, or the logarithm of the odds for a ratio, when it
    /// was told. Of the rest: current by baseline.
    pub score: f64,
}

/// What has changed among the findings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase", tag = "type")]
pub enum Change {
    /// A finding is new.
    Began(Finding),
    /// One has ended. Its sentence tells how.
    Ended {
        /// As it was at last.
        finding: Finding,
        /// How it ended.
        ending: Ending,
    },
}

/// How a finding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ending {
    /// It is as usual again.
    AsUsual,
    /// It stayed as it is for so long that this is the usual now.
    NewUsual,
    /// Nothing was heard of it for so long that nothing is known.
    Quiet,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Duration,
        Self::QueueTime,
        Self::FailureRatio,
        Self::Memory,
        Self::InputSize,
        Self::OutputSize,
        Self::StuckRun,
        Self::StalledQueue,
        Self::SilentWorker,
        Self::IdleWorker,
        Self::RetryStorm,
    ];
}

impl Key {
    /// The task definition `definition` of `tenant`.
    pub fn new(tenant: &str, definition: &str) -> Self {
        Self { tenant: tenant.into(), definition: definition.into() }
    }
}
