//! The answer of an HTTP request as a task's output or failure, read within bounds.

use std::borrow::Cow;
use std::sync::Arc;

use oarlock_protocol::code::Code;
use oarlock_protocol::{Json, JsonMap};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::json;

use super::failure;
use crate::handler::Answer;
use crate::secrets::Mask;
use crate::{TaskError, later};

/// As much of a refused request's answer as tells why.
const SHOWN_BYTES: usize = 4 * 1024;

/// Reads an answer of at most `limit` bytes; a status that is not expected is a failure. Where a part of the answer is shown in
/// an error, the secrets of `mask` are hidden before it is cut.
pub(super) async fn read(
    response: Response,
    expect: Option<&[u16]>,
    limit: usize,
    mask: Option<&Arc<Mask>>,
) -> Result<Answer, TaskError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let told = headers.get(super::OUTCOME).filter(|_| status == StatusCode::ACCEPTED);
    if let Some(told) = told {
        return not_done(told, response, limit).await;
    }
    let expected = expect.map_or(status.is_success(), |statuses| statuses.contains(&status.as_u16()));
    if !expected {
        // What cannot be read of a refusal adds nothing to it.
        let enough = SHOWN_BYTES + mask.map_or(0, |mask| mask.reach());
        let (body, _) = bytes(response, enough).await.unwrap_or_default();
        let body = mask.map_or(Cow::Borrowed(body.as_slice()), |mask| mask.bytes(&body));
        return Err(refused(status, body.get(..SHOWN_BYTES).unwrap_or(&body)));
    }
    let (body, whole) = bytes(response, limit).await?;
    if !whole {
        let message = format!(
            "the answer has more than the {limit} bytes that are allowed; ask for less, or for an address"
        );
        return Err(TaskError::system(Code::PayloadTooLarge, message));
    }
    let body = content(&headers, &body)?;
    Ok(Answer::Completed(json!({ "status": status.as_u16(), "headers": table(&headers), "body": body })))
}

/// The answer of a server that has not done the work, as it says in `Oarlock-Outcome`.
async fn not_done(told: &HeaderValue, response: Response, limit: usize) -> Result<Answer, TaskError> {
    match told.as_bytes() {
        b"ACCEPTED" => Ok(Answer::Accepted),
        b"DEFERRED" => {
            let (body, _) = bytes(response, limit).await?;
            let form = serde_json::from_slice(&body).map_err(|error| format!("the body is no JSON: {error}"));
            form.and_then(|form| later::deferred(&form)).map_err(|why| {
                invalid(format!("DEFERRED, which wants the body {{\"after\": \"10s\", \"state\": …}}; {why}"))
            })
        }
        _ => Err(invalid("wrong: its header `Oarlock-Outcome` is neither DEFERRED nor ACCEPTED".to_owned())),
    }
}

fn invalid(why: String) -> TaskError {
    TaskError::system(Code::InvalidOutput, format!("the server's answer is {why}"))
}

/// The first `limit` bytes of the body, and whether they are all.
async fn bytes(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), TaskError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        let room = limit - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() > room {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

fn refused(status: StatusCode, body: &[u8]) -> TaskError {
    let transient = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    TaskError {
        code: format!("HTTP_{}", status.as_u16()),
        message: format!("the server answered {status}"),
        details: json!({ "status": status.as_u16(), "body": String::from_utf8_lossy(body) }),
        retryable: transient,
    }
}

/// The headers by name; values of a name that comes several times are joined, as HTTP allows.
fn table(headers: &HeaderMap) -> JsonMap {
    let joined = |name| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        Json::from(values.join(", "))
    };
    headers.keys().map(|name| (name.as_str().to_owned(), joined(name))).collect()
}

fn content(headers: &HeaderMap, body: &[u8]) -> Result<Json, TaskError> {
    if body.is_empty() {
        return Ok(Json::Null);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind.ends_with("+json") {
        return serde_json::from_slice(body)
            .map_err(|error| invalid(format!("no JSON, as it says it is: {error}")));
    }
    let text = std::str::from_utf8(body);
    text.map(Json::from).map_err(|_| invalid(format!("neither JSON nor UTF-8 text, but '{kind}'")))
}
