//! Limits of a task definition over the whole fleet.

use serde::{Deserialize, Serialize};

use crate::Span;

/// At most `limit` dispatches in every `per`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the type's sentence names both")]
pub struct RateLimit {
    pub limit: u32,
    pub per: Span,
    /// A text with `${ }` in it: what gives the same is counted together, and apart from all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// At most so many open attempts at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, deny_unknown_fields)]
pub enum ConcurrencyLimit {
    /// Of the task as a whole.
    Whole(u32),
    /// For each value of a key.
    Keyed {
        /// How many.
        limit: u32,
        /// A text with `${ }` in it: what gives the same is counted together, and apart from all else.
        key: String,
    },
}

impl ConcurrencyLimit {
    /// How many attempts may be open at once.
    pub fn limit(&self) -> u32 {
        match self {
            Self::Whole(limit) | Self::Keyed { limit, .. } => *limit,
        }
    }

    /// The text that tells what is counted together.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Whole(_) => None,
            Self::Keyed { key, .. } => Some(key),
        }
    }
}
