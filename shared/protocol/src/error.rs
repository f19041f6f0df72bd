//! What went wrong, in the form that messages, runs and people share.

use serde::{Deserialize, Serialize};

use crate::Json;
use crate::code::Code;

/// The longest `message` an error keeps, in bytes: an error must always be storable.
pub const LONGEST_MESSAGE: usize = 8 * 1024;

/// What went wrong: a code to decide by, a message to read, details to look into, and whether trying again may help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetails {
    /// One of the codes of [`Code`], or the task's own, such as `CARD_DECLINED`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whatever else the source tells.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub details: Json,
    /// Whether another attempt may succeed, as far as the source knows.
    #[serde(default = "yes")]
    pub retryable: bool,
}

impl ErrorDetails {
    /// An error that carries one of the system's own codes.
    pub fn system(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.as_str().into_owned(),
            message: message.into(),
            details: Json::Null,
            retryable: code.retryable(),
        }
        .bounded()
    }

    /// The same error with its message cut to [`LONGEST_MESSAGE`] bytes, at a character's border.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        if self.message.len() > LONGEST_MESSAGE {
            let cut = (0..=LONGEST_MESSAGE).rev().find(|&at| self.message.is_char_boundary(at)).unwrap_or(0);
            self.message.truncate(cut);
            self.message.push('…');
        }
        self
    }
}

fn yes() -> bool {
    true
}
