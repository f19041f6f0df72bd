//! The reserved value `{"$payload": {…}}` among other JSON: told apart, written, found.
//!
//! Who reads what it stands for is not said here: workers and orchestrators do, through `oarlock-payloads`.

use serde::Deserialize;

use crate::Json;
use crate::message::PayloadReference;

/// The reserved key.
pub const KEY: &str = "$payload";

impl PayloadReference {
    /// The reference that a value is; none where it is any other value, such as a map of that key and more.
    pub fn of(value: &Json) -> Option<Self> {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        Self::deserialize(map.get(KEY)?).ok()
    }

    /// The value that stands for the payload.
    pub fn to_json(&self) -> Json {
        serde_json::json!({KEY: self})
    }
}

/// Whether a value is a reference, or holds one somewhere.
pub fn holds_reference(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().any(holds_reference),
        Json::Object(map) => PayloadReference::of(value).is_some() || map.values().any(holds_reference),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Every reference in a value, in order, with the value's own place in it to put another there.
pub fn references(value: &mut Json) -> Vec<(PayloadReference, &mut Json)> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect<'a>(value: &'a mut Json, found: &mut Vec<(PayloadReference, &'a mut Json)>) {
    if let Some(reference) = PayloadReference::of(value) {
        return found.push((reference, value));
    }
    match value {
        Json::Array(items) => items.iter_mut().for_each(|item| collect(item, found)),
        Json::Object(map) => map.values_mut().for_each(|item| collect(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reference(sha256: &str) -> PayloadReference {
        PayloadReference { uri: "file:///p/a".to_owned(), size: 3, sha256: sha256.to_owned() }
    }

    #[test]
    fn a_reference_is_told_from_what_only_looks_like_one() {
        let value = reference("a").to_json();
        assert_eq!(PayloadReference::of(&value), Some(reference("a")));
        let mut more = value.clone();
        more["other"] = json!(1);
        for other in
            [more, json!({"$payload": "text"}), json!({"$payload": {"uri": "x"}}), json!([]), json!({})]
        {
            assert_eq!(PayloadReference::of(&other), None, "{other}");
            assert!(!holds_reference(&other), "{other}");
        }
    }

    #[test]
    fn every_reference_in_a_value_is_found_and_can_be_replaced() {
        let mut value = json!({"a": [1, reference("x").to_json()], "b": {"c": reference("y").to_json()}});
        assert!(holds_reference(&value));
        for (reference, place) in references(&mut value) {
            *place = json!(reference.sha256);
        }
        assert_eq!(value, json!({"a": [1, "x"], "b": {"c": "y"}}));
    }
}
