//! What is kept under which key: the one place that knows how runs, timers and definitions lie in a store.
//!
//! ```text
//! Run(tenant, run)        hash    head · input · output · mailbox · v:<variable> · w:<path>
//!                                 t:<path> · i:<path> · o:<path>
//!                                 after its retention: tombstone
//! Runs(tenant, status)    sorted  <run id>                  by creation time
//! Timers                  sorted  <tenant>/<run id>             of a run under way: a time not later than its first timer
//!                                 <tenant>/<run id>/            of one that has ended: the end of its retention, or of the memory of it
//!                                 <tenant>/<run id>/:payloads   when its payloads are removed
//! Outbox                  hash    <seq>                   -> {<execution id or run id>: <tenant>/<run id><path>, ...};  everything -> nothing
//! Definitions             hash    <tenant>/<id>@<version> -> definition;  <tenant>/<id> -> newest version
//! ```
//!
//! The input and output of a step (`i:`, `o:`) lie beside its row (`t:`): the row is written whenever it changes, they
//! are large and written once. `w:` holds the variables of a step that has its own.

use bytes::Bytes;
use oarlock_engine::run::{Head, Row, Run};
use oarlock_engine::{Plan, run};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey, TaskPath, Timestamp};
use serde::Serialize;

use crate::store::{Key, Write};

pub mod outbox;
mod timed;
mod tombstone;

pub use timed::Timed;
pub use tombstone::{Tombstone, bury, forget};

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
    if changes.mailbox {
        set(MAILBOX.to_owned(), bytes(&run.mailbox));
    }
    let mut gone = Vec::new();
    for path in sorted(changes.scoped) {
        match run.scoped.get(&path) {
            Some(variables) => set(format!("{SCOPED}{path}"), bytes(variables)),
            None => gone.push(format!("{SCOPED}{path}")),
        }
    }
    for path in sorted(changes.removed) {
        // What was made anew is written over; only what it does not have goes.
        let fields = [(TASK, &changes.rows), (TASK_INPUT, &changes.inputs), (TASK_OUTPUT, &changes.outputs)];
        let left = fields.into_iter().filter(|(_, written)| !written.contains(&path));
        gone.extend(left.map(|(prefix, _)| format!("{prefix}{path}")));
    }
    let paths = sorted(changes.rows.into_iter().filter(|path| !path.is_root()));
    for path in &paths {
        if let Some(row) = run.rows.get(path) {
            set(format!("{TASK}{path}"), bytes(row));
        }
    }
    for path in sorted(changes.inputs) {
        if let Some(input) = run.rows.get(&path).and_then(|row| row.input.as_ref()) {
            set(format!("{TASK_INPUT}{path}"), bytes(input));
        }
    }
    for path in sorted(changes.outputs) {
        if let Some(output) = run.rows.get(&path).and_then(|row| row.output.as_ref()) {
            set(format!("{TASK_OUTPUT}{path}"), bytes(output));
        }
    }
    writes.extend(gone.into_iter().map(|field| Write::HashDelete { key: key.clone(), field }));
    paths
}

fn sorted(paths: impl IntoIterator<Item = TaskPath>) -> Vec<TaskPath> {
    let mut paths: Vec<TaskPath> = paths.into_iter().collect();
    paths.sort();
    paths
}

/// The parts of a run as they were read, before a plan makes them a run.
#[derive(Debug)]
pub struct StoredRun {
    /// The head: names the definition.
    pub head: Head,
    parts: Vec<(String, Bytes)>,
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
        let unreadable =
            |run: &Run, field: &str, e| Unreadable::new(format!("{field} of run {}", run.key), e);
        for (field, value) in &self.parts {
            read_part(&mut run, field, value).map_err(|e| unreadable(&run, field, e))?;
        }
        // The fields come in any order: now every row is there.
        for (field, value) in &self.parts {
            read_data(&mut run, field, value).map_err(|e| unreadable(&run, field, e))?;
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
    } else if field == MAILBOX {
        run.mailbox = serde_json::from_slice(value)?;
    } else if let Some(path) = field.strip_prefix(SCOPED) {
        run.scoped.insert(TaskPath::from(path), serde_json::from_slice(value)?);
    } else if let Some(name) = field.strip_prefix(VARIABLE) {
        run.variables.insert(name.to_owned(), serde_json::from_slice(value)?);
    } else if let Some(path) = field.strip_prefix(TASK) {
        let row: Row = serde_json::from_slice(value)?;
        run.rows.insert(TaskPath::from(path), row);
    }
    Ok(())
}

/// Puts an input or output back into its row.
fn read_data(run: &mut run::Run, field: &str, value: &[u8]) -> Result<(), serde_json::Error> {
    let (path, is_input) = match (field.strip_prefix(TASK_INPUT), field.strip_prefix(TASK_OUTPUT)) {
        (Some(path), _) => (path, true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok(()),
    };
    if let Some(row) = run.rows.get_mut(&TaskPath::from(path)) {
        let data = if is_input { &mut row.input } else { &mut row.output };
        *data = Some(serde_json::from_slice(value)?);
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
    use std::sync::Arc;

    use oarlock_engine::{Decider, Effect, Event, Settings, decide};
    use oarlock_protocol::instance::WorkflowStatus::Running;
    use oarlock_protocol::message::StartMessage;
    use oarlock_protocol::{FORMAT, RunId};
    use serde_json::json;

    use super::*;

    /// A plan of 600 tasks that each copy a text, all at once, and a run of it that was just started with 64 KiB.
    fn burdened() -> (Plan, Run, Vec<Effect>) {
        let copy =
            |n| json!({"id": format!("t{n}"), "task": "x", "inputMappings": {"text": "${ input.text }"}});
        let copies: Vec<Json> = (0..600).map(copy).collect();
        let definition = json!({"id": "w", "version": 1, "tasks": [{"id": "p", "parallel": copies}]});
        let plan = Plan::compile(Arc::new(serde_json::from_value(definition).unwrap())).unwrap();
        let context = json!({"userId": "ada", "tenantId": "acme"});
        let request = StartMessage {
            parent: None,
            format: FORMAT,
            workflow_instance_id: RunId::keyed("acme", "w", "k"),
            workflow_definition_id: "w".to_owned(),
            workflow_definition_version: None,
            input: json!({"text": "x".repeat(64 * 1024)}),
            idempotency_key: None,
            correlation_id: None,
            security_context: serde_json::from_value(context).unwrap(),
        };
        let (run, effects) =
            decide::start(&plan, request, &Settings::default(), Timestamp::from_millis(1)).unwrap();
        (plan, run, effects)
    }

    fn handle(plan: &Plan, run: &mut Run, event: Event) {
        let settings = Settings::default();
        let mut decider = Decider::new(plan, run, &settings, Timestamp::from_millis(2));
        decider.handle(event);
    }

    /// Puts what changed into `fields`; how many bytes that took.
    fn commit(run: &mut Run, fields: &mut std::collections::BTreeMap<String, Bytes>) -> usize {
        let mut writes = Vec::new();
        write_changes(run, &mut writes);
        let mut size = 0;
        for write in writes {
            let Write::HashSet { field, value, .. } = write else { panic!("{write:?}") };
            size += field.len() + value.len();
            fields.insert(field, value);
        }
        size
    }

    #[test]
    fn the_cancel_of_a_block_of_600_burdened_tasks_is_a_small_commit() {
        let (plan, mut run, effects) = burdened();
        let mut fields = std::collections::BTreeMap::new();
        assert!(commit(&mut run, &mut fields) > 600 * 64 * 1024);
        for effect in effects {
            if let Effect::Offer { path, .. } = effect {
                handle(&plan, &mut run, Event::Admitted { path });
            }
        }
        assert!(commit(&mut run, &mut fields) < 601 * 1024);
        handle(&plan, &mut run, Event::Cancel { reason: "enough".to_owned() });
        let size = commit(&mut run, &mut fields);
        assert!((100_000..601 * 1024).contains(&size), "{size} bytes");

        let stored = StoredRun::read(fields.into_iter().collect()).unwrap().unwrap();
        let loaded = stored.into_run(run.key.clone(), &plan, Timestamp::from_millis(3)).unwrap();
        assert_eq!(loaded.head.status, Running);
        let tasks = loaded.rows.iter().filter(|(_, row)| row.work().is_some());
        assert_eq!(tasks.filter(|(_, row)| row.input.as_ref() == Some(&run.input)).count(), 600);
    }

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
