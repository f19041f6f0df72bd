//! YAML text becomes a tree; what definitions have no use for (tags, anchors, merge keys) is told and replaced.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::characters::Characters;
use super::scalar;
use super::{Entry, Node, Style, Value, over_budget, quoted, syntax};
use crate::code::Code;
use crate::findings::{Finding, Findings, Mark};
use crate::place::Place;
use crate::source::Source;

/// Reads YAML; none where it is not well-formed or over budget.
pub(super) fn read(source: &Source<'_>, findings: &mut Findings) -> Option<Node> {
    let characters = Characters::new(source.text);
    let mut builder = Builder { source, findings, open: Vec::new(), root: None, nodes: 0, documents: 0 };
    for event in Parser::new_from_str(source.text) {
        let (event, span) = match event {
            Ok((event, span)) => (event, bytes(&characters, span)),
            Err(error) => {
                let at = characters.byte(error.marker().index());
                let bracket = builder.open.iter().rev().find(|frame| frame.is_flow).map(|frame| frame.start);
                builder.findings.push(syntax::explain(source, error.info(), at, bracket));
                return None;
            }
        };
        if !builder.take(event, span) {
            break;
        }
    }
    builder.root
}

fn bytes(characters: &Characters<'_>, span: Span) -> Range<usize> {
    let start = characters.byte(span.start.index());
    start..characters.byte(span.end.index()).max(start)
}

/// A list or mapping that is not closed yet.
struct Frame {
    start: usize,
    is_flow: bool,
    is_broken: bool,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashMap<String, usize>, key: Option<(String, Range<usize>)> },
}

struct Builder<'s, 't> {
    source: &'s Source<'t>,
    findings: &'s mut Findings,
    open: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

impl Builder<'_, '_> {
    /// Takes one event; false where reading must stop.
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> bool {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => return true,
            Event::DocumentStart(_) => return self.begin_document(span),
            Event::Alias(_) => {
                let name = self.source.slice(span.clone()).to_owned();
                self.refuse_anchor(&name, span.clone());
                self.attach(Node { span, value: Value::Broken });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor > 0, tag.is_some(), span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::List(Vec::new()), anchor > 0, tag.is_some(), span.clone());
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), seen: HashMap::new(), key: None };
                self.begin(content, anchor > 0, tag.is_some(), span.clone());
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(span.end),
        }
        self.nodes += 1;
        self.within_budget()
    }

    fn within_budget(&mut self) -> bool {
        let at = self.open.last().map_or(0, |frame| frame.start);
        match over_budget(self.open.len(), self.nodes, at..at) {
            Some(finding) => {
                self.findings.push(finding);
                self.root = None;
                false
            }
            None => true,
        }
    }

    fn begin_document(&mut self, span: Range<usize>) -> bool {
        self.documents += 1;
        if self.documents == 1 {
            return true;
        }
        let message = "a second YAML document begins here";
        let finding = Finding::new(Code::SeveralDocuments, &Place::root(), message).mark(Mark::Bytes(span));
        self.findings
            .push(finding.help("Keep one workflow in a file, and remove the line `---` between them."));
        false
    }

    fn begin(&mut self, content: Content, has_anchor: bool, has_tag: bool, span: Range<usize>) {
        if has_tag {
            self.refuse_tag(
                span.clone(),
                "Remove the tag: the type is known from how the value is written.".to_owned(),
            );
        } else if has_anchor {
            let name = self.source.slice(span.start..self.source.line_around(span.start).end);
            let name = name.split_whitespace().next().unwrap_or("&").to_owned();
            self.refuse_anchor(&name, span.start..span.start + name.len());
        }
        let is_flow = self.source.slice(span.clone()).ends_with(['{', '[']);
        self.open.push(Frame { start: span.start, is_flow, is_broken: has_tag, content });
    }

    fn end(&mut self, end: usize) -> bool {
        let Some(frame) = self.open.pop() else { return false };
        let last = match &frame.content {
            Content::List(items) => items.last().map(|item| item.span.end),
            Content::Map { entries, .. } => entries.last().map(|entry| entry.node.span.end),
        };
        let end = if frame.is_flow { end } else { last.unwrap_or(frame.start) };
        let value = match frame.content {
            _ if frame.is_broken => Value::Broken,
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.attach(Node { span: frame.start..end.max(frame.start), value });
        true
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        has_anchor: bool,
        has_tag: bool,
        span: Range<usize>,
    ) {
        let raw = self.source.slice(span.clone());
        let span = span.start..span.start + raw.trim_end().len();
        let raw = raw.trim_end();
        let value = if has_tag {
            let is_type = raw.starts_with("!!") || raw.ends_with(['"', '\'']);
            let help = match is_type {
                true => "Remove the tag: the type is known from how the value is written.".to_owned(),
                false => format!("Put the value in quotes: `{}`.", self.in_quotes(raw)),
            };
            self.refuse_tag(span.clone(), help);
            Value::Broken
        } else if has_anchor {
            self.refuse_anchor(raw.split_whitespace().next().unwrap_or(raw), span.clone());
            Value::Broken
        } else {
            self.scalar_value(text, style, &span)
        };
        self.attach(Node { span, value });
    }

    fn scalar_value(&mut self, text: Cow<'_, str>, style: ScalarStyle, span: &Range<usize>) -> Value {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        // What is a key is looked at in `key_of`: `on` may be a key, and never a value.
        if style != Style::Plain || self.awaits_key() {
            return Value::Text { text: text.into_owned(), style };
        }
        if let Some(finding) = syntax::cut_by_comment(self.source, &text, span, &self.place()) {
            self.findings.push(finding);
            return Value::Broken;
        }
        scalar::resolve(&text).unwrap_or_else(|trap| {
            let finding = Finding::new(trap.code, &self.place(), trap.message).help(trap.help);
            self.findings.push(finding.mark(Mark::Bytes(span.clone())));
            Value::Broken
        })
    }

    /// Puts a finished node where it belongs: the root, an item, a key or the value of a key.
    fn attach(&mut self, node: Node) {
        let place = self.place();
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { key: key @ None, .. } => {
                *key = Some(key_of(node, self.source, &place, self.findings))
            }
            Content::Map { entries, seen, key } => {
                let (key, key_span) = key.take().unwrap_or_default();
                match seen.get(&key) {
                    Some(&first) => {
                        self.findings.push(duplicate_key(self.source, &place, &key, first, key_span))
                    }
                    None => {
                        seen.insert(key.clone(), key_span.start);
                        entries.push(Entry { key, key_span, node });
                    }
                }
            }
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame { content: Content::Map { key: None, .. }, .. }))
    }

    /// The place of what is read next.
    fn place(&self) -> Place {
        self.open.iter().fold(Place::root(), |place, frame| match &frame.content {
            Content::List(items) => place.index(items.len()),
            Content::Map { key: Some((key, _)), .. } => place.key(key),
            Content::Map { .. } => place,
        })
    }

    fn refuse_tag(&mut self, span: Range<usize>, help: String) {
        let raw = self.source.slice(span.clone());
        let tag = raw.split_whitespace().next().unwrap_or("!");
        let message = format!("`{tag}` without quotes is a YAML tag, not a value");
        self.findings
            .push(Finding::new(Code::Tag, &self.place(), message).help(help).mark(Mark::Bytes(span)));
    }

    /// How the value would be written in quotes, with the key before it.
    fn in_quotes(&self, value: &str) -> String {
        match self.open.last().map(|frame| &frame.content) {
            Some(Content::Map { key: Some((key, _)), .. }) => format!("{key}: {}", quoted(value)),
            _ => quoted(value),
        }
    }

    fn refuse_anchor(&mut self, name: &str, span: Range<usize>) {
        let message = format!("`{name}` is a YAML anchor or alias, which definitions do not have");
        let finding = Finding::new(Code::Anchor, &self.place(), message).mark(Mark::Bytes(span));
        self.findings.push(
            finding.help(format!(
                "Write the value out, or, if it is text, put it in quotes: `{}`.",
                quoted(name)
            )),
        );
    }
}

/// The key that a node stands for, in the mapping at `place`.
fn key_of(node: Node, source: &Source<'_>, place: &Place, findings: &mut Findings) -> (String, Range<usize>) {
    let Node { span, value } = node;
    let Value::Text { text, style } = value else {
        let raw = source.slice(span.clone()).to_owned();
        findings.hole(&place.key(&raw));
        findings.push(invalid_key(place, span.clone(), "a key must be a text", "name: value"));
        return (raw, span);
    };
    if style == Style::Plain && text == "<<" {
        let finding =
            Finding::new(Code::MergeKey, place, "`<<` is a YAML merge key, which definitions do not have");
        findings.push(
            finding.mark(Mark::Bytes(span.clone())).help("Write the fields out where they are needed."),
        );
    } else if style == Style::Plain && !reads_as_text(&text) {
        findings.hole(&place.key(&text));
        findings.push(match text.is_empty() {
            true => invalid_key(place, span.clone(), "a key is missing before the `:`", "name: value"),
            false => {
                let message = format!("the key `{text}` is not a text");
                invalid_key(place, span.clone(), &message, &format!("{}: …", quoted(&text)))
            }
        });
    }
    (text, span)
}

fn reads_as_text(key: &str) -> bool {
    match scalar::resolve(key) {
        Ok(value) => matches!(value, Value::Text { .. }),
        Err(trap) => trap.code == Code::AmbiguousBoolean,
    }
}

fn invalid_key(place: &Place, span: Range<usize>, message: &str, example: &str) -> Finding {
    let finding = Finding::new(Code::InvalidKey, place, message).mark(Mark::Bytes(span));
    finding.help(format!("Write it as a text: `{example}`."))
}

/// A key that was there before.
pub(super) fn duplicate_key(
    source: &Source<'_>,
    place: &Place,
    key: &str,
    first: usize,
    span: Range<usize>,
) -> Finding {
    let (line, column) = source.position(first);
    let message = format!("`{key}` is written twice: first at line {line}, column {column}");
    let help = "Remove one of the two; a repeated key would silently win over the other.";
    Finding::new(Code::DuplicateKey, place, message).mark(Mark::Bytes(span)).help(help)
}
