//! Functions over values of any type.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Call, Function, Outcome, number_of, value_of};
use crate::number::Number;
use crate::value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "get",
        signature: "get(holder, key, default) -> value",
        about: "The value of a map's key or a list's position; the default where holder is absent or null or has no such key. A key that holds null gives null.",
        example: ("get({'a': 1}, 'b', 0)", "0"),
        arguments: (3, 3),
        apply: get,
    },
    Function {
        name: "type",
        signature: "type(value) -> string",
        about: "The type: null, bool, number, string, list or map.",
        example: ("type(1.5)", "\"number\""),
        arguments: (1, 1),
        apply: |call| value_of(value::type_name(call.get(0))),
    },
    Function {
        name: "string",
        signature: "string(value) -> string",
        about: "The text of a value: a string as it is, a number as it reads (15.0 is 15), a list or map as compact JSON.",
        example: ("string(15.0) + '%'", "\"15%\""),
        arguments: (1, 1),
        apply: string,
    },
    Function {
        name: "int",
        signature: "int(value) -> number",
        about: "The whole number of a number or text, cut towards zero.",
        example: ("int('42') + int(1.9)", "43"),
        arguments: (1, 1),
        apply: |call| whole(parse(&call)?).and_then(number_of),
    },
    Function {
        name: "number",
        signature: "number(value) -> number",
        about: "The number a text reads; a number as it is.",
        example: ("number('2.5') * 2", "5.0"),
        arguments: (1, 1),
        apply: |call| number_of(parse(&call)?),
    },
    Function {
        name: "double",
        signature: "double(value) -> number",
        about: "The same as number, by CEL's name.",
        example: ("double('0.5')", "0.5"),
        arguments: (1, 1),
        apply: |call| number_of(parse(&call)?),
    },
    Function {
        name: "coalesce",
        signature: "coalesce(a, b, …) -> value",
        about: "The first value that is not null; null where all are. For a key that may be absent use get.",
        example: ("coalesce(null, 'b', 'c')", "\"b\""),
        arguments: (1, 16),
        apply: coalesce,
    },
];

/// Reached by transformations only: in an expression `get` is a node of its own, with a lazy default.
fn get(mut call: Call<'_>) -> Outcome<'_> {
    let found = match (call.get(0), call.get(1)) {
        (Json::Object(map), Json::String(key)) => map.contains_key(key),
        (Json::Array(items), Json::Number(_)) => call.position(1)? < items.len(),
        (Json::Null, _) => false,
        _ => return Err(call.wrong(0, "a map (with a text as key) or a list (with a position)")),
    };
    if !found {
        return Ok(call.take(2));
    }
    let value = match call.get(1) {
        Json::String(key) => call.get(0).get(key),
        _ => call.get(0).get(call.position(1)?),
    };
    call.meter.copy(value.unwrap_or(&Json::Null)).map(Cow::Owned)
}

fn string(mut call: Call<'_>) -> Outcome<'_> {
    if call.get(0).is_string() {
        return Ok(call.take(0));
    }
    let text = value::text(call.get(0), call.meter)?.into_owned();
    call.made(text)
}

fn coalesce(mut call: Call<'_>) -> Outcome<'_> {
    let first = (0..call.count()).find(|index| !call.get(*index).is_null());
    Ok(call.take(first.unwrap_or(0)))
}

fn parse(call: &Call<'_>) -> Result<Number, String> {
    let text = match call.get(0) {
        Json::Number(number) => return Ok(Number::of(number)),
        Json::String(_) => call.text(0)?.trim(),
        _ => return Err(call.wrong(0, "a number or a string")),
    };
    if let Ok(integer) = text.parse::<i64>() {
        return Ok(Number::Integer(integer.into()));
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Ok(Number::Integer(integer.into()));
    }
    let looks_like_number =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() && looks_like_number => Ok(Number::Float(float)),
        _ => Err(format!("'{}' is no number", text.chars().take(40).collect::<String>())),
    }
}

fn whole(number: Number) -> Result<Number, String> {
    match number {
        Number::Integer(_) => Ok(number),
        Number::Float(value) => Number::Float(value.trunc())
            .whole()
            .map(Number::Integer)
            .ok_or_else(|| format!("{number} does not fit in a 64-bit integer")),
    }
}
