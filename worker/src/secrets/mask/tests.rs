//! What is hidden, in which forms, and that nothing else is touched.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mask(values: &[&str]) -> Mask {
    Mask::new(values.iter().map(|value| (*value).to_owned()))
}

fn hidden(value: &str, text: &str) -> String {
    mask(&[value]).text(text.to_owned())
}

#[test]
fn a_secret_is_hidden_as_it_is_and_encoded() {
    for (value, text, shown) in [
        ("hush", "a hush b hush", "a *** b ***"),
        ("hush", "hushhush!", "***!"),
        ("abab", "xababab", "x***"),
        ("a\"b\nc", r#"{"k": "a\"b\nc"}"#, r#"{"k": "***"}"#),
        ("a\"b\nc", r#""{\"k\": \"a\\\"b\\nc\"}""#, r#""{\"k\": \"***\"}""#),
        ("pässword", r"p\u00e4ssword p\u00E4ssword", "*** ***"),
        ("pä/s word", "p%C3%A4%2fs%20word", "***"),
        ("pä/s word", "?k=p%C3%A4/s+word&x", "?k=***&x"),
        ("a%41b", "a%2541b a%41b", "*** ***"),
        ("secret", "Basic YWRhOnNlY3JldA==", "Basic YWRhO***=="),
        (" padded ", "padded", "***"),
        ("geheim\u{1F600}", r"geheim\ud83d\ude00", "***"),
    ] {
        assert_eq!(hidden(value, text), shown, "{value} in {text}");
    }
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    for text in ["hus h", "HUSH", "", "100% + \\u00", "c2VjcmV0"] {
        assert_eq!(hidden("hush", text), text);
    }
    assert_eq!(hidden("abc", "abc"), "abc", "too short to be hidden");
    let value = json!({"a": [1, 2.5, true, null, "x"], "b": {"c": "y"}});
    assert_eq!(mask(&["hush"]).json(value.clone()), value);
}

#[test]
fn texts_keys_and_numbers_of_a_value_are_looked_through() {
    let value = json!({
        "pin": 123_456, "float": 1234.5, "list": ["a 1234"], "x-1234": 1, "y-1234": 2, "1234": 3, "5678": 4, "ok": 7,
    });
    let shown = mask(&["1234", "5678"]).json(value);
    assert_eq!(
        shown,
        json!({
            "pin": "***56", "float": "***.5", "list": ["a ***"], "x-***": 1, "y-***": 2, "***": 3, "***2": 4, "ok": 7,
        })
    );
}

#[test]
fn what_hiding_puts_together_is_hidden_too() {
    let mask = mask(&["a***", "hush"]);
    assert_eq!(mask.text("ahush".to_owned()), "***");
    assert_eq!(mask.text("aaaaaaaaaaaaaaaahush".to_owned()), "***");
    assert_eq!(mask.json(json!({"ahush": 1, "hush": 2})), json!({"***": 1, "***2": 2}));
}

#[test]
fn an_error_is_looked_through_whole() {
    let error =
        TaskError::new("BAD_hush", "at hush").with_details(json!({"stderr": "hush\n"})).not_retryable();
    let shown = mask(&["hush"]).error(error);
    let expected =
        TaskError::new("BAD_***", "at ***").with_details(json!({"stderr": "***\n"})).not_retryable();
    assert_eq!(shown, expected);
}

#[test]
fn what_nests_too_deeply_stays_too_deep_and_ends() {
    let deep = (0..1000).fold(json!("hush"), |inner, _| json!([inner]));
    let shown = mask(&["hush"]).json(deep);
    assert!(!oarlock_protocol::depth::nests_within(&shown, DEEPEST));
    assert!(oarlock_protocol::depth::nests_within(&shown, DEEPEST + 1));
    let fits = (0..DEEPEST).fold(json!("hush"), |inner, _| json!([inner]));
    assert!(mask(&["hush"]).json(fits).to_string().contains("[\"***\"]"));
}

#[test]
fn a_mask_shows_nothing() {
    assert_eq!(format!("{:?}", mask(&["hush"])), "Mask");
}

/// A secret, some of them made of what escapes and masks are made of.
fn secrets() -> impl Strategy<Value = Vec<String>> {
    let value =
        prop_oneof!["[a-c*]{4,8}", "[0-9]{4,6}", "\\PC{4,12}", "[\\x00-\\x7f]{4,10}", "[%\\\\u0-4\"+ ]{4,8}"];
    prop::collection::vec(value, 1..4)
}

/// Any JSON with the secrets in it, in every form, between other texts.
fn values(secrets: Vec<String>) -> impl Strategy<Value = (Vec<String>, Json)> {
    let secret = prop::sample::select(secrets.clone());
    let text = prop::collection::vec(
        prop_oneof![
            secret.clone(),
            secret.clone().prop_map(|secret| Json::from(secret).to_string()),
            secret.clone().prop_map(|secret| STANDARD.encode(secret)),
            secret.prop_map(|secret| secret.bytes().map(|byte| format!("%{byte:02x}")).collect()),
            "[a-c*]{0,3}",
            "\\PC{0,3}",
        ],
        0..6,
    );
    let text = text.prop_map(|parts: Vec<String>| parts.concat()).boxed();
    let leaf = prop_oneof![
        text.clone().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from)
    ];
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|entries| entries.into_iter().collect()),
        ]
    });
    value.prop_map(move |value| (secrets.clone(), value))
}

/// Every text, key and number of a value.
fn texts(value: &Json, into: &mut Vec<String>) {
    match value {
        Json::Null | Json::Bool(_) => {}
        Json::Number(number) => into.push(number.to_string()),
        Json::String(text) => into.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Json::Object(map) => map.iter().for_each(|(key, value)| {
            into.push(key.clone());
            texts(value, into);
        }),
    }
}

fn entries(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 1,
        Json::Array(items) => 1 + items.iter().map(entries).sum::<usize>(),
        Json::Object(map) => 1 + map.values().map(entries).sum::<usize>(),
    }
}

proptest! {
    #[test]
    fn no_secret_survives_in_any_value((secrets, value) in secrets().prop_flat_map(values)) {
        let mask = Mask::new(secrets.clone());
        let count = entries(&value);
        let shown = mask.json(value);
        prop_assert_eq!(entries(&shown), count, "nothing is lost");
        let mut found = Vec::new();
        texts(&shown, &mut found);
        for text in found {
            for secret in &secrets {
                let escaped = Json::from(secret.as_str()).to_string();
                prop_assert!(!text.contains(secret.as_str()), "{:?} in {:?}", secret, text);
                prop_assert!(!text.contains(&escaped[1..escaped.len() - 1]), "{:?} in {:?}", escaped, text);
                prop_assert!(!text.contains(&STANDARD.encode(secret)), "{:?} in base64 in {:?}", secret, text);
            }
        }
    }
}
