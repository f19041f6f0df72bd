//! What a failed request is answered. Every HTTP status of a failure is chosen here.

use axum::Json as JsonBody;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use oarlock_definition::Diagnostic;
use oarlock_protocol::{ErrorDetails, Json};
use serde::Serialize;

use crate::node::{self, ParkedError};
use crate::partition::answer;

/// The body of every failure.
#[derive(Debug, Serialize)]
pub struct ErrorBody {
    /// A stable code, such as `NOT_FOUND`.
    pub code: String,
    /// A sentence for people, with the remedy.
    pub message: String,
    /// For a definition that is refused: every problem, with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// For a request that is refused: whatever else is known, such as `violations` of a schema or `changes` of a definition.
    #[serde(skip_serializing_if = "Json::is_null")]
    pub details: Json,
}

/// A failed request.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request makes no sense; the text says what to change.
    Invalid(String),
    /// The definition is refused.
    Definition(Vec<Diagnostic>),
    /// There is no such thing.
    NotFound(String),
    /// The path does not take the method.
    Method(String),
    /// The request is understood and refused for good.
    Refused(ErrorDetails),
    /// The body is too large.
    TooLarge(String),
    /// Neither here nor now; the same request may go through later.
    Unavailable(String),
    /// Something here is broken.
    Internal(String),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (mut diagnostics, mut details) = (Vec::new(), Json::Null);
        let (status, code, message) = match self {
            Failure::Invalid(message) => (StatusCode::BAD_REQUEST, "INVALID_REQUEST".to_owned(), message),
            Failure::Definition(found) => {
                diagnostics = found;
                let message = "the definition has errors; `diagnostics` lists each with its place".to_owned();
                (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_DEFINITION".to_owned(), message)
            }
            Failure::NotFound(message) => (StatusCode::NOT_FOUND, "NOT_FOUND".to_owned(), message),
            Failure::Method(message) => {
                (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED".to_owned(), message)
            }
            Failure::Refused(error) => {
                details = error.details;
                (refused_status(&error.code), error.code, error.message)
            }
            Failure::TooLarge(message) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE".to_owned(), message)
            }
            Failure::Unavailable(message) => {
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE".to_owned(), message)
            }
            Failure::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL".to_owned(), message),
        };
        (status, JsonBody(ErrorBody { code, message, diagnostics, details })).into_response()
    }
}

fn refused_status(code: &str) -> StatusCode {
    match code {
        "PERMISSION_DENIED" => StatusCode::FORBIDDEN,
        "PAYLOAD_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        answer::INVALID_REQUEST => StatusCode::BAD_REQUEST,
        answer::NOT_FOUND => StatusCode::NOT_FOUND,
        answer::CONFLICT => StatusCode::CONFLICT,
        answer::MAILBOX_FULL => StatusCode::TOO_MANY_REQUESTS,
        answer::UNUSABLE => StatusCode::INTERNAL_SERVER_ERROR,
        answer::UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<node::Error> for Failure {
    fn from(error: node::Error) -> Self {
        match error {
            node::Error::Refused(error) => Failure::Refused(error),
            node::Error::Broker(_) | node::Error::Store(_) | node::Error::NoAnswer { .. } => {
                Failure::Unavailable(error.to_string())
            }
            node::Error::Payloads(error) => error.into(),
            node::Error::Unreadable(_) => {
                tracing::error!(%error, "a stored run cannot be read");
                Failure::Internal(error.to_string())
            }
        }
    }
}

impl From<oarlock_payloads::Error> for Failure {
    fn from(error: oarlock_payloads::Error) -> Self {
        match error {
            oarlock_payloads::Error::Unavailable(_) => Failure::Unavailable(error.to_string()),
            oarlock_payloads::Error::Lost { .. } => Failure::Refused(error.details()),
            oarlock_payloads::Error::TooLarge { .. } => Failure::TooLarge(error.to_string()),
        }
    }
}

impl From<ParkedError> for Failure {
    fn from(error: ParkedError) -> Self {
        match error {
            ParkedError::NotFound(_) => Failure::NotFound(error.to_string()),
            ParkedError::Refused(_) => Failure::Invalid(error.to_string()),
            ParkedError::Broker(_) => Failure::Unavailable(error.to_string()),
        }
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        of_status(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        of_status(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Failure::Invalid(rejection.body_text())
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Failure::Invalid(rejection.body_text())
    }
}

fn of_status(status: StatusCode, text: String) -> Failure {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge(
            "the request is too large; keep large data elsewhere and pass its address".to_owned(),
        ),
        _ => Failure::Invalid(text),
    }
}

/// Answers a request for a path that does not exist.
pub(super) async fn no_route(uri: Uri) -> Failure {
    Failure::NotFound(format!("there is no {} here", uri.path()))
}

/// Answers a request with a method that its path does not take.
pub(super) async fn no_method(method: Method, uri: Uri) -> Failure {
    Failure::Method(format!("{} does not take {method}", uri.path()))
}
