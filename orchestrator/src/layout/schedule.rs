//! How schedules lie in the hash of their partition: what is written, and how far it is, which changes with every start, in a
//! field of its own.

use bytes::Bytes;
use oarlock_protocol::schedule::{Schedule, ScheduleState};
use oarlock_protocol::{FORMAT, RunId, ScheduleKey};

use super::{Unreadable, bytes};
use crate::store::{Fields, Key, Write};

/// The field of a schedule.
fn field(key: &ScheduleKey) -> String {
    key.to_string()
}

/// The field of how far it is: no id ends so.
fn state_field(key: &ScheduleKey) -> String {
    format!("{key}/")
}

/// The partition that keeps a schedule.
pub fn schedule_home(key: &ScheduleKey, partitions: u32) -> u32 {
    RunId::scheduled(&key.tenant, &key.id, "").partition(partitions)
}

/// The fields to read of a schedule.
pub fn schedule_fields(key: &ScheduleKey) -> Fields {
    Fields::Named(vec![field(key), state_field(key)])
}

/// Reads a schedule among fields; none where there is none.
///
/// # Errors
/// One that this release cannot read.
pub fn read_schedule(
    fields: &[(String, Bytes)],
    key: &ScheduleKey,
) -> Result<Option<(Schedule, ScheduleState)>, Unreadable> {
    let find = |wanted: String| fields.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value);
    let unreadable = |error: &dyn std::fmt::Display| Unreadable::new(format!("schedule {key}"), error);
    let Some(schedule) = find(field(key)) else { return Ok(None) };
    let schedule: Schedule = serde_json::from_slice(schedule).map_err(|e| unreadable(&e))?;
    if schedule.format > FORMAT {
        return Err(unreadable(&format!("its format {} is from a newer release", schedule.format)));
    }
    let state = find(state_field(key)).map(|state| serde_json::from_slice(state)).transpose();
    Ok(Some((schedule, state.map_err(|e| unreadable(&e))?.unwrap_or_default())))
}

/// The schedules of a tenant among all fields of a partition.
pub fn schedules_of(fields: &[(String, Bytes)], tenant: &str) -> Vec<ScheduleKey> {
    let keys = fields.iter().filter_map(|(field, _)| ScheduleKey::parse(field));
    keys.filter(|key| *key.tenant == *tenant).collect()
}

/// The write of what is written of a schedule.
pub fn put_schedule(schedule: &Schedule) -> Write {
    Write::HashSet { key: Key::Schedules, field: field(&schedule.key()), value: bytes(schedule) }
}

/// The write of how far it is.
pub fn put_schedule_state(key: &ScheduleKey, state: &ScheduleState) -> Write {
    Write::HashSet { key: Key::Schedules, field: state_field(key), value: bytes(state) }
}

/// The writes that remove it.
pub fn remove_schedule(key: &ScheduleKey) -> [Write; 2] {
    [field(key), state_field(key)].map(|field| Write::HashDelete { key: Key::Schedules, field })
}
