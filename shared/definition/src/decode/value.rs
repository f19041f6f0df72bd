//! Single values: texts, numbers, durations, choices, lists of texts, JSON.

use oarlock_protocol::{Json, JsonMap, Span};
use serde::de::DeserializeOwned;

use super::Decoder;
use crate::code::Code;
use crate::findings::Finding;
use crate::place::Place;
use crate::tree::{Node, Style, Value, quoted};

impl Decoder<'_, '_> {
    /// A text.
    pub(super) fn text(&mut self, node: &Node, place: &Place) -> Option<String> {
        match &node.value {
            Value::Text { text, .. } => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                let raw = self.raw(node);
                let message = format!("expected a text, found {}: `{raw}`", node.kind());
                let finding = Finding::new(Code::WrongType, place, message);
                self.findings.push(finding.help(format!("Put it in quotes: `{}`.", quoted(&raw))));
                None
            }
            _ => self.wrong_type(node, place, "a text"),
        }
    }

    /// The source of an expression; a literal `true` or `false` is one.
    pub(super) fn expression(&mut self, node: &Node, place: &Place) -> Option<String> {
        match &node.value {
            Value::Text { text, .. } => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            _ => self.wrong_type(node, place, "an expression, such as `variables.total > 0`"),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node, place: &Place) -> Option<bool> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            _ => self.wrong_literal(node, place, "`true` or `false`", |text| text.parse::<bool>().is_ok()),
        }
    }

    /// The number of an edition, from 1.
    pub(super) fn version(&mut self, node: &Node, place: &Place) -> Option<u32> {
        self.whole_number(node, place, 1, u64::from(u32::MAX))
    }

    /// A count, from 0.
    pub(super) fn count(&mut self, node: &Node, place: &Place) -> Option<u32> {
        self.whole_number(node, place, 0, u64::from(u32::MAX))
    }

    /// A whole number between `least` and `most`.
    pub(super) fn whole_number<T: TryFrom<u64>>(
        &mut self,
        node: &Node,
        place: &Place,
        least: u64,
        most: u64,
    ) -> Option<T> {
        let Value::Number(number) = &node.value else {
            return self.wrong_literal(node, place, "a whole number", |text| text.parse::<u64>().is_ok());
        };
        let value = number
            .as_u64()
            .filter(|value| (least..=most).contains(value))
            .and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            let range = if most < u64::from(u32::MAX) {
                format!("from {least} to {most}")
            } else {
                format!("of {least} or more")
            };
            let message = format!("expected a whole number {range}, found `{}`", self.raw(node));
            self.findings.push(Finding::new(Code::InvalidNumber, place, message));
        }
        value
    }

    /// Any number.
    pub(super) fn number(&mut self, node: &Node, place: &Place) -> Option<f64> {
        match &node.value {
            Value::Number(number) => number.as_f64(),
            _ => self.wrong_literal(node, place, "a number", |text| text.parse::<f64>().is_ok()),
        }
    }

    /// A length of time, such as `30s`.
    pub(super) fn span(&mut self, node: &Node, place: &Place) -> Option<Span> {
        let finding = match &node.value {
            Value::Text { text, .. } => match text.trim().parse() {
                Ok(span) => return Some(span),
                Err(error) => duration_problem(place, text, &error.to_string()),
            },
            Value::Number(_) => {
                let raw = self.raw(node);
                let help = format!(
                    "Write the unit: `{raw}s` for seconds, `{raw}ms`, `{raw}m`, `{raw}h` or `{raw}d`."
                );
                Finding::new(Code::InvalidDuration, place, format!("the length of time `{raw}` has no unit"))
                    .help(help)
            }
            _ => return self.wrong_type(node, place, "a length of time, such as `30s`"),
        };
        self.findings.push(finding);
        None
    }

    /// One of the words that `T` has, listed in `words`.
    pub(super) fn choice<T: DeserializeOwned>(
        &mut self,
        node: &Node,
        place: &Place,
        words: &[&'static str],
    ) -> Option<T> {
        let listed = words.join(", ");
        let Value::Text { text, .. } = &node.value else {
            return self.wrong_type(node, place, &format!("one of {listed}"));
        };
        if words.contains(&text.as_str())
            && let Ok(value) = serde_json::from_value(Json::String(text.clone()))
        {
            return Some(value);
        }
        let mut finding =
            Finding::new(Code::InvalidChoice, place, format!("expected one of {listed}, found `{text}`"));
        if let Some(near) = self.findings.nearest(text, words.iter().copied()) {
            finding = finding.help(format!("Did you mean `{near}`?"));
        }
        self.findings.push(finding);
        None
    }

    /// A list, each item read by `read`; a stand-in keeps the place of an item that is wrong.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        place: &Place,
        wanted: &str,
        mut read: impl FnMut(&mut Self, &Node, &Place) -> Option<T>,
        stand_in: impl Fn() -> T,
    ) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            let told = self.wrong_type(node, place, wanted);
            if matches!(node.value, Value::Map(_)) {
                self.findings.advise(place, || {
                    "Begin every item with `- `; what is now its key becomes `id`.".to_owned()
                });
            }
            return told;
        };
        let read_item = |(index, item): (usize, &Node)| {
            let here = place.index(index);
            let value = if matches!(item.value, Value::Broken) { None } else { read(self, item, &here) };
            value.unwrap_or_else(|| {
                self.findings.hole(&here);
                stand_in()
            })
        };
        Some(items.iter().enumerate().map(read_item).collect())
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, node: &Node, place: &Place) -> Option<Vec<String>> {
        if let Value::Text { text, .. } = &node.value {
            let finding = Finding::new(Code::WrongType, place, "expected a list of texts, found a text");
            self.findings.push(finding.help(format!("Write it as a list: `[{text}]`.")));
            return None;
        }
        self.list(node, place, "a list of texts, such as `[a, b]`", Self::text, String::new)
    }

    /// Any value.
    pub(crate) fn json(&mut self, node: &Node, place: &Place) -> Option<Json> {
        self.holes_below(node, place);
        Some(node.to_json())
    }

    /// A mapping of any values.
    pub(super) fn json_map(&mut self, node: &Node, place: &Place) -> Option<JsonMap> {
        match (&node.value, node.to_json()) {
            (Value::Map(_), Json::Object(map)) => {
                self.holes_below(node, place);
                Some(map)
            }
            _ => self.wrong_type(node, place, "a mapping (`name: value`)"),
        }
    }

    /// A JSON Schema, as far as its form goes.
    pub(super) fn schema(&mut self, node: &Node, place: &Place) -> Option<Json> {
        if matches!(node.value, Value::Map(_)) {
            return self.json(node, place);
        }
        let message = format!("a JSON Schema is a mapping, found {}", node.kind());
        let finding = Finding::new(Code::InvalidSchema, place, message);
        self.findings.push(finding.help(
            "Write it as `{type: object, required: [orderId], properties: {orderId: {type: string}}}`.",
        ));
        None
    }

    /// Tells that `node` is not what is `wanted`; none, so that callers can return it.
    pub(super) fn wrong_type<T>(&mut self, node: &Node, place: &Place, wanted: &str) -> Option<T> {
        let found = match &node.value {
            Value::Broken => return None,
            Value::Number(_) | Value::Bool(_) => format!("{}: `{}`", node.kind(), self.raw(node)),
            Value::Text { text, style: Style::Plain | Style::Quoted } if text.len() < 60 => {
                format!("a text: `{text}`")
            }
            _ => node.kind().to_owned(),
        };
        self.findings.push(Finding::new(Code::WrongType, place, format!("expected {wanted}, found {found}")));
        None
    }

    /// Tells of a wrong type; where only the quotes are wrong, says so.
    fn wrong_literal<T>(
        &mut self,
        node: &Node,
        place: &Place,
        wanted: &str,
        would_fit: fn(&str) -> bool,
    ) -> Option<T> {
        let told = self.wrong_type(node, place, wanted);
        if let Value::Text { text, .. } = &node.value
            && would_fit(text)
        {
            self.findings.advise(place, || format!("Write it without quotes: `{text}`."));
        }
        told
    }

    /// The value as it is written.
    fn raw(&self, node: &Node) -> String {
        self.source.slice(node.span.clone()).to_owned()
    }

    fn holes_below(&mut self, node: &Node, place: &Place) {
        match &node.value {
            Value::Broken => self.findings.hole(place),
            Value::List(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.holes_below(item, &place.index(index)))
            }
            Value::Map(entries) => {
                entries.iter().for_each(|entry| self.holes_below(&entry.node, &place.key(&entry.key)))
            }
            _ => {}
        }
    }
}

fn duration_problem(place: &Place, text: &str, reason: &str) -> Finding {
    let text = text.trim();
    let told = |message: String, help: String| Finding::new(Code::InvalidDuration, place, message).help(help);
    if text.parse::<f64>().is_ok() {
        let message = format!("the length of time `{text}` has no unit");
        return told(message, format!("Write the unit, such as `{text}s` for seconds."));
    }
    for limit in ["longer than ten years", "finer than a millisecond"] {
        if reason.contains(limit) {
            let message = format!("`{text}` is {limit}");
            return told(message, "A length of time is between `1ms` and ten years.".to_owned());
        }
    }
    let help = "Write numbers and units without signs: `500ms`, `30s`, `1m 30s`, `24h`, `7d`.";
    told(format!("`{text}` is no length of time"), help.to_owned())
}
