//! Finds values by path: names in the scope, keys in maps, positions in lists.
//!
//! Used by the evaluator. What is not there is an answer here, not an error: `has` and `get` take it as it is,
//! everything else turns it into an error that names the path.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::ast::{Kind, Node, Reference};
use crate::error::{Cause, EvaluationError};
use crate::evaluate::{Environment, Value, at, opened, text_of};
use crate::near;
use crate::number::Number;
use crate::scope::{Resolved, SECRETS};
use crate::value;

/// Segments given to a scope at once; a longer path is walked from there, and no scope's own names are longer.
const MOST_SEGMENTS: usize = 16;

/// What a path leads to.
pub(crate) enum Lookup<'b> {
    Present(Value<'b>),
    Absent(Absence<'b>),
}

/// Why a path leads nowhere.
pub(crate) enum Absence<'b> {
    /// The scope knows the name's first segments but has no value for it.
    Reason { consumed: usize, reason: String },
    /// `holder` has no such key; in a reference, `segment` is the key's place in the path.
    Key { holder: Value<'b>, key: String, segment: usize },
    /// `holder` has no such position.
    Position { length: usize, position: i128 },
    /// The holder is null.
    Null,
}

/// Resolves a static path with one question to the scope.
pub(crate) fn resolve<'b>(
    reference: &'b Reference,
    node: &Node,
    env: Environment<'b>,
) -> Result<Lookup<'b>, EvaluationError> {
    let path = &reference.path;
    if path.first().is_some_and(|root| root == SECRETS) {
        let message = format!(
            "no expression sees a secret: write ${{ {} }} alone or within text, in the inputMappings of a task",
            path.join(".")
        );
        return Err(at(node, message));
    }
    let mut segments = [""; MOST_SEGMENTS];
    let count = path.len().min(MOST_SEGMENTS);
    for (segment, name) in segments.iter_mut().zip(path) {
        *segment = name;
    }
    match env.scope.resolve(segments.get(..count).unwrap_or_default()) {
        Resolved::Found { value, consumed } => walk(value, path, consumed, node, env),
        Resolved::Missing { consumed, reason } => Ok(Lookup::Absent(Absence::Reason { consumed, reason })),
        Resolved::Unavailable { consumed, reason } => {
            let named = path.get(..consumed).unwrap_or(path).join(".");
            Err(EvaluationError { cause: Cause::Unavailable, ..at(node, format!("{named}: {reason}")) })
        }
        Resolved::Unknown => Err(at(node, format!("there is no name '{}'", path.join(".")))),
    }
}

fn walk<'b>(
    mut value: Value<'b>,
    path: &'b [String],
    consumed: usize,
    node: &Node,
    env: Environment<'b>,
) -> Result<Lookup<'b>, EvaluationError> {
    for (segment, key) in path.iter().enumerate().skip(consumed) {
        match child(opened(value, node, env)?, key) {
            Ok(child) => value = child,
            Err(holder) => return Ok(Lookup::Absent(Absence::Key { holder, key: key.clone(), segment })),
        }
    }
    Ok(Lookup::Present(value))
}

/// The member `key` of a value.
pub(crate) fn member<'b>(holder: Value<'b>, key: &str) -> Lookup<'b> {
    match child(holder, key) {
        Ok(value) => Lookup::Present(value),
        Err(holder) => Lookup::Absent(Absence::Key { holder, key: key.to_owned(), segment: 0 }),
    }
}

/// The member or item of a value that a computed index names; a wrong type of index is an error.
pub(crate) fn index<'b>(holder: Value<'b>, index: &Json) -> Result<Lookup<'b>, String> {
    match (holder.as_ref(), index) {
        (Json::Array(items), Json::Number(number)) => {
            let position = Number::of(number).whole().ok_or("a position in a list is a whole number")?;
            let length = items.len();
            let item = usize::try_from(position).ok().and_then(|position| item(holder, position));
            Ok(item.map_or(Lookup::Absent(Absence::Position { length, position }), Lookup::Present))
        }
        (Json::Array(_), other) => {
            Err(format!("a position in a list is a number, not {}", value::a_type(other)))
        }
        (Json::Object(_), Json::String(key)) => Ok(member(holder, key)),
        (Json::Object(_), other) => Err(format!("a key of a map is a string, not {}", value::a_type(other))),
        (Json::Null, _) => Ok(Lookup::Absent(Absence::Null)),
        (other, _) => Err(format!("{} has neither keys nor positions", value::a_type(other))),
    }
}

/// The item at a position, borrowed from a borrowed list.
pub(crate) fn item(holder: Value<'_>, position: usize) -> Option<Value<'_>> {
    match holder {
        Cow::Borrowed(holder) => holder.get(position).map(Cow::Borrowed),
        Cow::Owned(Json::Array(mut items)) if position < items.len() => {
            Some(Cow::Owned(items.swap_remove(position)))
        }
        Cow::Owned(_) => None,
    }
}

/// The value of a key, or the holder back.
fn child<'b>(holder: Value<'b>, key: &str) -> Result<Value<'b>, Value<'b>> {
    match holder {
        Cow::Borrowed(value) => value.get(key).map(Cow::Borrowed).ok_or(holder),
        Cow::Owned(Json::Object(mut map)) => match map.remove(key) {
            Some(value) => Ok(Cow::Owned(value)),
            None => Err(Cow::Owned(Json::Object(map))),
        },
        Cow::Owned(_) => Err(holder),
    }
}

impl Absence<'_> {
    /// The absence as an error of `node`, whose value was needed.
    pub(crate) fn error(self, node: &Node, env: Environment<'_>) -> EvaluationError {
        let reference = root_reference(node, env);
        let path = reference.map_or(&[][..], |reference| &reference.path);
        match self {
            Self::Reason { consumed, reason } => {
                let named = path.get(..consumed).unwrap_or(path).join(".");
                at(node, format!("{named}: {reason}"))
            }
            Self::Key { holder, key, segment } => {
                let (holder_text, whole) = match path.get(..segment) {
                    Some(before) if segment > 0 => (before.join("."), path[..=segment].join(".")),
                    _ => (holder_text(node, &key, env), text_of(node, env).to_owned()),
                };
                at(node, format!("{whole}: {}", no_key(&holder, &holder_text, &key)))
            }
            Self::Position { length, position } => at(
                node,
                format!(
                    "{}: the list has {length} items, so there is no item {position}",
                    text_of(node, env)
                ),
            ),
            Self::Null => {
                at(node, format!("{}: the value before it is null; has() asks", text_of(node, env)))
            }
        }
    }
}

/// The reference a path begins with.
fn root_reference<'b>(node: &Node, env: Environment<'b>) -> Option<&'b Reference> {
    match &node.kind {
        Kind::Reference(index) => env.references.get(*index),
        Kind::Member(holder, _) | Kind::Index(holder, _) => root_reference(holder, env),
        _ => None,
    }
}

/// The source text of what was to hold `key`.
fn holder_text(node: &Node, key: &str, env: Environment<'_>) -> String {
    match &node.kind {
        Kind::Member(holder, name) if name == key => text_of(holder, env).to_owned(),
        Kind::Member(holder, _) => holder_text(holder, key, env),
        Kind::Index(holder, _) => text_of(holder, env).to_owned(),
        _ => text_of(node, env).to_owned(),
    }
}

fn no_key(holder: &Json, holder_text: &str, key: &str) -> String {
    match holder {
        Json::Object(map) => {
            let hint = near::question(key, map.keys().map(String::as_str))
                .unwrap_or_else(|| "has() asks, get(map, key, default) gives a default".to_owned());
            format!("{holder_text} has no key '{key}'; {hint}")
        }
        Json::Null => format!("{holder_text} is null, so it has no key '{key}'; has() asks"),
        Json::Array(_) => {
            format!("{holder_text} is a list; take an item with [0], or all with .map(x, x.{key})")
        }
        other => format!("{holder_text} is {}, so it has no key '{key}'", value::a_type(other)),
    }
}
