//! Variables: those of the run, and those of the steps that have their own.

use oarlock_protocol::Json;
use oarlock_protocol::instance::TaskStatus;

use super::Decider;
use crate::mapping;
use crate::plan::{NodeKind, Step};

impl Decider<'_> {
    /// Gives a block the variables of its own, where it has any and was not given them before. Where they cannot be
    /// made the block fails, and false is given.
    pub(super) fn begin_variables(&mut self, step: &Step) -> bool {
        let variables = &self.plan.node(step).variables;
        if variables.is_empty() || self.run.scoped.contains_key(&step.path) {
            return true;
        }
        let limit = self.settings.payload_bytes;
        let values = match mapping::evaluate(variables, &self.scope(step), "variables", limit) {
            Ok(values) => values,
            Err(error) => {
                self.fail(step, TaskStatus::Failed, error, None);
                return false;
            }
        };
        if let Err(error) = self.count_stored(values.values().map(mapping::size).sum()) {
            self.overrun(step, error);
            return false;
        }
        self.run.scoped.insert(step.path.clone(), values);
        self.run.changes.scoped.insert(step.path.clone());
        true
    }

    /// Forgets the variables of a step that has finished, unless it may be done again: then it goes on with them.
    /// Those of the last iteration of a loop are there until the loop goes on or is done: its `until` and `output`
    /// see them.
    pub(super) fn drop_variables(&mut self, step: &Step) {
        if self.run.scoped.is_empty() || self.row(step).is_some_and(|row| !self.is_done(step, row)) {
            return;
        }
        match self.plan.node(step).kind {
            NodeKind::Iteration(_) if self.is_of_loop(step) => {}
            NodeKind::Loop(_) => {
                let last = self.last_round(step);
                self.run.drop_scoped(&last.path);
            }
            _ => self.run.drop_scoped(&step.path),
        }
    }

    /// Forgets the variables of all steps: the run has COMPLETED, and nothing in it is done again.
    pub(super) fn drop_all_variables(&mut self) {
        for path in self.run.scoped.keys().cloned().collect::<Vec<_>>() {
            self.run.drop_scoped(&path);
        }
    }

    fn is_of_loop(&self, iteration: &Step) -> bool {
        let around = self.plan.parent(iteration);
        around.is_some_and(|around| matches!(self.plan.node(&around).kind, NodeKind::Loop(_)))
    }

    /// Writes variables as a step sees them: one that a step around it has goes there, any other to the run.
    pub(super) fn write_variables(&mut self, step: &Step, values: impl IntoIterator<Item = (String, Json)>) {
        for (name, value) in values {
            if let Some(owner) = self.plan.owner_of(step, &name) {
                if let Some(variables) = self.run.scoped.get_mut(&owner.path) {
                    variables.insert(name, value);
                    self.run.changes.scoped.insert(owner.path);
                }
                continue;
            }
            self.run.changes.variables.insert(name.clone());
            self.run.variables.insert(name, value);
        }
    }
}
