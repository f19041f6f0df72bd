//! Reads the messages of an inbox. What cannot be understood is named with its reason, to be parked.

use oarlock_broker::Message;
use oarlock_engine::Event;
use oarlock_protocol::message::{
    Answer, AnswerMessage, CancelMessage, CompleteMessage, Kind, OperationMessage, Parent, PauseMessage,
    Permits, PermitsMessage, ProgressMessage, RegisterMessage, ResultMessage, ScheduleMessage, SignalMessage,
    StartMessage, WatchMessage,
};
use oarlock_protocol::{FORMAT, RunId, RunKey, ScheduleKey, name};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Request, schedules};
use crate::layout;

/// What a message of an inbox says.
pub(super) enum Incoming {
    /// Something happened to a run.
    Event(RunKey, Event),
    /// Something is asked for.
    Request(Request),
    /// How the start of a run that a schedule asked for was answered.
    Answer(ScheduleKey, RunId, Answer),
    /// Another partition, or this one, speaks of a limit.
    Permits(PermitsMessage),
}

impl Incoming {
    /// The run it is about; none where it is about a definition or a schedule.
    pub(super) fn run(&self) -> Option<RunKey> {
        match self {
            Self::Event(run, _) => Some(run.clone()),
            Self::Request(request) => request.run(),
            Self::Answer(..) | Self::Permits(_) => None,
        }
    }
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
    let (tenant, home) = match &incoming {
        Incoming::Event(run, _) | Incoming::Request(Request::Watch(run) | Request::Cancel { run, .. }) => {
            of_run(run, partitions)
        }
        Incoming::Request(Request::Signal(signal)) => of_run(&signal.run, partitions),
        Incoming::Request(Request::Complete(complete)) => of_run(&complete.run, partitions),
        Incoming::Request(Request::Operation(operation)) => of_run(&operation.run, partitions),
        Incoming::Request(Request::Start(start)) => {
            let tenant = start.security_context.tenant_id.as_str();
            (tenant, start.workflow_instance_id.partition(partitions))
        }
        Incoming::Request(Request::Pause(pause)) => {
            let home = layout::pauses_home(partitions);
            return if home == partition {
                Ok(Incoming::Request(Request::Pause(pause.clone())))
            } else {
                Err(elsewhere(home))
            };
        }
        Incoming::Request(Request::Register { tenant, definition }) => {
            (tenant.as_str(), layout::home(tenant, &definition.id, partitions))
        }
        Incoming::Request(Request::Schedule(message)) => {
            let key = ScheduleKey::new(message.tenant_id.as_str(), message.schedule_id.as_str());
            (message.tenant_id.as_str(), layout::schedule_home(&key, partitions))
        }
        Incoming::Permits(message) => match &message.says {
            Permits::Want { limit, .. } => (limit.tenant_id.as_str(), layout::limit_home(limit, partitions)),
            Permits::Grant { limit, .. } | Permits::Ask { limit } => (limit.tenant_id.as_str(), partition),
            // From whoever owns that partition.
            Permits::AskAll { .. } | Permits::ToldAll { .. } => return Ok(incoming),
        },
        Incoming::Answer(key, ..) => (&*key.tenant, layout::schedule_home(key, partitions)),
    };
    name::check_tenant(tenant).map_err(|error| error.to_string())?;
    if home == partition { Ok(incoming) } else { Err(elsewhere(home)) }
}

fn elsewhere(home: u32) -> String {
    format!("it belongs to partition {home}")
}

/// Whether a step of that tenant may have started the run: it is named by the attempt.
fn check_parent(parent: Option<&Parent>, tenant: &str, run: RunId) -> Result<(), String> {
    let Some(Parent { address, .. }) = parent else { return Ok(()) };
    if *address.run.tenant != *tenant {
        return Err(format!("its parent belongs to tenant '{}', it to '{tenant}'", address.run.tenant));
    }
    if RunId::child_of(address.execution_id) != run {
        return Err(format!("run {run} is not the one that attempt {} starts", address.execution_id));
    }
    Ok(())
}

/// The tenant of a run, and its partition.
fn of_run(run: &RunKey, partitions: u32) -> (&str, u32) {
    (&run.tenant, run.run.partition(partitions))
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
            check_parent(cancel.parent.as_ref(), &cancel.run.tenant, cancel.run.run)?;
            let CancelMessage { run, reason, parent, .. } = cancel;
            Ok(Incoming::Request(Request::Cancel { run, reason, parent }))
        }
        Some(Kind::Start) => parse_start(message),
        Some(Kind::Register) => {
            let RegisterMessage { format, tenant_id, definition } = body(message)?;
            check(format)?;
            let definition = Box::new(definition);
            Ok(Incoming::Request(Request::Register { tenant: tenant_id, definition }))
        }
        Some(Kind::Watch) => {
            let watch: WatchMessage = body(message)?;
            check(watch.format)?;
            Ok(Incoming::Request(Request::Watch(watch.run)))
        }
        Some(Kind::Signal) => {
            let signal: SignalMessage = body(message)?;
            check(signal.format)?;
            Ok(Incoming::Request(Request::Signal(Box::new(signal))))
        }
        Some(Kind::Complete) => {
            let complete: CompleteMessage = body(message)?;
            check(complete.format)?;
            Ok(Incoming::Request(Request::Complete(Box::new(complete))))
        }
        Some(Kind::Operation) => {
            let operation: OperationMessage = body(message)?;
            check(operation.format)?;
            Ok(Incoming::Request(Request::Operation(operation)))
        }
        Some(Kind::Pause) => {
            let pause: PauseMessage = body(message)?;
            check(pause.format)?;
            Ok(Incoming::Request(Request::Pause(pause)))
        }
        Some(Kind::Permits) => {
            let message: PermitsMessage = body(message)?;
            check(message.format)?;
            Ok(Incoming::Permits(message))
        }
        Some(Kind::Schedule) => {
            let message: ScheduleMessage = body(message)?;
            check(message.format)?;
            Ok(Incoming::Request(Request::Schedule(Box::new(message))))
        }
        Some(Kind::Answer) => parse_answer(message),
        Some(Kind::Task | Kind::Control | Kind::Beat | Kind::RunEvent | Kind::TaskEvent) => {
            Err(format!("a {} does not belong into an inbox", message.kind))
        }
        None => Err(format!("its type '{}' is unknown", message.kind)),
    }
}

fn parse_start(message: &Message) -> Result<Incoming, String> {
    let start: StartMessage = body(message)?;
    check(start.format)?;
    let tenant = &start.security_context.tenant_id;
    check_parent(start.parent.as_ref(), tenant, start.workflow_instance_id)?;
    Ok(Incoming::Request(Request::Start(Box::new(start))))
}

/// An answer to the start of a run by a schedule: others go to the nodes that asked.
fn parse_answer(message: &Message) -> Result<Incoming, String> {
    let AnswerMessage { format, answer } = body(message)?;
    check(format)?;
    let start = message.correlation_id.as_deref().and_then(schedules::answered_start);
    let (schedule, run) = start.ok_or("it answers no start of a schedule")?;
    Ok(Incoming::Answer(schedule, run, answer))
}

/// Reads the body of a message.
///
/// # Errors
/// The reason why it cannot be understood.
pub(crate) fn body<T: DeserializeOwned>(message: &Message) -> Result<T, String> {
    serde_json::from_slice(&message.body).map_err(|error| {
        match serde_json::from_slice::<AnyFormat>(&message.body) {
            Ok(any) if any.format > FORMAT => newer(any.format),
            Ok(_) | Err(_) => format!("its body cannot be read: {error}"),
        }
    })
}

/// Whether this release reads the format.
///
/// # Errors
/// The reason why not.
pub(crate) fn check(format: u32) -> Result<(), String> {
    if format > FORMAT { Err(newer(format)) } else { Ok(()) }
}

fn newer(format: u32) -> String {
    format!("its format {format} is from a newer release than this one, which reads {FORMAT}")
}
