//! Where an expression's names get their values: implemented by the engine (a run) and by tests (a JSON map).
//!
//! The evaluator asks once per reference, with the whole static path; it never keeps what it gets.

use std::borrow::Cow;

use serde_json::Value as Json;

/// The root of `secrets.name`: no scope is asked for it. A template may refer to a secret; an expression never has its value.
pub(crate) const SECRETS: &str = "secrets";

/// The names an expression sees.
pub trait Scope {
    /// Looks up the value that `path` begins with; the evaluator walks the segments that were not consumed.
    fn resolve<'a>(&'a self, path: &[&str]) -> Resolved<'a>;

    /// What a value stands for, where it only refers to data kept elsewhere. Asked before anything looks into a map of one key;
    /// what is only passed on is passed on as it is.
    fn open<'a>(&'a self, value: &Json) -> Opened<'a> {
        let _ = value;
        Opened::Itself
    }
}

/// What a scope knows of a value that is looked into.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened<'a> {
    /// It stands for itself.
    Itself,
    /// It stands for this.
    Data(&'a Json),
    /// What it stands for is not at hand: the evaluation fails.
    Unavailable(String),
}

/// What a scope knows of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved<'a> {
    /// The first `consumed` segments name this value.
    Found {
        /// The value, borrowed where the scope holds it.
        value: Cow<'a, Json>,
        /// How many segments named it: at least 1.
        consumed: usize,
    },
    /// The name is known but has no value now; `has` and `get` take it as absent.
    Missing {
        /// How many segments named it.
        consumed: usize,
        /// Completes "tasks.x.output: …", such as "'x' was SKIPPED and has no output".
        reason: String,
    },
    /// The value is made of data kept elsewhere that is not at hand: the evaluation fails.
    Unavailable {
        /// How many segments named it.
        consumed: usize,
        /// Why.
        reason: String,
    },
    /// There is no such name.
    Unknown,
}

/// What a value stands for in a scope.
///
/// # Errors
/// Why it is not at hand.
pub(crate) fn opened<'a>(value: Cow<'a, Json>, scope: &'a dyn Scope) -> Result<Cow<'a, Json>, String> {
    Ok(data_of(&value, scope)?.map_or(value, Cow::Borrowed))
}

/// The data that a value refers to; none where it stands for itself.
///
/// # Errors
/// Why it is not at hand.
pub(crate) fn data_of<'a>(value: &Json, scope: &'a dyn Scope) -> Result<Option<&'a Json>, String> {
    if value.as_object().is_none_or(|map| map.len() != 1) {
        return Ok(None);
    }
    match scope.open(value) {
        Opened::Itself => Ok(None),
        Opened::Data(data) => Ok(Some(data)),
        Opened::Unavailable(reason) => Err(reason),
    }
}

/// A JSON map is a scope: its keys are the names.
impl Scope for Json {
    fn resolve<'a>(&'a self, path: &[&str]) -> Resolved<'a> {
        match path.first().and_then(|name| self.get(name)) {
            Some(value) => Resolved::Found { value: Cow::Borrowed(value), consumed: 1 },
            None => Resolved::Unknown,
        }
    }
}
