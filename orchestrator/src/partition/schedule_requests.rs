//! What is asked of a schedule: to register, replace, pause, resume or remove it, or to start a run now. Each may be asked twice.

use oarlock_engine::schedule::{self, Calendar, LastRun};
use oarlock_protocol::message::{Answer, ScheduleAction, ScheduleMessage};
use oarlock_protocol::schedule::{Overlap, Schedule, ScheduleDefinition};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, ScheduleKey, Timestamp};

use super::Lost;
use super::answer::{self, CONFLICT, INVALID_REQUEST, NOT_FOUND, UNAVAILABLE, UNUSABLE};
use super::owner::Owner;
use super::schedules::Loaded;
use crate::layout::{self, Timed};
use crate::store::{Fields, Key};

/// The most schedules of one partition: all are read to list them, and each has up to 64 KiB of input.
const MOST: usize = 1_000;

impl Owner {
    /// Does with a schedule what is asked.
    pub(super) async fn take_schedule_request(&mut self, message: ScheduleMessage) -> Result<Answer, Lost> {
        let key = ScheduleKey::new(message.tenant_id.as_str(), message.schedule_id.as_str());
        let now = self.shared.clock.now();
        if let ScheduleAction::Put { definition, security_context } = &message.action
            && let Err(told) = fits(&key, definition, security_context, now)
        {
            return Ok(answer::refused(INVALID_REQUEST, told));
        }
        let loaded = match self.take_schedule(&key).await? {
            Ok(loaded) => loaded,
            // What cannot be read can still be replaced and removed.
            Err(error) => match message.action {
                ScheduleAction::Delete | ScheduleAction::Put { .. } => None,
                ScheduleAction::Pause { .. } | ScheduleAction::Resume | ScheduleAction::Trigger { .. } => {
                    return Ok(answer::refused(UNUSABLE, error));
                }
            },
        };
        match (message.action, loaded) {
            (ScheduleAction::Delete, loaded) => {
                self.batch.writes.extend(layout::remove_schedule(&key));
                self.batch.timers.insert(Timed::Schedule(key.clone()), None);
                self.schedules.insert(key, None);
                Ok(Answer::Recorded { existing: loaded.is_none() })
            }
            (ScheduleAction::Put { definition, security_context }, None) => {
                self.begin_schedule(key, *definition, *security_context).await
            }
            (_, None) => {
                let told = format!("tenant '{}' has no schedule '{}'", key.tenant, key.id);
                Ok(answer::refused(NOT_FOUND, told))
            }
            (action, Some(mut loaded)) => {
                // What was due before is decided before.
                self.look(&mut loaded).await?;
                let answer = self.change_schedule(&mut loaded, action, now).await;
                // What is recorded already may be known here and lost in the store.
                self.batch.confirms = true;
                let wake = self.look(&mut loaded).await?;
                self.put_schedule(key, loaded, wake);
                Ok(answer)
            }
        }
    }

    async fn begin_schedule(
        &mut self,
        key: ScheduleKey,
        definition: ScheduleDefinition,
        security_context: SecurityContext,
    ) -> Result<Answer, Lost> {
        let calendar = match Calendar::read(&definition.cron, &definition.time_zone) {
            Ok(calendar) => calendar,
            Err(error) => return Ok(answer::refused(INVALID_REQUEST, error.to_string())),
        };
        let all = self.shared.store.read_hash(self.partition, &Key::Schedules, Fields::All).await?;
        if all.len() / 2 >= MOST {
            let told = format!(
                "its partition keeps {MOST} schedules, as many as it may; remove some that have ended"
            );
            return Ok(answer::refused(CONFLICT, told));
        }
        let now = self.shared.clock.now();
        let schedule = Schedule {
            format: FORMAT,
            tenant_id: key.tenant.to_string(),
            definition,
            security_context,
            paused: false,
            pause_reason: None,
            created_at: now,
            updated_at: now,
        };
        let state = schedule::begin(&schedule, &calendar, now);
        self.batch.writes.push(layout::put_schedule(&schedule));
        self.batch.writes.push(layout::put_schedule_state(&key, &state));
        let mut loaded = Loaded::new(schedule, calendar, state);
        let wake = self.look(&mut loaded).await?;
        self.put_schedule(key, loaded, wake);
        Ok(Answer::Recorded { existing: false })
    }

    async fn change_schedule(
        &mut self,
        loaded: &mut Loaded,
        action: ScheduleAction,
        now: Timestamp,
    ) -> Answer {
        let schedule = &mut loaded.schedule;
        match action {
            ScheduleAction::Put { definition, security_context } => {
                if schedule.definition == *definition && schedule.security_context == *security_context {
                    return Answer::Recorded { existing: true };
                }
                match Calendar::read(&definition.cron, &definition.time_zone) {
                    Ok(calendar) => loaded.calendar = calendar,
                    Err(error) => return answer::refused(INVALID_REQUEST, error.to_string()),
                }
                schedule.definition = *definition;
                schedule.security_context = *security_context;
                schedule::replace(schedule, &loaded.calendar, &mut loaded.state, now);
            }
            ScheduleAction::Pause { .. } if schedule.paused => return Answer::Recorded { existing: true },
            ScheduleAction::Pause { reason } => {
                schedule.paused = true;
                schedule.pause_reason = reason;
                schedule::pause(&mut loaded.state);
            }
            ScheduleAction::Resume if !schedule.paused => return Answer::Recorded { existing: true },
            ScheduleAction::Resume => {
                schedule.paused = false;
                schedule.pause_reason = None;
                schedule::replace(schedule, &loaded.calendar, &mut loaded.state, now);
            }
            ScheduleAction::Trigger { key, due } => return self.trigger_schedule(loaded, &key, due).await,
            // Done before.
            ScheduleAction::Delete => return Answer::Recorded { existing: false },
        }
        schedule.updated_at = now;
        self.batch.writes.push(layout::put_schedule(schedule));
        Answer::Recorded { existing: false }
    }

    async fn trigger_schedule(&mut self, loaded: &mut Loaded, key: &str, due: Timestamp) -> Answer {
        let schedule = &loaded.schedule;
        let run = schedule.key().run_triggered(key);
        let last = match loaded.state.last_run {
            Some(last) if schedule.definition.overlap != Overlap::Allow => {
                self.status_of(schedule, last).await
            }
            Some(_) | None => Some(LastRun::Over),
        };
        let Some(last) = last else {
            return answer::refused(
                UNAVAILABLE,
                "whether its last run is under way cannot be told now; ask again",
            );
        };
        match schedule::trigger(schedule, &mut loaded.state, (run, due), last) {
            Ok(existing) => Answer::Recorded { existing },
            Err(reason) => {
                answer::refused(CONFLICT, format!("schedule '{}': {reason}", schedule.definition.id))
            }
        }
    }
}

/// Whether it may be registered under that name.
fn fits(
    key: &ScheduleKey,
    definition: &ScheduleDefinition,
    security_context: &SecurityContext,
    now: Timestamp,
) -> Result<(), String> {
    if *definition.id != *key.id {
        return Err(format!("`id`: it is '{}', and the request names '{}'", definition.id, key.id));
    }
    if *security_context.tenant_id != *key.tenant {
        return Err(format!(
            "its principal belongs to tenant '{}', it to '{}'",
            security_context.tenant_id, key.tenant
        ));
    }
    schedule::check(definition, now).map(drop).map_err(|error| error.to_string())
}
