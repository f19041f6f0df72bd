//! Payloads kept elsewhere, on both sides of a handler: references in its input are read, and a large output is kept.

use std::time::Duration;

use oarlock_payloads::Error;
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::payload::holds_reference;
use oarlock_protocol::{ErrorDetails, Json, RunKey};
use tokio::time::Instant;

use super::verdict::Ran;
use super::{Shared, backoff};
use crate::handler::{Answer, Finished};
use crate::{TaskContext, TaskError};

/// How long a store that does not answer is asked again: longer than it takes to start one anew, and the work of a long task is
/// not thrown away for a moment's outage. Then the attempt fails, and its retry policy decides.
const PATIENCE: Duration = Duration::from_secs(120);

/// The input with every reference in it read.
pub(super) async fn read_input(
    shared: &Shared,
    input: Json,
    context: &TaskContext,
) -> Result<Json, TaskError> {
    if !holds_reference(&input) {
        return Ok(input);
    }
    let Some(payloads) = &shared.payloads else {
        let message = "the input refers to a payload kept elsewhere, and this worker knows no payload store: give it the \
                       section [payloads] of the orchestrators";
        return Err(TaskError::system(Code::PayloadUnavailable, message));
    };
    let ask = || {
        let (payloads, tenant) = (payloads.clone(), context.security_context().tenant_id.clone());
        let input = input.clone();
        async move { payloads.inline(&tenant, input).await }
    };
    patiently(context, ask).await
}

/// How the handler ended, with its output kept elsewhere where it is large.
pub(super) async fn keep_output(shared: &Shared, ran: Ran, context: &TaskContext) -> Ran {
    let Some(payloads) = &shared.payloads else { return ran };
    match ran {
        // One too deep to be read again is refused when it is answered.
        Ran::Ended(Finished { result: Ok(Answer::Completed(output)), usage })
            if nests_within(&output, DEEPEST) =>
        {
            let run =
                RunKey::new(context.security_context().tenant_id.as_str(), context.workflow_instance_id());
            if !payloads.is_large(&output) {
                return Ran::Ended(Finished { result: Ok(Answer::Completed(output)), usage });
            }
            let (run, output) = (&run, &output);
            let ask = || async move { payloads.offload(run, output).await };
            let kept = patiently(context, ask).await;
            Ran::Ended(Finished { result: kept.map(Answer::Completed), usage })
        }
        other => other,
    }
}

/// Asks a store that does not answer again and again, until it does, the attempt is to end, or it took too long.
async fn patiently<T, Asked: Future<Output = Result<T, Error>>>(
    context: &TaskContext,
    mut ask: impl FnMut() -> Asked,
) -> Result<T, TaskError> {
    let began = Instant::now();
    let mut failures = 0_u32;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let again = matches!(error, Error::Unavailable(_)) && began.elapsed() < PATIENCE;
        if !again || context.is_cancelled() {
            return Err(failure(&error));
        }
        failures = failures.saturating_add(1);
        if failures == 1 {
            tracing::warn!(%error, "asking again; the attempt waits");
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(backoff::delay(failures)) => {}
            () = context.cancelled() => {}
        }
    }
}

fn failure(error: &Error) -> TaskError {
    let ErrorDetails { code, message, details, retryable } = error.details();
    TaskError { code, message, details, retryable }
}
