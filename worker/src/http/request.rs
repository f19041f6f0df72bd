//! The input of `http.request`, and the request it asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use oarlock_protocol::Json;
use oarlock_protocol::code::Code;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;

use crate::{TaskContext, TaskError};

/// What services that know it use to do a thing once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What services that trace their work know it by.
const TRACEPARENT: HeaderName = HeaderName::from_static(oarlock_protocol::trace::TRACEPARENT);

/// A request that is fit to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) expect: Option<Vec<u16>>,
    pub(super) max_bytes: Option<usize>,
    method: Method,
    headers: HeaderMap,
    content: Content,
    timeout: Option<Duration>,
}

#[derive(Debug)]
enum Content {
    None,
    Json(Json),
    Text(String),
}

/// The input as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "present")]
    body: Option<Json>,
    text: Option<String>,
    timeout_ms: Option<u64>,
    expect: Option<Vec<u16>>,
    max_bytes: Option<usize>,
}

impl Request {
    /// Reads and checks an input.
    pub(super) fn read(input: &Json) -> Result<Self, TaskError> {
        let input: Input = serde_path_to_error::deserialize(input)
            .map_err(|error| wrong(format!("at `{}`: {}", error.path(), error.inner())))?;
        let url = Url::parse(&input.url).map_err(|error| wrong(format!("`url` is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("`url` begins with http:// or https://, not {}:", url.scheme())));
        }
        if url.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(wrong(
                "this worker was built without the feature `tls`: it can call http:// only".to_owned(),
            ));
        }
        let method = input.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let content = match (input.body, input.text) {
            (None, None) => Content::None,
            (Some(body), None) => Content::Json(body),
            (None, Some(text)) => Content::Text(text),
            (Some(_), Some(_)) => return Err(wrong("give `body` or `text`, not both".to_owned())),
        };
        Ok(Self {
            url,
            expect: input.expect,
            max_bytes: input.max_bytes,
            method: method.parse().map_err(|_| wrong(format!("`method` is no HTTP method: {method}")))?,
            headers: headers(&input.headers)?,
            content,
            timeout: input.timeout_ms.map(Duration::from_millis),
        })
    }

    /// The request for `client`, on behalf of the task of `context`, with the state of the last look. What the input says of a
    /// header comes first.
    pub(super) fn build(self, client: &Client, context: &TaskContext) -> RequestBuilder {
        let mut headers = self.headers;
        let ours = [
            (super::STATE, context.state().map(ascii)),
            (IDEMPOTENCY_KEY, Some(context.idempotency_key().to_string())),
            (TRACEPARENT, context.traceparent().map(|trace| trace.to_string())),
        ];
        for (name, value) in ours {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.entry(name).or_insert(value);
            }
        }
        let mut request = client.request(self.method, self.url);
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        match self.content {
            Content::None => request.headers(headers),
            Content::Json(body) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                request.headers(headers).body(body.to_string())
            }
            Content::Text(text) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
                request.headers(headers).body(text)
            }
        }
    }
}

/// A value as JSON in ASCII, which a header can carry.
fn ascii(value: &Json) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        match character {
            ' '..='~' => text.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    text += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    text
}

/// A `body` that is there counts, even as null.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, TaskError> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let pair = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        let (name, value) =
            pair.ok_or_else(|| wrong(format!("the header `{name}` cannot be sent as it is written")))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn wrong(why: String) -> TaskError {
    TaskError::system(Code::InvalidInput, format!("the input of http.request cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_fits_a_header_and_means_the_same() {
        let state = json!({"a": "ä😀\n\u{7f}", "b": [1, null]});
        let text = ascii(&state);
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), state);
    }

    #[test]
    fn a_wrong_input_is_told_with_its_place() {
        for (input, said) in [
            (json!({}), "missing field `url`"),
            (json!({"url": "nowhere"}), "`url` is no address"),
            (json!({"url": "file:///etc/passwd"}), "not file:"),
            (json!({"url": "http://a", "methud": "GET"}), "unknown field `methud`"),
            (json!({"url": "http://a", "method": "G E T"}), "no HTTP method"),
            (json!({"url": "http://a", "headers": {"x": 1}}), "`headers.x`"),
            (json!({"url": "http://a", "headers": {"x": "a\r\nb: c"}}), "header `x`"),
            (json!({"url": "http://a", "body": null, "text": ""}), "not both"),
        ] {
            let error = Request::read(&input).unwrap_err();
            assert_eq!((error.code.as_str(), error.retryable), ("INVALID_INPUT", false));
            assert!(error.message.contains(said), "{input}: {error}");
        }
    }
}
