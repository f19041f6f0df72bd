//! One problem as callers see it: told in words, with its place and the text around it.

use serde::Serialize;

use crate::code::Severity;

/// One problem of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Whether the definition is refused because of it.
    pub severity: Severity,
    /// The kind of problem, stable and in kebab-case, such as `unknown-variable`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The name of the text, as the caller gave it; empty where there is no text.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The place in the definition, such as `tasks[2].inputMappings.amount`; empty for the whole.
    pub path: String,
    /// The line with a caret under the place, as plain text; empty where there is no text.
    pub excerpt: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// How a terminal is told to set bold red, bold yellow, bold, blue, and plain again.
const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BOLD: &str = "\u{1b}[1m";
const BLUE: &str = "\u{1b}[34m";
const PLAIN: &str = "\u{1b}[0m";

impl Diagnostic {
    /// The problem as a paragraph for people, with terminal colours where `color` is set; it ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let (word, paint) = match self.severity {
            Severity::Error => ("error", RED),
            Severity::Warning => ("warning", YELLOW),
        };
        let set = |code: &'static str| if color { code } else { "" };
        let plain = set(PLAIN);
        let mut out =
            format!("{}{word}[{}]{plain}: {}{}{plain}\n", set(paint), self.code, set(BOLD), self.message);
        let gutter = " ".repeat(self.line.to_string().len());
        out += &format!("{gutter}{}-->{plain} {}\n", set(BLUE), self.place());
        for line in self.excerpt.lines() {
            out += &paint_excerpt_line(line, set(BLUE), set(paint), plain);
        }
        for (number, line) in self.help.iter().flat_map(|help| help.lines()).enumerate() {
            let lead = if number == 0 { "= help:" } else { "       " };
            out += &format!("{gutter} {}{lead}{plain} {line}\n", set(BLUE));
        }
        out
    }

    fn place(&self) -> String {
        let path = if self.path.is_empty() { String::new() } else { format!(" ({})", self.path) };
        if self.file.is_empty() {
            format!("definition{path}")
        } else {
            format!("{}:{}:{}{path}", self.file, self.line, self.column)
        }
    }
}

/// One line of an excerpt: the gutter up to the `|` in one colour, a line of carets in another.
fn paint_excerpt_line(line: &str, gutter: &str, carets: &str, plain: &str) -> String {
    let (number, rest) = line.split_once('|').unwrap_or((line, ""));
    let is_marker = number.trim().is_empty() && rest.contains('^');
    let rest = if is_marker { format!("{carets}{rest}{plain}") } else { rest.to_owned() };
    format!("{gutter}{number}|{plain}{rest}\n")
}
