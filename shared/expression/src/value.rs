//! What JSON values are to the language: the names of their types, equality, order and text.
//!
//! Used by operators and functions. Comparing is paid for by the step, since values may be large.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

use crate::budget::Meter;
use crate::number::Number;

/// The name of a value's type, as `type()` gives it.
pub(crate) fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "list",
        Json::Object(_) => "map",
    }
}

/// The type with its article, for sentences: "a number", "null".
pub(crate) fn a_type(value: &Json) -> String {
    match type_name(value) {
        "null" => "null".to_owned(),
        name => format!("a {name}"),
    }
}

/// Whether two values are the same: numbers by value, lists and maps by content, never across types.
pub(crate) fn equal(a: &Json, b: &Json, meter: &Meter) -> Result<bool, String> {
    meter.work(1)?;
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => Ok(Number::of(a).order(Number::of(b)).is_eq()),
        (Json::String(a), Json::String(b)) => {
            meter.scan(if a.len() == b.len() { a.len() } else { 0 })?;
            Ok(a == b)
        }
        (Json::Array(a), Json::Array(b)) => equal_lists(a, b, meter),
        (Json::Object(a), Json::Object(b)) => equal_maps(a, b, meter),
        _ => Ok(a == b),
    }
}

fn equal_lists(a: &[Json], b: &[Json], meter: &Meter) -> Result<bool, String> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !equal(a, b, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(a: &Map<String, Json>, b: &Map<String, Json>, meter: &Meter) -> Result<bool, String> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, a) in a {
        match b.get(key) {
            Some(b) if equal(a, b, meter)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The order of two numbers, texts or bools; anything else has none.
pub(crate) fn order(a: &Json, b: &Json) -> Option<Ordering> {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => Some(Number::of(a).order(Number::of(b))),
        (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
        (Json::Bool(a), Json::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Fails unless every two of `values` can be ordered; pays for sorting or searching them.
pub(crate) fn check_ordered(values: &[Json], meter: &Meter) -> Result<(), String> {
    meter.work(values.len())?;
    let Some(first) = values.first() else { return Ok(()) };
    for (index, value) in values.iter().enumerate() {
        if order(first, value).is_none() {
            return Err(format!(
                "items 0 and {index} have no order: {} and {}",
                a_type(first),
                a_type(value)
            ));
        }
        if let Json::String(text) = value {
            meter.scan(text.len())?;
        }
    }
    Ok(())
}

/// A text that is the same for two values exactly where they are equal.
pub(crate) fn canonical(value: &Json, meter: &Meter) -> Result<String, String> {
    let mut text = String::new();
    write_canonical(value, meter, &mut text)?;
    Ok(text)
}

fn write_canonical(value: &Json, meter: &Meter, text: &mut String) -> Result<(), String> {
    meter.work(1)?;
    match value {
        Json::Number(number) => text.push_str(&canonical_number(Number::of(number))),
        Json::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, meter, text)?;
                text.push(',');
            }
            text.push(']');
        }
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in entries {
                text.push_str(&Json::from(key.as_str()).to_string());
                write_canonical(value, meter, text)?;
                text.push(',');
            }
            text.push('}');
        }
        Json::String(content) => {
            meter.scan(content.len())?;
            text.push_str(&value.to_string());
        }
        Json::Null | Json::Bool(_) => text.push_str(&value.to_string()),
    }
    Ok(())
}

fn canonical_number(number: Number) -> String {
    number.whole().map_or_else(|| number.to_string(), |whole| whole.to_string())
}

/// The value inside text: a string as it is, a number or bool as it reads, a list or map as compact JSON.
pub(crate) fn text<'a>(value: &'a Json, meter: &Meter) -> Result<Cow<'a, str>, String> {
    match value {
        Json::String(text) => Ok(Cow::Borrowed(text)),
        Json::Number(number) => Ok(Cow::Owned(Number::of(number).to_string())),
        Json::Bool(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
        Json::Null => Err("null has no text; give one with get(map, key, default) or a ? b : c".to_owned()),
        Json::Array(_) | Json::Object(_) => compact(value, meter).map(Cow::Owned),
    }
}

/// Compact JSON text, paid for before it is written.
pub(crate) fn compact(value: &Json, meter: &Meter) -> Result<String, String> {
    meter.pay(value)?;
    let text = value.to_string();
    meter.scan(text.len())?;
    Ok(text)
}
