//! Nothing can hang, crash or allocate without bound: each row would, without a budget.

use serde_json::{Value as Json, json};

use super::{evaluate, failure};
use crate::{Expression, Limits, Pipeline, Registry};

#[test]
fn work_without_end_runs_out_of_steps_or_bytes() {
    let list = json!(vec![1; 2000]);
    let text = "a".repeat(500_000);
    let scope = json!({"l": list, "t": text, "big": vec![json!({"k": text}); 1], "words": "a ".repeat(100_000),
        "digits": format!("0.{}", "1".repeat(100_000)), "blank": " ".repeat(500_000)});
    let doubling = format!("t{}", " + t".repeat(30));
    let nested = "l.map(a, l.map(b, l.map(c, 1)))";
    for source in [
        nested,
        "l.all(a, l.all(b, true))",
        "l.map(a, t)",
        "l.map(a, l)",
        "l.all(a, big == big)",
        "l.all(a, t == t + '')",
        "l.all(a, t <= t + '')",
        "l.all(a, !('b' in l) && l.contains(1) && l.indexOf(2) < 0)",
        "l.all(a, t.contains('aaaab') || true)",
        "l.all(a, t.size() > 0)",
        "l.all(a, t.indexOf('b') < 0)",
        "l.all(a, t.lower().upper() != 'x')",
        "l.map(a, l.sort()).size()",
        "l.map(a, l.distinct()).size()",
        "l.all(a, sha256(t) != '')",
        "l.all(a, digits.number() > 0)",
        "l.all(a, t.startsWith(t))",
        "l.all(a, blank.trim() == '')",
        "l.all(a, pick({}, l.map(x, 'k')).size() == 0)",
        "range(30000).map(a, range(30000).chunk(1).size())",
        "range(1000000000)",
        "range(-9000000000000000000, 9000000000000000000)",
        "'ab'.repeat(1000000000)",
        "'ab'.repeat(18446744073709551615)",
        "'x'.padStart(1000000000)",
        "t.replace('a', t)",
        "join(l, t)",
        "t.split('a').map(x, l)",
        "words.matches('(a|b|ab)*c' + t)",
        "l.all(a, words.matches('[ab]*a[ab]{200}c') || true)",
        r"l.all(a, !t.matches('\\w{20}\\d' + 'x'))",
        "l.map(a, toJson(l))",
        "l.map(a, string(l))",
        "l.map(a, base64Encode(t))",
        "l.map(a, parseJson('[1,2,3]')).map(a, l)",
        "[t, t, t, t, t, t, t, t, t]",
        "{'a': [t, t, t], 'b': [t, t, t], 'c': [t, t, t]}",
        &doubling,
    ] {
        let message = failure(source, &scope);
        let is_budget = ["steps", "bytes", "at most 1024 bytes"].iter().any(|word| message.contains(word));
        assert!(is_budget, "{source}: {message}");
    }
}

#[test]
fn work_of_a_usual_size_stays_within_the_default_budget() {
    let items: Vec<Json> =
        (0..10_000).map(|n| json!({"price": n % 97, "name": format!("item {n}")})).collect();
    let scope = json!({"items": items});
    for source in [
        "items.filter(i, i.price > 10).size()",
        "items.map(i, i.price * 2).sum()",
        "items.map(i, i.price).sort().last()",
        "items.sortBy(i, i.price).size()",
        "items.map(i, i.price).distinct().size()",
        "items",
    ] {
        evaluate(source, &scope).unwrap_or_else(|message| panic!("{source}: {message}"));
    }
}

#[test]
fn depth_bounds_the_expression_and_its_result() {
    let limits = Limits { depth: 4, ..Limits::default() };
    let value = |source: &str, scope: &Json| {
        Expression::compile(source).unwrap().evaluate(scope, &limits).map_err(|error| error.message)
    };
    assert!(value("[[[1]]]", &json!({})).is_ok());
    assert_eq!(value("[[[[1]]]]", &json!({})), Err("the expression nests deeper than 4 levels".into()));
    assert_eq!(value("[d]", &json!({"d": [[[[1]]]]})), Err("the result nests deeper than 4 levels".into()));
    let deep = format!("parseJson('{}1{}')", "[".repeat(100), "]".repeat(100));
    assert!(failure(&deep, &json!({})).contains("64 levels"));
    let deeper = format!("parseJson('{}')", "[".repeat(1000));
    assert!(failure(&deeper, &json!({})).contains("no JSON"));
}

#[test]
fn the_same_budget_ends_at_the_same_place() {
    let expression = Expression::compile("l.map(x, x + 1).sum()").unwrap();
    let scope = json!({"l": [1, 2, 3]});
    let enough = (0..200)
        .find(|steps| expression.evaluate(&scope, &Limits { steps: *steps, ..Limits::default() }).is_ok());
    assert_eq!(enough, Some(15));
}

#[test]
fn a_pipeline_has_a_budget_too() {
    let steps = vec![("repeat".to_owned(), Some(json!(1_000_000))); 5];
    let pipeline = Pipeline::compile(&steps, &Registry::standard()).unwrap();
    assert!(pipeline.apply(json!("ab")).unwrap_err().message.contains("bytes"));
}
