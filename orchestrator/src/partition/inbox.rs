//! Reads the messages of an inbox. What cannot be understood is named with its reason, to be parked.

use oarlock_broker::port::REASON_HEADER;
use oarlock_broker::{Message, Publication, topology};
use oarlock_engine::Event;
use oarlock_protocol::message::{CancelMessage, Kind, ProgressMessage, ResultMessage, StartMessage};
use oarlock_protocol::{FORMAT, RunKey, name};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a message of an inbox says.
pub(super) enum Incoming {
    /// Something happened to a run.
    Event(RunKey, Event),
    /// A run is asked for.
    Start(Box<StartMessage>),
}

#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

/// Reads a message of the inbox of `partition`, of `partitions` in all.
///
/// # Errors
/// The reason why it cannot be understood, or does not belong here.
pub(super) fn read(message: &Message, partition: u32, partitions: u32) -> Result<Incoming, String> {
    let incoming = parse(message)?;
    let (tenant, run) = match &incoming {
        Incoming::Event(run, _) => (&*run.tenant, run.run),
        Incoming::Start(start) => (start.security_context.tenant_id.as_str(), start.workflow_instance_id),
    };
    name::check_tenant(tenant).map_err(|error| error.to_string())?;
    let home = run.partition(partitions);
    if home == partition { Ok(incoming) } else { Err(format!("run {run} belongs to partition {home}")) }
}

fn parse(message: &Message) -> Result<Incoming, String> {
    match Kind::parse(&message.kind) {
        Some(Kind::Result) => {
            let result: ResultMessage = body(message)?;
            check(result.format)?;
            Ok(Incoming::Event(result.address.run.clone(), Event::Result(Box::new(result))))
        }
        Some(Kind::Progress) => {
            let progress: ProgressMessage = body(message)?;
            check(progress.format)?;
            Ok(Incoming::Event(progress.address.run.clone(), Event::Progress(Box::new(progress))))
        }
        Some(Kind::Cancel) => {
            let cancel: CancelMessage = body(message)?;
            check(cancel.format)?;
            Ok(Incoming::Event(cancel.run, Event::Cancel { reason: cancel.reason }))
        }
        Some(Kind::Start) => {
            let start: StartMessage = body(message)?;
            check(start.format)?;
            Ok(Incoming::Start(Box::new(start)))
        }
        Some(Kind::Task | Kind::Control | Kind::Signal | Kind::Answer | Kind::Register | Kind::Watch) => {
            Err(format!("a {} does not belong into an inbox", message.kind))
        }
        None => Err(format!("its type '{}' is unknown", message.kind)),
    }
}

fn body<T: DeserializeOwned>(message: &Message) -> Result<T, String> {
    serde_json::from_slice(&message.body).map_err(|error| {
        match serde_json::from_slice::<AnyFormat>(&message.body) {
            Ok(any) if any.format > FORMAT => newer(any.format),
            Ok(_) | Err(_) => format!("its body cannot be read: {error}"),
        }
    })
}

fn check(format: u32) -> Result<(), String> {
    if format > FORMAT { Err(newer(format)) } else { Ok(()) }
}

fn newer(format: u32) -> String {
    format!("its format {format} is from a newer release than this one, which reads {FORMAT}")
}

/// The message, addressed to where operators look at it.
pub(super) fn park(message: &Message, reason: &str) -> Publication {
    let mut message = message.clone();
    message.headers.push((REASON_HEADER.to_owned(), reason.to_owned()));
    Publication { queue: topology::PARKED.to_owned(), message }
}
