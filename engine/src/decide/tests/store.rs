//! A store that holds exactly what was in the changes of a run: what a decision forgot to mark is lost by a crash.

use std::collections::BTreeMap;

use oarlock_protocol::{Json, JsonMap, RunKey, TaskPath, Timestamp};

use crate::mapping::size;
use crate::plan::Plan;
use crate::run::{Head, Mailbox, Row, Run};

/// The written parts of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    head: Option<Head>,
    input: Json,
    output: Option<Json>,
    variables: JsonMap,
    /// Without their data.
    rows: BTreeMap<TaskPath, Row>,
    inputs: BTreeMap<TaskPath, Json>,
    outputs: BTreeMap<TaskPath, Json>,
    scoped: BTreeMap<TaskPath, JsonMap>,
    mailbox: Mailbox,
}

/// What one event wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The places of the rows.
    pub(super) rows: Vec<TaskPath>,
    /// About how many bytes there were in all.
    pub(super) bytes: usize,
}

impl Written {
    /// Counts a row or head. How many bytes it is stored in is not known here; its text for people has more.
    fn part<T: std::fmt::Debug>(&mut self, part: T) -> T {
        self.bytes += format!("{part:?}").len() / 2;
        part
    }

    fn json(&mut self, value: &Json) -> Json {
        self.bytes += size(value);
        value.clone()
    }
}

impl Store {
    /// Writes what changed.
    pub(super) fn write(&mut self, run: &mut Run) -> Written {
        let changes = std::mem::take(&mut run.changes);
        let mut written = Written::default();
        if changes.head {
            self.head = Some(written.part(run.head.clone()));
        }
        if changes.origin {
            self.input = written.json(&run.input);
        }
        if changes.output {
            self.output = run.output.as_ref().map(|output| written.json(output));
        }
        for name in changes.variables {
            let value = written.json(&run.variables[&name]);
            self.variables.insert(name, value);
        }
        for path in changes.removed {
            self.rows.remove(&path);
            self.inputs.remove(&path);
            self.outputs.remove(&path);
        }
        written.rows = changes.rows.into_iter().filter(|path| !path.is_root()).collect();
        for path in written.rows.clone() {
            let row = &run.rows[&path];
            assert!(!row.is_partial, "{path} is written again without what memory forgot of it");
            let row = written.part(Row { input: None, output: None, ..row.clone() });
            self.rows.insert(path, row);
        }
        for path in changes.inputs {
            let input = written.json(run.rows[&path].input.as_ref().unwrap());
            self.inputs.insert(path, input);
        }
        for path in changes.outputs {
            let output = written.json(run.rows[&path].output.as_ref().unwrap());
            self.outputs.insert(path, output);
        }
        for path in changes.scoped {
            match run.scoped.get(&path) {
                Some(variables) => drop(self.scoped.insert(path, written.part(variables.clone()))),
                None => drop(self.scoped.remove(&path)),
            }
        }
        if changes.mailbox {
            self.mailbox = written.part(run.mailbox.clone());
        }
        written
    }

    /// The places that have a row, an input or an output, sorted.
    pub(super) fn places(&self) -> Vec<String> {
        let places = self.rows.keys().chain(self.inputs.keys()).chain(self.outputs.keys());
        let places: std::collections::BTreeSet<String> = places.map(ToString::to_string).collect();
        places.into_iter().collect()
    }

    /// The run as another owner would load it.
    pub(super) fn load(&self, key: &RunKey, plan: &Plan, now: Timestamp) -> Run {
        let mut run = Run::new(key.clone(), self.head.clone().unwrap(), self.input.clone());
        run.output = self.output.clone().filter(|output| !output.is_null());
        run.variables = self.variables.clone();
        run.rows = self.rows.clone().into_iter().collect();
        for (path, input) in &self.inputs {
            run.rows.get_mut(path).unwrap().input = Some(input.clone());
        }
        for (path, output) in &self.outputs {
            run.rows.get_mut(path).unwrap().output = Some(output.clone());
        }
        run.scoped = self.scoped.clone().into_iter().collect();
        run.mailbox = self.mailbox.clone();
        run.restore(plan, now).unwrap();
        run
    }
}
