//! Task definitions: each once, each used, each well named.

use std::collections::{BTreeSet, HashMap};

use oarlock_protocol::definition::{Task, TaskDefinition, TaskKind};
use oarlock_protocol::name::check_task_name;

use super::Checker;
use crate::code::Code;
use crate::findings::Finding;
use crate::place::Place;

impl<'d> Checker<'_, 'd> {
    pub(super) fn task_definitions(&mut self) {
        self.input_schema();
        let definitions = &self.definition.task_definitions;
        let used = self.used_names();
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, definition) in definitions.iter().enumerate() {
            if self.findings.is_full() {
                return;
            }
            let place = Place::root().key("taskDefinitions").index(index);
            self.task_name(&definition.id, &place.key("id"));
            let earlier = *first.entry(&definition.id).or_insert(index);
            if earlier != index {
                let message = format!(
                    "the task definition `{}` was given before, as taskDefinitions[{earlier}]",
                    definition.id
                );
                let first = Place::root().key("taskDefinitions").index(earlier);
                let finding =
                    Finding::new(Code::DuplicateTaskDefinition, &place.key("id"), message).other(&first);
                self.tell(finding.help("Merge the two into one."));
            } else if !used.contains(definition.id.as_str()) {
                let finding = self.unused(&definition.id, &used, &place);
                self.tell(finding);
            }
            self.task_definition(definition, &place);
        }
    }

    fn input_schema(&mut self) {
        self.schema(self.definition.input.as_ref(), &Place::root().key("input"));
    }

    /// The tasks that steps use.
    fn used_names(&self) -> BTreeSet<&'d str> {
        let name = |task: &'d Task| match &task.kind {
            TaskKind::Task(name) => Some(name.as_str()),
            _ => None,
        };
        let undone_by = |task: &'d Task| task.compensate_with.as_ref().map(|with| with.task.as_str());
        let steps = self.outline.steps.iter();
        steps.flat_map(|step| name(step.task).into_iter().chain(undone_by(step.task))).collect()
    }

    fn unused(&self, id: &str, used: &BTreeSet<&str>, place: &Place) -> Finding {
        let finding = Finding::new(
            Code::UnusedTaskDefinition,
            &place.key("id"),
            format!("no step uses the task definition `{id}`"),
        );
        let undeclared = used
            .iter()
            .copied()
            .filter(|name| !self.definition.task_definitions.iter().any(|d| d.id == *name));
        match self.findings.nearest(id, undeclared) {
            Some(near) => finding.help(format!(
                "A step uses `{near}`, which has no definition: is one of the two misspelled?"
            )),
            None => finding.help("Use it in a step with `task:`, or remove it."),
        }
    }

    fn task_definition(&mut self, definition: &TaskDefinition, place: &Place) {
        if let Some(queue) = &definition.queue {
            self.task_name(queue, &place.key("queue"));
        }
        self.schema(definition.input_schema.as_ref(), &place.key("inputSchema"));
        self.schema(definition.output_schema.as_ref(), &place.key("outputSchema"));
        if let Some(policy) = &definition.retry_policy {
            self.retry_policy(policy, &place.key("retryPolicy"));
        }
        self.timeouts(&definition.timeouts, &place.key("timeouts"));
        if let Some(security) = &definition.security_requirements {
            self.permissions(security, &place.key("securityRequirements"));
        }
    }

    /// The spelling of a task's or a queue's name.
    pub(super) fn task_name(&mut self, name: &str, place: &Place) {
        if let Err(error) = check_task_name(name) {
            let finding = Finding::new(Code::InvalidName, place, error.to_string());
            self.tell(finding.help("Write a name such as payment.charge."));
        }
    }
}
