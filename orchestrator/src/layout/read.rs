//! Reads the parts of a run. Nothing that is stored can make it panic: what it does not understand is [`Unreadable`].

use bytes::Bytes;
use oarlock_engine::Plan;
use oarlock_engine::run::{Head, Row, Run};
use oarlock_protocol::{Json, RunId, RunKey, TaskPath, Timestamp};

use super::{
    HEAD, INPUT, MAILBOX, ORIGIN, OUTPUT, SCOPED, TASK, TASK_INPUT, TASK_OUTPUT, Unreadable, VARIABLE, head,
    row,
};

/// The parts of a run as they were read, before a plan makes them a run.
#[derive(Debug)]
pub struct StoredRun {
    /// The head: names the definition.
    pub head: Head,
    /// What the run was started with, where that is small.
    pub input: Option<Json>,
    /// What it ended with, where that is small.
    pub output: Option<Json>,
    parts: Vec<(String, Bytes)>,
}

impl StoredRun {
    /// Reads the head among the fields of a run; none where there is no such run.
    ///
    /// # Errors
    /// A head this release cannot read, or of which a part is missing.
    pub fn read(fields: Vec<(String, Bytes)>) -> Result<Option<Self>, Unreadable> {
        let part = |name| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        let (origin, head) = match (part(ORIGIN), part(HEAD)) {
            (Some(origin), Some(head)) => (origin, head),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(Unreadable::new("a run", format!("it has no field '{HEAD}'"))),
            (None, Some(_)) => return Err(Unreadable::new("a run", format!("it has no field '{ORIGIN}'"))),
        };
        let decoded = head::decode(origin, head).map_err(|e| Unreadable::new("a run's head", e))?;
        if decoded.head.format > oarlock_protocol::FORMAT {
            return Err(Unreadable::new(
                "a run",
                format!("its format {} is from a newer release", decoded.head.format),
            ));
        }
        let head::Decoded { head, input, output } = decoded;
        Ok(Some(Self { head, input, output, parts: fields }))
    }

    /// Makes the run of its parts.
    ///
    /// # Errors
    /// A part this release cannot read, or that the plan does not know.
    pub fn into_run(self, key: RunKey, plan: &Plan, now: Timestamp) -> Result<Run, Unreadable> {
        let mut run = Run::new(key, self.head, self.input.unwrap_or_default());
        run.output = self.output;
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

/// Reads the row of a step alone, with what small data lies in it.
///
/// # Errors
/// A row this release cannot read.
pub fn read_row(run: RunId, path: &TaskPath, value: &[u8]) -> Result<Row, Unreadable> {
    row::decode(run, path, value).map_err(|e| Unreadable::new(format!("the row {path} of run {run}"), e))
}

/// What lay inside `origin` and `head` is there already, and counts.
fn read_part(run: &mut Run, field: &str, value: &[u8]) -> Result<(), serde_json::Error> {
    if field == INPUT && run.input.is_null() {
        run.input = serde_json::from_slice(value)?;
    } else if field == OUTPUT && run.output.is_none() {
        run.output = serde_json::from_slice(value)?;
    } else if field == MAILBOX {
        run.mailbox = serde_json::from_slice(value)?;
    } else if let Some(path) = field.strip_prefix(SCOPED) {
        run.scoped.insert(TaskPath::from(path), serde_json::from_slice(value)?);
    } else if let Some(name) = field.strip_prefix(VARIABLE) {
        run.variables.insert(name.to_owned(), serde_json::from_slice(value)?);
    } else if let Some(path) = field.strip_prefix(TASK) {
        let path = TaskPath::from(path);
        let row = row::decode(run.key.run, &path, value)?;
        run.rows.insert(path, row);
    }
    Ok(())
}

/// Puts an input or output back into its row. What the row holds itself is newer: it was small, when it was written last.
fn read_data(run: &mut Run, field: &str, value: &[u8]) -> Result<(), serde_json::Error> {
    let (path, is_input) = match (field.strip_prefix(TASK_INPUT), field.strip_prefix(TASK_OUTPUT)) {
        (Some(path), _) => (path, true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok(()),
    };
    let Some(row) = run.rows.get_mut(path) else { return Ok(()) };
    let data = if is_input { &mut row.input } else { &mut row.output };
    if data.is_none() {
        *data = Some(serde_json::from_slice(value)?);
    }
    Ok(())
}
