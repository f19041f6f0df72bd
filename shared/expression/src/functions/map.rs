//! Functions over maps.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{Call, Function, Outcome, value_of};
use crate::value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "keys",
        signature: "keys(map) -> list",
        about: "The keys, in the order of their text.",
        example: ("keys({'b': 1, 'a': 2})", r#"["a","b"]"#),
        arguments: (1, 1),
        apply: keys,
    },
    Function {
        name: "values",
        signature: "values(map) -> list",
        about: "The values, in the order of their keys.",
        example: ("values({'b': 1, 'a': 2})", "[2,1]"),
        arguments: (1, 1),
        apply: values,
    },
    Function {
        name: "merge",
        signature: "merge(map, other) -> map",
        about: "The keys of both maps; where both have one, the other's value stands.",
        example: ("merge({'a': 1, 'b': 1}, {'b': 2})", r#"{"a":1,"b":2}"#),
        arguments: (2, 2),
        apply: merge,
    },
    Function {
        name: "pick",
        signature: "pick(map, keys) -> map",
        about: "The map with the listed keys only.",
        example: ("pick({'a': 1, 'b': 2}, ['a', 'z'])", r#"{"a":1}"#),
        arguments: (2, 2),
        apply: |call| select(call, true),
    },
    Function {
        name: "omit",
        signature: "omit(map, keys) -> map",
        about: "The map without the listed keys.",
        example: ("omit({'a': 1, 'b': 2}, ['a'])", r#"{"b":2}"#),
        arguments: (2, 2),
        apply: |call| select(call, false),
    },
    Function {
        name: "fromPairs",
        signature: "fromPairs(list) -> map",
        about: "The map of a list of [key, value] pairs; of equal keys the last stands.",
        example: ("fromPairs([['a', 1], ['b', 2]])", r#"{"a":1,"b":2}"#),
        arguments: (1, 1),
        apply: from_pairs,
    },
];

fn keys(call: Call<'_>) -> Outcome<'_> {
    let keys: Result<Vec<Json>, String> = sorted(call.map(0)?)
        .into_iter()
        .map(|(key, _)| {
            call.meter.produce(key.len() + 3)?;
            Ok(Json::from(key.as_str()))
        })
        .collect();
    value_of(keys?)
}

fn values(call: Call<'_>) -> Outcome<'_> {
    let values: Result<Vec<Json>, String> =
        sorted(call.map(0)?).into_iter().map(|(_, value)| call.meter.copy(value)).collect();
    value_of(values?)
}

/// The entries by key, whatever order the JSON library keeps.
fn sorted(map: &Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn merge(mut call: Call<'_>) -> Outcome<'_> {
    call.map(0)?;
    call.map(1)?;
    let (base, other) = (call.take(0), call.take(1));
    let mut merged = call.meter.own(base)?;
    if let (Json::Object(merged), Json::Object(other)) = (&mut merged, call.meter.own(other)?) {
        merged.extend(other);
    }
    Ok(Cow::Owned(merged))
}

fn select(call: Call<'_>, listed: bool) -> Outcome<'_> {
    let map = call.map(0)?;
    let mut names = std::collections::HashSet::new();
    for (index, key) in call.list(1)?.iter().enumerate() {
        call.meter.work(1)?;
        match key {
            Json::String(key) => names.insert(key.as_str()),
            other => return Err(format!("key {index} must be a string, not {}", value::a_type(other))),
        };
    }
    let mut selected = Map::new();
    for (key, value) in map {
        call.meter.work(1)?;
        if names.contains(key.as_str()) == listed {
            call.meter.produce(key.len() + 4)?;
            selected.insert(key.clone(), call.meter.copy(value)?);
        }
    }
    value_of(selected)
}

fn from_pairs(call: Call<'_>) -> Outcome<'_> {
    let mut map = Map::new();
    for (index, pair) in call.list(0)?.iter().enumerate() {
        call.meter.work(1)?;
        let Some([Json::String(key), value]) = pair.as_array().map(Vec::as_slice) else {
            return Err(format!("item {index} must be a list of a string and a value"));
        };
        call.meter.produce(key.len() + 4)?;
        map.insert(key.clone(), call.meter.copy(value)?);
    }
    value_of(map)
}
