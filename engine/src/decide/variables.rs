//! Variables: those of the run, and those of the steps that have their own.

use oarlock_protocol::{ErrorDetails, Json};

use super::Decider;
use crate::mapping;
use crate::plan::Step;

impl Decider<'_> {
    /// Gives a block the variables of its own, where it has any and was not given them before.
    pub(super) fn begin_variables(&mut self, step: &Step) -> Result<(), ErrorDetails> {
        let variables = &self.plan.node(step).variables;
        if variables.is_empty() || self.run.scoped.contains_key(&step.path) {
            return Ok(());
        }
        let values =
            mapping::evaluate(variables, &self.scope(step), "variables", self.settings.payload_bytes)?;
        self.count_stored(values.values().map(mapping::size).sum())?;
        self.run.scoped.insert(step.path.clone(), values);
        self.run.changes.scoped.insert(step.path.clone());
        Ok(())
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
