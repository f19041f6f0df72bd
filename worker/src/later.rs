//! The answers DEFERRED and ACCEPTED as bindings read them, and as they leave the worker.

use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::duration::LONGEST;
use oarlock_protocol::message::Outcome;
use oarlock_protocol::{ErrorDetails, Json, Span};
use serde::Deserialize;

use crate::handler::Answer;

/// The largest state of a look, as JSON: it is stored with the run and travels with each next look.
pub(crate) const LARGEST_STATE_BYTES: usize = 16 * 1024;

/// `{"after": "10s", "state": …}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deferred {
    after: Span,
    #[serde(default)]
    state: Json,
}

/// `{"accepted": true}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    accepted: bool,
}

/// The answer that `{"after": "10s", "state": …}` is, or what is wrong with it, naming the field.
pub(crate) fn deferred(value: &Json) -> Result<Answer, String> {
    let Deferred { after, state } = read(value)?;
    Ok(Answer::Deferred { after: after.into(), state })
}

/// The answer that `{"accepted": true}` is, or what is wrong with it, naming the field.
pub(crate) fn accepted(value: &Json) -> Result<Answer, String> {
    let Accepted { accepted } = read(value)?;
    if accepted { Ok(Answer::Accepted) } else { Err("`accepted` is true or nothing".to_owned()) }
}

fn read<'v, T: Deserialize<'v>>(value: &'v Json) -> Result<T, String> {
    if !value.is_object() {
        return Err("it is no object".to_owned());
    }
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("`{path}`: {}", error.inner()),
    })
}

/// An answer as it goes to the orchestrator; INVALID_OUTPUT where it is beyond a limit, naming the field.
pub(crate) fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Completed(output) => Outcome::Completed { output },
        Answer::Accepted => Outcome::Accepted,
        Answer::Deferred { after, state } => {
            // Rounded up: a look is never too early.
            let after_ms = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            match fault(after_ms, &state) {
                None => Outcome::Deferred { after_ms, state },
                Some(message) => Outcome::Failed {
                    error: ErrorDetails {
                        retryable: false,
                        ..ErrorDetails::system(Code::InvalidOutput, message)
                    },
                },
            }
        }
    }
}

fn fault(after_ms: u64, state: &Json) -> Option<String> {
    if after_ms > LONGEST.as_millis() {
        return Some(format!("`after` is {after_ms} ms, at most ten years are allowed"));
    }
    if !nests_within(state, DEEPEST) {
        return Some(format!("`state` nests deeper than {DEEPEST} levels, more than can be read again"));
    }
    let size = state.to_string().len();
    (size > LARGEST_STATE_BYTES).then(|| {
        format!(
            "`state` has {size} bytes, at most {LARGEST_STATE_BYTES} are allowed; keep the rest elsewhere"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let read = deferred(&json!({"after": "1m 30s", "state": [1]}));
        assert_eq!(read, Ok(Answer::again(Duration::from_secs(90), json!([1]))));
        assert_eq!(
            deferred(&json!({"after": "5ms"})),
            Ok(Answer::again(Duration::from_millis(5), Json::Null))
        );
        assert_eq!(accepted(&json!({"accepted": true})), Ok(Answer::Accepted));
    }

    #[test]
    fn a_wrong_form_names_its_field() {
        for (value, said) in [
            (json!({"after": 10}), "`after`"),
            (json!({"after": "10"}), "`after`"),
            (json!({"after": "20y"}), "ten years"),
            (json!({"state": 1}), "`after`"),
            (json!({"after": "1s", "sate": 1}), "`sate`"),
            (json!("1s"), "no object"),
        ] {
            let error = deferred(&value).unwrap_err();
            assert!(error.contains(said), "{value}: {error}");
        }
        for (value, said) in [(json!({"accepted": false}), "`accepted`"), (json!({}), "`accepted`")] {
            let error = accepted(&value).unwrap_err();
            assert!(error.contains(said), "{value}: {error}");
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_a_failure() {
        let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
        for (answer, said) in [
            (Answer::again(Duration::MAX, Json::Null), "`after`"),
            (Answer::again(Duration::from_secs(11 * 366 * 86400), Json::Null), "`after`"),
            (Answer::again(Duration::ZERO, "x".repeat(16 * 1024 - 1)), "`state` has 16385 bytes"),
            (Answer::again(Duration::ZERO, deep), "`state` nests"),
        ] {
            match outcome(answer) {
                Outcome::Failed { error } => {
                    assert_eq!((error.code.as_str(), error.retryable), ("INVALID_OUTPUT", false));
                    assert!(error.message.starts_with(said), "{error:?}");
                }
                other => panic!("taken: {other:?}"),
            }
        }
        let full = "x".repeat(16 * 1024 - 2);
        let most = Answer::again(LONGEST.into(), full.clone());
        assert_eq!(outcome(most), Outcome::Deferred { after_ms: LONGEST.as_millis(), state: full.into() });
        let rounded = outcome(Answer::again(Duration::from_micros(1), Json::Null));
        assert_eq!(rounded, Outcome::Deferred { after_ms: 1, state: Json::Null });
    }
}
