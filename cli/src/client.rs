//! Speaks HTTP with a server. What it answers becomes a value or a failure with the exit code that fits.

use std::time::Duration;

use oarlock_protocol::Json;
use oarlock_protocol::security::SecurityContext;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::commands::note;
use crate::configuration::Configuration;
use crate::exit::Failure;

/// How long an answer may take, beside the time a request itself asks to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// The header of an answer that was given before.
const REPLAYED: &str = "oarlock-replayed";

/// A server, and on whose behalf it is spoken to.
pub(crate) struct Client {
    server: String,
    principal: SecurityContext,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    message: String,
    #[serde(default)]
    diagnostics: Vec<Json>,
}

impl Client {
    /// A client of the configured server.
    pub(crate) fn new(configuration: &Configuration) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|e| Failure::usage(format!("the HTTP client cannot start: {e}")))?;
        let server = configuration.client.server.trim_end_matches('/').to_owned();
        Ok(Self { server, principal: configuration.principal(), http })
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let request = self.request(Method::GET, path).query(query);
        self.answer(request, ANSWER).await
    }

    /// As `get`, where the server may take that much longer.
    pub(crate) async fn get_waiting<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, Failure> {
        let query = [("waitMs", wait.as_millis().to_string())];
        self.answer(self.request(Method::GET, path).query(&query), ANSWER + wait).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Json) -> Result<T, Failure> {
        self.answer(self.request(Method::POST, path).json(body), ANSWER).await
    }

    /// As `post`; and whether the answer is that of an earlier request, which was the same.
    pub(crate) async fn post_again<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Json,
    ) -> Result<(T, bool), Failure> {
        let response = self.send(self.request(Method::POST, path).json(body), ANSWER).await?;
        let replayed = response.headers().contains_key(REPLAYED);
        Ok((self.read(response).await?, replayed))
    }

    pub(crate) async fn post_text<T: DeserializeOwned>(
        &self,
        path: &str,
        text: String,
    ) -> Result<T, Failure> {
        self.answer(self.request(Method::POST, path).body(text), ANSWER).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let principal = &self.principal;
        self.http
            .request(method, format!("{}{path}", self.server))
            .header("oarlock-user", &principal.user_id)
            .header("oarlock-tenant", &principal.tenant_id)
            .header("oarlock-roles", principal.roles.join(","))
            .header("oarlock-permissions", principal.permissions.join(","))
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        time: Duration,
    ) -> Result<T, Failure> {
        self.read(self.send(request, time).await?).await
    }

    async fn send(&self, request: RequestBuilder, time: Duration) -> Result<Response, Failure> {
        request.timeout(time).send().await.map_err(|error| {
            if error.is_builder() {
                return Failure::usage(format!(
                    "the request to {} makes no sense: {}",
                    self.server,
                    cause(&error)
                ));
            }
            let remedy = "is a server running there? `oarlock dev` starts one, --server names another";
            Failure::unreachable(format!("{} cannot be reached: {}; {remedy}", self.server, cause(&error)))
        })
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let status = response.status();
        let body = response.bytes().await;
        let body =
            body.map_err(|e| Failure::unreachable(format!("{} broke off: {}", self.server, cause(&e))))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| {
                Failure::unreachable(format!("{} answers what is no Oarlock: {e}", self.server))
            });
        }
        Err(self.refused(status, &body))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let Ok(error) = serde_json::from_slice::<ErrorBody>(body) else {
            return Failure::unreachable(format!("{} answers {status}; is it an Oarlock?", self.server));
        };
        for diagnostic in &error.diagnostics {
            note(&diagnostic_text(diagnostic));
        }
        let failure =
            if status.is_server_error() { Failure::unreachable } else { Failure::usage }(error.message);
        failure.answered(error.code)
    }
}

fn diagnostic_text(diagnostic: &Json) -> String {
    let text = |name: &str| diagnostic.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let place = |name: &str| diagnostic.get(name).and_then(Json::as_u64).unwrap_or_default();
    format!("{}:{}: {}\n{}", place("line"), place("column"), text("message"), text("excerpt"))
}

/// The innermost cause of an error, such as a refused connection: those around it say no more than that.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
