//! A store that holds exactly what was in the changes of a run: what a decision forgot to mark is lost by a crash.

use std::collections::BTreeMap;

use oarlock_protocol::{Json, RunKey, TaskPath, Timestamp};

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
}

impl Store {
    /// Writes what changed; the places of the rows written.
    pub(super) fn write(&mut self, run: &mut Run) -> Vec<TaskPath> {
        let changes = std::mem::take(&mut run.changes);
        if changes.head {
            self.head = serde_json::to_vec(&run.head).unwrap();
        }
        if changes.input {
            self.input = serde_json::to_vec(&run.input).unwrap();
        }
        if changes.output {
            self.output = Some(serde_json::to_vec(&run.output).unwrap());
        }
        for name in changes.variables {
            let value = serde_json::to_vec(&run.variables[&name]).unwrap();
            self.variables.insert(name, value);
        }
        let paths: Vec<TaskPath> = changes.rows.into_iter().filter(|path| !path.is_root()).collect();
        for path in &paths {
            self.rows.insert(path.clone(), serde_json::to_vec(&run.rows[path]).unwrap());
        }
        paths
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
        run.restore(plan, now).unwrap();
        run
    }
}
