//! Registers, changes and shows schedules, whichever node owns their partitions.

use oarlock_engine::schedule::{self, Calendar};
use oarlock_protocol::message::{Answer, ScheduleAction, ScheduleMessage};
use oarlock_protocol::schedule::{Schedule, ScheduleDefinition, ScheduleState, ScheduleView};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, RunId, ScheduleKey};

use super::{Error, Node, unexpected};
use crate::layout;
use crate::partition::{Request, answer};
use crate::store::{Fields, Key};

/// How many of the next due times are shown.
const SHOWN: usize = 5;

impl Node {
    /// Registers a schedule, or replaces it; whether it was the same before. Its runs act on behalf of `principal`.
    ///
    /// # Errors
    /// The schedule is wrong, or the store or the owner of its partition does not answer.
    pub async fn put_schedule(
        &self,
        definition: ScheduleDefinition,
        principal: SecurityContext,
    ) -> Result<bool, Error> {
        let key = ScheduleKey::new(principal.tenant_id.as_str(), definition.id.as_str());
        let user = principal.user_id.clone();
        let (definition, security_context) = (Box::new(definition), Box::new(principal));
        self.change_schedule(&key, ScheduleAction::Put { definition, security_context }, user).await
    }

    /// Does something with a schedule; whether it was so before.
    ///
    /// # Errors
    /// NOT_FOUND where there is no such schedule, CONFLICT where a run cannot be started now; as [`Node::put_schedule`].
    pub async fn change_schedule(
        &self,
        key: &ScheduleKey,
        action: ScheduleAction,
        requested_by: String,
    ) -> Result<bool, Error> {
        // Asked twice because its answer was lost, a removal finds nothing the second time: so who asks looks first.
        if matches!(action, ScheduleAction::Delete) && self.read_schedule(key).await?.is_none() {
            return Err(no_schedule(key));
        }
        let home = layout::schedule_home(key, self.partitions());
        let message = ScheduleMessage {
            format: FORMAT,
            tenant_id: key.tenant.to_string(),
            schedule_id: key.id.to_string(),
            action,
            requested_by,
        };
        match self.request(home, Request::Schedule(Box::new(message))).await? {
            Answer::Recorded { existing } => Ok(existing),
            other => Err(unexpected(home, other)),
        }
    }

    /// Starts a run of a schedule now; which, and whether the same key had started it before.
    ///
    /// # Errors
    /// As [`Node::change_schedule`].
    pub async fn trigger_schedule(
        &self,
        schedule: &ScheduleKey,
        key: String,
        requested_by: String,
    ) -> Result<(RunId, bool), Error> {
        let run = schedule.run_triggered(&key);
        let action = ScheduleAction::Trigger { key, due: self.shared.clock.now() };
        Ok((run, self.change_schedule(schedule, action, requested_by).await?))
    }

    /// A schedule, how far it is, and its next due times.
    ///
    /// # Errors
    /// NOT_FOUND where there is no such schedule; the store failed, or holds what this release cannot read.
    pub async fn schedule(&self, key: &ScheduleKey) -> Result<ScheduleView, Error> {
        let (schedule, state) = self.read_schedule(key).await?.ok_or_else(|| no_schedule(key))?;
        let written = &schedule.definition;
        let calendar = Calendar::read(&written.cron, &written.time_zone);
        let next = calendar.map(|calendar| schedule::upcoming(&schedule, &calendar, &state, SHOWN));
        Ok(ScheduleView { next: next.unwrap_or_default(), schedule, state })
    }

    /// The schedules of a tenant, by their ids.
    ///
    /// # Errors
    /// The store failed.
    pub async fn schedules(&self, tenant: &str) -> Result<Vec<ScheduleView>, Error> {
        let mut views = Vec::new();
        for partition in 0..self.partitions() {
            let fields = self.shared.store.read_hash(partition, &Key::Schedules, Fields::All).await?;
            for key in layout::schedules_of(&fields, tenant) {
                match layout::read_schedule(&fields, &key) {
                    Ok(Some((schedule, state))) => {
                        views.push(ScheduleView { schedule, state, next: Vec::new() })
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(schedule = %key, %error, "a schedule is left out of a list")
                    }
                }
            }
        }
        views.sort_by(|a, b| a.schedule.definition.id.cmp(&b.schedule.definition.id));
        Ok(views)
    }

    async fn read_schedule(&self, key: &ScheduleKey) -> Result<Option<(Schedule, ScheduleState)>, Error> {
        let home = layout::schedule_home(key, self.partitions());
        let fields = self.shared.store.read_hash(home, &Key::Schedules, layout::schedule_fields(key)).await?;
        layout::read_schedule(&fields, key).map_err(|error| Error::Unreadable(error.to_string()))
    }
}

fn no_schedule(key: &ScheduleKey) -> Error {
    let told = format!("tenant '{}' has no schedule '{}'", key.tenant, key.id);
    unexpected(0, answer::refused(answer::NOT_FOUND, told))
}
