//! What schemas take, fill in and say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

use oarlock_protocol::Json;
use oarlock_schema::{LARGEST, MOST_TOLD, Schema};
use serde_json::json;

fn schema(source: &Json) -> Schema {
    Schema::compile(source).unwrap_or_else(|problems| panic!("{source}: {problems:?}"))
}

/// The places and texts of the violations.
fn told(source: &Json, value: &Json) -> Vec<(String, String)> {
    let error = schema(source).check(value, "the input").expect_err("it does not fit");
    assert_eq!((error.code.as_str(), error.retryable), ("SCHEMA_VIOLATION", false));
    let text = |violation: &Json, field: &str| violation[field].as_str().unwrap().to_owned();
    let listed = error.details["violations"].as_array().unwrap();
    listed.iter().map(|violation| (text(violation, "path"), text(violation, "problem"))).collect()
}

fn filled(source: &Json, mut value: Json) -> Json {
    schema(source).fill(&mut value, "the input").unwrap();
    value
}

fn order() -> Json {
    json!({
        "type": "object",
        "required": ["orderId", "items"],
        "additionalProperties": false,
        "properties": {
            "orderId": {"type": "string", "pattern": "^o-[0-9]+$"},
            "kind": {"enum": ["new", "again"], "default": "new"},
            "customer": {
                "type": "object", "default": {},
                "properties": {"country": {"type": "string", "default": "NL"}},
            },
            "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
        },
        "$defs": {"item": {
            "type": "object",
            "required": ["price"],
            "properties": {"price": {"type": "number", "minimum": 0}, "count": {"type": "integer", "default": 1}},
        }},
    })
}

#[test]
fn each_violation_is_told_at_its_place_with_what_was_expected() {
    let value = json!({
        "orderId": "7", "kind": "old", "colour": "red",
        "items": [{"price": 1}, {"price": "2"}, {}, {"price": -1.5, "count": 1.5}],
    });
    let expected = [
        ("/colour", "the schema has no such property"),
        ("/items/1/price", "\"2\" is a string, expected a number"),
        ("/items/2/price", "is missing"),
        ("/items/3/count", "1.5 is a number with a fraction, expected an integer"),
        ("/items/3/price", "-1.5 is less than 0"),
        ("/kind", "\"old\" is none of [\"new\",\"again\"]"),
        ("/orderId", "\"7\" does not match the pattern ^o-[0-9]+$"),
    ];
    let mut found = told(&order(), &value);
    found.sort();
    assert_eq!(found, expected.map(|(path, problem)| (path.to_owned(), problem.to_owned())));
    let error = schema(&order()).check(&json!({"orderId": "o-1", "items": []}), "the input").unwrap_err();
    assert_eq!(
        error.message,
        "the input does not fit its schema: /items: this list of 0 items, fewer than 1"
    );
}

#[test]
fn the_nearest_of_several_alternatives_is_told() {
    let source = json!({"oneOf": [
        {"type": "string"},
        {"type": "object", "required": ["at"], "properties": {"at": {"type": "integer"}}},
    ]});
    let found = told(&source, &json!({"at": "noon"}));
    let problem = "this object of 1 properties fits none of the 2 alternatives (nearest: /at: \"noon\" is a string, expected an integer)";
    assert_eq!(found, [(String::new(), problem.to_owned())]);
}

#[test]
fn an_error_stays_small_however_much_is_wrong() {
    let source = json!({"items": {"type": "integer"}});
    let value = json!(vec!["x".repeat(10_000); 1_000]);
    let found = told(&source, &value);
    assert_eq!(found.len(), MOST_TOLD);
    assert!(found.iter().all(|(_, problem)| problem.len() < 200), "{found:?}");
    let error = schema(&source).check(&value, "the input").unwrap_err();
    assert!(error.message.ends_with("; and more") && error.message.len() < 4_000, "{}", error.message);
    let names: serde_json::Map<_, _> =
        (0..1_000).map(|n| (format!("{n}{}", "x".repeat(1_000)), json!(1))).collect();
    let found =
        told(&json!({"properties": {"a": true}, "additionalProperties": false}), &Json::Object(names));
    assert_eq!(found.len(), MOST_TOLD);
    assert!(found.iter().all(|(path, _)| path.len() < 310), "{found:?}");
}

#[test]
fn defaults_fill_what_is_missing_at_any_depth() {
    let given = json!({"orderId": "o-1", "items": [{"price": 1}, {"price": 2, "count": 5}]});
    let expected = json!({
        "orderId": "o-1", "kind": "new", "customer": {"country": "NL"},
        "items": [{"price": 1, "count": 1}, {"price": 2, "count": 5}],
    });
    assert_eq!(filled(&order(), given), expected);
    assert_eq!(schema(&order()).check(&expected, "the input"), Ok(()));
}

#[test]
fn a_default_never_replaces_what_was_given() {
    let source = json!({"properties": {"a": {"default": 1}, "b": {"default": {"c": 1}}}});
    assert_eq!(filled(&source, json!({"a": null, "b": {}})), json!({"a": null, "b": {}}));
    assert_eq!(filled(&source, json!([1])), json!([1]));
}

#[test]
fn defaults_come_through_every_part_that_surely_applies_and_no_other() {
    let source = json!({
        "allOf": [
            {"properties": {"a": {"properties": {"deep": {"default": 1}}}}},
            {"$ref": "#/$defs/more"},
        ],
        "anyOf": [{"properties": {"no": {"default": 1}}}, true],
        "if": true, "then": {"properties": {"no": {"default": 2}}},
        "$defs": {"more": {"properties": {"a": {"$ref": "#/$defs/a"}}}, "a": {"default": {}}},
        "additionalProperties": {"properties": {"in": {"default": true}}},
        "properties": {"list": {"prefixItems": [{"properties": {"first": {"default": 1}}}],
                                "items": {"properties": {"rest": {"default": 2}}}}},
    });
    // The first part's `a` is there only because of the second: the order in which they are named does not matter.
    let expected =
        json!({"a": {"deep": 1, "in": true}, "other": {"in": true}, "list": [{"first": 1}, {"rest": 2}]});
    assert_eq!(filled(&source, json!({"other": {}, "list": [{}, {}]})), expected);
}

#[test]
fn defaults_without_end_are_refused() {
    let endless = json!({"properties": {"child": {"$ref": "#", "default": {}}}});
    let error = schema(&endless).fill(&mut json!({}), "the input").unwrap_err();
    assert_eq!(error.message, "the input: the schema's defaults lie within each other deeper than 64 levels");
    let large = json!({"items": {"properties": {"text": {"default": "x".repeat(60_000)}}}});
    let error = schema(&large).fill(&mut json!(vec![json!({}); 1_000]), "the input").unwrap_err();
    assert!(error.message.contains("would add more than"), "{error:?}");
}

#[test]
fn a_secret_and_a_payload_fit_any_schema_at_their_place() {
    let source = order();
    let secret = json!({"$secret": "token"});
    let payload = json!({"$payload": {"uri": "file:///x", "size": 1, "sha256": "0"}});
    for reserved in [&secret, &payload] {
        for value in [
            reserved.clone(),
            json!({"orderId": reserved, "items": reserved}),
            json!({"orderId": "o-1", "kind": reserved, "items": [{"price": reserved}, reserved]}),
        ] {
            assert_eq!(schema(&source).check(&value, "the input"), Ok(()), "{value}");
            assert_eq!(filled(&source, reserved.clone()), *reserved);
        }
    }
    // Everything else is judged as ever.
    let value = json!({"orderId": secret, "colour": secret, "items": [{"price": "2"}, {}]});
    let mut places: Vec<_> = told(&source, &value).into_iter().map(|(path, _)| path).collect();
    places.sort();
    assert_eq!(places, ["/colour", "/items/0/price", "/items/1/price"]);
    let two = json!({"orderId": {"$secret": "a", "more": 1}, "items": payload});
    assert_eq!(told(&source, &two)[0].0, "/orderId");
}

#[test]
fn the_reserved_fit_within_alternatives_and_older_drafts() {
    let old = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"a~/b": {"type": "integer"}},
        "type": "object",
        "properties": {"n": {"$ref": "#/definitions/a~0~1b", "type": "string"}},
        "dependencies": {"n": ["m"], "x": {"required": ["y"]}},
        "items": [{"type": "string"}],
    });
    let secret = json!({"$secret": "token"});
    assert_eq!(schema(&old).check(&json!({"n": 1, "m": secret}), "it"), Ok(()));
    assert_eq!(schema(&old).check(&json!({"n": secret, "m": 1}), "it"), Ok(()));
    assert_eq!(told(&old, &json!({"n": "1", "m": secret}))[0].0, "/n");
    assert_eq!(told(&old, &json!({"n": 1, "x": secret})).len(), 2);
    let closed = json!({
        "oneOf": [
            {"properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}},
            {"properties": {"kind": {"const": "b"}, "n": {"type": "string"}}},
        ],
        "unevaluatedProperties": false,
    });
    assert_eq!(schema(&closed).check(&json!({"kind": "a", "n": secret}), "it"), Ok(()));
    assert_eq!(told(&closed, &json!({"kind": "a", "m": secret}))[0].0, "/m");
}

#[test]
fn formats_are_checked() {
    let source = json!({"properties": {"at": {"format": "date-time"}, "by": {"format": "email"}, "p": {"format": "regex"}}});
    let found = told(&source, &json!({"at": "noon", "by": "ada", "p": "("}));
    assert_eq!(
        found,
        [
            ("/at".to_owned(), "\"noon\" is no date-time".to_owned()),
            ("/by".to_owned(), "\"ada\" is no email".to_owned()),
        ]
    );
}

#[test]
fn an_invalid_schema_is_refused_at_its_place() {
    let place = |source: &Json| Schema::compile(source).map(|_| ()).unwrap_err().remove(0);
    for (source, pointer, text) in [
        (json!({"properties": {"a": {"type": "text"}}}), "/properties/a/type", "\"text\""),
        (json!({"properties": {"a": {"minimum": "1"}}}), "/properties/a/minimum", "expected a number"),
        (json!({"items": {"pattern": "("}}), "/items/pattern", "regex"),
        (json!({"items": {"pattern": "(?=a)b"}}), "/items/pattern", "regex"),
        (json!({"patternProperties": {"(": true}}), "/patternProperties", "regex"),
        (json!({"items": {"$ref": "#/$defs/none"}}), "/items/$ref", "nothing at `#/$defs/none`"),
        (json!({"items": {"$ref": "https://example.com/a.json"}}), "/items/$ref", "nothing is fetched"),
        (json!({"items": {"$ref": "file:///etc/passwd"}}), "/items/$ref", "nothing is fetched"),
        (json!({"items": {"$ref": "#/required"}, "required": ["a"]}), "/items/$ref", "is no schema"),
        (json!({"items": {"$dynamicRef": "#x"}}), "/items/$dynamicRef", "use `$ref"),
        (json!({"items": {"$id": "https://example.com"}}), "/items/$id", "only at the top"),
        (
            json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#"}]}}}),
            "",
            "refers back",
        ),
        (json!({"$schema": "https://example.com/mine"}), "", "example.com"),
        (json!([]), "", ""),
        (json!({"title": "x".repeat(LARGEST)}), "", "larger than"),
    ] {
        let problem = place(&source);
        assert!(problem.text.contains(text), "{source}: {problem:?}");
        assert!(problem.pointer.starts_with(pointer), "{source}: {problem:?}");
    }
    let deep = (0..70).fold(json!(true), |inner, _| json!({"not": inner}));
    assert!(place(&deep).text.contains("deeper than 64"), "{:?}", place(&deep));
}
