//! What an attempt's end means: pure, from how the handler ended and why it was told to, if it was.

use oarlock_protocol::code::Code;
use oarlock_protocol::message::Outcome;
use oarlock_protocol::{ErrorDetails, Json};

use crate::handler::{Answer, Finished, Usage};
use crate::{TaskContext, TaskError, later};

/// Why an attempt was told to end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ending {
    /// By the orchestrator, for this reason.
    Cancelled(String),
    /// Its own time is over, in milliseconds.
    TimeLimit(u64),
    /// The time of all attempts together is over.
    Deadline,
    /// The worker stops; with `acknowledged`, the broker no longer holds the delivery.
    Draining { acknowledged: bool },
    /// The orchestrator has closed the attempt: the answer changes nothing. But its store may have lost that commit since, and the
    /// attempt be open again, with nobody else to answer it.
    Closed,
}

impl Ending {
    /// The ending of an attempt whose limit is reached.
    pub(super) fn of_limit(context: &TaskContext) -> Self {
        let limit = context.limit();
        if limit.total {
            return Self::Deadline;
        }
        let lasted = limit.at.saturating_duration_since(context.started());
        Self::TimeLimit(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How the handler ended.
#[derive(Debug)]
pub(super) enum Ran {
    /// By itself.
    Ended(Finished),
    /// By a panic with this message.
    Panicked(String),
    /// By force: it had been told to end and did not.
    Dropped,
}

/// What becomes of the attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is answered.
    Answer(Outcome, Usage),
    /// It goes back to its queue.
    GiveBack,
}

/// What becomes of an attempt that was told to end because of `ending`, or not told, and ended as `ran`.
pub(super) fn verdict(ending: Option<Ending>, ran: Ran) -> Verdict {
    let (result, usage) = match ran {
        Ran::Ended(Finished { result, usage }) => (Some(result), usage),
        Ran::Panicked(message) => (Some(Err(TaskError::system(Code::Panic, message))), Usage::default()),
        Ran::Dropped => (None, Usage::default()),
    };
    match (ending, result) {
        (Some(Ending::TimeLimit(limit_ms)), result) => {
            let message = format!("the attempt ran longer than its limit of {limit_ms} ms and was ended");
            told_to_end(Code::TimeoutExecution, message, result, usage)
        }
        (Some(Ending::Deadline), result) => {
            let message = "the time of all attempts together is over; the attempt was ended";
            told_to_end(Code::TimeoutTotal, message.to_owned(), result, usage)
        }
        // Work that was done is told as done: what compensates it must know.
        (_, Some(Ok(answer @ Answer::Completed(_)))) => Verdict::Answer(later::outcome(answer), usage),
        (None | Some(Ending::Draining { .. }), Some(Ok(answer))) => {
            Verdict::Answer(later::outcome(answer), usage)
        }
        (Some(Ending::Cancelled(reason)), result) => told_to_end(Code::Cancelled, reason, result, usage),
        (Some(Ending::Closed), result) => {
            let message = "the orchestrator had closed the attempt before it was answered";
            told_to_end(Code::Cancelled, message.to_owned(), result, usage)
        }
        (Some(Ending::Draining { acknowledged: true }), result) => {
            let message = "the worker stopped before the task had ended";
            told_to_end(Code::WorkerLost, message.to_owned(), result, usage)
        }
        (Some(Ending::Draining { acknowledged: false }), _) | (None, None) => Verdict::GiveBack,
        (None, Some(Err(error))) => Verdict::Answer(Outcome::Failed { error: error.into() }, usage),
    }
}

/// The failure of an attempt that was ended from outside; what the handler said about it stays in the details.
fn told_to_end(
    code: Code,
    message: String,
    result: Option<Result<Answer, TaskError>>,
    usage: Usage,
) -> Verdict {
    let details = match result {
        Some(Err(error)) => error.details,
        Some(Ok(_)) | None => Json::Null,
    };
    let error = ErrorDetails { details, ..ErrorDetails::system(code, message) };
    Verdict::Answer(Outcome::Failed { error }, usage)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn told(ending: Option<Ending>, ran: Ran) -> String {
        match verdict(ending, ran) {
            Verdict::Answer(Outcome::Failed { error }, _) => format!("{} {}", error.code, error.details),
            Verdict::Answer(outcome, _) => {
                serde_json::to_value(outcome).unwrap()["status"].as_str().unwrap().into()
            }
            Verdict::GiveBack => "give back".into(),
        }
    }

    fn good() -> Ran {
        Ran::Ended(Ok(Answer::Completed(json!(1))).into())
    }

    fn bad() -> Ran {
        let error = TaskError::new("EXIT_143", "ended").with_details(json!("tail"));
        Ran::Ended(Finished { result: Err(error), usage: Usage::default() })
    }

    #[test]
    fn an_attempt_that_nobody_ended_tells_what_it_did() {
        assert_eq!(told(None, good()), "COMPLETED");
        assert_eq!(told(None, bad()), "EXIT_143 \"tail\"");
        assert_eq!(told(None, Ran::Panicked("oh".into())), "PANIC null");
        assert_eq!(told(None, Ran::Dropped), "give back");
    }

    #[test]
    fn time_limits_hold_whatever_the_handler_says() {
        for ran in [good(), Ran::Dropped] {
            assert_eq!(told(Some(Ending::TimeLimit(5)), ran), "TIMEOUT_EXECUTION null");
        }
        assert_eq!(told(Some(Ending::Deadline), bad()), "TIMEOUT_TOTAL \"tail\"");
    }

    #[test]
    fn a_cancelled_attempt_that_was_done_all_the_same_is_completed() {
        let cancelled = || Some(Ending::Cancelled("why".into()));
        assert_eq!(told(cancelled(), good()), "COMPLETED");
        assert_eq!(told(cancelled(), bad()), "CANCELLED \"tail\"");
        assert_eq!(told(cancelled(), Ran::Dropped), "CANCELLED null");
    }

    #[test]
    fn draining_gives_back_what_is_not_done_and_reports_what_cannot_go_back() {
        let draining = |acknowledged| Some(Ending::Draining { acknowledged });
        assert_eq!(told(draining(false), good()), "COMPLETED");
        assert_eq!(told(draining(false), bad()), "give back");
        assert_eq!(told(draining(true), bad()), "WORKER_LOST \"tail\"");
    }

    #[test]
    fn an_attempt_that_leaves_its_work_to_others_tells_so_unless_it_was_told_to_end() {
        let accepted = || Ran::Ended(Ok(Answer::Accepted).into());
        let deferred = || Ran::Ended(Ok(Answer::again(Duration::from_secs(1), json!(1))).into());
        for draining in [None, Some(Ending::Draining { acknowledged: true })] {
            assert_eq!(told(draining.clone(), accepted()), "ACCEPTED");
            assert_eq!(told(draining, deferred()), "DEFERRED");
        }
        for ran in [accepted(), deferred()] {
            assert_eq!(told(Some(Ending::Cancelled("why".into())), ran), "CANCELLED null");
        }
        assert_eq!(told(Some(Ending::TimeLimit(5)), deferred()), "TIMEOUT_EXECUTION null");
    }

    #[test]
    fn a_closed_attempt_is_answered_as_a_cancelled_one() {
        assert_eq!(told(Some(Ending::Closed), good()), "COMPLETED");
        assert_eq!(told(Some(Ending::Closed), bad()), "CANCELLED \"tail\"");
        assert_eq!(told(Some(Ending::Closed), Ran::Dropped), "CANCELLED null");
    }
}
