//! What can be wrong with an expression: at registration (compile) and while a run goes on (evaluation).
//!
//! Made by every stage of this crate; the definition reader turns ranges into file positions, the engine turns an
//! evaluation error into EXPRESSION_FAILED. Nothing here formats for a terminal.

use std::ops::Range;

/// Why a source text is no expression, path or pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, in bytes of the source text as it was given.
    pub range: Range<usize>,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl CompileError {
    pub(crate) fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { message: message.into(), range, help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Why an expression has no value now: a missing name, a wrong type, an overflow, an exhausted budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /// What is wrong, naming the path or function and, where there is one, the remedy.
    pub message: String,
    /// The part of the expression it happened in, in bytes of the source text as it was given.
    pub range: Range<usize>,
    /// Who is to blame.
    pub cause: Cause,
}

/// Who is to blame for a failed evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The expression, or the values it was given.
    Expression,
    /// Nobody here: a value refers to data that is not at hand.
    Unavailable,
}

/// A problem with one string of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {error}")]
pub struct TemplateError {
    /// The JSON pointer of the string; empty where the template itself is one.
    pub pointer: String,
    /// The problem; its range is within that string.
    pub error: CompileError,
}

/// A failure of one string of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{error}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct TemplateEvaluationError {
    /// The JSON pointer of the string; empty where the template itself is one.
    pub pointer: String,
    /// The failure; its range is within that string.
    pub error: EvaluationError,
}
