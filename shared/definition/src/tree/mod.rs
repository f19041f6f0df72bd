//! The tree of a definition's text: values with the bytes they stand at, the same for YAML and JSON.

mod characters;
mod json;
mod quote;
mod scalar;
mod syntax;
mod yaml;

use std::ops::Range;

use oarlock_protocol::Json;
use serde_json::Number;

use crate::code::Code;
use crate::decode::SMALLEST;
use crate::findings::{Finding, Findings, Mark};
use crate::place::{Place, Step};
use crate::source::Source;

pub(crate) use quote::quoted;

/// The largest text that is read, in bytes: a definition is stored and sent as one message.
const LARGEST_TEXT: usize = 1024 * 1024;
/// The deepest nesting: whatever walks a definition recursively fits its stack, and a value in it is never deeper than
/// an expression's template may be.
const DEEPEST: usize = 64;
/// The most values in one definition, so that a small file cannot become a large tree.
const MOST_NODES: usize = 200_000;

/// A value and the bytes it stands at.
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// What a node holds.
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text {
        text: String,
        style: Style,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that was told as a problem already.
    Broken,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    Block,
}

/// A key and its value.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// What was found at a place.
pub(crate) enum Spot<'n> {
    /// The value itself, and the bytes of its key.
    Exact { key: Option<Range<usize>>, node: &'n Node },
    /// The place is not in the text (a default, or absent): the nearest value around it.
    Around { key: Option<Range<usize>>, node: &'n Node },
}

/// Reads a text as a tree; none where it is not well-formed.
pub(crate) fn read(source: &Source<'_>, findings: &mut Findings) -> Option<Node> {
    if source.text.len() > LARGEST_TEXT {
        findings.push(too_large_text(source.text.len()));
        return None;
    }
    let root = if source.text.trim().is_empty() { None } else { read_text(source, findings) };
    let is_empty = root.as_ref().is_none_or(|root| matches!(root.value, Value::Null));
    if is_empty && !findings.has_errors() {
        let message = "there is nothing in the file";
        let finding = Finding::new(Code::EmptyFile, &Place::root(), message).mark(Mark::Bytes(0..0));
        findings.push(finding.help(SMALLEST));
    }
    root
}

fn read_text(source: &Source<'_>, findings: &mut Findings) -> Option<Node> {
    let is_json = source.file.ends_with(".json");
    // JSON that YAML would misread (surrogate pairs) comes under any name, over HTTP for one.
    if !is_json && !source.text.trim_start().starts_with('{') {
        return yaml::read(source, findings);
    }
    match json::read(source) {
        Ok((root, repeated)) => {
            repeated.into_iter().for_each(|finding| findings.push(finding));
            Some(root)
        }
        Err(problem) if is_json => {
            findings.push(problem);
            None
        }
        Err(_) => yaml::read(source, findings),
    }
}

fn too_large_text(bytes: usize) -> Finding {
    let message = format!("the text has {bytes} bytes; a definition has at most {LARGEST_TEXT}");
    let finding = Finding::new(Code::TooLarge, &Place::root(), message).mark(Mark::Bytes(0..0));
    finding.help("Move large data out of the definition and pass it as input.")
}

/// The problem of a text that is nested too deep or holds too many values, if it does.
fn over_budget(depth: usize, nodes: usize, at: Range<usize>) -> Option<Finding> {
    let message = if depth > DEEPEST {
        format!("nested deeper than {DEEPEST} levels")
    } else if nodes > MOST_NODES {
        format!("more than {MOST_NODES} values in one definition")
    } else {
        return None;
    };
    Some(
        Finding::new(Code::TooLarge, &Place::root(), message)
            .mark(Mark::Bytes(at))
            .help("Split it into several workflows."),
    )
}

impl Node {
    /// The child under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The node at `place`, or the nearest around it.
    pub(crate) fn locate(&self, place: &Place) -> Spot<'_> {
        let (mut key, mut node) = (None, self);
        for step in place.steps() {
            let next = match (step, &node.value) {
                (Step::Key(name), _) => {
                    node.get(name).map(|entry| (Some(entry.key_span.clone()), &entry.node))
                }
                (Step::Index(index), Value::List(items)) => items.get(*index).map(|item| (None, item)),
                (Step::Index(_), _) => None,
            };
            match next {
                Some((next_key, next_node)) => (key, node) = (next_key, next_node),
                None => return Spot::Around { key, node },
            }
        }
        Spot::Exact { key, node }
    }

    /// The bytes of the file for `range` of this text value; the whole value where they cannot be told.
    ///
    /// Quoting, escaping and folding change what is around a name but not the name, so the place of its n-th
    /// occurrence in the value is that of its n-th occurrence in the file.
    pub(crate) fn within(&self, source: &Source<'_>, range: &Range<usize>) -> Range<usize> {
        let Value::Text { text, .. } = &self.value else { return self.span.clone() };
        let raw = source.slice(self.span.clone());
        let (Some(before), Some(part)) = (text.get(..range.start), text.get(range.clone())) else {
            return self.span.clone();
        };
        if let Some(shift) = raw.find(text.as_str()) {
            let start = self.span.start + shift;
            return start + range.start..start + range.end;
        }
        let nth = before.matches(part).count();
        let same_count = raw.matches(part).count() == text.matches(part).count();
        match raw.match_indices(part).nth(nth) {
            Some((at, _)) if same_count && !part.is_empty() => {
                self.span.start + at..self.span.start + at + part.len()
            }
            _ => self.span.clone(),
        }
    }

    /// What the value is, for "expected …, found …".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Broken => "something unreadable",
        }
    }

    /// The value as JSON; what is broken becomes null.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null | Value::Broken => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text { text, .. } => Json::String(text.clone()),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect()
            }
        }
    }
}
