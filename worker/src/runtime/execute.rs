//! One delivery: read it, run its handler, and see that it is answered.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use oarlock_broker::{Delivery, Message, parking};
use oarlock_protocol::code::Code;
use oarlock_protocol::message::{Kind, Outcome, TaskMessage};
use oarlock_protocol::{ErrorDetails, FORMAT, Json, Timestamp, TraceId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::Instrument;

use super::channel::{Channel, Receipt};
use super::executions::Begun;
use super::outbox::{Outgoing, Parked};
use super::verdict::{Ending, Ran, Verdict, verdict};
use super::{Shared, answer, payloads};
use crate::context::Envelope;
use crate::handler::{Answer, Finished, Handler, Usage};
use crate::secrets::{self, Mask, Resolved};
use crate::trace::{self, Trace};
use crate::{TaskContext, TaskError};

/// How long an attempt waits to be told that it may begin. Then it begins: an orchestrator that is away must not keep work
/// waiting that is not cancelled, and tasks are executed at least once anyway.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Takes a delivery in: runs it, answers it at once, or parks it.
pub(super) async fn accept(
    shared: &Arc<Shared>,
    channel: &Arc<Channel>,
    queue: &str,
    delivery: Delivery,
    slot: OwnedSemaphorePermit,
) {
    let receipt = channel.receipt(delivery.tag);
    let (message, envelope) = match read(&delivery, shared) {
        Ok(read) => read,
        Err(reason) => {
            tracing::warn!(message.id = delivery.message.message_id, reason, "parked a message");
            let parked =
                Parked { publication: parking::park(&delivery.message, queue, None, &reason), receipt };
            return send(shared, Outgoing::Parked(Box::new(parked))).await;
        }
    };
    let now = shared.clock.now();
    let start_before = message.start_before;
    let (context, input) = TaskContext::begin(message, envelope, now, Instant::now());
    let span = span(&context);
    let delivered = Delivered { context, input, start_before, now, receipt };
    begin(shared, delivered, slot).instrument(span).await;
}

/// A task that was read.
struct Delivered {
    context: TaskContext,
    input: Json,
    start_before: Option<Timestamp>,
    now: Timestamp,
    receipt: Receipt,
}

/// Runs it, or answers it at once.
async fn begin(shared: &Arc<Shared>, delivered: Delivered, slot: OwnedSemaphorePermit) {
    let Delivered { context, input, start_before, now, receipt } = delivered;
    let handler = shared.handlers.get(context.task());
    let end_grace = handler.map_or(Duration::ZERO, |handler| handler.end_grace());
    match shared.executions.begin(&context, receipt, end_grace) {
        Begun::Copy => return,
        Begun::Answered(body) => return send_result(shared, &context, body).await,
        Begun::Run => shared.deeds.began(now),
    }
    match unfit(&context, start_before, now, handler) {
        Err(outcome) => refuse(shared, &context, outcome).await,
        Ok(handler) => spawn(shared, context, Arc::clone(handler), input, slot),
    }
}

/// Answers an attempt whose handler has ended or was dropped.
pub(super) async fn conclude(shared: &Shared, context: &TaskContext, ending: Option<Ending>, ran: Ran) {
    match verdict(ending, ran) {
        Verdict::GiveBack => {
            tell(shared, context, None);
            shared.tallies.given_back();
            shared.executions.give_back(context.execution_id());
        }
        Verdict::Answer(outcome, usage) => {
            tell(shared, context, Some(&outcome));
            if let Outcome::Failed { error } = &outcome {
                tracing::info!(code = error.code, message = error.message, "the attempt failed");
            }
            shared.deeds.ended(&outcome, shared.clock.now());
            shared.tallies.answered(context.task(), &outcome, context.started().elapsed());
            let body = answer::result(&shared.worker_id, context, outcome, usage);
            send_result(shared, context, body).await;
        }
    }
}

/// Tells of the execution in the trace of its run.
fn tell(shared: &Shared, context: &TaskContext, outcome: Option<&Outcome>) {
    if let Some(span) = trace::span(context, &shared.worker_id, outcome) {
        shared.telemetry.export(span);
    }
}

/// The span that carries an attempt's identity in the log. At the level of errors, so that no line is logged without it.
pub(super) fn span(context: &TaskContext) -> tracing::Span {
    let run = context.workflow_instance_id();
    let trace_id = context.trace().map_or_else(|| TraceId::of_run(run), |trace| trace.attempt.trace);
    tracing::error_span!(
        "attempt",
        workflow.id = %run,
        tenant = context.security_context().tenant_id,
        task.path = %context.task_path(),
        attempt = context.attempt(),
        execution.id = %context.execution_id(),
        trace_id = %trace_id,
    )
}

/// Reads a task message, or tells why it cannot be understood.
fn read(delivery: &Delivery, shared: &Shared) -> Result<(TaskMessage, Envelope), String> {
    let Message { body, kind, reply_to, headers, .. } = &delivery.message;
    if kind != Kind::Task.as_str() {
        return Err(format!("a task queue carries messages of type '{}', not '{kind}'", Kind::Task.as_str()));
    }
    let message: TaskMessage =
        serde_json::from_slice(body).map_err(|error| newer(body).unwrap_or_else(|| error.to_string()))?;
    if message.format > FORMAT {
        return Err(too_new(message.format));
    }
    let execution_id = message.execution_context.execution_id.ok_or("the message names no attempt")?;
    let reply_to = reply_to.clone().ok_or("the message has no reply_to")?;
    let envelope = Envelope {
        execution_id,
        reply_to,
        deliveries: delivery.deliveries,
        max_payload_bytes: shared.largest_output(),
        trace: Trace::of(headers, shared.telemetry.is_on()),
    };
    Ok((message, envelope))
}

/// The reason where a message cannot be read because it is of a newer form.
fn newer(body: &Bytes) -> Option<String> {
    let format = serde_json::from_slice::<Json>(body).ok()?.get("format")?.as_u64()?;
    (format > u64::from(FORMAT)).then(|| too_new(u32::try_from(format).unwrap_or(u32::MAX)))
}

fn too_new(format: u32) -> String {
    format!("the message has format {format}, this worker understands up to {FORMAT}: update the worker")
}

/// The handler of an attempt that can begin, or its answer if it cannot.
fn unfit<'a>(
    context: &TaskContext,
    start_before: Option<Timestamp>,
    now: Timestamp,
    handler: Option<&'a Arc<dyn Handler>>,
) -> Result<&'a Arc<dyn Handler>, Outcome> {
    let late = |code, message: &str| Outcome::Failed { error: ErrorDetails::system(code, message) };
    let handler = handler.ok_or(Outcome::Refused)?;
    if context.deadline().is_some_and(|deadline| deadline <= now) {
        return Err(late(
            Code::TimeoutTotal,
            "the time of all attempts together was over before a worker began",
        ));
    }
    if start_before.is_some_and(|latest| latest < now) {
        return Err(late(Code::TimeoutQueue, "the task waited in its queue longer than `timeouts.queue`"));
    }
    Ok(handler)
}

async fn refuse(shared: &Shared, context: &TaskContext, outcome: Outcome) {
    if outcome == Outcome::Refused {
        shared.tallies.refused();
        tracing::warn!(task = context.task(), "refused a task that this worker has no handler for");
    }
    if shared.executions.refuse(context.execution_id()).is_ok() {
        let body = answer::result(&shared.worker_id, context, outcome, Usage::default());
        send_result(shared, context, body).await;
    }
}

fn spawn(
    shared: &Arc<Shared>,
    context: TaskContext,
    handler: Arc<dyn Handler>,
    input: Json,
    slot: OwnedSemaphorePermit,
) {
    let span = tracing::Span::current();
    let attempt = {
        let (shared, context) = (Arc::clone(shared), context.clone());
        async move {
            let ran = match may_begin(&context).await {
                true => run(&shared, &*handler, input, &context).await,
                false => Ran::Dropped,
            };
            let ran = payloads::keep_output(&shared, ran, &context).await;
            drop(slot);
            if let Ok(ending) = shared.executions.close(context.execution_id()) {
                conclude(&shared, &context, ending, ran).await;
            }
        }
    };
    context.set_abort(tokio::spawn(attempt.instrument(span)).abort_handle());
}

/// Whether an attempt may begin. One that was long on its way asks by its first sign of life: its run may have been cancelled
/// meanwhile, and no message can be taken out of a broker's queue.
async fn may_begin(context: &TaskContext) -> bool {
    if context.asks_first() {
        tokio::select! {
            biased;
            () = context.cancelled() => {}
            () = context.confirmed() => {}
            () = tokio::time::sleep(ANSWER_WITHIN) => {}
        }
    }
    !context.is_cancelled()
}

/// Runs a handler with the secrets of its input put in, then the payloads kept elsewhere: what these hold is data, and names no
/// secret. What comes of it holds none.
async fn run(shared: &Shared, handler: &dyn Handler, input: Json, context: &TaskContext) -> Ran {
    let Resolved { input, mask } =
        match secrets::resolve(&shared.secrets, input, context.max_payload_bytes()).await {
            Ok(resolved) => resolved,
            Err(error) => return unanswered(error),
        };
    if let Some(mask) = &mask {
        context.set_mask(Arc::clone(mask));
    }
    let ran = match payloads::read_input(shared, input, context).await {
        Ok(input) => catch(handler, input, context).await,
        Err(error) => unanswered(error),
    };
    match mask {
        Some(mask) => masked(&mask, ran),
        None => ran,
    }
}

/// An attempt that failed before its handler ran.
fn unanswered(error: TaskError) -> Ran {
    Ran::Ended(Finished { result: Err(error), usage: Usage::default() })
}

/// What a handler came to, without the secrets it was given.
fn masked(mask: &Mask, ran: Ran) -> Ran {
    match ran {
        Ran::Ended(Finished { result, usage }) => {
            let result = match result {
                Ok(Answer::Completed(output)) => Ok(Answer::Completed(mask.json(output))),
                Ok(Answer::Deferred { after, state }) => {
                    Ok(Answer::Deferred { after, state: mask.json(state) })
                }
                Ok(Answer::Accepted) => Ok(Answer::Accepted),
                Err(error) => Err(mask.error(error)),
            };
            Ran::Ended(Finished { result, usage })
        }
        Ran::Panicked(message) => Ran::Panicked(mask.text(message)),
        Ran::Dropped => Ran::Dropped,
    }
}

/// Runs a handler; its panic is caught here and goes no further.
async fn catch(handler: &dyn Handler, input: Json, context: &TaskContext) -> Ran {
    let mut running = handler.run(input, context.clone());
    // After a panic the future is not touched again but to drop it.
    let ended = std::future::poll_fn(|waker| {
        let poll = AssertUnwindSafe(|| running.as_mut().poll(waker));
        match secrets::quiet(context.mask(), || catch_unwind(poll)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(finished)) => Poll::Ready(Ok(finished)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    match ended.await {
        Ok(Finished { result, usage }) => Ran::Ended(Finished { result, usage }),
        Err(panic) => Ran::Panicked(told(&*panic)),
    }
}

/// The message of a panic.
fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the task's code panicked with a value that is no text".to_owned())
}

async fn send_result(shared: &Shared, context: &TaskContext, body: Bytes) {
    let to = context.reply_to().to_owned();
    send(shared, Outgoing::Result { to, execution: context.execution_id(), body }).await;
}

async fn send(shared: &Shared, outgoing: Outgoing) {
    // It fails only when the outbox is gone: then the whole worker is, and the delivery goes back.
    let _ = shared.outbox.send(outgoing).await;
}
