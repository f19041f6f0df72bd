//! What this crate asks of the expression language: does it compile, and which names does it use?
//!
//! Called by `check` for every expression, template, path and transformation; nothing is ever evaluated.

use oarlock_expression::{CompileError, Expression, Path, Pipeline, Reference, Registry, Template};
use oarlock_protocol::Json;
use oarlock_protocol::definition::Transformation;

/// The names that an expression uses.
pub(crate) fn expression(text: &str) -> Result<Vec<Reference>, Vec<CompileError>> {
    let compiled = Expression::compile(text).map_err(|error| vec![error])?;
    Ok(compiled.references().to_vec())
}

/// The names that the expressions in a text use.
pub(crate) fn template(text: &str) -> Result<Vec<Reference>, Vec<CompileError>> {
    match Template::compile(&Json::from(text)) {
        Ok(compiled) => Ok(compiled.references().into_iter().cloned().collect()),
        Err(errors) => Err(errors.into_iter().map(|problem| problem.error).collect()),
    }
}

/// Checks a path into a task's output.
pub(crate) fn path(text: &str) -> Result<(), CompileError> {
    Path::compile(text).map(|_| ())
}

/// Checks one transformation of a pipeline.
pub(crate) fn transformation(
    transformation: &Transformation,
    registry: &Registry,
) -> Result<(), CompileError> {
    let steps: Vec<(String, Option<Json>)> = match transformation {
        Transformation::Name(name) => vec![(name.clone(), None)],
        Transformation::WithArgument(named) => {
            named.iter().map(|(name, argument)| (name.clone(), Some(argument.clone()))).collect()
        }
    };
    Pipeline::compile(&steps, registry).map(|_| ())
}

/// Whether a text holds an expression.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("${")
}

/// Whether a text is wholly one `${ }`.
pub(crate) fn is_one_expression(text: &str) -> bool {
    text.trim_start().starts_with("${") && Expression::compile(text).is_ok()
}

/// The expression without `${ }` around it.
pub(crate) fn unwrapped(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map_or(text, str::trim)
}
