//! Functions over text. Positions count characters (Unicode code points), from 0.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Call, Function, Outcome, value_of};
use crate::pattern::Pattern;
use crate::value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "startsWith",
        signature: "startsWith(text, part) -> bool",
        about: "Whether the text begins with the part.",
        example: ("'order-7'.startsWith('order-')", "true"),
        arguments: (2, 2),
        apply: |call| value_of(call.text(0)?.starts_with(call.text(1)?)),
    },
    Function {
        name: "endsWith",
        signature: "endsWith(text, part) -> bool",
        about: "Whether the text ends with the part.",
        example: ("'report.pdf'.endsWith('.pdf')", "true"),
        arguments: (2, 2),
        apply: |call| value_of(call.text(0)?.ends_with(call.text(1)?)),
    },
    Function {
        name: "matches",
        signature: "matches(text, pattern) -> bool",
        about: "Whether the regular expression matches a part of the text; begin it with ^ and end it with $ to match all. Patterns take linear time: they have no look-around and no back-references.",
        example: (r"'INV-2031'.matches(r'^[A-Z]+-\d+$')", "true"),
        arguments: (2, 2),
        apply: matches,
    },
    Function {
        name: "lower",
        signature: "lower(text) -> string",
        about: "The text in lower case.",
        example: ("lower('ABC')", "\"abc\""),
        arguments: (1, 1),
        apply: |call| call.made(call.text(0)?.to_lowercase()),
    },
    Function {
        name: "upper",
        signature: "upper(text) -> string",
        about: "The text in upper case.",
        example: ("'straße'.upper()", "\"STRASSE\""),
        arguments: (1, 1),
        apply: |call| call.made(call.text(0)?.to_uppercase()),
    },
    Function {
        name: "trim",
        signature: "trim(text) -> string",
        about: "The text without white space at both ends.",
        example: ("trim('  a b ')", "\"a b\""),
        arguments: (1, 1),
        apply: |call| call.made(call.text(0)?.trim().to_owned()),
    },
    Function {
        name: "split",
        signature: "split(text, separator) or split(text, separator, most) -> list",
        about: "The parts between the separators, at most that many; the last one keeps the rest.",
        example: ("'a,b,c'.split(',', 2)", r#"["a","b,c"]"#),
        arguments: (2, 3),
        apply: split,
    },
    Function {
        name: "join",
        signature: "join(list) or join(list, separator) -> string",
        about: "The items' texts in one, with the separator between them.",
        example: ("join(['a', 1, true], '-')", "\"a-1-true\""),
        arguments: (1, 2),
        apply: join,
    },
    Function {
        name: "replace",
        signature: "replace(text, part, replacement) -> string",
        about: "The text with every such part replaced.",
        example: ("'a.b.c'.replace('.', '/')", "\"a/b/c\""),
        arguments: (3, 3),
        apply: replace,
    },
    Function {
        name: "substring",
        signature: "substring(text, start) or substring(text, start, end) -> string",
        about: "The characters from start up to, not including, end; what lies beyond the text is left out.",
        example: ("'workflow'.substring(0, 4)", "\"work\""),
        arguments: (2, 3),
        apply: substring,
    },
    Function {
        name: "padStart",
        signature: "padStart(text, width) or padStart(text, width, fill) -> string",
        about: "The text, filled up at its start to a width in characters; with spaces where fill is not given.",
        example: ("string(7).padStart(3, '0')", "\"007\""),
        arguments: (2, 3),
        apply: |call| pad(&call, true),
    },
    Function {
        name: "padEnd",
        signature: "padEnd(text, width) or padEnd(text, width, fill) -> string",
        about: "The text, filled up at its end to a width in characters.",
        example: ("'ab'.padEnd(4, '.')", "\"ab..\""),
        arguments: (2, 3),
        apply: |call| pad(&call, false),
    },
    Function {
        name: "repeat",
        signature: "repeat(text, count) -> string",
        about: "The text that many times.",
        example: ("'ab'.repeat(3)", "\"ababab\""),
        arguments: (2, 2),
        apply: repeat,
    },
];

fn matches(call: Call<'_>) -> Outcome<'_> {
    let pattern = Pattern::compile_paid(call.text(1)?, call.meter)?;
    value_of(pattern.is_match(call.text(0)?, call.meter)?)
}

fn split(call: Call<'_>) -> Outcome<'_> {
    let (text, separator) = (call.text(0)?, not_empty(&call, 1)?);
    let most = if call.count() > 2 { call.position(2)? } else { usize::MAX };
    call.meter.produce(text.len())?;
    let mut parts = Vec::new();
    for part in text.splitn(most, separator) {
        call.meter.work(1)?;
        parts.push(Json::from(part));
    }
    value_of(parts)
}

fn join(call: Call<'_>) -> Outcome<'_> {
    let separator = if call.count() > 1 { call.text(1)? } else { "" };
    let mut joined = String::new();
    for (index, item) in call.list(0)?.iter().enumerate() {
        call.meter.work(1)?;
        let text = value::text(item, call.meter).map_err(|message| format!("item {index}: {message}"))?;
        let separator = if index > 0 { separator } else { "" };
        call.meter.produce(separator.len() + text.len())?;
        joined.push_str(separator);
        joined.push_str(&text);
    }
    value_of(joined)
}

fn replace(call: Call<'_>) -> Outcome<'_> {
    let (text, part, replacement) = (call.text(0)?, not_empty(&call, 1)?, call.text(2)?);
    let count = text.matches(part).count();
    call.meter
        .produce((text.len() - count * part.len()).saturating_add(count.saturating_mul(replacement.len())))?;
    value_of(text.replace(part, replacement))
}

fn substring(call: Call<'_>) -> Outcome<'_> {
    let (text, start) = (call.text(0)?, call.position(1)?);
    let end = if call.count() > 2 { call.position(2)? } else { usize::MAX };
    call.made(text.chars().skip(start).take(end.saturating_sub(start)).collect())
}

fn pad<'b>(call: &Call<'b>, at_start: bool) -> Outcome<'b> {
    let (text, width) = (call.text(0)?, call.position(1)?);
    let fill = if call.count() > 2 { not_empty(call, 2)? } else { " " };
    let missing = width.saturating_sub(text.chars().count());
    call.meter.produce(text.len().saturating_add(missing.saturating_mul(4)))?;
    let padding: String = fill.chars().cycle().take(missing).collect();
    value_of(if at_start { padding + text } else { text.to_owned() + &padding })
}

fn repeat(call: Call<'_>) -> Outcome<'_> {
    let (text, count) = (call.text(0)?, call.position(1)?);
    call.meter.produce(text.len().saturating_mul(count))?;
    let count = if text.is_empty() { 0 } else { count };
    Ok(Cow::Owned(Json::String(text.repeat(count))))
}

fn not_empty<'c>(call: &'c Call<'_>, index: usize) -> Result<&'c str, String> {
    match call.text(index)? {
        "" => Err(format!("argument {} must not be empty", index + 1)),
        text => Ok(text),
    }
}
