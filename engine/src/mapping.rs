//! Data in and out of tasks: inputs from the scope, outputs into variables, and their limits in size.

use oarlock_expression::{Limits, Template};
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::DEEPEST;
use oarlock_protocol::{ErrorDetails, Json, JsonMap};

use crate::plan::{MappingNode, MappingSource};
use crate::scope::{RunScope, TaskData};

/// Evaluates named values, such as `inputMappings` or `set`, into an object.
///
/// # Errors
/// EXPRESSION_FAILED, naming `what` and the value; PAYLOAD_TOO_LARGE above `limit` bytes.
pub fn evaluate(
    values: &[(String, Template)],
    scope: &RunScope<'_>,
    what: &str,
    limit: usize,
) -> Result<JsonMap, ErrorDetails> {
    let mut result = JsonMap::new();
    let mut left = limit;
    for (name, template) in values {
        let value = template
            .evaluate(scope, &Limits::default())
            .map_err(|e| failed(&format!("{what}.{name}{}: {}", e.pointer, e.error.message)))?;
        left = left.checked_sub(size(&value)).ok_or_else(|| too_large(what, limit))?;
        result.insert(name.clone(), value);
    }
    Ok(result)
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
    let reason = |message: &str| failed(&format!("variableMappings → {}: {message}", mapping.target));
    let limits = Limits::default();
    match &mapping.source {
        MappingSource::Direct { path, default } => match path.find(output).or(default.as_ref()) {
            Some(value) => Ok(value.clone()),
            None => Err(reason(&missing(path.as_str()))),
        },
        MappingSource::Expression(expression) => expression
            .evaluate(scope, &limits)
            .map_err(|e| reason(&format!("`{}`: {}", expression.source(), e.message))),
        MappingSource::Transform { path, pipeline, default } => {
            match path.find(output).or(default.as_ref()) {
                Some(value) => pipeline.apply(value.clone()).map_err(|e| reason(&e.message)),
                None => Err(reason(&missing(path.as_str()))),
            }
        }
        MappingSource::Value(template) => template
            .evaluate(scope, &limits)
            .map_err(|e| reason(&format!("{} {}", e.pointer, e.error.message))),
    }
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

/// PAYLOAD_TOO_LARGE for `what`.
pub fn too_large(what: &str, limit: usize) -> ErrorDetails {
    let message =
        format!("{what} is larger than {limit} bytes; keep large data elsewhere and pass its address");
    ErrorDetails::system(Code::PayloadTooLarge, message)
}

/// About how many bytes a value has as JSON: exact but for escapes in texts and the digits of numbers.
pub fn size(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) => 4,
        Json::Number(_) => 8,
        Json::String(text) => text.len() + 2,
        Json::Array(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Json::Object(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + size(value)).sum::<usize>(),
    }
}
