//! The reserved value `{"$secret": …}`: stands in a task's input for a value that only the worker knows.
//!
//! Made by the engine of `${ secrets.name }`, resolved by the worker before its handler sees the input. A run holds the
//! name, never the value. Nothing but a definition makes one: data that looks like one is refused where it would enter
//! an input.

use serde::{Deserialize, Serialize};

use crate::name::check_identifier;
use crate::{Json, JsonMap};

/// The one key of the object that stands for a secret.
pub const KEY: &str = "$secret";

/// What stands under the key [`KEY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretReference {
    /// The secret of this name, as it is.
    Name(String),
    /// A text with secrets in it.
    Text(SecretText),
}

/// A text in pieces, some of them secrets: `{"text": ["Bearer ", {"name": "token"}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretText {
    /// The pieces in their order.
    pub text: Vec<SecretPiece>,
}

/// A piece of a text with secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretPiece {
    /// Text as it is.
    Literal(String),
    /// A secret.
    Secret(SecretName),
}

/// Names a secret: `{"name": "token"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretName {
    /// Its name: an identifier.
    pub name: String,
}

/// A value under the reserved key that is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidReference(String);

impl SecretReference {
    /// The reference that `value` is; nothing where it is another value.
    ///
    /// # Errors
    /// Where it has the key `$secret` and is no sound reference.
    pub fn of(value: &Json) -> Option<Result<Self, InvalidReference>> {
        let map = value.as_object()?;
        let content = map.get(KEY)?;
        Some(if map.len() == 1 { Self::read(content) } else { Err(form()) })
    }

    fn read(content: &Json) -> Result<Self, InvalidReference> {
        let reference = Self::deserialize(content).map_err(|_| form())?;
        for name in reference.names() {
            check_identifier(name).map_err(|error| InvalidReference(error.to_string()))?;
        }
        Ok(reference)
    }

    /// The names of the secrets in it, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (whole, pieces) = match self {
            Self::Name(name) => (Some(name.as_str()), &[][..]),
            Self::Text(text) => (None, text.text.as_slice()),
        };
        let within = pieces.iter().filter_map(|piece| match piece {
            SecretPiece::Literal(_) => None,
            SecretPiece::Secret(secret) => Some(secret.name.as_str()),
        });
        whole.into_iter().chain(within)
    }

    /// The object that stands for it.
    pub fn to_json(&self) -> Json {
        let piece = |piece: &SecretPiece| match piece {
            SecretPiece::Literal(text) => Json::from(text.as_str()),
            SecretPiece::Secret(secret) => object("name", Json::from(secret.name.as_str())),
        };
        let content = match self {
            Self::Name(name) => Json::from(name.as_str()),
            Self::Text(text) => object("text", text.text.iter().map(piece).collect()),
        };
        object(KEY, content)
    }
}

/// Whether an object with the key [`KEY`] stands anywhere in `value`.
pub fn holds_reference(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
        Json::Array(items) => items.iter().any(holds_reference),
        Json::Object(map) => map.contains_key(KEY) || map.values().any(holds_reference),
    }
}

fn object(key: &str, value: Json) -> Json {
    Json::Object(JsonMap::from_iter([(key.to_owned(), value)]))
}

fn form() -> InvalidReference {
    InvalidReference(
        "a secret is {\"$secret\": \"name\"} or {\"$secret\": {\"text\": [\"…\", {\"name\": \"…\"}]}}"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_read_and_written_alike() {
        for (value, names) in [
            (json!({"$secret": "token"}), vec!["token"]),
            (
                json!({"$secret": {"text": ["Basic ", {"name": "user"}, ":", {"name": "pass"}]}}),
                vec!["user", "pass"],
            ),
            (json!({"$secret": {"text": []}}), vec![]),
        ] {
            let reference = SecretReference::of(&value).unwrap().unwrap();
            assert_eq!(reference.names().collect::<Vec<_>>(), names);
            assert_eq!(reference.to_json(), value);
            assert_eq!(serde_json::to_value(&reference).unwrap(), value[KEY]);
        }
    }

    #[test]
    fn what_only_looks_like_a_reference_is_told() {
        for value in [
            json!({"$secret": 7}),
            json!({"$secret": "a", "b": 1}),
            json!({"$secret": "../../etc/passwd"}),
            json!({"$secret": ""}),
            json!({"$secret": {"text": "a"}}),
            json!({"$secret": {"text": [{"name": "a/b"}]}}),
            json!({"$secret": {"text": [], "more": 1}}),
        ] {
            assert!(matches!(SecretReference::of(&value), Some(Err(_))), "{value}");
        }
        for value in [json!("$secret"), json!(["$secret"]), json!({"secret": "a"}), json!(null)] {
            assert_eq!(SecretReference::of(&value), None, "{value}");
        }
    }

    #[test]
    fn a_reference_is_found_however_deep() {
        assert!(holds_reference(&json!([{"a": [{"$secret": 1}]}])));
        assert!(!holds_reference(&json!([{"a": ["$secret", {"secret": 1}]}])));
    }
}
