//! What this crate asks of the expression language: does it compile, and which names does it use?

use std::ops::Range;

use oarlock_protocol::definition::Transformation;

/// A name an expression uses, and the bytes of it in the text.
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    pub(crate) range: Range<usize>,
}

/// Why a text is no expression, path or transformation.
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
    pub(crate) help: Option<String>,
}

pub(crate) fn expression(_text: &str) -> Result<Vec<Reference>, Vec<Problem>> {
    Ok(Vec::new())
}
pub(crate) fn template(_text: &str) -> Result<Vec<Reference>, Vec<Problem>> {
    Ok(Vec::new())
}
pub(crate) fn path(_text: &str) -> Result<(), Problem> {
    Ok(())
}
pub(crate) fn transformation(_t: &Transformation) -> Result<(), Problem> {
    Ok(())
}
pub(crate) fn is_one_expression(text: &str) -> bool {
    text.trim().starts_with("${") && text.trim().ends_with('}')
}

/// The expression without `${ }` around it.
pub(crate) fn unwrapped(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map_or(text, str::trim)
}
