//! Explains what the YAML parser stumbled over: its own words tell what it expected, these tell what to write instead.

use std::ops::Range;

use super::quoted;
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;
use crate::source::Source;

/// The problem of a text at which the parser gave up with `info`; `bracket` is where an open `{` or `[` began.
pub(super) fn explain(source: &Source<'_>, info: &str, at: usize, bracket: Option<usize>) -> Finding {
    let line = source.line_around(at);
    let stumbled = Stumble { source, info, at, line: Line::of(source, line), bracket };
    stumbled
        .tab()
        .or_else(|| stumbled.flow_expression())
        .or_else(|| stumbled.leading_character())
        .or_else(|| stumbled.colon_in_value())
        .or_else(|| stumbled.line_without_colon())
        .or_else(|| stumbled.text_after_quote())
        .or_else(|| stumbled.open_quote())
        .or_else(|| stumbled.open_bracket())
        .unwrap_or_else(|| stumbled.anything_else())
}

/// The problem of a plain scalar that YAML ended at a ` #`, if what is left of it is visibly a part.
pub(super) fn cut_by_comment(
    source: &Source<'_>,
    text: &str,
    span: &Range<usize>,
    place: &Place,
) -> Option<Finding> {
    let line_end = source.line_around(span.end).end;
    let rest = source.slice(span.end..line_end);
    if !rest.trim_start().starts_with('#') {
        return None;
    }
    let opens_expression =
        text.rfind("${").is_some_and(|start| !text.get(start..).unwrap_or("").contains('}'));
    let cuts_text = text.matches('"').count() % 2 == 1 && rest.matches('"').count() % 2 == 1;
    if !opens_expression && !cuts_text {
        return None;
    }
    let whole = source.slice(span.start..line_end).trim_end();
    let message = "YAML reads ` #` as the begin of a comment: the rest of this value is lost";
    let finding = Finding::new(Code::CutExpression, place, message).mark(Mark::Bytes(span.start..line_end));
    Some(finding.help(format!("Put the whole value in quotes: `{}`.", quoted(whole))))
}

/// A line taken apart, as far as its characters allow: `  - key: value`.
struct Line<'t> {
    text: &'t str,
    start: usize,
    key: &'t str,
    value: &'t str,
    value_start: usize,
}

impl<'t> Line<'t> {
    fn of(source: &Source<'t>, range: Range<usize>) -> Self {
        let text = source.slice(range.clone());
        let mut body = text.trim_start();
        while let Some(rest) = body.strip_prefix("- ") {
            body = rest.trim_start();
        }
        let (key, value) = match body.split_once(':') {
            Some((key, value)) if is_key(key) && (value.is_empty() || value.starts_with([' ', '\t'])) => {
                (key, value.trim_start())
            }
            _ => ("", body),
        };
        let value_start = range.start + (text.len() - value.len());
        Self { text, start: range.start, key, value: value.trim_end(), value_start }
    }

    fn value_span(&self) -> Range<usize> {
        self.value_start..self.value_start + self.value.len()
    }

    /// How the line would read with its value in quotes.
    fn with_quotes(&self) -> String {
        let value = quoted(self.value);
        if self.key.is_empty() { value } else { format!("{}: {value}", self.key) }
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

struct Stumble<'s, 't> {
    source: &'s Source<'t>,
    info: &'s str,
    at: usize,
    line: Line<'t>,
    bracket: Option<usize>,
}

impl Stumble<'_, '_> {
    /// A line that begins with a tab: the one at hand, or, since a text may go on over lines, the next one.
    fn tab(&self) -> Option<Finding> {
        if !self.info.contains("tab") && self.bracket.is_some() {
            return None;
        }
        let is_text = self.info.contains("plain scalar");
        let next = self.line.start + self.line.text.len() + 1;
        let start = if is_text && next < self.source.text.len() { next } else { self.line.start };
        let line = self.source.line_around(start);
        let text = self.source.slice(line.clone());
        let tab = text.get(..text.len() - text.trim_start().len())?.find('\t')?;
        let (at, help) = (line.start + tab, "Indent with spaces, two for each level.");
        Some(self.told(
            Code::TabIndentation,
            "this line is indented with a tab, which YAML forbids",
            at..at + 1,
            help,
        ))
    }

    /// `{a: ${ b }}`: the brace of the expression is taken for one of YAML's.
    fn flow_expression(&self) -> Option<Finding> {
        let opened = self.bracket?;
        let start = self.source.slice(opened..self.at).rfind('$').map(|found| opened + found)?;
        if !self.source.slice(start..self.line.start + self.line.text.len()).starts_with("${") {
            return None;
        }
        let rest = self.source.slice(start..self.source.line_around(start).end);
        let expression = rest.find('}').and_then(|end| rest.get(..=end)).unwrap_or(rest);
        let help = format!("Put the expression in quotes: `{}`.", quoted(expression));
        let message = "inside `{ }` and `[ ]` YAML takes the brace of `${` for one of its own";
        Some(self.told(Code::FlowExpression, message, start..start + expression.len(), &help))
    }

    /// A value that begins with a character that YAML keeps for itself.
    fn leading_character(&self) -> Option<Finding> {
        let first = self.line.value.chars().next()?;
        let (code, meaning) = match first {
            '!' => (Code::Tag, "begins a YAML tag"),
            '&' | '*' => (Code::Anchor, "is for YAML's anchors and aliases, which definitions do not have"),
            '@' | '`' | '%' => (Code::Syntax, "is a character that no YAML value may begin with"),
            _ => return None,
        };
        if !self.line.value_span().contains(&self.at) && self.at != self.line.value_span().end {
            return None;
        }
        let message = format!("`{first}` at the beginning of a value {meaning}");
        let help = format!("Put the value in quotes: `{}`.", self.line.with_quotes());
        Some(self.told(code, &message, self.line.value_span(), &help))
    }

    fn colon_in_value(&self) -> Option<Finding> {
        let colon = self.at.checked_sub(self.line.value_start)?;
        if !self.info.contains("mapping values are not allowed")
            || self.bracket.is_some()
            || self.line.key.is_empty()
        {
            return None;
        }
        if !self.line.value.get(colon..)?.starts_with(':') || self.line.value.starts_with(['"', '\'']) {
            return None;
        }
        let help = format!("Put the value in quotes: `{}`.", self.line.with_quotes());
        let message = "this value holds a `: `, which begins a mapping in YAML";
        Some(self.told(Code::ColonInValue, message, self.line.value_span(), &help))
    }

    /// A line that is no `key: value`, noticed by the parser one line later.
    fn line_without_colon(&self) -> Option<Finding> {
        let notices_late =
            ["simple key expect", "mapping values are not allowed", "could not find expected ':'"];
        if self.bracket.is_some() || !notices_late.iter().any(|info| self.info.contains(info)) {
            return None;
        }
        let before = self.source.slice(0..self.line.start).trim_end();
        let above = Line::of(self.source, self.source.line_around(before.len().checked_sub(1)?));
        let suspect =
            [&above, &self.line].into_iter().find(|line| line.key.is_empty() && !line.value.is_empty())?;
        let name = suspect.value.split([':', ' ']).next().filter(|name| is_key(name))?;
        let rest = suspect.value.get(name.len()..).unwrap_or("").trim_start_matches([':', ' ']);
        let help =
            format!("Write a colon and a space after the name: `{}`.", format!("{name}: {rest}").trim_end());
        Some(self.told(Code::Syntax, "this line is no `name: value`", suspect.value_span(), &help))
    }

    fn text_after_quote(&self) -> Option<Finding> {
        if !self.info.contains("invalid trailing content") {
            return None;
        }
        let help = format!("Put the whole value in quotes: `{}`.", self.line.with_quotes());
        Some(self.told(
            Code::Syntax,
            "there is more text after the closing quote",
            self.line.value_span(),
            &help,
        ))
    }

    fn open_quote(&self) -> Option<Finding> {
        if !self.info.contains("quoted scalar") || self.info.contains("escape") {
            return None;
        }
        let help = "Write the same quote at the end of the text. Inside \"…\" a quote is written \\\", inside '…' it is written ''.";
        Some(self.told(
            Code::Syntax,
            "the text that begins here with a quote is never closed",
            self.at..self.at,
            help,
        ))
    }

    fn open_bracket(&self) -> Option<Finding> {
        let opened = self.bracket?;
        let bracket = self.source.slice(opened..opened + 1);
        let ((line, column), (here, _)) = (self.source.position(opened), self.source.position(self.at));
        let help = "Look for a missing comma, closing bracket or quote before this place; texts with brackets, commas or `: ` in them need quotes.";
        if line == here {
            let message = format!("this does not fit into the `{bracket}` that opens at column {column}");
            return Some(self.told(Code::Syntax, &message, self.at..self.at, help));
        }
        let message = format!("the `{bracket}` that opens here is not closed before line {here}");
        Some(self.told(Code::Syntax, &message, opened..opened + 1, help))
    }

    fn anything_else(&self) -> Finding {
        let (message, help) = plain_words(self.info);
        self.told(Code::Syntax, &message, self.at..self.at, help)
    }

    fn told(&self, code: Code, message: &str, span: Range<usize>, help: &str) -> Finding {
        Finding::new(code, &Place::root(), message).mark(Mark::Bytes(span)).help(help)
    }
}

/// The parser's words in a newcomer's.
fn plain_words(info: &str) -> (String, &'static str) {
    let known = [
        (
            "did not find expected '-' indicator",
            "this line does not fit the lines above it",
            "The fields of a step begin in the same column as its first one; the next step begins with `- `.",
        ),
        (
            "did not find expected key",
            "this line does not fit the lines above it",
            "Fields of one mapping begin in the same column, and every one is `name: value`; the items of a list all begin with `- `.",
        ),
        (
            "mapping values are not allowed",
            "a `:` where no key can be",
            "Either this line is indented too deep, or the line above lacks its `:`, or the text needs quotes.",
        ),
        (
            "block sequence entries are not allowed",
            "a list item `- ` where no list can begin",
            "Begin the list on its own line below the key, or write it as `[a, b]`.",
        ),
        (
            "misplaced bracket",
            "a closing bracket that was never opened",
            "Remove it, or put the text in quotes.",
        ),
        (
            "simple key expected",
            "this line is no `name: value`",
            "Write a `:` and a space after the name, or indent the line as a part of the one above.",
        ),
        (
            "could not find expected ':'",
            "this line is no `name: value`",
            "Write a `:` and a space after the name.",
        ),
        (
            "escape",
            "a backslash in \"…\" begins an escape that does not exist",
            "Write a backslash as `\\\\`, or use '…', where it stands for itself.",
        ),
    ];
    match known.iter().find(|(theirs, ..)| info.contains(theirs)) {
        Some((_, message, help)) => ((*message).to_owned(), help),
        None => (
            format!("this is not well-formed YAML: {info}"),
            "Check the indentation, the colons and the quotes of this line and the one above.",
        ),
    }
}
