//! Puts the values of secrets into a task's input, and makes the mask that takes them out of its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oarlock_protocol::Json;
use oarlock_protocol::code::Code;
use oarlock_protocol::secret::{SecretPiece, SecretReference, holds_reference};

use super::mask::Mask;
use super::source::Secrets;
use crate::TaskError;

/// The most secrets of one task: each is a file to read and a text to look for.
const MOST_SECRETS: usize = 100;
/// The most bytes of all secrets of one task: a mask takes some forty times as much.
const LARGEST_TOGETHER_BYTES: usize = 256 * 1024;

/// An input with its secrets in it.
pub(crate) struct Resolved {
    pub(crate) input: Json,
    /// Hides them; none where there are none.
    pub(crate) mask: Option<Arc<Mask>>,
}

/// Resolves every reference in `input`, however deep. What is put in has at most `limit` bytes.
///
/// # Errors
/// SECRET_MISSING; INVALID_INPUT where a reference is none, PAYLOAD_TOO_LARGE.
pub(crate) async fn resolve(
    secrets: &Arc<Secrets>,
    input: Json,
    limit: usize,
) -> Result<Resolved, TaskError> {
    if !holds_reference(&input) {
        return Ok(Resolved { input, mask: None });
    }
    let mut names = BTreeSet::new();
    collect(&input, &mut String::new(), &mut names)?;
    if names.len() > MOST_SECRETS {
        return Err(wrong(format!("it names {} secrets, at most {MOST_SECRETS} are allowed", names.len())));
    }
    let secrets = Arc::clone(secrets);
    let values = tokio::task::spawn_blocking(move || read(&secrets, names)).await??;
    let mut filling = Filling { values: &values, left: limit, limit };
    let input = filling.fill(input)?;
    Ok(Resolved { input, mask: Some(Arc::new(Mask::new(values.into_values()))) })
}

fn read(secrets: &Secrets, names: BTreeSet<String>) -> Result<BTreeMap<String, String>, TaskError> {
    let mut values = BTreeMap::new();
    let mut size = 0;
    for name in names {
        let value = secrets.read(&name)?;
        size += value.len();
        if size > LARGEST_TOGETHER_BYTES {
            return Err(wrong(format!("its secrets have more than {LARGEST_TOGETHER_BYTES} bytes together")));
        }
        values.insert(name, value);
    }
    Ok(values)
}

/// Collects the names of the secrets in `value`, which stands at `pointer`.
fn collect(value: &Json, pointer: &mut String, names: &mut BTreeSet<String>) -> Result<(), TaskError> {
    match SecretReference::of(value) {
        Some(Ok(reference)) => {
            names.extend(reference.names().map(str::to_owned));
            return Ok(());
        }
        Some(Err(error)) => return Err(wrong(format!("at `{pointer}`: {error}"))),
        None => {}
    }
    let mut below = |key: &str, value: &Json, names: &mut BTreeSet<String>| {
        let length = pointer.len();
        *pointer += &format!("/{key}");
        let collected = collect(value, pointer, names);
        pointer.truncate(length);
        collected
    };
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(()),
        Json::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| below(&index.to_string(), item, names))
        }
        Json::Object(map) => map.iter().try_for_each(|(key, value)| below(key, value, names)),
    }
}

/// Replaces references by values, as long as there is room for them.
struct Filling<'v> {
    values: &'v BTreeMap<String, String>,
    left: usize,
    limit: usize,
}

impl Filling<'_> {
    fn fill(&mut self, value: Json) -> Result<Json, TaskError> {
        if let Some(Ok(reference)) = SecretReference::of(&value) {
            return self.text(&reference).map(Json::String);
        }
        match value {
            Json::Array(items) => {
                items.into_iter().map(|item| self.fill(item)).collect::<Result<_, _>>().map(Json::Array)
            }
            Json::Object(map) => {
                let filled = map.into_iter().map(|(key, value)| Ok((key, self.fill(value)?)));
                filled.collect::<Result<_, _>>().map(Json::Object)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(value),
        }
    }

    fn text(&mut self, reference: &SecretReference) -> Result<String, TaskError> {
        match reference {
            SecretReference::Name(name) => self.value(name).map(str::to_owned),
            SecretReference::Text(pieces) => {
                let mut text = String::new();
                for piece in &pieces.text {
                    text += match piece {
                        SecretPiece::Literal(literal) => literal,
                        SecretPiece::Secret(secret) => self.value(&secret.name)?,
                    };
                }
                Ok(text)
            }
        }
    }

    fn value(&mut self, name: &str) -> Result<&str, TaskError> {
        let limit = self.limit;
        // Every name was collected and read.
        let value =
            self.values.get(name).ok_or_else(|| wrong(format!("the secret '{name}' was not read")))?;
        self.left = self.left.checked_sub(value.len()).ok_or_else(|| {
            let message = format!("with its secrets the input is larger than {limit} bytes");
            TaskError::system(Code::PayloadTooLarge, message)
        })?;
        Ok(value)
    }
}

fn wrong(why: String) -> TaskError {
    TaskError::system(Code::InvalidInput, format!("the secrets of the input cannot be put in: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn resolved(input: Json) -> Result<Json, TaskError> {
        let secrets = Arc::new(Secrets::of([("user", "ada"), ("pass", "pa\"ss")]));
        resolve(&secrets, input, 100).await.map(|resolved| resolved.input)
    }

    #[tokio::test]
    async fn references_are_replaced_wherever_they_stand() {
        let input = json!({
            "a": [{"$secret": "user"}, 1, {"b": {"$secret": {"text": ["Basic ", {"name": "user"}, ":", {"name": "pass"}]}}}],
            "secret": "user", "e": {"$secret": {"text": []}},
        });
        let expected = json!({"a": ["ada", 1, {"b": "Basic ada:pa\"ss"}], "secret": "user", "e": ""});
        assert_eq!(resolved(input).await, Ok(expected));
    }

    #[tokio::test]
    async fn what_cannot_be_resolved_is_told_with_its_place() {
        for (input, code, said) in [
            (json!({"a": [{"$secret": 7}]}), "INVALID_INPUT", "`/a/0`"),
            (json!({"a": {"$secret": "../x"}}), "INVALID_INPUT", "'../x'"),
            (json!({"a": {"$secret": "user", "b": 1}}), "INVALID_INPUT", "`/a`"),
            (json!([{"$secret": "none"}]), "SECRET_MISSING", "'none'"),
            (json!(vec![json!({"$secret": "user"}); 34]), "PAYLOAD_TOO_LARGE", "100 bytes"),
            ((0..101).map(|n| json!({"$secret": format!("s{n}")})).collect(), "INVALID_INPUT", "at most 100"),
        ] {
            let error = resolved(input.clone()).await.unwrap_err();
            assert!(error.code == code && error.message.contains(said), "{input}: {error}");
        }
    }
}
