//! Functions over lists, and those that lists share with text and maps. Positions count from 0.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::Value as Json;

use super::{Call, Function, Outcome, number_of, value_of};
use crate::lookup;
use crate::number::Number;
use crate::value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "size",
        signature: "size(value) -> number",
        about: "The number of a list's items, a map's keys or a text's characters.",
        example: ("size([1, 2]) + 'abc'.size()", "5"),
        arguments: (1, 1),
        apply: size,
    },
    Function {
        name: "contains",
        signature: "contains(text, part) or contains(list, item) -> bool",
        about: "Whether a text has the part in it, or a list the item.",
        example: ("'abc'.contains('b') && [1, 2].contains(2.0)", "true"),
        arguments: (2, 2),
        apply: contains,
    },
    Function {
        name: "indexOf",
        signature: "indexOf(text, part) or indexOf(list, item) -> number",
        about: "The first position of the part or item; -1 where there is none.",
        example: ("['a', 'b'].indexOf('b')", "1"),
        arguments: (2, 2),
        apply: index_of,
    },
    Function {
        name: "reverse",
        signature: "reverse(list) or reverse(text) -> list or string",
        about: "The items or characters from last to first.",
        example: ("reverse([1, 2, 3])", "[3,2,1]"),
        arguments: (1, 1),
        apply: reverse,
    },
    Function {
        name: "sum",
        signature: "sum(list) -> number",
        about: "The sum of a list of numbers; 0 for an empty one.",
        example: ("[1, 2, 3.5].sum()", "6.5"),
        arguments: (1, 1),
        apply: |call| number_of(total(&call)?),
    },
    Function {
        name: "average",
        signature: "average(list) -> number",
        about: "The sum divided by the number of items; of an empty list it is an error.",
        example: ("[1, 2].average()", "1.5"),
        arguments: (1, 1),
        apply: average,
    },
    Function {
        name: "min",
        signature: "min(list) or min(a, b, …) -> value",
        about: "The least of numbers, texts or bools; of an empty list it is an error.",
        example: ("[min([3, 1, 2]), min(7, 4)]", "[1,4]"),
        arguments: (1, 16),
        apply: |call| extreme(call, Ordering::Less),
    },
    Function {
        name: "max",
        signature: "max(list) or max(a, b, …) -> value",
        about: "The greatest of numbers, texts or bools; of an empty list it is an error.",
        example: ("max(['a', 'c', 'b'])", "\"c\""),
        arguments: (1, 16),
        apply: |call| extreme(call, Ordering::Greater),
    },
    Function {
        name: "sort",
        signature: "sort(list) -> list",
        about: "The items in ascending order: all numbers, all texts or all bools.",
        example: ("[3, 1.5, 2].sort()", "[1.5,2,3]"),
        arguments: (1, 1),
        apply: sort,
    },
    Function {
        name: "distinct",
        signature: "distinct(list) -> list",
        about: "The items without repetitions, in the order of their first appearance.",
        example: ("distinct([2, 1, 2.0])", "[2,1]"),
        arguments: (1, 1),
        apply: distinct,
    },
    Function {
        name: "first",
        signature: "first(list) -> value",
        about: "The first item; of an empty list it is an error: get(list, 0, default) gives a default.",
        example: ("first(['a', 'b'])", "\"a\""),
        arguments: (1, 1),
        apply: |call| end(call, |_| 0),
    },
    Function {
        name: "last",
        signature: "last(list) -> value",
        about: "The last item; of an empty list it is an error.",
        example: ("last(['a', 'b'])", "\"b\""),
        arguments: (1, 1),
        apply: |call| end(call, |length| length.saturating_sub(1)),
    },
    Function {
        name: "slice",
        signature: "slice(list, start) or slice(list, start, end) -> list",
        about: "The items from start up to, not including, end; what lies beyond the list is left out.",
        example: ("[1, 2, 3, 4].slice(1, 3)", "[2,3]"),
        arguments: (2, 3),
        apply: slice,
    },
    Function {
        name: "chunk",
        signature: "chunk(list, size) -> list",
        about: "The items in lists of that size; the last may be shorter.",
        example: ("[1, 2, 3].chunk(2)", "[[1,2],[3]]"),
        arguments: (2, 2),
        apply: chunk,
    },
    Function {
        name: "flatten",
        signature: "flatten(list) -> list",
        about: "The items of the lists within the list, one level; other items stay.",
        example: ("flatten([[1, 2], [3], 4])", "[1,2,3,4]"),
        arguments: (1, 1),
        apply: flatten,
    },
    Function {
        name: "range",
        signature: "range(end) or range(start, end) -> list",
        about: "The whole numbers from start, or 0, up to, not including, end.",
        example: ("range(2, 5)", "[2,3,4]"),
        arguments: (1, 2),
        apply: range,
    },
    Function {
        name: "zip",
        signature: "zip(a, b) -> list",
        about: "Pairs of the items at the same positions, as many as the shorter list has.",
        example: ("zip(['a', 'b'], [1, 2])", r#"[["a",1],["b",2]]"#),
        arguments: (2, 2),
        apply: zip,
    },
];

fn size(call: Call<'_>) -> Outcome<'_> {
    value_of(match call.get(0) {
        Json::Array(items) => items.len(),
        Json::Object(map) => map.len(),
        Json::String(_) => call.text(0)?.chars().count(),
        _ => return Err(call.wrong(0, "a string, a list or a map")),
    })
}

fn contains(call: Call<'_>) -> Outcome<'_> {
    value_of(find(&call)?.is_some())
}

fn index_of(call: Call<'_>) -> Outcome<'_> {
    value_of(find(&call)?.map_or(Json::from(-1), Json::from))
}

/// The position of argument 1 in argument 0, in items or characters.
fn find(call: &Call<'_>) -> Result<Option<usize>, String> {
    match call.get(0) {
        Json::String(_) => {
            let text = call.text(0)?;
            Ok(text.find(call.text(1)?).map(|bytes| text[..bytes].chars().count()))
        }
        Json::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                if value::equal(item, call.get(1), call.meter)? {
                    return Ok(Some(position));
                }
            }
            Ok(None)
        }
        _ => Err(call.wrong(0, "a string or a list")),
    }
}

fn reverse(mut call: Call<'_>) -> Outcome<'_> {
    match call.get(0) {
        Json::String(text) => call.made(text.chars().rev().collect()),
        Json::Array(_) => {
            let mut list = own_list(&mut call)?;
            list.reverse();
            value_of(list)
        }
        _ => Err(call.wrong(0, "a list or a string")),
    }
}

fn total(call: &Call<'_>) -> Result<Number, String> {
    let mut total = Number::Integer(0);
    for (index, item) in call.list(0)?.iter().enumerate() {
        call.meter.work(1)?;
        match item {
            Json::Number(number) => total = total.add(Number::of(number))?,
            other => return Err(format!("item {index} must be a number, not {}", value::a_type(other))),
        }
    }
    Ok(total)
}

fn average(call: Call<'_>) -> Outcome<'_> {
    let count = call.list(0)?.len();
    if count == 0 {
        return Err("the list is empty".to_owned());
    }
    number_of(total(&call)?.divide(Number::Integer(count as i128))?)
}

fn extreme(mut call: Call<'_>, wanted: Ordering) -> Outcome<'_> {
    let list = if call.count() == 1 {
        call.list(0)?;
        call.take(0)
    } else {
        let arguments: Result<Vec<Json>, String> =
            (0..call.count()).map(|index| call.meter.copy(call.get(index))).collect();
        Cow::Owned(Json::Array(arguments?))
    };
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    value::check_ordered(items, call.meter)?;
    let best = items
        .iter()
        .enumerate()
        .reduce(|best, next| if value::order(next.1, best.1) == Some(wanted) { next } else { best });
    let position = best.map(|(position, _)| position).ok_or("the list is empty")?;
    lookup::item(list, position).ok_or_else(|| "the list is empty".to_owned())
}

fn sort(mut call: Call<'_>) -> Outcome<'_> {
    let mut list = own_list(&mut call)?;
    value::check_ordered(&list, call.meter)?;
    list.sort_by(|a, b| value::order(a, b).unwrap_or(Ordering::Equal));
    value_of(list)
}

fn distinct(mut call: Call<'_>) -> Outcome<'_> {
    let list = own_list(&mut call)?;
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in list {
        if seen.insert(value::canonical(&item, call.meter)?) {
            kept.push(item);
        }
    }
    value_of(kept)
}

fn end(mut call: Call<'_>, position: fn(usize) -> usize) -> Outcome<'_> {
    let position = position(call.list(0)?.len());
    let list = call.take(0);
    lookup::item(list, position)
        .ok_or_else(|| "the list is empty; get(list, 0, default) gives a default".to_owned())
}

fn slice(call: Call<'_>) -> Outcome<'_> {
    let (items, start) = (call.list(0)?, call.position(1)?);
    let end = if call.count() > 2 { call.position(2)? } else { items.len() };
    let end = end.min(items.len());
    copies(items.get(start.min(end)..end).unwrap_or_default(), &call)
        .map(|items| Cow::Owned(Json::Array(items)))
}

fn chunk(call: Call<'_>) -> Outcome<'_> {
    let (items, size) = (call.list(0)?, call.position(1)?);
    if size == 0 {
        return Err("argument 2 must be at least 1".to_owned());
    }
    let chunks: Result<Vec<Json>, String> = items
        .chunks(size)
        .map(|chunk| call.meter.work(1).and_then(|()| copies(chunk, &call)).map(Json::Array))
        .collect();
    value_of(chunks?)
}

fn flatten(mut call: Call<'_>) -> Outcome<'_> {
    let mut flat = Vec::new();
    for item in own_list(&mut call)? {
        match item {
            Json::Array(items) => flat.extend(items),
            other => flat.push(other),
        }
    }
    value_of(flat)
}

fn range(call: Call<'_>) -> Outcome<'_> {
    let first = if call.count() > 1 { whole(&call, 0)? } else { 0 };
    let end = whole(&call, call.count() - 1)?;
    let count =
        usize::try_from(end.saturating_sub(first)).unwrap_or(if end > first { usize::MAX } else { 0 });
    call.meter.work(count)?;
    call.meter.produce(count.saturating_mul(2))?;
    value_of((first..end).map(Json::from).collect::<Vec<_>>())
}

fn zip(call: Call<'_>) -> Outcome<'_> {
    let pairs: Result<Vec<Json>, String> = call
        .list(0)?
        .iter()
        .zip(call.list(1)?)
        .map(|(a, b)| {
            call.meter.work(1)?;
            Ok(Json::Array(vec![call.meter.copy(a)?, call.meter.copy(b)?]))
        })
        .collect();
    value_of(pairs?)
}

fn whole(call: &Call<'_>, index: usize) -> Result<i64, String> {
    let number = call.number(index)?;
    let whole = number.whole().and_then(|whole| i64::try_from(whole).ok());
    whole.ok_or_else(|| format!("argument {} must be a whole number, not {number}", index + 1))
}

fn own_list(call: &mut Call<'_>) -> Result<Vec<Json>, String> {
    call.list(0)?;
    let list = call.take(0);
    match call.meter.own(list)? {
        Json::Array(items) => Ok(items),
        other => Ok(vec![other]),
    }
}

fn copies(items: &[Json], call: &Call<'_>) -> Result<Vec<Json>, String> {
    items.iter().map(|item| call.meter.copy(item)).collect()
}
