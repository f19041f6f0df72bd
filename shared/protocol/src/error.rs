//! What went wrong, in the form that messages, runs and people share.

use serde::{Deserialize, Serialize};

use crate::Json;
use crate::code::Code;
use crate::depth::{DEEPEST, nests_within};

/// The longest `message` an error keeps, in bytes: an error must always be storable.
pub const LONGEST_MESSAGE: usize = 8 * 1024;

/// The longest `code` an error keeps, in bytes: it is a name, and patterns are matched against it.
pub const LONGEST_CODE: usize = 200;

/// The largest `details` an error keeps, in bytes of JSON: a task that is retried keeps one error for each attempt.
pub const LARGEST_DETAILS: usize = 32 * 1024;

/// What went wrong: a code to decide by, a message to read, details to look into, and whether trying again may help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

    /// The same error with code and message cut to their longest, and without details that are larger or deeper
    /// than may be.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        cut(&mut self.code, LONGEST_CODE);
        cut(&mut self.message, LONGEST_MESSAGE);
        if !nests_within(&self.details, DEEPEST) {
            self.details = Json::String(format!("left out: nested deeper than {DEEPEST} levels"));
        } else if !self.details.is_null() && self.details.to_string().len() > LARGEST_DETAILS {
            self.details = Json::String(format!("left out: larger than {LARGEST_DETAILS} bytes"));
        }
        self
    }
}

/// Cuts a text to `longest` bytes, at a character's border.
pub fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let at = (0..=longest).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(at);
        text.push('…');
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn details_that_nobody_could_read_again_are_left_out() {
        let nested = |depth| (0..depth).fold(Json::Null, |inner, _| json!([inner]));
        let bounded = |details| {
            ErrorDetails { details, ..ErrorDetails::system(Code::Panic, "it fell") }.bounded().details
        };
        assert_eq!(bounded(nested(DEEPEST)), nested(DEEPEST));
        let left_out = bounded(nested(DEEPEST + 1));
        assert!(left_out.as_str().is_some_and(|text| text.contains("64 levels")), "{left_out}");
    }
}
