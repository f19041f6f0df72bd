//! Runs that start runs: what they send to one another's inboxes, and what the owner of a run that another starts does.
//!
//! A start, and what the step that started a run waits to hear, are published until they are confirmed. Everything else is
//! sent once: the step asks again, and tells again to end, until it has heard how its run ended.

use oarlock_broker::{Message, Publication, topology};
use oarlock_engine::{Event, child_message};
use oarlock_protocol::message::{Answer, AttemptAddress, Kind, Parent, ResultMessage, StartMessage};
use oarlock_protocol::{ExecutionId, RunId, RunKey, Span, TaskPath};
use serde::Serialize;

use super::Lost;
use super::owner::Owner;
use super::runs::{self, Found};
use crate::layout::{self, Place};
use crate::traces;

/// How long at least it is remembered that a run which another started had been there: a start that asks whether it lives
/// may lie in an inbox for as long as that has no owner.
const CHILD_REMEMBERED: Span = Span::from_secs(3600);

/// What there is of a run that another one asks about.
enum Known {
    /// It has something to tell.
    Told(Box<ResultMessage>),
    /// It is under way.
    UnderWay,
    /// It was there, and is forgotten.
    Forgotten,
    /// It was cancelled before it had begun.
    Buried,
    /// It never was.
    Nothing,
}

impl Owner {
    /// The start of the run that the open attempt at a place is.
    pub(super) fn child_start(&mut self, place: &Place) -> Option<Publication> {
        let cached = self.runs.cached(&place.run)?;
        let mut start = child_message::start(&cached.plan, &cached.run, &place.path)?;
        let child = start.workflow_instance_id;
        let attempt = start.parent.as_ref().map(|parent| parent.address.execution_id);
        let telemetry = &self.shared.settings.telemetry;
        start.traceparent = attempt.and_then(|attempt| traces::handed_on(&cached.run, attempt, telemetry));
        Some(self.to_inbox(child, Kind::Start, format!("{child}-start"), attempt, &start))
    }

    /// What the step that started a run waits to hear of it; `brief` where not all of it can be told, with the reason.
    pub(super) fn child_end(&mut self, run: &RunKey, brief: Option<&str>) -> Option<Publication> {
        let full = child_message::result(&self.runs.cached(run)?.run)?;
        let result = match brief {
            Some(reason) => child_message::in_brief(full, reason),
            None => full,
        };
        Some(self.answer(run.run, &result))
    }

    /// Sends the start of a run again, to hear whether it lives.
    pub(super) fn ask_child(&mut self, place: &Place) {
        let start = self.child_start(place);
        self.batch.tell.extend(start);
    }

    /// Tells the run that an attempt is to end.
    pub(super) fn tell_child_to_end(&mut self, place: &Place, attempt: ExecutionId) {
        let Some(cached) = self.runs.cached(&place.run) else { return };
        let cancel = child_message::cancel(&cached.run, &place.path, attempt);
        let child = cancel.run.run;
        let publication =
            self.to_inbox(child, Kind::Cancel, format!("{child}-cancel"), Some(attempt), &cancel);
        self.batch.tell.push(publication);
    }

    /// Starts a run for a step of another one, or answers that step where the run is known. The reason comes back where
    /// the message is to be parked.
    pub(super) async fn start_child(
        &mut self,
        request: StartMessage,
        parent: Parent,
    ) -> Result<Option<String>, Lost> {
        let run = RunKey::new(request.security_context.tenant_id.as_str(), request.workflow_instance_id);
        let known = match self.known(&run).await? {
            Ok(known) => known,
            Err(reason) => return Ok(Some(reason)),
        };
        let result = match known {
            Known::Told(result) => *result,
            Known::UnderWay => {
                self.say_alive(&run, parent.address);
                return Ok(None);
            }
            Known::Forgotten => child_message::lost(parent.address),
            Known::Buried => child_message::never_began(parent.address),
            Known::Nothing => match self.begin_run(request, &run).await? {
                Answer::Refused { error } => child_message::refused(parent.address, &error),
                Answer::Accepted { .. }
                | Answer::Cancelling { .. }
                | Answer::Recorded { .. }
                | Answer::Registered { .. }
                | Answer::Ended { .. } => return Ok(None),
            },
        };
        self.send_answer(run.run, &result);
        Ok(None)
    }

    /// Ends a run because the step that started it ends, and answers that step where the run has ended or never began.
    pub(super) async fn cancel_child(
        &mut self,
        run: &RunKey,
        reason: String,
        parent: AttemptAddress,
    ) -> Result<Option<String>, Lost> {
        let known = match self.known(run).await? {
            Ok(known) => known,
            Err(reason) => return Ok(Some(reason)),
        };
        let result = match known {
            Known::Told(result) => *result,
            Known::UnderWay => return Ok(self.decide(run, Event::Cancel { reason }).await?.err()),
            Known::Forgotten => child_message::lost(parent),
            Known::Buried => child_message::never_began(parent),
            Known::Nothing => {
                // Its start may still come.
                self.batch.writes.push(layout::bury(run));
                let until = self.shared.clock.now().after(self.remembered(true));
                let place = Place { run: run.clone(), path: TaskPath::root() };
                self.batch.timers.insert(place.into(), Some(until));
                child_message::never_began(parent)
            }
        };
        self.send_answer(run.run, &result);
        Ok(None)
    }

    /// How long it is remembered that a run had been there.
    pub(super) fn remembered(&self, is_child: bool) -> Span {
        let keys = self.shared.settings.deduplication;
        if is_child { keys.max(CHILD_REMEMBERED) } else { keys }
    }

    /// What there is of a run. The inner error is the reason why that cannot be told: the question is parked then, and
    /// comes again.
    async fn known(&mut self, run: &RunKey) -> Result<Result<Known, String>, Lost> {
        let known = match self.runs.find(&self.shared, self.partition, run).await {
            Ok(Found::Run(cached)) => match child_message::result(&cached.run) {
                Some(result) => Known::Told(Box::new(result)),
                None => Known::UnderWay,
            },
            Ok(Found::Tombstone(tombstone)) if tombstone.is_of_nothing() => Known::Buried,
            Ok(Found::Tombstone(_)) => Known::Forgotten,
            Ok(Found::Nothing) => Known::Nothing,
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        // Memory may know what the store has lost.
        self.batch.confirms |= !matches!(known, Known::Nothing);
        Ok(Ok(known))
    }

    fn say_alive(&mut self, run: &RunKey, parent: AttemptAddress) {
        let now = self.shared.clock.now();
        let Some(cached) = self.runs.cached(run) else { return };
        let (above, attempt) = (parent.run.run, parent.execution_id);
        let progress = child_message::alive(parent, &cached.run, now);
        let id = format!("{}-alive", run.run);
        let publication = self.to_inbox(above, Kind::Progress, id, Some(attempt), &progress);
        self.batch.tell.push(publication);
    }

    fn send_answer(&mut self, child: RunId, result: &ResultMessage) {
        let publication = self.answer(child, result);
        self.batch.tell.push(publication);
    }

    fn answer(&self, child: RunId, result: &ResultMessage) -> Publication {
        let AttemptAddress { run, execution_id, .. } = &result.address;
        self.to_inbox(run.run, Kind::Result, format!("{child}-end"), Some(*execution_id), result)
    }

    /// A message to the inbox of the partition of a run. The same is said by the same id.
    fn to_inbox(
        &self,
        run: RunId,
        kind: Kind,
        message_id: String,
        attempt: Option<ExecutionId>,
        message: &impl Serialize,
    ) -> Publication {
        let partition = run.partition(self.shared.definitions.partitions());
        let message = Message {
            // Made of words that always have a JSON form.
            body: serde_json::to_vec(message).unwrap_or_default().into(),
            message_id,
            correlation_id: attempt.map(|attempt| attempt.to_string()),
            kind: kind.as_str().to_owned(),
            ..Message::default()
        };
        Publication { queue: topology::inbox(partition), message }
    }
}
