//! What is kept under which key: the one place that knows how runs, timers and definitions lie in a store.
//!
//! ```text
//! Run(tenant, run)        hash    origin · head · input · output · mailbox · v:<variable> · w:<path>
//!                                 t:<path> · i:<path> · o:<path>
//!                                 after its retention: tombstone
//! Runs(tenant, status)    sorted  <run id>                  by creation time
//! Timers                  sorted  <tenant>/<run id>             of a run under way: a time not later than its first timer
//!                                 <tenant>/<run id>/            of one that has ended: the end of its retention, or of the memory of it
//!                                 <tenant>/<run id>/:payloads   when its payloads are removed
//!                                 statistics@<hour>             when the statistics of that hour are removed
//!                         <tenant>/<schedule id> behind `:schedule/`: a time not later than that at which it is to be looked at
//! Outbox                  hash    <seq>                   -> {<execution id or run id>: <tenant>/<run id><path>, ...};  everything -> nothing
//! Definitions             hash    <tenant>/<id>@<version> -> definition;  <tenant>/<id> -> newest version
//! Statistics(hour)        hash    t/<tenant>/<task>/<seq>, w/<tenant>/<workflow>/<seq> -> what attempts and runs took
//! Schedules               hash    <tenant>/<id> -> schedule;  <tenant>/<id>/ -> how far it is
//! Pauses                  hash    queue/<name>, task/<tenant>/<id>, workflow/<tenant>/<id> -> since when, by whom, why, until when
//! Limits                  hash    concurrency/<tenant>/<task>, rate/<tenant>/<task> -> what each partition holds of it
//! ```
//!
//! `origin` is what the start of a run fixes, written once; `head` what changes with its events. A row (`t:`) is written
//! whenever its step changes. Input and output of at most 256 bytes lie in the field of what they belong to, a run's in
//! `origin` and `head`, a step's in its row; larger ones lie beside it (`input`, `output`, `i:`, `o:`) and are written
//! once. Where both are there, what lies inside counts. `w:` holds the variables of a step that has its own.
//! `layout/head.rs`, `layout/row.rs` and `layout/form.rs` tell the stored form of each.

use bytes::Bytes;
use oarlock_engine::Run;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::PauseSubject;
use oarlock_protocol::{RunKey, TaskPath};
use serde::Serialize;

use crate::store::{Key, Write};

mod form;
mod head;
mod limit;
pub mod outbox;
mod read;
mod row;
mod schedule;
pub mod statistics;
#[cfg(test)]
mod tests;
mod timed;
mod tombstone;
mod write;

pub use limit::{StoredLimit, limit_field, limit_home, limit_write, limits_in};
pub use read::{StoredRun, read_row};
pub use schedule::{
    put_schedule, put_schedule_state, read_schedule, remove_schedule, schedule_fields, schedule_home,
    schedules_of,
};
pub use timed::Timed;
pub use tombstone::{Tombstone, bury, forget};
pub use write::write_changes;

const ORIGIN: &str = "origin";
const HEAD: &str = "head";
const INPUT: &str = "input";
const OUTPUT: &str = "output";
const VARIABLE: &str = "v:";
const MAILBOX: &str = "mailbox";
const SCOPED: &str = "w:";
const TASK: &str = "t:";
const TASK_INPUT: &str = "i:";
const TASK_OUTPUT: &str = "o:";

/// Stored bytes that this release cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} in the store cannot be read: {reason}")]
pub struct Unreadable {
    what: String,
    reason: String,
}

impl Unreadable {
    fn new(what: impl Into<String>, reason: impl ToString) -> Self {
        Self { what: what.into(), reason: reason.to_string() }
    }
}

/// A place in a run, as the outbox and some timers name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The run.
    pub run: RunKey,
    /// Where in it.
    pub path: TaskPath,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.run, self.path)
    }
}

impl Place {
    /// Reads the text of a place.
    ///
    /// # Errors
    /// A text that names none.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable::new("a place", text);
        let (tenant, rest) = text.split_once('/').ok_or_else(unreadable)?;
        let at = rest.find('/').ok_or_else(unreadable)?;
        let (run, path) = rest.split_at(at);
        Ok(Self {
            run: RunKey::new(tenant, run.parse().map_err(|_| unreadable())?),
            path: TaskPath::from(path),
        })
    }
}

/// JSON as bytes. Everything stored is made of words that always have a JSON form.
fn bytes(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}

/// The fields of a run that hold its head.
pub fn head_fields() -> Vec<String> {
    vec![ORIGIN.to_owned(), HEAD.to_owned()]
}

/// The index that lists a tenant's runs of a status.
pub fn runs_key(tenant: &str, status: WorkflowStatus) -> Key {
    Key::Runs { tenant: tenant.to_owned(), status: status.as_str().to_owned() }
}

/// The writes that move a run's index entry.
pub fn move_index(run: &Run, from: Option<WorkflowStatus>, to: WorkflowStatus, writes: &mut Vec<Write>) {
    let member = run.key.run.to_string();
    if let Some(from) = from {
        writes.push(Write::SortedRemove { key: runs_key(&run.key.tenant, from), member: member.clone() });
    }
    let score = run.head.created_at.as_millis();
    writes.push(Write::SortedSet { key: runs_key(&run.key.tenant, to), member, score });
}

/// The field of a definition.
pub fn definition_field(tenant: &str, id: &str, version: u32) -> String {
    format!("{tenant}/{id}@{version}")
}

/// The field of a definition's newest version.
pub fn newest_field(tenant: &str, id: &str) -> String {
    format!("{tenant}/{id}")
}

/// The partition that keeps what is held back in the whole fleet.
pub fn pauses_home(partitions: u32) -> u32 {
    home("", "pauses", partitions)
}

/// The field of a pause.
pub fn pause_field(subject: &PauseSubject) -> String {
    match subject {
        PauseSubject::Queue { queue } => format!("queue/{queue}"),
        PauseSubject::Task { tenant_id, task } => format!("task/{tenant_id}/{task}"),
        PauseSubject::Workflow { tenant_id, workflow } => format!("workflow/{tenant_id}/{workflow}"),
    }
}

/// The partition that keeps the definition of that name.
pub fn home(tenant: &str, id: &str, partitions: u32) -> u32 {
    oarlock_protocol::RunId::keyed(tenant, id, "").partition(partitions)
}
