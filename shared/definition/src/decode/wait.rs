//! A `wait`: for a time, for a signal, or for the first of several.

use oarlock_protocol::definition::{Awaited, TaskKind, Wait};

use super::Decoder;
use super::fields::Fields;
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;
use crate::tree::{Node, Value};

/// The fields that each name one thing to wait for.
const AWAITED: &[&str] = &["duration", "until", "signal"];

const HOW: &str = "Give it one of `duration: 10m`, `until: \"2026-11-24T08:00:00Z\"` and `signal: approval`, or several \
                   of them under `first`.";

impl Decoder<'_, '_> {
    pub(super) fn wait(&mut self, fields: &Fields<'_>) -> TaskKind {
        let wait = self.optional(fields, "wait", |decoder, node, place| {
            let known = ["duration", "until", "signal", "schema", "first", "timeout"];
            let fields = decoder.fields(node, place, "a `wait`", &known)?;
            let timeout = decoder.optional(&fields, "timeout", Self::span);
            let several = decoder.optional(&fields, "first", |decoder, node, place| {
                let wanted = "a list of what to wait for, such as `[{signal: approval}, {duration: 24h}]`";
                decoder.list(node, place, wanted, Self::awaited, || Awaited::Until { until: String::new() })
            });
            let one = decoder.one_of(&fields);
            if !fields.has("first") {
                decoder.findings.short_form(place);
                decoder.for_something(&fields, one.is_some());
                return Some(Wait { first: Vec::from_iter(one), timeout });
            }
            if let Some(beside) = AWAITED.iter().find(|name| fields.has(name)) {
                decoder.invalid(&fields, beside, "what a `wait` with `first` waits for stands in `first`");
            }
            Some(Wait { first: several.into_iter().flatten().chain(one).collect(), timeout })
        });
        TaskKind::Wait(wait.unwrap_or(Wait { first: Vec::new(), timeout: None }))
    }

    /// One item of `first`.
    fn awaited(&mut self, node: &Node, place: &Place) -> Option<Awaited> {
        let known = ["duration", "until", "signal", "schema"];
        let fields = self.fields(node, place, "an item of `first`", &known)?;
        let one = self.one_of(&fields);
        self.for_something(&fields, one.is_some());
        one
    }

    /// What the fields say to wait for; where there are several, the first.
    fn one_of(&mut self, fields: &Fields<'_>) -> Option<Awaited> {
        let duration = self.optional(fields, "duration", Self::duration);
        let until = self.optional(fields, "until", Self::text);
        let signal = self.optional(fields, "signal", Self::text);
        let schema = self.optional(fields, "schema", Self::schema);
        if fields.has("schema") && !fields.has("signal") {
            let place = fields.place.key("schema");
            let message = "`schema` is that of a signal, and this waits for none";
            let finding = Finding::new(Code::MisplacedField, &place, message).mark(Mark::Key);
            self.findings.push(finding.help("Remove it, or give it the `signal` that it belongs to."));
        }
        let duration = duration.map(|duration| Awaited::Duration { duration });
        let until = until.map(|until| Awaited::Until { until });
        duration.or(until).or(signal.map(|signal| Awaited::Signal { signal, schema }))
    }

    /// Tells of a `wait`, or an item of `first`, for nothing or for several things.
    fn for_something(&mut self, fields: &Fields<'_>, is_read: bool) {
        let written: Vec<&str> = AWAITED.iter().copied().filter(|name| fields.has(name)).collect();
        if !is_read {
            self.findings.hole(&fields.place.key("first"));
        }
        if written.is_empty() {
            let finding = Finding::new(Code::InvalidWait, &fields.place, "this waits for nothing");
            self.findings.push(finding.help(HOW));
        } else if let [_, second, ..] = written[..] {
            let message = format!("this waits for several things: {}", written.join(", "));
            self.invalid(fields, second, &message);
        }
    }

    fn invalid(&mut self, fields: &Fields<'_>, field: &str, message: &str) {
        let place = fields.place.key(field);
        let finding = Finding::new(Code::InvalidWait, &place, message).mark(Mark::Key);
        self.findings.push(
            finding.help("Put each into an item of its own: `first: [{signal: approval}, {duration: 24h}]`."),
        );
    }

    /// A length of time as it is written, or a text with an expression, which `check` looks into.
    fn duration(&mut self, node: &Node, place: &Place) -> Option<String> {
        match &node.value {
            Value::Text { text, .. } if text.contains("${") => Some(text.clone()),
            Value::Text { text, .. } => self.span(node, place).map(|_| text.clone()),
            _ => self.span(node, place).map(|span| span.to_string()),
        }
    }
}
