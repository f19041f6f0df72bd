//! JSON Schemas of inputs and outputs: compiled once, bounded in every way, told in the language's own words.
//!
//! The crate `jsonschema` judges the values. Around it: which schemas are taken at all ([`Problem`]), how much work a
//! value may make before it is judged (`cost`), the `default`s that fill what is missing (`fill`), and values that are
//! known elsewhere, such as secrets, which fit every schema (`reserved`). The engine checks with it; the definition
//! reader finds the places of invalid schemas with it; so it depends on neither.

mod cost;
mod fill;
mod graph;
mod pattern;
mod reserved;
#[cfg(test)]
mod tests;
mod told;

use std::fmt;
use std::sync::OnceLock;

use jsonschema::{PatternOptions, ValidationError, Validator};
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::{ErrorDetails, Json};
use serde_json::json;

use cost::Measure;
use graph::Graph;

/// The largest schema, in bytes of JSON: a definition may hold many, and a node keeps a thousand definitions compiled.
pub const LARGEST: usize = 64 * 1024;

/// How many violations one error tells: who mends ten sees the rest at the next try.
pub const MOST_TOLD: usize = 10;

/// How large one compiled pattern may be, in bytes: enough for some classes of letters, repeated.
const PATTERN_BYTES: usize = 256 * 1024;

/// A JSON Schema, ready to judge values.
pub struct Schema {
    source: Json,
    graph: Graph,
    strict: Validator,
    /// Judges values that hold reserved ones; made when the first of them comes.
    lenient: OnceLock<Option<Validator>>,
}

/// Why a schema is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the schema, as JSON pointer; empty for the whole of it.
    pub pointer: String,
    /// What is wrong there, and what to write instead where that is known.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            // A name in a value may hold what steers the terminal it is shown on.
            let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
            write!(f, "{}: ", self.pointer.chars().map(shown).collect::<String>())?;
        }
        f.write_str(&self.text)
    }
}

impl Schema {
    /// Compiles a schema of draft 2020-12, or of 2019-09 or 07 where `$schema` says so. `$ref` points into the schema
    /// itself; nothing is ever fetched.
    ///
    /// # Errors
    /// Every problem that can be told apart, at most [`MOST_TOLD`]; at least one.
    pub fn compile(source: &Json) -> Result<Schema, Vec<Problem>> {
        let whole = |text: String| vec![Problem { pointer: String::new(), text }];
        if !nests_within(source, DEEPEST) {
            return Err(whole(format!("the schema nests deeper than {DEEPEST} levels")));
        }
        if source.to_string().len() > LARGEST {
            return Err(whole(format!("the schema is larger than {LARGEST} bytes; a simpler one will do")));
        }
        let graph = Graph::of(source)?;
        let strict = build(source).map_err(|error| told::problems(&error))?;
        Ok(Schema { source: source.clone(), graph, strict, lenient: OnceLock::new() })
    }

    /// Puts the `default`s of missing properties into `value`: through `properties`, `additionalProperties`, `items`,
    /// `prefixItems`, `allOf` and `$ref`, however deep; never through alternatives such as `anyOf` or `if`, where it
    /// is open which one counts. Filling twice is filling once.
    ///
    /// # Errors
    /// SCHEMA_VIOLATION where defaults within defaults would never end, or would make the value too large; `value`,
    /// which `what` names, is then partly filled and of no use.
    pub fn fill(&self, value: &mut Json, what: &str) -> Result<(), ErrorDetails> {
        if !self.graph.has_defaults {
            return Ok(());
        }
        fill::fill(&self.graph, value).map_err(|over| refused(&format!("{what}: {over}")))
    }

    /// Checks that `value` fits. `what` names it to people, as in "the workflow's input".
    ///
    /// # Errors
    /// SCHEMA_VIOLATION, whose message and `details.violations` (`[{path, problem}]`) name at most [`MOST_TOLD`] places
    /// of the value as JSON pointers.
    pub fn check(&self, value: &Json, what: &str) -> Result<(), ErrorDetails> {
        if !nests_within(value, DEEPEST) {
            return Err(refused(&format!("{what} nests deeper than {DEEPEST} levels")));
        }
        let measure = Measure::of(value);
        cost::check(&self.graph, value, &measure).map_err(|over| refused(&format!("{what}: {over}")))?;
        let validator = if measure.has_reserved { self.lenient() } else { &self.strict };
        if validator.is_valid(value) {
            return Ok(());
        }
        Err(violation(validator, value, what))
    }

    /// Fills, then checks.
    ///
    /// # Errors
    /// As [`Schema::fill`] and [`Schema::check`].
    pub fn admit(&self, value: &mut Json, what: &str) -> Result<(), ErrorDetails> {
        self.fill(value, what)?;
        self.check(value, what)
    }

    fn lenient(&self) -> &Validator {
        let made = self.lenient.get_or_init(|| build(&reserved::lenient(&self.source, &self.graph)).ok());
        made.as_ref().unwrap_or(&self.strict)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

/// Only the linear engine for patterns, so that none can hang; nothing is fetched. A `format` is checked, but for
/// `regex`: that one would compile whatever a value says.
fn build(source: &Json) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .offline()
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
        .should_validate_formats(true)
        .with_format("regex", |_| true)
        .build(source)
}

fn violation(validator: &Validator, value: &Json, what: &str) -> ErrorDetails {
    let mut found = Vec::new();
    for error in validator.iter_errors(value) {
        told::violations(&error, &mut found);
        if found.len() > MOST_TOLD {
            break;
        }
    }
    let more = found.len() > MOST_TOLD;
    found.truncate(MOST_TOLD);
    let listed: Vec<String> = found.iter().map(Problem::to_string).collect();
    let and_more = if more { "; and more" } else { "" };
    let details: Vec<Json> =
        found.iter().map(|found| json!({"path": found.pointer, "problem": found.text})).collect();
    let mut error = refused(&format!("{what} does not fit its schema: {}{and_more}", listed.join("; ")));
    error.details = json!({"violations": details});
    error
}

fn refused(message: &str) -> ErrorDetails {
    ErrorDetails::system(Code::SchemaViolation, message)
}
