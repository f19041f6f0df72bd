//! Large requests and answers: a few at once, so that payloads cannot fill the memory.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as JsonBody;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_LENGTH;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::Failure;

/// How many large requests or answers are in memory at once: read, each takes several times its size.
const AT_ONCE: usize = 4;
/// How long one waits for its turn, and how long its body may take to come: who sends slowly must not keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The turns of large requests and answers.
#[derive(Clone)]
pub(super) struct Large {
    turns: Arc<Semaphore>,
    /// Up to this a body is not large; the largest number where none is.
    ordinary_bytes: usize,
}

impl Large {
    /// Turns for bodies above this size.
    pub(super) fn above(ordinary_bytes: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), ordinary_bytes }
    }

    /// Waits for a turn, which ends when it is dropped.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        match tokio::time::timeout(PATIENCE, self.turns.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Failure::Unavailable("too many large requests at once; send it again".to_owned()))
            }
        }
    }

    /// Reads a JSON body, in its turn where it is large or does not tell its size; the turn lasts as long as what comes back.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<(T, Option<SemaphorePermit<'_>>), Failure> {
        let told = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = told.and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
        let turn = if length <= self.ordinary_bytes { None } else { Some(self.turn().await?) };
        let body = tokio::time::timeout(PATIENCE, JsonBody::from_request(request, &())).await;
        let late = |_| Failure::Invalid(format!("the body did not come within {} s", PATIENCE.as_secs()));
        let JsonBody(body) = body.map_err(late)??;
        Ok((body, turn))
    }
}
