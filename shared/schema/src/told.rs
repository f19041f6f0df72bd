//! Errors of the crate `jsonschema` in our words: where, what was found, what was expected.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use oarlock_protocol::Json;
use oarlock_protocol::error::cut;

use crate::graph::Graph;
use crate::{MOST_TOLD, Problem};

/// The longest quotation of a value or a part of a schema, in bytes.
const LONGEST_QUOTE: usize = 80;

/// The longest pointer that is told, in bytes: names may be as long as a value is large.
const LONGEST_POINTER: usize = 300;

/// Why the crate does not take a schema, in its places.
pub(crate) fn problems(error: &ValidationError<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    violations(error, &mut problems);
    problems.truncate(MOST_TOLD);
    problems
}

/// Adds what an error tells: mostly one violation; one for each property that should not be there.
pub(crate) fn violations(error: &ValidationError<'_>, found: &mut Vec<Problem>) {
    let at = error.instance_path().as_str();
    let mut add = |pointer: String, text: String| {
        let mut pointer = pointer;
        cut(&mut pointer, LONGEST_POINTER);
        found.push(Problem { pointer, text });
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MOST_TOLD + 1) {
                add(format!("{at}/{}", Graph::escape(name)), "the schema has no such property".to_owned());
            }
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            add(format!("{at}/{}", Graph::escape(name)), "is missing".to_owned());
        }
        _ => add(at.to_owned(), text(error)),
    }
}

/// What is wrong at the place of an error.
fn text(error: &ValidationError<'_>) -> String {
    let value = quote(error.instance());
    match error.kind() {
        Kind::Type { kind } => format!("{value} is {}, expected {}", kind_of(error.instance()), wanted(kind)),
        Kind::Enum { options } => format!("{value} is none of {}", short(&options.to_string())),
        Kind::Constant { expected_value } => format!("{value} is not {}", quote(expected_value)),
        Kind::Minimum { limit } => format!("{value} is less than {limit}"),
        Kind::Maximum { limit } => format!("{value} is more than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("{value} is not more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("{value} is not less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("{value} is no multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("{value} is shorter than {limit} characters"),
        Kind::MaxLength { limit } => format!("{value} is longer than {limit} characters"),
        Kind::Pattern { pattern } => format!("{value} does not match the pattern {}", short(pattern)),
        Kind::Format { format } => format!("{value} is no {}", short(format)),
        Kind::MinItems { limit } => format!("{value}, fewer than {limit}"),
        Kind::MaxItems { limit } => format!("{value}, more than {limit}"),
        Kind::AdditionalItems { limit } => format!("{value}, more than {limit}"),
        Kind::MinProperties { limit } => format!("{value}, fewer than {limit}"),
        Kind::MaxProperties { limit } => format!("{value}, more than {limit}"),
        Kind::UniqueItems => "has the same item twice".to_owned(),
        Kind::Contains => "too few or too many of its items fit `contains`".to_owned(),
        Kind::UnevaluatedItems { .. } => "has an item that the schema does not speak of".to_owned(),
        Kind::FalseSchema => "the schema allows nothing here".to_owned(),
        Kind::Not { .. } => format!("{value} is what the schema rules out with `not`"),
        Kind::OneOfMultipleValid { .. } => format!("{value} fits more than one alternative of `oneOf`"),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => alternatives(error, &value, context),
        Kind::PropertyNames { error } => format!("a property's name is wrong: {}", text(error)),
        Kind::ContentEncoding { content_encoding: form }
        | Kind::ContentMediaType { content_media_type: form } => {
            format!("{value} is no {}", short(form))
        }
        Kind::FromUtf8 { .. }
        | Kind::BacktrackLimitExceeded { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Custom { .. }
        | Kind::AdditionalProperties { .. }
        | Kind::UnevaluatedProperties { .. }
        | Kind::Required { .. }
        | Kind::Referencing(_) => short(&error.to_string()),
    }
}

/// Of several alternatives the one that fits furthest is told.
fn alternatives(whole: &ValidationError<'_>, value: &str, context: &[Vec<ValidationError<'_>>]) -> String {
    let reached = |branch: &[ValidationError<'_>]| {
        branch
            .iter()
            .map(|error| error.instance_path().as_str().matches('/').count())
            .max()
            .unwrap_or_default()
    };
    let mut nearest: Option<(usize, &ValidationError<'_>)> = None;
    for branch in context {
        let Some(first) = branch.first() else { continue };
        if nearest.is_none_or(|(best, _)| reached(branch) > best) {
            nearest = Some((reached(branch), first));
        }
    }
    let mut told = format!("{value} fits none of the {} alternatives", context.len());
    let mut found = Vec::new();
    match nearest.map(|(_, error)| error) {
        // Alternatives within alternatives are told no further: the text must end.
        Some(error) if matches!(error.kind(), Kind::AnyOf { .. } | Kind::OneOfNotValid { .. }) => {}
        Some(error) => violations(error, &mut found),
        None => {}
    }
    match found.first() {
        Some(first) if first.pointer == whole.instance_path().as_str() => {
            told.push_str(&format!(" (nearest: {})", first.text));
        }
        Some(first) => told.push_str(&format!(" (nearest: {first})")),
        None => {}
    }
    told
}

/// A value at a length that fits into a sentence: of a list or an object only how much it holds.
fn quote(value: &Json) -> String {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::String(text) => {
            // Cut first: a long text is not copied to be quoted.
            let mut start: String = text.chars().take(LONGEST_QUOTE).collect();
            if start.len() < text.len() {
                start.push('…');
            }
            short(&Json::String(start).to_string())
        }
        Json::Array(items) => format!("this list of {} items", items.len()),
        Json::Object(map) => format!("this object of {} properties", map.len()),
    }
}

/// A text cut to the length of a quotation.
pub(crate) fn short(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut text: String = text.chars().take(LONGEST_QUOTE + 1).map(shown).collect();
    cut(&mut text, LONGEST_QUOTE);
    text
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(number) if number.is_f64() => "a number with a fraction",
        Json::Number(_) => "an integer",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn wanted(kind: &TypeKind) -> String {
    let name = |wanted: JsonType| match wanted {
        JsonType::Array => "an array",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    };
    match kind {
        TypeKind::Single(wanted) => name(*wanted).to_owned(),
        TypeKind::Multiple(wanted) => wanted.iter().map(name).collect::<Vec<_>>().join(" or "),
    }
}
