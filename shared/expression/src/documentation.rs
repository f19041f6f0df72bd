//! Writes docs/expressions.md from the tables the language is made of, so that it cannot drift.
//!
//! Called by the test that compares the checked-in file, and by whoever prints the reference elsewhere.

use std::fmt::Write;

use crate::budget::Limits;
use crate::functions::{self, Function};
use crate::lexer::LONGEST_SOURCE_BYTES;
use crate::macros::Macro;
use crate::parser::{DEEPEST_NESTING, MOST_NODES};
use crate::transform::ALIASES;

const INTRODUCTION: &str = include_str!("documentation/introduction.md");
const TRANSFORMATIONS: &str = include_str!("documentation/transformations.md");

/// An operator: how it is written, what it does, an example and the JSON of its result.
type OperatorRow = (&'static str, &'static str, &'static str, &'static str);

/// The operators, those that bind tightest first.
const OPERATORS: [OperatorRow; 13] = [
    (
        "`a.b`, `a[\"b\"]`, `a[0]`",
        "A map's key, a list's item. A missing one is an error.",
        "{'b': [7]}.b[0]",
        "7",
    ),
    ("`f(a)`, `a.f()`", "A function call, in either form.", "'ab'.size() == size('ab')", "true"),
    ("`!a`", "Not.", "!false", "true"),
    ("`-a`", "The negative.", "-(1 + 2)", "-3"),
    ("`a * b`", "The product.", "2 * 1.5", "3.0"),
    ("`a / b`", "The quotient, never cut: whole where it is exact.", "[7 / 2, 6 / 2]", "[3.5,3]"),
    ("`a % b`", "What division leaves; it has the sign of `a`.", "-7 % 3", "-1"),
    (
        "`a + b`",
        "The sum of numbers; texts or lists one after the other.",
        "[1 + 2, 'a' + 'b', [1] + [2]]",
        "[3,\"ab\",[1,2]]",
    ),
    ("`a - b`", "The difference.", "1 - 2", "-1"),
    (
        "`==` `!=` `<` `<=` `>` `>=`",
        "Comparison. Values of different types are not equal, and ordering them is an error.",
        "[1 == 1.0, 1 == '1', 'a' < 'b']",
        "[true,false,true]",
    ),
    (
        "`a in b`",
        "Whether a list has the item, or a map the key.",
        "2 in [1, 2] && 'k' in {'k': null}",
        "true",
    ),
    (
        "`a && b`, `a \\|\\| b`",
        "And, or; `b` is looked at only where it matters. `&&` binds tighter.",
        "false && 1 / 0 == 1",
        "false",
    ),
    (
        "`c ? a : b`",
        "`a` where the condition holds, otherwise `b`; only that one is evaluated.",
        "2 > 1 ? 'yes' : 'no'",
        "\"yes\"",
    ),
];

/// The text of docs/expressions.md.
pub fn documentation() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n## Operators\n\nThose that bind tightest come first.\n\n");
    table(
        &mut text,
        "Operator",
        OPERATORS
            .iter()
            .map(|(form, about, example, result)| ((*form).to_owned(), *about, (*example, *result))),
    );
    text.push_str("\n## Macros\n\n");
    text.push_str("A macro evaluates an expression once for every item of a list, or for every key of a map, under a name of your choice.\n\n");
    table(
        &mut text,
        "Macro",
        Macro::ALL.iter().map(|kind| (code(kind.form()), kind.about(), kind.example())),
    );
    text.push_str("\n`has(a.b.c)` is a macro too: whether the whole path leads to a value, be it null. It never fails for what is absent.\n");
    text.push_str("\n## Functions\n\nEvery function can be called as a method of its first argument: `size(x)` is `x.size()`.\n");
    for (subject, functions) in &functions::GROUPS {
        section(&mut text, subject, functions);
    }
    text.push('\n');
    text.push_str(TRANSFORMATIONS);
    aliases(&mut text);
    limits(&mut text);
    text
}

/// Every example of the documentation with the compact JSON of its result.
#[cfg(test)]
pub(crate) fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    let operators = OPERATORS.iter().map(|(_, _, example, result)| (*example, *result));
    operators.chain(Macro::ALL.map(Macro::example)).chain(functions::all().map(|function| function.example))
}

fn section(text: &mut String, subject: &str, functions: &[Function]) {
    text.push_str("\n### ");
    text.push_str(subject);
    text.push_str("\n\n");
    table(
        text,
        "Function",
        functions.iter().map(|function| (code(function.signature), function.about, function.example)),
    );
}

fn table<'t>(
    text: &mut String,
    head: &str,
    rows: impl Iterator<Item = (String, &'t str, (&'t str, &'t str))>,
) {
    line(text, format_args!("| {head} | What it gives | Example | Result |\n|---|---|---|---|"));
    for (form, about, (example, result)) in rows {
        line(text, format_args!("| {form} | {about} | {} | {} |", code(example), code(result)));
    }
}

fn aliases(text: &mut String) {
    for (alias, name) in ALIASES {
        line(text, format_args!("- `{alias}` is `{name}`."));
    }
}

fn limits(text: &mut String) {
    let Limits { steps, bytes, depth } = Limits::default();
    line(text, format_args!("\n## Limits\n"));
    line(
        text,
        format_args!(
            "Nothing a definition says can hang or crash what evaluates it; what goes beyond a limit is an error.\n"
        ),
    );
    line(text, format_args!("| Limit | Value |\n|---|---|"));
    line(text, format_args!("| Length of an expression | {LONGEST_SOURCE_BYTES} bytes |"));
    line(text, format_args!("| Parts of an expression: names, values, operators, calls | {MOST_NODES} |"));
    line(text, format_args!("| Nesting of an expression | {DEEPEST_NESTING} levels |"));
    line(
        text,
        format_args!(
            "| Steps of an evaluation: parts evaluated, items and 64-byte blocks of text touched | {steps} |"
        ),
    );
    line(text, format_args!("| Bytes an evaluation makes, as JSON text | {bytes} |"));
    line(text, format_args!("| Nesting of a result | {depth} levels |"));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

/// Text as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}
