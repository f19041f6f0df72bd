//! The task `http.request`: one HTTP request, its answer as output.
//!
//! Which hosts may be called is the worker's configuration (`hosts`), never a definition's; a redirect is held to the
//! same patterns. No proxy is taken from the environment. Every request carries the task's `Idempotency-Key`, and where the run is
//! traced a `traceparent`.
//!
//! | input | meaning |
//! |---|---|
//! | `url` | where to; `http` or `https` |
//! | `method` | GET by default |
//! | `headers` | names and values |
//! | `body` or `text` | JSON, or text as it is |
//! | `timeoutMs` | at most the attempt's own time |
//! | `expect` | the statuses that are no failure; 200 to 299 by default |
//! | `maxBytes` | the largest answer; at most what a payload may have |
//!
//! Output: `{status, headers, body}`, the body as JSON where its content type says so, else as text.
//!
//! A server that knows Oarlock may answer 202 with the header `Oarlock-Outcome`: `DEFERRED` with the body
//! `{"after": "10s", "state": …}` lets the same request be made again later, with the state in the header `Oarlock-State`, as
//! JSON in ASCII; `ACCEPTED` leaves the task open until somebody completes it. Without that header 202 is a status like any other.

mod answer;
mod request;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oarlock_protocol::Json;
use oarlock_protocol::code::Code;
use reqwest::header::HeaderName;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Url};

use crate::handler::{Answer, Finished, Handler};
use crate::hosts::HostPattern;
use crate::{TaskContext, TaskError};
use request::Request;

/// The name of the task, and of its queue unless routing says otherwise.
pub const TASK: &str = "http.request";
/// Says that a 202 is no output: `DEFERRED` or `ACCEPTED`.
const OUTCOME: HeaderName = HeaderName::from_static("oarlock-outcome");
/// Brings the state of the last look.
const STATE: HeaderName = HeaderName::from_static("oarlock-state");

/// The code of a request to a host that the worker's configuration does not allow.
pub const HOST_NOT_ALLOWED: &str = "HTTP_HOST_NOT_ALLOWED";
/// The code of a host that cannot be reached.
pub const CONNECT: &str = "HTTP_CONNECT";
/// The code of an answer that took longer than `timeoutMs`.
pub const TIMEOUT: &str = "HTTP_TIMEOUT";
/// The code of a request that broke in another way.
pub const BROKEN: &str = "HTTP_BROKEN";

/// More redirects than any sound service makes.
const MOST_REDIRECTS: usize = 5;
/// A host that has not answered a connection by then is down for this attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Executes `http.request` for the hosts it is allowed.
pub struct Http {
    client: Client,
    hosts: Arc<[HostPattern]>,
}

/// The client cannot be made: no certificates can be read, for one.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP requests can be made on this machine: {0}")]
pub struct Unusable(#[from] reqwest::Error);

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
enum Redirect {
    #[error("{0}")]
    NotAllowed(String),
    #[error("there were more than {MOST_REDIRECTS} redirects")]
    TooMany,
}

impl Http {
    /// A handler that calls `hosts` and no others.
    pub fn new(hosts: Vec<HostPattern>) -> Result<Self, Unusable> {
        let hosts: Arc<[HostPattern]> = hosts.into();
        let allowed = Arc::clone(&hosts);
        let client = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("oarlock/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::custom(move |attempt| follow(&allowed, attempt)))
            .build()?;
        Ok(Self { client, hosts })
    }

    async fn request(&self, input: &Json, context: &TaskContext) -> Result<Answer, TaskError> {
        let request = Request::read(input)?;
        allowed(&self.hosts, &request.url)
            .map_err(|why| TaskError::new(HOST_NOT_ALLOWED, why).not_retryable())?;
        let limit = request
            .max_bytes
            .map_or(context.max_payload_bytes(), |most| most.min(context.max_payload_bytes()));
        let expect = request.expect.clone();
        let sent = request.build(&self.client, context).send().await;
        let response = sent.map_err(failure)?;
        answer::read(response, expect.as_deref(), limit, context.mask()).await
    }
}

#[async_trait]
impl Handler for Http {
    async fn run(&self, input: Json, context: TaskContext) -> Finished {
        let result = tokio::select! {
            result = self.request(&input, &context) => result,
            () = context.cancelled() => Err(TaskError::system(Code::Cancelled, "the request was cancelled")),
        };
        result.into()
    }
}

/// Whether `url` may be called, or why not.
fn allowed(hosts: &[HostPattern], url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    if hosts.iter().any(|pattern| pattern.allows(host, url.port())) {
        return Ok(());
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Err(format!(
        "this worker may not call '{host}{port}': add it to allow_hosts in [http] of its worker.toml"
    ))
}

fn follow(hosts: &[HostPattern], attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error(Redirect::TooMany);
    }
    match allowed(hosts, attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(why) => attempt.error(Redirect::NotAllowed(format!("it was redirected, but {why}"))),
    }
}

/// What a request that got no answer is told as.
fn failure(error: reqwest::Error) -> TaskError {
    let redirect = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Redirect>());
    if let Some(redirect) = redirect {
        let code = match redirect {
            Redirect::NotAllowed(_) => HOST_NOT_ALLOWED,
            Redirect::TooMany => BROKEN,
        };
        return TaskError::new(code, redirect.to_string()).not_retryable();
    }
    let code = match () {
        () if error.is_connect() => CONNECT,
        () if error.is_timeout() => TIMEOUT,
        () => BROKEN,
    };
    TaskError { code: code.to_owned(), ..TaskError::from(error) }
}
