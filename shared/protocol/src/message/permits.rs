//! What the owners of partitions tell each other about limits over the whole fleet: who wants permits, and who gets them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Json;

/// Asks for permits of a limit, grants them, or asks what is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PermitsMessage {
    /// Version of this form.
    pub format: u32,
    /// What is said.
    #[serde(flatten)]
    pub says: Permits,
}

/// The name of a limit: the same wherever a workflow uses the task. As a text it is one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LimitName {
    /// Whose task.
    pub tenant_id: String,
    /// The id of its definition.
    pub task: String,
    /// Which limit of it.
    pub kind: LimitKind,
    /// What it counts for: of a limit with a key each of its values has permits of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Which limit of a task definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LimitKind {
    /// Its `concurrencyLimit`.
    Concurrency,
    /// Its `rateLimit`.
    Rate,
}

/// What is said about a limit, or about all that have one home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "says", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Permits {
    /// A partition tells the home of the limit what it has open and what it would like.
    Want {
        /// Which limit.
        limit: LimitName,
        /// Which partition.
        partition: u32,
        /// The epoch of its lease.
        epoch: u64,
        /// Grows with each in that epoch.
        n: u64,
        /// So many attempts may be open there, and no more are opened until it is granted more.
        keeps: u32,
        /// How many more it would like.
        wants: u32,
        /// How many tokens of a rate it has had in that epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        had: Option<u64>,
        /// The number that the definition allows; absent where the partition knows none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<u32>,
        /// Of a rate: the time in which so many may begin, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        per_ms: Option<u64>,
    },
    /// The home answers.
    Grant {
        /// Which limit.
        limit: LimitName,
        /// The epoch of what is answered.
        epoch: u64,
        /// Its number.
        n: u64,
        /// So many attempts may be open there.
        ceiling: u32,
        /// So many may begin: all that were granted for this number.
        tokens: u32,
    },
    /// The home asks what the partition holds of a limit.
    Ask {
        /// Which limit.
        limit: LimitName,
    },
    /// The home asks what the partition holds of any limit of concurrency that has its home there: the store may have lost
    /// what was leased.
    AskAll {
        /// Which partition the home is.
        home: u32,
        /// Names the question.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        question: Uuid,
    },
    /// The partition has said what it holds of them, and was answered.
    ToldAll {
        /// Which partition.
        partition: u32,
        /// The question.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        question: Uuid,
    },
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            LimitKind::Concurrency => "concurrency",
            LimitKind::Rate => "rate",
        };
        write!(f, "{kind}/{}/{}", self.tenant_id, self.task)?;
        // As JSON: a key may hold any character.
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "/{}", Json::from(key.as_str())))
    }
}
