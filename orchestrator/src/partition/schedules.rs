//! The schedules of a partition: looked at when a time has come, changed when somebody asks, told how their starts were answered.
//!
//! `oarlock_engine::schedule` decides. How far a schedule is is committed first; then its starts are sent to the inboxes of their
//! runs, and again until each is answered. So a crash in between sends the same starts once more, which start nothing twice.

use std::sync::atomic::Ordering;

use oarlock_broker::{Message, Publication, topology};
use oarlock_engine::schedule::{self, Answered, Calendar, LastRun};
use oarlock_protocol::message::{Answer, CancelMessage, Kind};
use oarlock_protocol::schedule::{Schedule, ScheduleState, ScheduledStart};
use oarlock_protocol::{FORMAT, RunId, RunKey, ScheduleKey, Span, Timestamp};
use serde::Serialize;

use super::Lost;
use super::answer;
use super::owner::Owner;
use crate::layout::{self, StoredRun, Timed};
use crate::store::{Fields, Key};

/// The pause before a run is looked at again whose partition does not answer, or that this release cannot read.
const STATUS_AGAIN: Span = Span::from_secs(2);
/// How the `correlation_id` of a scheduled start begins: `schedule/<tenant>/<id>/<run>`.
const CORRELATION: &str = "schedule/";

/// A schedule as the round at hand has it.
pub(super) struct Loaded {
    pub(super) schedule: Schedule,
    pub(super) calendar: Calendar,
    pub(super) state: ScheduleState,
    /// As it was before.
    before: ScheduleState,
}

impl Loaded {
    pub(super) fn new(schedule: Schedule, calendar: Calendar, state: ScheduleState) -> Self {
        Self { schedule, calendar, before: ScheduleState::default(), state }
    }
}

/// Reads which start an answer is to; none where it is to none.
pub(super) fn answered_start(correlation_id: &str) -> Option<(ScheduleKey, RunId)> {
    let (key, run) = correlation_id.strip_prefix(CORRELATION)?.rsplit_once('/')?;
    Some((ScheduleKey::parse(key)?, run.parse().ok()?))
}

impl Owner {
    /// Takes a schedule in hand; none where there is none. The inner error is the reason why it cannot be read.
    pub(super) async fn take_schedule(
        &mut self,
        key: &ScheduleKey,
    ) -> Result<Result<Option<Loaded>, String>, Lost> {
        match self.schedules.get(key) {
            // Removed in this round: the store does not know yet.
            Some(None) => return Ok(Ok(None)),
            Some(Some(_)) => return Ok(Ok(self.schedules.remove(key).flatten())),
            None => {}
        }
        let fields = layout::schedule_fields(key);
        let read = self.shared.store.read_hash(self.partition, &Key::Schedules, fields).await?;
        let (schedule, state) = match layout::read_schedule(&read, key) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let written = &schedule.definition;
        Ok(match Calendar::read(&written.cron, &written.time_zone) {
            Ok(calendar) => Ok(Some(Loaded { before: state.clone(), schedule, calendar, state })),
            Err(error) => Err(format!("schedule {key}: {error}")),
        })
    }

    /// Puts a schedule back after a look: what changed goes with the commit of this round.
    pub(super) fn put_schedule(&mut self, key: ScheduleKey, mut loaded: Loaded, wake: Option<Timestamp>) {
        let timed = Timed::Schedule(key.clone());
        if loaded.state != loaded.before {
            self.batch.writes.push(layout::put_schedule_state(&key, &loaded.state));
            self.batch.timers.insert(timed, wake);
            loaded.before = loaded.state.clone();
        } else if let Some(at) = wake {
            // What the store has is not later, and will do for whoever takes over.
            self.timers.set(timed, at, self.shared.clock.now());
        } else {
            self.batch.timers.insert(timed, None);
        }
        self.schedules.insert(key, Some(loaded));
    }

    /// Looks at a schedule whose time has come.
    pub(super) async fn look_at_schedule(&mut self, key: ScheduleKey) -> Result<(), Lost> {
        match self.take_schedule(&key).await? {
            Ok(Some(mut loaded)) => {
                let wake = self.look(&mut loaded).await?;
                self.put_schedule(key, loaded, wake);
            }
            Ok(None) => drop(self.batch.timers.insert(Timed::Schedule(key), None)),
            Err(error) => tracing::error!(schedule = %key, error, "a schedule cannot be looked at"),
        }
        Ok(())
    }

    /// Takes in how the start of a run was answered. The reason comes back where that cannot be done.
    pub(super) async fn take_answer(
        &mut self,
        key: ScheduleKey,
        run: RunId,
        answer: Answer,
    ) -> Result<Option<String>, Lost> {
        let answered = match answer {
            Answer::Accepted { .. } => Answered::Started,
            // Sent again after the schedule had changed: the run is there.
            Answer::Refused { error } if error.code == answer::CONFLICT => Answered::Started,
            Answer::Refused { error } if error.retryable => Answered::Later,
            Answer::Refused { error } => Answered::Refused(format!("{}: {}", error.code, error.message)),
            Answer::Cancelling { .. }
            | Answer::Recorded { .. }
            | Answer::Registered { .. }
            | Answer::Ended { .. } => return Ok(Some("it is no answer to a start".to_owned())),
        };
        match self.take_schedule(&key).await? {
            Ok(Some(mut loaded)) => {
                let now = self.shared.clock.now();
                if let Answered::Refused(reason) = &answered {
                    tracing::warn!(schedule = %key, %run, reason, "a start of a schedule was refused");
                }
                schedule::answered(&mut loaded.state, run, answered, now);
                let wake = self.look(&mut loaded).await?;
                self.put_schedule(key, loaded, wake);
                Ok(None)
            }
            Ok(None) => Ok(None),
            Err(error) => Ok(Some(error)),
        }
    }

    /// Decides what is due; when to look again.
    pub(super) async fn look(&mut self, loaded: &mut Loaded) -> Result<Option<Timestamp>, Lost> {
        let now = self.shared.clock.now();
        let asked = schedule::asks_for(&loaded.schedule, &loaded.state, now);
        let last = match asked {
            None => LastRun::Over,
            Some(run) => match self.status_of(&loaded.schedule, run).await {
                Some(last) => last,
                None => return Ok(Some(now.after(STATUS_AGAIN))),
            },
        };
        let key = loaded.schedule.key();
        let look = schedule::look(&loaded.schedule, &loaded.calendar, &mut loaded.state, now, last);
        if look.missed > 0 {
            self.shared.counters.missed_due_times.fetch_add(look.missed, Ordering::Relaxed);
            let missed = look.missed;
            tracing::warn!(schedule = %key, missed, "due times were missed: nobody could start them in time");
        }
        // What the broker does not take now is sent when it was not answered in time.
        if self.broker_takes() {
            for start in &look.send {
                let publication = self.start_publication(&loaded.schedule, &key, start);
                self.batch.tell.push(publication);
            }
            let cancel = look.cancel.map(|run| self.cancel_publication(&key, run));
            self.batch.tell.extend(cancel);
        }
        Ok(look.wake)
    }

    /// Whether a run of a schedule is under way, whoever owns it; none where that cannot be told now.
    pub(super) async fn status_of(&self, schedule: &Schedule, run: RunId) -> Option<LastRun> {
        let key = RunKey::new(schedule.tenant_id.as_str(), run);
        let partition = run.partition(self.shared.definitions.partitions());
        let fields = Fields::Named(layout::head_fields());
        let read = self.shared.store.read_hash(partition, &Key::Run(key), fields).await;
        match read.map(StoredRun::read) {
            Ok(Ok(Some(stored))) if !stored.head.status.is_terminal() => Some(LastRun::UnderWay),
            // One that is not there any more has ended.
            Ok(Ok(_)) => Some(LastRun::Over),
            Ok(Err(error)) => {
                tracing::warn!(%run, %error, "a schedule waits for a run that cannot be read");
                None
            }
            Err(error) => {
                tracing::debug!(%run, %error, "a schedule waits for a store that does not answer");
                None
            }
        }
    }

    fn start_publication(
        &self,
        schedule: &Schedule,
        key: &ScheduleKey,
        start: &ScheduledStart,
    ) -> Publication {
        let message = schedule::start_message(schedule, start);
        let mut publication = self.to_run(start.run, Kind::Start, format!("{}-start", start.run), &message);
        publication.message.reply_to = Some(topology::inbox(self.partition));
        publication.message.correlation_id = Some(format!("{CORRELATION}{key}/{}", start.run));
        publication
    }

    fn cancel_publication(&self, key: &ScheduleKey, run: RunId) -> Publication {
        let message = CancelMessage {
            format: FORMAT,
            run: RunKey::new(key.tenant.clone(), run),
            reason: format!("schedule '{}' starts the next run in its place", key.id),
            requested_by: format!("schedule {}", key.id),
            parent: None,
        };
        self.to_run(run, Kind::Cancel, format!("{run}-replaced"), &message)
    }

    fn to_run(&self, run: RunId, kind: Kind, message_id: String, message: &impl Serialize) -> Publication {
        let partition = run.partition(self.shared.definitions.partitions());
        let message = Message {
            // Made of words that always have a JSON form.
            body: serde_json::to_vec(message).unwrap_or_default().into(),
            message_id,
            kind: kind.as_str().to_owned(),
            ..Message::default()
        };
        Publication { queue: topology::inbox(partition), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_schedule_again() {
        let key = ScheduleKey::new("acme", "nightly");
        let run = key.run_triggered("k");
        assert_eq!(answered_start(&format!("{CORRELATION}{key}/{run}")), Some((key, run)));
        for other in ["", "schedule/", "schedule/acme/nightly", "schedule/acme/x/y", "x/acme/nightly/y"] {
            assert_eq!(answered_start(other), None, "{other}");
        }
    }
}
