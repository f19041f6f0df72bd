//! Nothing that a schema or a value says can hang or crash who checks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test names its line")]

use oarlock_protocol::Json;
use oarlock_schema::Schema;
use serde_json::json;

fn nested(depth: usize) -> Json {
    (0..depth).fold(json!("end"), |inner, _| json!({"a": inner}))
}

/// Each name refers to the next one twice.
fn doubling(levels: usize, keyword: &str) -> Json {
    let twice = |level: usize| json!({keyword: [{"$ref": format!("#/$defs/l{level}")}, {"$ref": format!("#/$defs/l{level}")}]});
    let mut names: serde_json::Map<_, _> =
        (0..levels).map(|level| (format!("l{level}"), twice(level + 1))).collect();
    names.insert(format!("l{levels}"), json!({"type": "integer"}));
    json!({"$ref": "#/$defs/l0", "$defs": names})
}

#[test]
fn a_small_schema_that_asks_for_endless_work_is_refused_with_the_value() {
    let both = |keyword: &str| json!({keyword: [{"properties": {"a": {"$ref": "#"}}, "type": "object"}, {"properties": {"a": {"$ref": "#"}}, "minLength": 1}]});
    for (source, value) in [
        (doubling(60, "allOf"), json!(1)),
        (doubling(60, "oneOf"), json!(1)),
        (both("allOf"), nested(60)),
        (both("anyOf"), nested(60)),
        (both("oneOf"), nested(60)),
    ] {
        let schema = Schema::compile(&source).unwrap();
        let error = schema.check(&value, "the input").unwrap_err();
        assert!(error.message.contains("would take more than"), "{source}: {error:?}");
    }
    let schema = Schema::compile(&both("anyOf")).unwrap();
    assert_eq!(schema.check(&nested(8), "the input"), Ok(()), "a little is no harm");
}

#[test]
fn a_chain_of_references_takes_no_stack() {
    let mut names: serde_json::Map<_, _> =
        (0..1_000).map(|n| (format!("l{n}"), json!({"$ref": format!("#/$defs/l{}", n + 1)}))).collect();
    names.insert("l1000".to_owned(), json!({"type": "integer"}));
    let schema = Schema::compile(&json!({"$ref": "#/$defs/l0", "$defs": names})).unwrap();
    let error = schema.check(&json!("x"), "the input").unwrap_err();
    assert!(error.message.contains("deeper than 256"), "{error:?}");
}

#[test]
fn the_deepest_value_fits_on_the_stack_of_a_thread() {
    let source = json!({"anyOf": [{"$ref": "#/$defs/node"}, false], "$defs": {"node": {"allOf": [{"properties": {"a": {"$ref": "#/$defs/node"}}}]}}});
    let schema = Schema::compile(&source).unwrap();
    // As large as the stack of a worker thread of tokio.
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let checks = thread.spawn(move || schema.check(&nested(63), "the input")).unwrap();
    assert_eq!(checks.join().unwrap(), Ok(()));
}

#[test]
fn no_pattern_hangs() {
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(a{1,50}){1,40}$", "^([a-z]+[0-9]?)*x$"] {
        let schema = Schema::compile(&json!({"pattern": pattern})).unwrap();
        let begun = std::time::Instant::now();
        let text = format!("{}!", "a".repeat(300_000));
        schema.check(&json!(text), "the input").unwrap_err();
        assert!(begun.elapsed().as_secs() < 20, "{pattern}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_value_of_a_megabyte_is_checked() {
    let source = json!({"items": {"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer"}, "name": {"type": "string", "maxLength": 100}, "tags": {"items": {"$ref": "#/$defs/tag"}},
    }}, "$defs": {"tag": {"enum": ["a", "b", "c"]}}});
    let schema = Schema::compile(&source).unwrap();
    let mut items: Vec<Json> =
        (0..20_000).map(|id| json!({"id": id, "name": "something", "tags": ["a", "c"]})).collect();
    assert_eq!(schema.check(&json!(items), "the input"), Ok(()));
    items[19_999]["tags"][1] = json!("d");
    let error = schema.check(&json!(items), "the input").unwrap_err();
    assert!(error.message.contains("/19999/tags/1"), "{}", error.message);
}
