//! What is kept under which key: the one place that knows how runs, timers and definitions lie in a store.
//!
//! ```text
//! Run(tenant, run)        hash    head · input · output · v:<variable> · t:<path>; after its retention: tombstone
//! Runs(tenant, status)    sorted  <run id>                  by creation time
//! Timers                  sorted  <tenant>/<run id><path>   by time
//! Outbox                  hash    <execution id>         -> <tenant>/<run id><path>
//! Definitions             hash    <tenant>/<id>@<version> -> definition;  <tenant>/<id> -> newest version
//! ```

use bytes::Bytes;
use oarlock_engine::run::{Head, Row, Run};
use oarlock_engine::{Plan, run};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey, Span, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::{Key, Write};

const HEAD: &str = "head";
const INPUT: &str = "input";
const OUTPUT: &str = "output";
const VARIABLE: &str = "v:";
const TASK: &str = "t:";
const TOMBSTONE: &str = "tombstone";

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

/// A place in a run, as timers and outbox name it.
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

/// The writes that store what changed in a run, and the places whose rows they hold.
pub fn write_changes(run: &mut Run, writes: &mut Vec<Write>) -> Vec<TaskPath> {
    let changes = std::mem::take(&mut run.changes);
    let key = Key::Run(run.key.clone());
    let mut set =
        |field: String, value: Bytes| writes.push(Write::HashSet { key: key.clone(), field, value });
    if changes.head {
        set(HEAD.to_owned(), bytes(&run.head));
    }
    if changes.input {
        set(INPUT.to_owned(), bytes(&run.input));
    }
    if changes.output {
        set(OUTPUT.to_owned(), bytes(&run.output));
    }
    for name in changes.variables {
        if let Some(value) = run.variables.get(&name) {
            set(format!("{VARIABLE}{name}"), bytes(value));
        }
    }
    let mut paths: Vec<TaskPath> = changes.rows.into_iter().filter(|path| !path.is_root()).collect();
    paths.sort();
    for path in &paths {
        if let Some(row) = run.rows.get(path) {
            set(format!("{TASK}{path}"), bytes(row));
        }
    }
    paths
}

/// The parts of a run as they were read, before a plan makes them a run.
#[derive(Debug)]
pub struct StoredRun {
    /// The head: names the definition.
    pub head: Head,
    parts: Vec<(String, Bytes)>,
}

/// What outlives a run that was started by a key: for a while, the same request still starts nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    /// Version of this form.
    pub format: u32,
    /// Tells the same request from another one.
    pub request_digest: String,
    /// The version of its definition that the run had.
    pub workflow_definition_version: u32,
}

impl Tombstone {
    /// Reads the tombstone among the fields of a run; none where there is none.
    ///
    /// # Errors
    /// One this release cannot read.
    pub fn read(fields: &[(String, Bytes)]) -> Result<Option<Self>, Unreadable> {
        let Some((_, value)) = fields.iter().find(|(field, _)| field == TOMBSTONE) else { return Ok(None) };
        serde_json::from_slice(value).map(Some).map_err(|e| Unreadable::new("a run's tombstone", e))
    }
}

impl StoredRun {
    /// Reads the head among the fields of a run; none where there is no such run.
    ///
    /// # Errors
    /// A head this release cannot read.
    pub fn read(fields: Vec<(String, Bytes)>) -> Result<Option<Self>, Unreadable> {
        let Some((_, head)) = fields.iter().find(|(field, _)| field == HEAD) else { return Ok(None) };
        let head: Head = serde_json::from_slice(head).map_err(|e| Unreadable::new("a run's head", e))?;
        if head.format > oarlock_protocol::FORMAT {
            return Err(Unreadable::new(
                "a run",
                format!("its format {} is from a newer release", head.format),
            ));
        }
        Ok(Some(Self { head, parts: fields }))
    }

    /// Makes the run of its parts.
    ///
    /// # Errors
    /// A part this release cannot read, or that the plan does not know.
    pub fn into_run(self, key: RunKey, plan: &Plan, now: Timestamp) -> Result<Run, Unreadable> {
        let mut run = Run::new(key, self.head, Json::Null);
        for (field, value) in &self.parts {
            read_part(&mut run, field, value)
                .map_err(|e| Unreadable::new(format!("{field} of run {}", run.key), e))?;
        }
        run.restore(plan, now).map_err(|path| {
            Unreadable::new(format!("run {}", run.key), format!("its definition has no step at {path}"))
        })?;
        Ok(run)
    }
}

fn read_part(run: &mut run::Run, field: &str, value: &[u8]) -> Result<(), serde_json::Error> {
    if field == INPUT {
        run.input = serde_json::from_slice(value)?;
    } else if field == OUTPUT {
        run.output = serde_json::from_slice(value)?;
    } else if let Some(name) = field.strip_prefix(VARIABLE) {
        run.variables.insert(name.to_owned(), serde_json::from_slice(value)?);
    } else if let Some(path) = field.strip_prefix(TASK) {
        let row: Row = serde_json::from_slice(value)?;
        run.rows.insert(TaskPath::from(path), row);
    }
    Ok(())
}

/// The field of a run that holds its head.
pub fn head_field() -> String {
    HEAD.to_owned()
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

/// The writes that remove an ended run. Where it was started by a key, a tombstone stays for `deduplication`, and a timer
/// that removes that.
pub fn forget(run: &Run, deduplication: Span, now: Timestamp, writes: &mut Vec<Write>) {
    let key = Key::Run(run.key.clone());
    let member = run.key.run.to_string();
    writes.push(Write::Delete { key: key.clone() });
    writes.push(Write::SortedRemove { key: runs_key(&run.key.tenant, run.head.status), member });
    let member = Place { run: run.key.clone(), path: TaskPath::root() }.to_string();
    if !run.key.run.is_keyed() || deduplication.as_millis() == 0 {
        writes.push(Write::SortedRemove { key: Key::Timers, member });
        return;
    }
    let tombstone = Tombstone {
        format: oarlock_protocol::FORMAT,
        request_digest: run.head.request_digest.clone(),
        workflow_definition_version: run.head.workflow_definition_version,
    };
    writes.push(Write::HashSet { key, field: TOMBSTONE.to_owned(), value: bytes(&tombstone) });
    let score = now.after(deduplication).as_millis();
    writes.push(Write::SortedSet { key: Key::Timers, member, score });
}

/// The field of a definition.
pub fn definition_field(tenant: &str, id: &str, version: u32) -> String {
    format!("{tenant}/{id}@{version}")
}

/// The field of a definition's newest version.
pub fn newest_field(tenant: &str, id: &str) -> String {
    format!("{tenant}/{id}")
}

/// The partition that keeps the definition of that name.
pub fn home(tenant: &str, id: &str, partitions: u32) -> u32 {
    oarlock_protocol::RunId::keyed(tenant, id, "").partition(partitions)
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::RunId;

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for path in ["/", "/a", "/a/b:onError/c", "/fan[3]/x"] {
            let place = Place {
                run: RunKey::new("acme", RunId::keyed("acme", "d", "k")),
                path: TaskPath::from(path),
            };
            assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
        }
        for text in ["", "acme", "acme/x", "acme/not-a-uuid/x"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
