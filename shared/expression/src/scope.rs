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
    /// There is no such name.
    Unknown,
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
