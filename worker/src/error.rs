//! How a task's code says that it failed. Handlers make it; the runtime turns it into the attempt's `ErrorDetails`.

use std::fmt;

use oarlock_protocol::code::Code;
use oarlock_protocol::{ErrorDetails, Json};

/// Why a task failed: a code for retry policies and error handlers to decide by, and words for people.
///
/// Any `std::error::Error` becomes one by `?`, with the code [`TaskError::UNNAMED`] and the whole chain of causes as its
/// message. (For that reason it is no `std::error::Error` itself.)
#[derive(Clone, Debug, PartialEq)]
pub struct TaskError {
    /// What retry policies match, such as `CARD_DECLINED`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whatever else may help.
    pub details: Json,
    /// Whether another attempt may succeed.
    pub retryable: bool,
}

impl TaskError {
    /// The code of an error that came by `?` and named none.
    pub const UNNAMED: &'static str = "TASK_FAILED";

    /// A retryable failure.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Json::Null, retryable: true }
    }

    /// A failure with one of the system's own codes, retryable as its table says.
    pub(crate) fn system(code: Code, message: impl Into<String>) -> Self {
        Self { retryable: code.retryable(), ..Self::new(code.as_str(), message) }
    }

    /// The same failure, marked so that no other attempt is made.
    #[must_use]
    pub fn not_retryable(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// The same failure with details.
    #[must_use]
    pub fn with_details(mut self, details: Json) -> Self {
        self.details = details;
        self
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl<E: std::error::Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        Self::new(Self::UNNAMED, message)
    }
}

impl From<TaskError> for ErrorDetails {
    fn from(error: TaskError) -> Self {
        let TaskError { code, message, details, retryable } = error;
        Self { code, message, details, retryable }.bounded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn a_question_mark_keeps_the_chain_of_causes() {
        fn fails() -> Result<(), TaskError> {
            Err("x".parse::<u8>().map_err(Outer).map(|_| ()).unwrap_err())?
        }
        let error = fails().unwrap_err();
        assert_eq!(error.to_string(), "TASK_FAILED: outer: invalid digit found in string");
        assert!(error.retryable);
    }

    #[test]
    fn a_named_failure_keeps_its_parts_on_the_wire() {
        let error = TaskError::new("CARD_DECLINED", "no").not_retryable().with_details(Json::from(7));
        let details = ErrorDetails::from(error);
        assert_eq!(
            (details.code.as_str(), details.retryable, details.details),
            ("CARD_DECLINED", false, Json::from(7))
        );
    }

    #[test]
    fn an_endless_message_is_cut() {
        let details = ErrorDetails::from(TaskError::new("X", "ä".repeat(100_000)));
        assert!(details.message.len() < 9_000);
    }
}
