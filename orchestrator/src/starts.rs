//! Starts asked for over the broker: each is checked, given its principal and its id, and sent to the inbox of its partition.
//!
//! Every node takes part; none decides anything here. The owner answers to the producer's `reply_to` after its commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oarlock_broker::{Delivery, Error, Message, Publication, Subscription, topology};
use oarlock_protocol::message::{Kind, StartMessage, StartRequest};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::trace::{TRACEPARENT, TraceParent};
use oarlock_protocol::{FORMAT, RunId, name};

use crate::partition::{Return, Shared, answer, inbox};
use crate::{parked, settings::Settings};

/// How many starts are taken at once.
const ROUND: u16 = 256;
/// The pause before a broker that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest key, in bytes.
const LONGEST_KEY: usize = 512;

/// Routes starts until it is aborted.
pub(crate) async fn route_for_ever(shared: Arc<Shared>) {
    loop {
        if let Err(error) = route(&shared).await {
            tracing::debug!(%error, "starts of producers are not taken now; trying again");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn route(shared: &Shared) -> Result<(), Error> {
    topology::declare_shared(&*shared.broker).await?;
    let subscription = Subscription { queue: topology::START.to_owned(), prefetch: ROUND, priority: 0 };
    let mut starts = shared.broker.consume(subscription).await?;
    let acknowledger = starts.acknowledger();
    loop {
        let deliveries = starts.receive(usize::from(ROUND)).await?;
        let mut routed = Vec::with_capacity(deliveries.len());
        for delivery in &deliveries {
            let user = delivery.user_id.as_deref();
            match start_of(&delivery.message, user, shared) {
                Ok(start) => routed.push((delivery, start)),
                Err(reason) => {
                    refuse(shared, delivery, &reason).await?;
                    acknowledger.ack(delivery.tag).await?;
                }
            }
        }
        let (deliveries, starts): (Vec<_>, Vec<_>) = routed.into_iter().unzip();
        let inboxes: Vec<String> = starts.iter().map(|start| start.queue.clone()).collect();
        let mut failed = None;
        for ((delivery, inbox), published) in
            deliveries.into_iter().zip(inboxes).zip(shared.broker.publish(starts).await)
        {
            match published {
                Ok(()) => acknowledger.ack(delivery.tag).await?,
                Err(Error::Refused(reason)) => {
                    refuse(shared, delivery, &reason).await?;
                    acknowledger.ack(delivery.tag).await?;
                }
                // Unacknowledged, it comes again, and alone: the others are done.
                Err(error) => failed = Some((inbox, error)),
            }
        }
        match failed {
            Some((inbox, Error::NoQueue(_))) => declare_inbox(shared, &inbox).await?,
            Some((_, error)) => return Err(error),
            None => {}
        }
    }
}

/// Makes an inbox that no owner has made yet.
async fn declare_inbox(shared: &Shared, inbox: &str) -> Result<(), Error> {
    for partition in 0..shared.definitions.partitions() {
        if topology::inbox(partition) == inbox {
            shared.broker.declare(&topology::inbox_declaration(partition)).await?;
        }
    }
    // What found no queue is still held: given back, it comes again.
    Err(Error::NoQueue(inbox.to_owned()))
}

/// Parks a start that cannot be understood, and tells the producer where it wants to hear.
async fn refuse(shared: &Shared, delivery: &Delivery, reason: &str) -> Result<(), Error> {
    let (broker, message) = (&*shared.broker, &delivery.message);
    parked::park(broker, message, topology::START, delivery.user_id.as_deref(), reason).await?;
    shared.counters.parked_messages.fetch_add(1, Ordering::Relaxed);
    let answerable = |to: &Return| !to.queue.starts_with(topology::PREFIX);
    if let Some(to) = Return::of(message).filter(answerable) {
        // A producer that has left needs no answer.
        broker.publish(vec![to.publication(answer::refused(answer::INVALID_REQUEST, reason))]).await;
    }
    Ok(())
}

/// The start that a producer's message asks for, addressed to its partition.
///
/// # Errors
/// Why it cannot be understood, or may not be.
pub(crate) fn start_of(
    message: &Message,
    user_id: Option<&str>,
    shared: &Shared,
) -> Result<Publication, String> {
    if !matches!(Kind::parse(&message.kind), Some(Kind::Start)) && !message.kind.is_empty() {
        return Err(format!("its type '{}' is not {}", message.kind, Kind::Start.as_str()));
    }
    let request: StartRequest = inbox::body(message)?;
    inbox::check(request.format)?;
    if message.reply_to.as_deref().is_some_and(|queue| queue.starts_with(topology::PREFIX)) {
        return Err(format!(
            "`reply_to` names a queue of a producer's own, not one that begins with {}",
            topology::PREFIX
        ));
    }
    let mut start = resolve(request, &message.message_id, principal(user_id, &shared.settings)?)?;
    start.traceparent = traceparent(message);
    let partition = start.workflow_instance_id.partition(shared.definitions.partitions());
    let message = Message {
        body: serde_json::to_vec(&start).map_err(|error| error.to_string())?.into(),
        message_id: message.message_id.clone(),
        correlation_id: message.correlation_id.clone(),
        reply_to: message.reply_to.clone(),
        kind: Kind::Start.as_str().to_owned(),
        headers: Vec::new(),
    };
    Ok(Publication { queue: topology::inbox(partition), message })
}

/// The span that a producer's message belongs to. One that is told wrongly is none: the trace is no reason to refuse a start.
fn traceparent(message: &Message) -> Option<TraceParent> {
    let (_, text) = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT))?;
    text.parse().ok()
}

/// Makes the request a start of a named run: by the key, else by the id of the message that asks, else by chance.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn resolve(
    request: StartRequest,
    message_id: &str,
    principal: SecurityContext,
) -> Result<StartMessage, String> {
    if request.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        return Err(format!("`key` has 1 to {LONGEST_KEY} bytes"));
    }
    if !(request.input.is_object() || request.input.is_null()) {
        return Err("`input` is a JSON object".to_owned());
    }
    name::check_tenant(&principal.tenant_id).map_err(|error| error.to_string())?;
    let run = match &request.key {
        Some(key) => RunId::keyed(&principal.tenant_id, &request.workflow, key),
        // A message that is delivered twice starts one run. The mark keeps it apart from keys: none has so many bytes.
        None if !message_id.is_empty() => {
            let mark = format!("{:LONGEST_KEY$}{message_id}", "message");
            RunId::keyed(&principal.tenant_id, &request.workflow, &mark)
        }
        None => RunId::random(),
    };
    Ok(StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: run,
        workflow_definition_id: request.workflow,
        workflow_definition_version: request.version,
        input: request.input,
        idempotency_key: request.key,
        correlation_id: request.correlation_id,
        priority: request.priority,
        security_context: principal,
    })
}

/// On whose behalf a user of the broker acts.
fn principal(user_id: Option<&str>, settings: &Settings) -> Result<SecurityContext, String> {
    let known = user_id.and_then(|user| settings.producers.get(user));
    known.or_else(|| settings.producers.get("*")).cloned().ok_or_else(|| match user_id {
        Some(user) => format!("no principal is configured for the broker's user '{user}' (see [producers])"),
        None => {
            "it has no user_id, and no principal is configured for such messages (see [producers])".to_owned()
        }
    })
}
