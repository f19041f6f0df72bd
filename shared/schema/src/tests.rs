//! Properties of any schema and any value.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(|n| json!(n)),
        "[ab0]{0,4}".prop_map(Json::from),
        Just(json!({"$secret": "s"})),
        Just(json!({"$payload": 1})),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Schemas that mostly compile, with references to each other and to themselves.
fn any_schema() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/$defs/a"})),
        Just(json!({"$ref": "#/$defs/b"})),
        Just(json!({"type": ["object", "null"]})),
        Just(json!({"type": "integer", "minimum": 3})),
        Just(json!({"pattern": "^a+b?$"})),
        any_value().prop_map(|value| json!({"const": value})),
        any_value().prop_map(|value| json!({"default": value})),
    ];
    let part = leaf.prop_recursive(4, 30, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..3);
        let named = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            (named.clone(), any::<bool>())
                .prop_map(|(map, open)| json!({"properties": map, "additionalProperties": open})),
            (named.clone(), inner.clone())
                .prop_map(|(map, rest)| json!({"properties": map, "additionalProperties": rest})),
            (named.clone(), any_value())
                .prop_map(|(map, default)| json!({"properties": map, "default": default})),
            named.prop_map(|map| json!({"patternProperties": map, "unevaluatedProperties": false})),
            (some.clone(), inner.clone())
                .prop_map(|(list, rest)| json!({"prefixItems": list, "items": rest})),
            (some.clone(), prop_oneof![Just("allOf"), Just("anyOf"), Just("oneOf")])
                .prop_map(|(list, keyword)| json!({keyword: list})),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| json!({"if": one, "else": two})),
            inner.clone().prop_map(|inner| json!({"not": inner})),
            inner.clone().prop_map(|inner| json!({"contains": inner, "uniqueItems": true})),
            inner.prop_map(|inner| json!({"propertyNames": inner, "required": ["a"]})),
        ]
    });
    (part.clone(), part.clone(), part).prop_map(|(root, a, b)| {
        let mut root = if root.is_boolean() { json!({"not": !root.as_bool().unwrap()}) } else { root };
        root["$defs"] = json!({"a": a, "b": b});
        root
    })
}

/// The value without what stands for others.
fn without_reserved(value: &Json) -> Json {
    match value {
        Json::Object(map) if map.keys().any(|name| name.starts_with('$')) => json!("a"),
        Json::Object(map) => {
            map.iter().map(|(name, inner)| (name.clone(), without_reserved(inner))).collect()
        }
        Json::Array(items) => items.iter().map(without_reserved).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(512), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn filling_twice_is_filling_once_and_checking_never_panics(source in any_schema(), mut value in any_value()) {
        if let Ok(schema) = Schema::compile(&source) {
            let before = value.clone();
            if schema.fill(&mut value, "it").is_ok() {
                let once = value.clone();
                schema.fill(&mut value, "it").unwrap();
                prop_assert_eq!(&value, &once);
            }
            schema.check(&value, "it").ok();
            schema.check(&before, "it").ok();
        }
    }

    #[test]
    fn a_schema_judges_as_its_crate_does_where_nothing_is_reserved(source in any_schema(), value in any_value()) {
        let value = without_reserved(&value);
        if let Ok(schema) = Schema::compile(&source) {
            let judged = schema.check(&value, "it");
            prop_assert_eq!(judged.is_ok(), jsonschema::is_valid(&source, &value), "{:?}", judged);
        }
    }

    #[test]
    fn a_schema_that_takes_reserved_values_judges_all_others_alike(source in any_schema(), value in any_value()) {
        let value = without_reserved(&value);
        if let Ok(schema) = Schema::compile(&source) {
            let (strict, lenient) = (schema.strict.is_valid(&value), schema.lenient().is_valid(&value));
            prop_assert_eq!(strict, lenient);
            prop_assert!(matches!(schema.lenient.get(), Some(Some(_))), "it did not compile");
        }
    }

    #[test]
    fn any_value_as_a_schema_compiles_or_is_refused(source in any_value()) {
        if let Err(problems) = Schema::compile(&source) {
            prop_assert!(!problems.is_empty());
        }
    }
}
