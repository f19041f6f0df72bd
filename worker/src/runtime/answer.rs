//! The bodies of a worker's answers, bounded whatever a handler gives.

use std::time::Duration;

use bytes::Bytes;
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::instance::TaskMetrics;
use oarlock_protocol::message::{Outcome, ProgressMessage, ResultMessage};
use oarlock_protocol::{ErrorDetails, FORMAT, Json, WorkerId};

use crate::TaskContext;
use crate::handler::Usage;

/// The largest details of a sign of life: signs are many, and nobody reads a megabyte every second.
const LARGEST_SIGN_BYTES: usize = 16 * 1024;
/// The largest details of an error: enough for the tail of a log, and always storable.
const LARGEST_ERROR_BYTES: usize = 64 * 1024;

/// The body of an attempt's result. An output above the limit becomes the failure PAYLOAD_TOO_LARGE, one that
/// nests too deeply to be read again INVALID_OUTPUT.
pub(super) fn result(worker: &WorkerId, context: &TaskContext, outcome: Outcome, usage: Usage) -> Bytes {
    let outcome = bounded_error(readable(outcome));
    let lasted = context.started().elapsed();
    let mut message = ResultMessage {
        format: FORMAT,
        address: context.address(),
        worker_id: worker.clone(),
        outcome,
        metrics: metrics(lasted, usage),
        deliveries: context.deliveries(),
    };
    let body = encode(&message);
    // The envelope is small: only a body beyond the limit is worth measuring its output.
    if body.len() <= context.max_payload_bytes() {
        return body;
    }
    match too_large(&message.outcome, context.max_payload_bytes()) {
        Some(error) => {
            message.outcome = Outcome::Failed { error };
            encode(&message)
        }
        None => body,
    }
}

/// The body of sign of life `n`.
pub(super) fn progress(worker: &WorkerId, control_queue: &str, context: &TaskContext, n: u64) -> Bytes {
    let details = context.take_details().unwrap_or_default();
    let details = bounded_details(details, LARGEST_SIGN_BYTES);
    let lasted = context.started().elapsed();
    encode(&ProgressMessage {
        format: FORMAT,
        address: context.address(),
        worker_id: worker.clone(),
        n,
        running_ms: milliseconds(lasted),
        deliveries: context.deliveries(),
        // In every sign: the next owner of the partition has not seen the first.
        control_queue: Some(control_queue.to_owned()),
        details,
    })
}

fn metrics(lasted: Duration, usage: Usage) -> TaskMetrics {
    TaskMetrics {
        execution_time_ms: milliseconds(lasted),
        cpu_time_ms: usage.cpu_time_ms,
        memory_bytes: usage.memory_bytes,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The failure of an output that is larger than `limit` bytes.
fn too_large(outcome: &Outcome, limit: usize) -> Option<ErrorDetails> {
    let Outcome::Completed { output } = outcome else { return None };
    let size = encode(output).len();
    (size > limit).then(|| {
        let message = format!(
            "the output has {size} bytes, at most {limit} are allowed; keep large data elsewhere and answer its address"
        );
        ErrorDetails::system(Code::PayloadTooLarge, message)
    })
}

/// The failure of an output that nests too deeply; any other outcome as it is. Asked before the output is encoded.
fn readable(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Completed { output } if !nests_within(&output, DEEPEST) => {
            let message =
                format!("the output nests deeper than {DEEPEST} levels, more than can be read again");
            let error = ErrorDetails::system(Code::InvalidOutput, message);
            Outcome::Failed { error: ErrorDetails { retryable: false, ..error } }
        }
        other => other,
    }
}

fn bounded_error(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { mut error } if !error.details.is_null() => {
            error.details = bounded_details(error.details, LARGEST_ERROR_BYTES);
            Outcome::Failed { error }
        }
        other => other,
    }
}

/// Details as they are, or the reason why they were left out.
fn bounded_details(details: Json, limit: usize) -> Json {
    if !nests_within(&details, DEEPEST) {
        return Json::from(format!("details nested deeper than {DEEPEST} levels were left out"));
    }
    let size = encode(&details).len();
    if size > limit {
        return Json::from(format!("{size} bytes of details were left out; at most {limit} are kept"));
    }
    details
}

fn encode<T: serde::Serialize>(value: &T) -> Bytes {
    // These types always have a JSON form, their keys being texts; an empty body would be parked with its reason.
    serde_json::to_vec(value).unwrap_or_default().into()
}
