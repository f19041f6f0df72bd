//! Data in and out of tasks: inputs from the scope, outputs into variables, and their limits in size.

use oarlock_expression::{Cause, Limits, Opened, Path, Scope, Template, TemplateEvaluationError};
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::DEEPEST;
use oarlock_protocol::{ErrorDetails, Json, JsonMap, secret};

use crate::plan::{MappingNode, MappingSource};
use crate::scope::{RunScope, TaskData};

/// Evaluates named values, such as those of `set`, into an object. A secret in them is an error.
///
/// # Errors
/// EXPRESSION_FAILED, naming `what` and the value; PAYLOAD_TOO_LARGE above `limit` bytes.
pub fn evaluate(
    values: &[(String, Template)],
    scope: &RunScope<'_>,
    what: &str,
    limit: usize,
) -> Result<JsonMap, ErrorDetails> {
    evaluate_each(values, what, limit, |template| template.evaluate(scope, &Limits::default()))
}

/// Evaluates the `inputMappings` of a task or of its compensation: what a worker is given, which puts in the secrets that
/// `${ secrets.name }` names.
///
/// # Errors
/// As for [`evaluate`].
pub fn task_input(
    mappings: &[(String, Template)],
    scope: &RunScope<'_>,
    limit: usize,
) -> Result<JsonMap, ErrorDetails> {
    evaluate_each(mappings, "inputMappings", limit, |template| {
        template.evaluate_with_secrets(scope, &Limits::default())
    })
}

fn evaluate_each(
    values: &[(String, Template)],
    what: &str,
    limit: usize,
    evaluate: impl Fn(&Template) -> Result<Json, TemplateEvaluationError>,
) -> Result<JsonMap, ErrorDetails> {
    let mut result = JsonMap::new();
    let mut left = limit;
    for (name, template) in values {
        if name == secret::KEY {
            // Otherwise the whole object would be a reference, and an expression could choose the secret.
            return Err(failed(&format!("{what}.{name}: '{name}' is a reserved key")));
        }
        let value = evaluate(template).map_err(|e| {
            unevaluated(e.error.cause, &format!("{what}.{name}{}: {}", e.pointer, e.error.message))
        })?;
        left = left.checked_sub(size(&value)).ok_or_else(|| too_large(what, limit))?;
        result.insert(name.clone(), value);
    }
    Ok(result)
}

/// The longest key of a limit, in bytes: it is a part of names that partitions tell each other and store.
pub const LONGEST_LIMIT_KEY: usize = 200;

/// Evaluates the key of a limit, which `what` names: what it gives is counted together.
///
/// # Errors
/// EXPRESSION_FAILED where it gives neither a text of 1 to [`LONGEST_LIMIT_KEY`] bytes, nor a number, nor a boolean.
pub fn limit_key(key: &Template, scope: &RunScope<'_>, what: &str) -> Result<String, ErrorDetails> {
    let value = key
        .evaluate(scope, &Limits::default())
        .map_err(|e| unevaluated(e.error.cause, &format!("{what}: {}", e.error.message)))?;
    let found = match value {
        Json::String(text) if (1..=LONGEST_LIMIT_KEY).contains(&text.len()) => return Ok(text),
        Json::Number(_) | Json::Bool(_) => return Ok(value.to_string()),
        Json::String(text) if text.is_empty() => "an empty text".to_owned(),
        Json::String(text) => format!("a text of {} bytes", text.len()),
        Json::Null => "null".to_owned(),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    };
    Err(failed(&format!(
        "{what} gives {found}; a text of 1 to {LONGEST_LIMIT_KEY} bytes, a number or a boolean is wanted"
    )))
}

/// Runs a task's variable mappings in order; each sees what the ones before it wrote. Returns what is to be written.
///
/// # Errors
/// EXPRESSION_FAILED, naming the target; PAYLOAD_TOO_LARGE for a value above `limit` bytes.
pub fn map_output(
    mappings: &[MappingNode],
    scope: RunScope<'_>,
    task: TaskData<'_>,
    limit: usize,
) -> Result<JsonMap, ErrorDetails> {
    let mut written = JsonMap::new();
    for mapping in mappings {
        let scope = scope.clone().with_task(task).with_written(&written);
        let value = value(mapping, &scope, task.output)?;
        check(&value, &format!("the variable '{}'", mapping.target), limit)?;
        written.insert(mapping.target.clone(), value);
    }
    Ok(written)
}

fn value(mapping: &MappingNode, scope: &RunScope<'_>, output: &Json) -> Result<Json, ErrorDetails> {
    let about = |message: &str| format!("variableMappings → {}: {message}", mapping.target);
    let limits = Limits::default();
    match &mapping.source {
        MappingSource::Direct { path, default } => {
            match find(path, output, scope, &about)?.or(default.as_ref()) {
                Some(value) => Ok(value.clone()),
                None => Err(failed(&about(&missing(path.as_str())))),
            }
        }
        MappingSource::Expression(expression) => expression
            .evaluate(scope, &limits)
            .map_err(|e| unevaluated(e.cause, &about(&format!("`{}`: {}", expression.source(), e.message)))),
        MappingSource::Transform { path, pipeline, default } => {
            match find(path, output, scope, &about)?.or(default.as_ref()) {
                Some(value) => {
                    let value = match scope.open(value) {
                        Opened::Itself => value,
                        Opened::Data(data) => data,
                        Opened::Unavailable(reason) => return Err(unavailable(&about(&reason))),
                    };
                    pipeline.apply(value.clone()).map_err(|e| failed(&about(&e.message)))
                }
                None => Err(failed(&about(&missing(path.as_str())))),
            }
        }
        MappingSource::Value(template) => template
            .evaluate(scope, &limits)
            .map_err(|e| unevaluated(e.error.cause, &about(&format!("{} {}", e.pointer, e.error.message)))),
    }
}

/// What a path leads to in a task's output, through payloads kept elsewhere.
fn find<'a>(
    path: &Path,
    output: &'a Json,
    scope: &'a RunScope<'_>,
    about: &impl Fn(&str) -> String,
) -> Result<Option<&'a Json>, ErrorDetails> {
    path.find_through(output, scope)
        .map_err(|reason| unavailable(&about(&format!("`{}`: {reason}", path.as_str()))))
}

fn missing(path: &str) -> String {
    format!("the task's output has no `{path}`; correct `source`, or give the mapping a `default`")
}

/// Checks that a value made by an expression can be stored. How deep it nests is bounded where it is evaluated.
///
/// # Errors
/// PAYLOAD_TOO_LARGE above `limit` bytes.
pub fn check(value: &Json, what: &str, limit: usize) -> Result<(), ErrorDetails> {
    if size(value) > limit { Err(too_large(what, limit)) } else { Ok(()) }
}

/// Says that `what` nests too deeply.
pub fn too_deep(what: &str) -> String {
    format!("{what} nests deeper than {DEEPEST} levels, more than can be read again")
}

/// EXPRESSION_FAILED with this message.
pub fn failed(message: &str) -> ErrorDetails {
    ErrorDetails::system(Code::ExpressionFailed, message)
}

/// PAYLOAD_UNAVAILABLE with this message.
pub fn unavailable(message: &str) -> ErrorDetails {
    ErrorDetails::system(Code::PayloadUnavailable, message)
}

/// An evaluation that failed: EXPRESSION_FAILED, or PAYLOAD_UNAVAILABLE where it could not look into a payload.
pub fn unevaluated(cause: Cause, message: &str) -> ErrorDetails {
    match cause {
        Cause::Expression => failed(message),
        Cause::Unavailable => unavailable(message),
    }
}

/// PAYLOAD_TOO_LARGE for `what`.
pub fn too_large(what: &str, limit: usize) -> ErrorDetails {
    let message =
        format!("{what} is larger than {limit} bytes; keep large data elsewhere and pass its address");
    ErrorDetails::system(Code::PayloadTooLarge, message)
}

/// About how many bytes a value has as JSON: exact but for escapes in texts, last commas and the digits of fractions.
pub fn size(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) => 4,
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => digits(whole),
            (None, Some(negative)) => 1 + digits(negative.unsigned_abs()),
            (None, None) => 8,
        },
        Json::String(text) => text.len() + 2,
        Json::Array(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Json::Object(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + size(value)).sum::<usize>(),
    }
}

fn digits(number: u64) -> usize {
    1 + number.checked_ilog10().map_or(0, |least| least as usize)
}
