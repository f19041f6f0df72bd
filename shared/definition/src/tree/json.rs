//! Strict JSON becomes a tree. YAML alone would not do: it knows no surrogate pairs, and explains mistakes in other words.

use std::collections::HashMap;

use oarlock_protocol::Json;
use serde_json::Number;

use super::yaml::duplicate_key;
use super::{Entry, Node, Style, Value, over_budget};
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;
use crate::source::Source;

/// Reads a whole text as one JSON value, and tells of keys written twice; anything worse ends it.
pub(super) fn read(source: &Source<'_>) -> Result<(Node, Vec<Finding>), Finding> {
    let mut reader = Reader { source, at: 0, depth: 0, nodes: 0, repeated: Vec::new() };
    let node = reader.value(&Place::root())?;
    reader.skip_blank();
    match reader.peek() {
        None => Ok((node, reader.repeated)),
        Some(_) => Err(reader
            .wrong("there is more text after the end of the value", "Keep one JSON object in the file.")),
    }
}

struct Reader<'s, 't> {
    source: &'s Source<'t>,
    at: usize,
    depth: usize,
    nodes: usize,
    repeated: Vec<Finding>,
}

impl Reader<'_, '_> {
    fn value(&mut self, place: &Place) -> Result<Node, Finding> {
        self.skip_blank();
        self.nodes += 1;
        if let Some(finding) = over_budget(self.depth, self.nodes, self.at..self.at + 1) {
            return Err(finding);
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.map(place)?,
            Some(b'[') => self.list(place)?,
            Some(b'"') => Value::Text { text: self.text()?, style: Style::Quoted },
            Some(_) => self.word()?,
            None => {
                return Err(self.wrong("a value is expected", "Close what is open: `}` or `]`."));
            }
        };
        Ok(Node { span: start..self.at, value })
    }

    fn map(&mut self, place: &Place) -> Result<Value, Finding> {
        self.enter();
        let (mut entries, mut seen) = (Vec::new(), HashMap::new());
        self.skip_blank();
        while self.peek() != Some(b'}') {
            if self.peek() != Some(b'"') {
                return Err(self.wrong(
                    "expected a key in double quotes, or `}`",
                    "Write keys as `\"name\": value`, with a comma only between two.",
                ));
            }
            let key_start = self.at;
            let key = self.text()?;
            let key_span = key_start..self.at;
            self.skip_blank();
            self.expect(b':', "expected `:` after the key")?;
            let here = place.key(&key);
            let node = self.value(&here)?;
            match seen.get(&key) {
                Some(&first) => self.repeated.push(duplicate_key(self.source, &here, &key, first, key_span)),
                None => {
                    seen.insert(key.clone(), key_start);
                    entries.push(Entry { key, key_span, node });
                }
            }
            self.separator(b'}', "expected `,` or `}`")?;
        }
        self.leave();
        Ok(Value::Map(entries))
    }

    fn list(&mut self, place: &Place) -> Result<Value, Finding> {
        self.enter();
        let mut items = Vec::new();
        self.skip_blank();
        while self.peek() != Some(b']') {
            items.push(self.value(&place.index(items.len()))?);
            self.separator(b']', "expected `,` or `]`")?;
        }
        self.leave();
        Ok(Value::List(items))
    }

    /// The comma between two values, which may not stand before the end.
    fn separator(&mut self, end: u8, expected: &str) -> Result<(), Finding> {
        self.skip_blank();
        if self.peek() == Some(end) {
            return Ok(());
        }
        let comma = self.at;
        self.expect(b',', expected)?;
        self.skip_blank();
        if self.peek() == Some(end) {
            self.at = comma;
            return Err(self.wrong(
                "a comma before the end",
                "Remove this comma: JSON has commas only between two values.",
            ));
        }
        Ok(())
    }

    /// A text in double quotes, decoded by serde_json: escapes and surrogate pairs are its business.
    fn text(&mut self) -> Result<String, Finding> {
        let start = self.at;
        let rest = self.source.text.as_bytes().get(start + 1..).unwrap_or(&[]);
        let mut escaped = false;
        let length = rest.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let Some(length) = length else {
            return Err(self.wrong(
                "the closing `\"` of this text is missing",
                "Close the text with `\"`; write a quote inside it as `\\\"`.",
            ));
        };
        let end = start + length + 2;
        let decoded = serde_json::from_str(self.source.slice(start..end));
        let text = decoded.map_err(|_| {
            self.wrong(
                "this text holds a line break, a control character or a wrong escape",
                "Write a line break as `\\n`, a tab as `\\t`, a backslash as `\\\\`.",
            )
        })?;
        self.at = end;
        Ok(text)
    }

    /// `null`, `true`, `false` or a number.
    fn word(&mut self) -> Result<Value, Finding> {
        let rest = self.source.slice(self.at..self.source.text.len());
        let length = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | ':' | '"' | '{' | '['))
            .unwrap_or(rest.len());
        let word = self.source.slice(self.at..self.at + length);
        let value = match serde_json::from_str(word) {
            _ if word == "-0" => Value::Number(Number::from(0)),
            Ok(Json::Null) => Value::Null,
            Ok(Json::Bool(value)) => Value::Bool(value),
            Ok(Json::Number(number)) if !number.is_f64() || word.contains(['.', 'e', 'E']) => Value::Number(number),
            Ok(Json::Number(_)) => {
                let place = Place::root();
                let finding = Finding::new(Code::InvalidNumber, &place, format!("`{word}` is a number of more than 64 bits"));
                return Err(finding.mark(Mark::Bytes(self.at..self.at + length)).help(format!("Write it as a text: `\"{word}\"`.")));
            }
            _ => return Err(self.wrong("this is no JSON value", "Texts stand in double quotes; numbers have no leading zero; the words are `true`, `false` and `null`.")),
        };
        self.at += length;
        Ok(value)
    }

    fn enter(&mut self) {
        self.depth += 1;
        self.at += 1;
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    fn expect(&mut self, byte: u8, message: &str) -> Result<(), Finding> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(
                message,
                "Look for a missing comma, colon, quote or bracket right before this place.",
            ));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.text.as_bytes().get(self.at).copied()
    }

    /// The problem that `message` tells, or a plainer one where the text ends or a comment begins.
    fn wrong(&self, message: &str, help: &str) -> Finding {
        let rest = self.source.slice(self.at..self.source.text.len());
        let (message, help) = if rest.is_empty() {
            (format!("the text ends here: {message}"), "Close what is open: `\"`, `}` or `]`.")
        } else if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
            ("JSON has no comments".to_owned(), "Remove it, or write the definition as YAML.")
        } else {
            (message.to_owned(), help)
        };
        let finding = Finding::new(Code::Syntax, &Place::root(), message).mark(Mark::Bytes(self.at..self.at));
        finding.help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(text: &str) -> Option<Json> {
        read(&Source::new("f.json", text)).ok().map(|(node, _)| node.to_json())
    }

    #[test]
    fn whatever_serde_json_reads_is_read_the_same() {
        let texts = [
            "{}",
            " [1, -2.5e3, true, false, null, \"a\\/b \\ud83d\\ude00 \\\" \\\\\"] ",
            "{\n\t\"a\": {\"b\": [[]]},\r\n\t\"\": \"é\"}",
            "18446744073709551615",
        ];
        for text in texts {
            assert_eq!(json_of(text), serde_json::from_str(text).ok(), "{text}");
            assert!(json_of(text).is_some(), "{text}");
        }
    }

    #[test]
    fn whatever_serde_json_refuses_is_refused() {
        let texts = [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "{a: 1}",
            "01",
            "\"a",
            "\"\\ud83d\"",
            "\"\n\"",
            "1 2",
            "nul",
            "{\"a\":1,}",
            "[1 2]",
            "\"\\\"",
        ];
        for text in texts {
            assert!(serde_json::from_str::<Json>(text).is_err(), "{text}");
            assert_eq!(json_of(text), None, "{text}");
        }
    }
}
