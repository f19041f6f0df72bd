//! Answers to requests: given after the commit that holds what was asked for, here or by a message.

use oarlock_broker::{Message, Publication};
use oarlock_protocol::message::{Answer, AnswerMessage, Kind};
use oarlock_protocol::{ErrorDetails, FORMAT, Json, RunKey, chance};
use serde_json::json;
use tokio::sync::oneshot;

use crate::definitions;

/// The code of a refusal: there is no such definition or run.
pub(crate) const NOT_FOUND: &str = "NOT_FOUND";
/// The code of a refusal: it contradicts something that stands.
pub(crate) const CONFLICT: &str = "CONFLICT";
/// The code of a refusal: what is stored cannot be used by this release.
pub(crate) const UNUSABLE: &str = "UNUSABLE";
/// The code of a refusal: not now; the same request may succeed later.
pub(crate) const UNAVAILABLE: &str = "UNAVAILABLE";
/// The code of a refusal: as many signals as may be wait for the run already.
pub(crate) const MAILBOX_FULL: &str = "MAILBOX_FULL";
/// The code of a refusal: the request cannot be understood.
pub(crate) const INVALID_REQUEST: &str = "INVALID_REQUEST";

/// Where an answer goes to by a message: what the request named as `reply_to` and `correlation_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Return {
    /// The queue.
    pub(crate) queue: String,
    /// Names the request to whoever asked.
    pub(crate) correlation_id: Option<String>,
}

impl Return {
    /// Where the answer to a message is wanted; none where it names no queue.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let queue = message.reply_to.clone()?;
        Some(Self { queue, correlation_id: message.correlation_id.clone() })
    }

    /// The answer as a message, on its way.
    pub(crate) fn publication(&self, answer: Answer) -> Publication {
        let body = serde_json::to_vec(&AnswerMessage { format: FORMAT, answer }).unwrap_or_default();
        let message = Message {
            body: body.into(),
            message_id: chance::fresh().to_string(),
            correlation_id: self.correlation_id.clone(),
            kind: Kind::Answer.as_str().to_owned(),
            ..Message::default()
        };
        Publication { queue: self.queue.clone(), message }
    }
}

/// Who asked.
pub(super) enum Asker {
    /// This process.
    Here(oneshot::Sender<Answer>),
    /// Whoever hears on that queue.
    Elsewhere(Return),
    /// Nobody who waits for an answer.
    Nobody,
}

/// An answer, and who is to have it.
pub(super) struct Reply {
    pub(super) to: Asker,
    pub(super) answer: Answer,
}

impl Reply {
    /// Gives the answer; what is to be published for it comes back. Who no longer waits for it does not mind.
    pub(super) fn give(self) -> Option<Publication> {
        match self.to {
            Asker::Here(to) => {
                to.send(self.answer).ok();
                None
            }
            Asker::Elsewhere(to) => Some(to.publication(self.answer)),
            Asker::Nobody => None,
        }
    }
}

/// The answer REFUSED.
pub(crate) fn refused(code: &str, message: impl Into<String>) -> Answer {
    let error = ErrorDetails {
        code: code.to_owned(),
        message: message.into(),
        details: Json::Null,
        retryable: code == UNAVAILABLE,
    };
    Answer::Refused { error: error.bounded() }
}

/// The answer to a request whose definition cannot be had.
pub(super) fn no_definition(error: &definitions::Error) -> Answer {
    let code = match error {
        definitions::Error::NotFound { .. } => NOT_FOUND,
        definitions::Error::Conflict { .. } => CONFLICT,
        definitions::Error::Unusable(_) => UNUSABLE,
        definitions::Error::Store(_) => UNAVAILABLE,
    };
    let answer = refused(code, error.to_string());
    match (answer, error) {
        (Answer::Refused { error }, definitions::Error::Conflict { changes, .. }) => {
            let details = json!({"changes": changes.to_json(), "more": changes.more});
            Answer::Refused { error: ErrorDetails { details, ..error }.bounded() }
        }
        (answer, _) => answer,
    }
}

/// The answer to a start whose id or key names a run that another request started.
pub(super) fn other_request(run: &RunKey) -> Answer {
    let told = format!("run {run} was started by a different request under the same key; use a new key");
    refused(CONFLICT, told)
}

/// The answer about a run that is not there.
pub(super) fn no_run(run: &RunKey) -> Answer {
    refused(NOT_FOUND, format!("tenant '{}' has no run {}", run.tenant, run.run))
}
