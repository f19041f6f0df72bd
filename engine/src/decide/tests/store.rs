//! A store that holds exactly what was in the changes of a run: what a decision forgot to mark is lost by a crash.

use std::collections::BTreeMap;

use oarlock_protocol::{Json, RunKey, TaskPath, Timestamp};
use serde::Serialize;

use crate::plan::Plan;
use crate::run::Run;

/// The written parts of one run, as bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    head: Vec<u8>,
    input: Vec<u8>,
    output: Option<Vec<u8>>,
    variables: BTreeMap<String, Vec<u8>>,
    rows: BTreeMap<TaskPath, Vec<u8>>,
    inputs: BTreeMap<TaskPath, Vec<u8>>,
    outputs: BTreeMap<TaskPath, Vec<u8>>,
    scoped: BTreeMap<TaskPath, Vec<u8>>,
    mailbox: Option<Vec<u8>>,
}

/// What one event wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The places of the rows.
    pub(super) rows: Vec<TaskPath>,
    /// How many bytes there were in all.
    pub(super) bytes: usize,
}

impl Written {
    fn json(&mut self, value: &impl Serialize) -> Vec<u8> {
        let json = serde_json::to_vec(value).unwrap();
        self.bytes += json.len();
        json
    }
}

impl Store {
    /// Writes what changed.
    pub(super) fn write(&mut self, run: &mut Run) -> Written {
        let changes = std::mem::take(&mut run.changes);
        let mut written = Written::default();
        if changes.head {
            self.head = written.json(&run.head);
        }
        if changes.input {
            self.input = written.json(&run.input);
        }
        if changes.output {
            self.output = Some(written.json(&run.output));
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
            let row = written.json(&run.rows[&path]);
            self.rows.insert(path, row);
        }
        for path in changes.inputs {
            let input = written.json(&run.rows[&path].input);
            self.inputs.insert(path, input);
        }
        for path in changes.outputs {
            let output = written.json(&run.rows[&path].output);
            self.outputs.insert(path, output);
        }
        for path in changes.scoped {
            match run.scoped.get(&path) {
                Some(variables) => drop(self.scoped.insert(path, written.json(variables))),
                None => drop(self.scoped.remove(&path)),
            }
        }
        if changes.mailbox {
            self.mailbox = Some(written.json(&run.mailbox));
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
        let head = serde_json::from_slice(&self.head).unwrap();
        let mut run = Run::new(key.clone(), head, serde_json::from_slice(&self.input).unwrap());
        run.output = self.output.as_ref().and_then(|output| serde_json::from_slice(output).unwrap());
        for (name, value) in &self.variables {
            run.variables.insert(name.clone(), serde_json::from_slice::<Json>(value).unwrap());
        }
        for (path, row) in &self.rows {
            run.rows.insert(path.clone(), serde_json::from_slice(row).unwrap());
        }
        for (path, input) in &self.inputs {
            run.rows.get_mut(path).unwrap().input = serde_json::from_slice(input).unwrap();
        }
        for (path, output) in &self.outputs {
            run.rows.get_mut(path).unwrap().output = serde_json::from_slice(output).unwrap();
        }
        for (path, variables) in &self.scoped {
            run.scoped.insert(path.clone(), serde_json::from_slice(variables).unwrap());
        }
        if let Some(mailbox) = &self.mailbox {
            run.mailbox = serde_json::from_slice(mailbox).unwrap();
        }
        run.restore(plan, now).unwrap();
        run
    }
}
