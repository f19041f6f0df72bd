//! Names, missing values, operators over other types, macros and the messages of what is wrong.

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::{Value as Json, json};

use super::{evaluate, failure};
use crate::{Expression, Limits, Resolved, Scope};

/// Evaluates each row over `scope` and compares.
fn check(scope: &Json, rows: &[(&str, Json)]) {
    for (source, expected) in rows {
        let value = evaluate(source, scope).unwrap_or_else(|message| panic!("{source}: {message}"));
        assert_eq!(value, *expected, "{source}");
    }
}

#[test]
fn operators_over_text_lists_and_bools() {
    let scope = json!({"t": "ab", "l": [1, 2], "m": {"a": 1}, "yes": true, "none": null});
    check(
        &scope,
        &[
            ("t + 'c'", json!("abc")),
            ("l + [3]", json!([1, 2, 3])),
            ("'a' < 'b' && 'a' < 'aa'", json!(true)),
            ("false < true", json!(true)),
            ("'a' in m && !('b' in m) && 2 in l", json!(true)),
            ("none == null && m != null", json!(true)),
            ("t == 1 || l == 'x' || m == l", json!(false)),
            ("yes ? 'y' : 1 / 0", json!("y")),
            ("false && 1 / 0 == 1", json!(false)),
            ("true || 1 / 0 == 1", json!(true)),
            ("{'a': t, 'b' + t: [l, null]}", json!({"a": "ab", "bab": [[1, 2], null]})),
            ("[[1, 2], [3]][0][1]", json!(2)),
            ("{'k': {'x': 5}}['k'].x", json!(5)),
            ("'ä€😀'.size()", json!(3)),
            ("'ä€😀'.substring(1, 2)", json!("€")),
        ],
    );
}

#[test]
fn wrong_types_are_named() {
    let scope = json!({"t": "ab", "n": 1, "l": [], "m": {}, "none": null});
    for (source, message) in [
        ("n + t", "+ does not apply to a number and a string; write string(x) to join it to text"),
        ("t + none", "+ does not apply to a string and null"),
        ("n < t", "< does not apply to a number and a string"),
        ("l < l", "< does not apply to two values of type list"),
        ("none > 1", "> does not apply to null and a number"),
        ("t * 2", "* does not apply to a string and a number"),
        ("-t", "- needs a number, not a string"),
        ("!n", "! needs a bool, but `n` is a number"),
        ("n && true", "&& needs a bool, but `n` is a number"),
        ("false || t", "|| needs a bool, but `t` is a string"),
        ("n ? 1 : 2", "? : needs a bool, but `n` is a number"),
        ("'a' in t", "in looks into lists and maps; ask text with text.contains(part)"),
        ("1 in m", "a key of a map is a string, not a number"),
        ("l['a' + '']", "l['a' + '']: a position in a list is a number, not a string"),
        ("l['a']", "l.a: l is a list; take an item with [0], or all with .map(x, x.a)"),
        ("{string(n) + '': 1, '1': 2}", "the key '1' stands twice in the map"),
        ("{1: 2}", "a key must be a string, not a number"),
        ("n.map(x, x)", "map: n is a number, not a list or map"),
        ("[1].filter(x, x)", "filter needs a bool, but `x` is a number"),
        ("[1, 'a'].sort()", "sort: items 0 and 1 have no order: a number and a string"),
        ("[[1]].sort()", "sort: items 0 and 0 have no order: a list and a list"),
        ("size(n)", "size: argument 1 must be a string, a list or a map, not a number"),
        ("t.split('')", "split: argument 2 must not be empty"),
        ("first(l)", "first: the list is empty; get(list, 0, default) gives a default"),
        ("get(n, 'a', 1)", "get: n is a number, not a map or list"),
    ] {
        assert_eq!(failure(source, &scope), message, "{source}");
    }
}

#[test]
fn a_missing_key_names_its_path_and_near_keys() {
    let scope =
        json!({"input": {"customer": {"name": "Ann", "address": null}, "items": [{"price": 1}], "n": 1}});
    for (source, message) in [
        (
            "input.customer.nmae",
            "input.customer.nmae: input.customer has no key 'nmae'; did you mean 'name'?",
        ),
        (
            "input.customer.phone",
            "input.customer.phone: input.customer has no key 'phone'; has() asks, get(map, key, default) gives a default",
        ),
        (
            "input.customer.address.city",
            "input.customer.address.city: input.customer.address is null, so it has no key 'city'; has() asks",
        ),
        ("input.n.x", "input.n.x: input.n is a number, so it has no key 'x'"),
        (
            "input.items.price",
            "input.items.price: input.items is a list; take an item with [0], or all with .map(x, x.price)",
        ),
        (
            "input.items[0].prices",
            "input.items[0].prices: input.items[0] has no key 'prices'; did you mean 'price'?",
        ),
        ("input.items[1].price", "input.items[1].price: the list has 1 items, so there is no item 1"),
        ("input.items[-1]", "input.items[-1]: the list has 1 items, so there is no item -1"),
        (
            "input.customer['pho' + 'ne']",
            "input.customer['pho' + 'ne']: input.customer has no key 'phone'; has() asks, get(map, key, default) gives a default",
        ),
        ("input.items.map(i, i.pric)", "i.pric: i has no key 'pric'; did you mean 'price'?"),
        ("inptu.x", "there is no name 'inptu.x'"),
        (
            "{'a': 1}.b",
            "{'a': 1}.b: {'a': 1} has no key 'b'; has() asks, get(map, key, default) gives a default",
        ),
    ] {
        assert_eq!(failure(source, &scope), message, "{source}");
    }
}

#[test]
fn has_and_get_ask_without_failing() {
    let scope = json!({"input": {"a": {"b": null, "c": [5]}, "n": 1}, "i": 0});
    check(
        &scope,
        &[
            ("has(input.a.b)", json!(true)),
            ("has(input.x.y.z)", json!(false)),
            ("has(input.a.b.c)", json!(false)),
            ("has(input.n.x)", json!(false)),
            ("has(input.a.c[0]) && !has(input.a.c[1])", json!(true)),
            ("has(input['a'][string(i) + 'x'])", json!(false)),
            ("has(input.x[0].y)", json!(false)),
            ("has(input.a.b[0])", json!(false)),
            ("get(input, 'n', 9)", json!(1)),
            ("get(input, 'x', 9)", json!(9)),
            ("get(input.x.y, 'z', 9)", json!(9)),
            ("get(input.a.b, 'z', 9)", json!(9)),
            ("get(input.a, 'b', 9)", json!(null)),
            ("get(input.a.c, 0, 9)", json!(5)),
            ("get(input.a.c, i + 1, 9)", json!(9)),
            ("input.get('n', 1 / 0)", json!(1)),
            ("get(get(input, 'x', {}), 'y', 'z')", json!("z")),
        ],
    );
    assert_eq!(failure("has(inptu.x)", &scope), "there is no name 'inptu.x'");
    assert!(failure("get({'a': 1}[2], 'a', 0)", &scope).contains("a key of a map is a string"));
}

#[test]
fn macros_go_over_lists_and_over_the_keys_of_maps() {
    let scope = json!({
        "items": [{"p": 5, "n": "b"}, {"p": 15, "n": "a"}, {"p": 25, "n": "c"}],
        "map": {"x": 1, "y": 2}
    });
    check(
        &scope,
        &[
            ("items.all(i, i.p > 0) && !items.all(i, i.p > 5)", json!(true)),
            ("items.exists(i, i.p == 15.0) && !items.exists(i, i.p > 25)", json!(true)),
            ("items.exists_one(i, i.p > 20) && !items.exists_one(i, i.p > 10)", json!(true)),
            ("items.map(i, i.p * 2).sum()", json!(90)),
            ("items.map(i, i.p > 10, i.n)", json!(["a", "c"])),
            ("items.filter(i, i.p > 10).map(i, i.n).join()", json!("ac")),
            ("items.sortBy(i, i.n).map(i, i.p)", json!([15, 5, 25])),
            ("map.map(k, map[k] + 1)", json!([2, 3])),
            ("map.filter(k, map[k] > 1)", json!(["y"])),
            ("map.all(k, k in ['x', 'y'])", json!(true)),
            ("[].all(x, false) && ![].exists(x, true)", json!(true)),
            ("[1, 2].map(x, [10, 20].map(y, x * y + size(items)))", json!([[13, 23], [23, 43]])),
            ("[1, 2].exists(x, x == 1 || 1 / 0 == 1)", json!(true)),
            ("[3, 1, 2].sortBy(x, -x)", json!([3, 2, 1])),
        ],
    );
}

#[test]
fn functions_are_methods_too_and_a_key_may_have_their_name() {
    let scope = json!({"m": {"size": 7, "list": [1, 2]}});
    check(
        &scope,
        &[
            ("m.size", json!(7)),
            ("m.size()", json!(2)),
            ("m.list.size() + size(m.list)", json!(4)),
            ("m['size']", json!(7)),
        ],
    );
}

/// A scope that counts questions and knows a task without output.
struct Run {
    questions: RefCell<Vec<String>>,
    output: Json,
}

impl Scope for Run {
    fn resolve<'a>(&'a self, path: &[&str]) -> Resolved<'a> {
        self.questions.borrow_mut().push(path.join("."));
        match path {
            ["tasks", "charge", "output", ..] => {
                Resolved::Found { value: Cow::Borrowed(&self.output), consumed: 3 }
            }
            ["tasks", "ship", "output", ..] => {
                Resolved::Missing { consumed: 3, reason: "'ship' was SKIPPED and has no output".to_owned() }
            }
            ["index", ..] => Resolved::Found { value: Cow::Owned(json!({"at": [4]})), consumed: 1 },
            _ => Resolved::Unknown,
        }
    }
}

#[test]
fn a_scope_is_asked_once_with_the_whole_static_path() {
    let run = Run { questions: RefCell::default(), output: json!({"a": {"b": [7]}}) };
    let value = |source: &str| {
        Expression::compile(source).unwrap().evaluate(&run, &Limits::default()).map_err(|error| error.message)
    };
    assert_eq!(value("tasks.charge.output.a.b[0]"), Ok(json!(7)));
    assert_eq!(*run.questions.borrow(), ["tasks.charge.output.a.b"]);
    assert_eq!(value("index.at[0]"), Ok(json!(4)));
    assert_eq!(
        value("tasks.ship.output.x"),
        Err("tasks.ship.output: 'ship' was SKIPPED and has no output".into())
    );
    assert_eq!(
        value("tasks.ship.output[0].y"),
        Err("tasks.ship.output: 'ship' was SKIPPED and has no output".into())
    );
    assert_eq!(value("has(tasks.ship.output.x)"), Ok(json!(false)));
    assert_eq!(value("get(tasks.ship.output, 'x', 3)"), Ok(json!(3)));
    assert_eq!(value("tasks.other.output"), Err("there is no name 'tasks.other.output'".into()));
    let long = format!("tasks.charge.output{}", ".a".repeat(40));
    assert!(value(&long).unwrap_err().contains("tasks.charge.output.a has no key 'a'"));
}

#[test]
fn a_condition_must_be_a_bool() {
    let condition = |source: &str| {
        Expression::compile(source).unwrap().evaluate_bool(&json!({"n": 0}), &Limits::default())
    };
    assert_eq!(condition(" ${ n == 0 } "), Ok(true));
    let error = condition("${ n }").unwrap_err();
    assert_eq!(error.message, "a condition must be true or false, but this is a number");
    assert_eq!(error.range, 3..4);
}

#[test]
fn an_error_points_at_the_part_that_failed() {
    let source = "${ 1 + input.x.y > 2 }";
    let error =
        Expression::compile(source).unwrap().evaluate(&json!({"input": {}}), &Limits::default()).unwrap_err();
    assert_eq!(&source[error.range], "input.x.y");
}
