//! Speaks HTTP with a server. What it answers becomes a value or a failure with the exit code that fits.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
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
/// How long an answer about health may take: shorter than any health check waits.
const HEALTH: Duration = Duration::from_secs(3);
/// The header of an answer that was given before.
const REPLAYED: &str = "oarlock-replayed";

/// The server, or several of one fleet, and on whose behalf it is spoken to.
pub(crate) struct Client {
    servers: Vec<String>,
    /// Which of them answered last.
    current: AtomicUsize,
    principal: SecurityContext,
    http: reqwest::Client,
}

/// What a server is asked.
struct Question<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'a str, String)>,
    body: Body<'a>,
    /// How long the answer may take.
    time: Duration,
}

enum Body<'a> {
    None,
    Json(&'a Json),
    Text(&'a str),
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    message: String,
    #[serde(default)]
    diagnostics: Vec<Json>,
}

impl<'a> Question<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: Body::None, time: ANSWER }
    }

    fn post(path: &'a str, body: Body<'a>) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), body, time: ANSWER }
    }
}

impl Client {
    /// A client of the configured server.
    pub(crate) fn new(configuration: &Configuration) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|e| Failure::usage(format!("the HTTP client cannot start: {e}")))?;
        let servers =
            configuration.client.server.split(',').map(|server| server.trim().trim_end_matches('/'));
        let servers = servers.filter(|server| !server.is_empty()).map(str::to_owned).collect();
        Ok(Self { servers, current: AtomicUsize::new(0), principal: configuration.principal(), http })
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.answer(Question { query: query.to_vec(), ..Question::get(path) }).await
    }

    /// As `get`, where the server may take that much longer.
    pub(crate) async fn get_waiting<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, Failure> {
        let query = vec![("waitMs", wait.as_millis().to_string())];
        self.answer(Question { query, time: ANSWER + wait, ..Question::get(path) }).await
    }

    /// What the server says of itself, whether it is ready or not.
    pub(crate) async fn readiness(&self) -> Result<Json, Failure> {
        let response = self.send(&Question { time: HEALTH, ..Question::get("/readyz") }).await?;
        let server = self.server();
        let body = response.bytes().await;
        let body: Option<Json> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        body.filter(|body| body.get("status").is_some_and(Json::is_string))
            .ok_or_else(|| Failure::unreachable(format!("{server} answers what is no Oarlock")))
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Json) -> Result<T, Failure> {
        self.answer(Question::post(path, Body::Json(body))).await
    }

    /// As `post`; and whether the answer is that of an earlier request, which was the same.
    pub(crate) async fn post_again<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Json,
    ) -> Result<(T, bool), Failure> {
        let response = self.send(&Question::post(path, Body::Json(body))).await?;
        let replayed = response.headers().contains_key(REPLAYED);
        Ok((self.read(response).await?, replayed))
    }

    pub(crate) async fn post_text<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T, Failure> {
        self.answer(Question::post(path, Body::Text(text))).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(Question { method: Method::DELETE, ..Question::get(path) }).await
    }

    /// As `delete`; and whether nothing changed.
    pub(crate) async fn delete_again<T: DeserializeOwned>(&self, path: &str) -> Result<(T, bool), Failure> {
        let response = self.send(&Question { method: Method::DELETE, ..Question::get(path) }).await?;
        let replayed = response.headers().contains_key(REPLAYED);
        Ok((self.read(response).await?, replayed))
    }

    /// Asks another server the next time, where there are several.
    pub(crate) fn turn(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    fn server(&self) -> &str {
        let number = self.current.load(Ordering::Relaxed) % self.servers.len().max(1);
        self.servers.get(number).map_or("", String::as_str)
    }

    fn request(&self, question: &Question<'_>) -> RequestBuilder {
        let principal = &self.principal;
        let request = self
            .http
            .request(question.method.clone(), format!("{}{}", self.server(), question.path))
            .timeout(question.time)
            .query(&question.query)
            .header("oarlock-user", &principal.user_id)
            .header("oarlock-tenant", &principal.tenant_id)
            .header("oarlock-roles", principal.roles.join(","))
            .header("oarlock-permissions", principal.permissions.join(","));
        match question.body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::Text(text) => request.body(text.to_owned()),
        }
    }

    async fn answer<T: DeserializeOwned>(&self, question: Question<'_>) -> Result<T, Failure> {
        self.read(self.send(&question).await?).await
    }

    /// Asks the servers in turn until one is reached. What may have reached one is asked no other, unless it changes nothing.
    async fn send(&self, question: &Question<'_>) -> Result<Response, Failure> {
        let mut others = self.servers.len().saturating_sub(1);
        loop {
            let error = match self.request(question).send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let harmless = error.is_connect() || question.method == Method::GET && !error.is_builder();
            if others == 0 || !harmless {
                return Err(self.unreachable(&error));
            }
            others -= 1;
            self.turn();
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let (server, cause) = (self.servers.join(", "), cause(error));
        if error.is_builder() {
            return Failure::usage(format!("the request to {server} makes no sense: {cause}"));
        }
        let remedy = "is a server running there? `oarlock dev` starts one, --server names another";
        Failure::unreachable(format!("{server} cannot be reached: {cause}; {remedy}"))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let status = response.status();
        let body = response.bytes().await;
        let body =
            body.map_err(|e| Failure::unreachable(format!("{} broke off: {}", self.server(), cause(&e))))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| {
                Failure::unreachable(format!("{} answers what is no Oarlock: {e}", self.server()))
            });
        }
        Err(self.refused(status, &body))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let Ok(error) = serde_json::from_slice::<ErrorBody>(body) else {
            return Failure::unreachable(format!("{} answers {status}; is it an Oarlock?", self.server()));
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

/// A text as one part of a path: whatever is not plain is written %XX.
pub(crate) fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            segment.push(char::from(byte));
        } else {
            write!(segment, "%{byte:02X}").ok();
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_no_part_too_many() {
        assert_eq!(path_segment("a-1/../x y?"), "a-1%2F%2E%2E%2Fx%20y%3F");
    }
}
