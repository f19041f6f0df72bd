//! Steps by themselves: ids, empty lists, switches, mappings. What only some kinds have is checked in files of their own.

use oarlock_protocol::definition::{SwitchCase, Task, TaskKind};

use super::Checker;
use super::outline::{Outline, Role};
use super::references::ROOTS;
use super::sites::Site;
use crate::code::Code;
use crate::expressions;
use crate::findings::{Finding, Mark};
use crate::place::Place;

impl Checker<'_, '_> {
    pub(super) fn structure(&mut self) {
        for number in 0..self.outline.steps.len() {
            if self.findings.is_full() {
                return;
            }
            self.step(number);
        }
        for list in 0..self.outline.lists.len() {
            self.never_reached(list);
        }
    }

    fn step(&mut self, number: usize) {
        let outline: &Outline<'_> = self.outline;
        let (task, place) = (outline.steps[number].task, &outline.steps[number].place);
        self.id(number);
        self.condition(task.condition.as_deref(), &place.key("condition"), "Remove it.");
        match &task.kind {
            TaskKind::Task(name) => self.task_name(name, &place.key("task")),
            TaskKind::Tasks(tasks) => {
                self.not_empty(tasks.len(), &place.key("tasks"), "a group without steps does nothing")
            }
            TaskKind::ForEach(each, tasks) => self.for_each(number, each, tasks),
            TaskKind::Loop(repeat, tasks) => self.repeat(repeat, tasks, place),
            TaskKind::Workflow(child) => {
                self.identifier(&child.id, &place.key("workflow").key("id"), Mark::Value)
            }
            TaskKind::Wait(wait) => self.wait(wait, task, place),
            TaskKind::Parallel(tasks) => {
                self.not_empty(tasks.len(), &place.key("parallel"), "a group without steps does nothing")
            }
            TaskKind::Switch(cases) => self.switch(cases, &place.key("switch")),
            TaskKind::Set(values) => {
                self.not_empty(values.len(), &place.key("set"), "a `set` without variables does nothing");
                values.keys().for_each(|name| self.identifier(name, &place.key("set").key(name), Mark::Key));
            }
            TaskKind::Terminate(_) => {}
        }
        self.misplaced(task, place);
        self.own_variables(number);
        self.join(task, place);
        self.compensation(number);
        self.mappings(task, place);
        self.failure(task, place);
        self.step_policies(task, place);
        self.context_variables(number);
    }

    fn id(&mut self, number: usize) {
        let outline: &Outline<'_> = self.outline;
        let (id, place) = (&outline.steps[number].task.id, outline.steps[number].place.key("id"));
        self.identifier(id, &place, Mark::Value);
        if ROOTS.contains(&id.as_str()) {
            let message = format!("`{id}` cannot be the id of a step: expressions use it for something else");
            self.tell(
                Finding::new(Code::ReservedName, &place, message)
                    .help(format!("Call it `{id}_step`, for example.")),
            );
        }
        let first = outline.by_id.get(id.as_str()).copied().unwrap_or(number);
        if first != number && !id.is_empty() {
            let message = format!("the id `{id}` is taken by {}", outline.steps[first].place);
            let help = "Ids are unique in the whole workflow, in groups, cases and handlers too.";
            let finding = Finding::new(Code::DuplicateId, &place, message).other(&outline.steps[first].place);
            self.tell(finding.help(help));
        }
    }

    pub(super) fn not_empty(&mut self, count: usize, place: &Place, message: &str) {
        if count == 0 {
            self.tell(Finding::new(Code::EmptyList, place, message).help("Fill it, or remove it."));
        }
    }

    /// A condition that is a literal.
    pub(super) fn condition(&mut self, condition: Option<&str>, place: &Place, if_true: &str) {
        let Some(text) = condition else { return };
        if let constant @ ("true" | "false") = expressions::unwrapped(text) {
            let message = format!("this condition is always {constant}");
            let if_false =
                "What it guards never happens: remove that, or write the expression that was meant.";
            let help = if constant == "true" { if_true } else { if_false };
            self.tell(Finding::new(Code::ConstantCondition, place, message).help(help));
        }
    }

    fn switch(&mut self, cases: &[SwitchCase], place: &Place) {
        self.not_empty(cases.len(), place, "a switch without cases does nothing");
        for (index, case) in cases.iter().enumerate() {
            let place = place.index(index);
            let is_last = index + 1 == cases.len();
            let wrong = match (&case.when, case.otherwise) {
                (Some(_), true) => Some((
                    "a case has `when` or `otherwise`, not both",
                    "Make two cases of it, `otherwise: true` last.",
                )),
                (None, false) => Some((
                    "this case has nothing to decide by",
                    "Give it `when: <expression>`, or, as the last, `otherwise: true`.",
                )),
                (None, true) if !is_last => Some((
                    "`otherwise` takes everything that is left: no case after it is ever taken",
                    "Move it to the end; a switch has only one.",
                )),
                _ => None,
            };
            if let Some((message, help)) = wrong {
                self.tell(Finding::new(Code::InvalidCase, &place, message).help(help));
            }
            self.condition(
                case.when.as_deref(),
                &place.key("when"),
                "For the last case write `otherwise: true`.",
            );
            self.not_empty(case.tasks.len(), &place.key("tasks"), "a case without steps does nothing");
        }
    }

    fn mappings(&mut self, task: &Task, place: &Place) {
        let place = place.key("variableMappings");
        let mut written: Vec<&str> = Vec::new();
        for (index, mapping) in task.variable_mappings.iter().enumerate() {
            let (place, mark) = match self.findings.is_short_form(&place) {
                true => (place.key(mapping.target()), Mark::Key),
                false => (place.index(index).key("target"), Mark::Value),
            };
            self.identifier(mapping.target(), &place, mark.clone());
            if written.contains(&mapping.target()) {
                let message = format!(
                    "`{}` is written by an earlier mapping of this step: only the last one counts",
                    mapping.target()
                );
                self.tell(
                    Finding::new(Code::RepeatedTarget, &place, message)
                        .mark(mark)
                        .help("Remove one, or use the first one's value in the second as `variables.…`."),
                );
            }
            // More are not compared: the warning is a courtesy, and a file of mappings must stay quick to check.
            if written.len() < 100 {
                written.push(mapping.target());
            }
        }
    }

    fn failure(&mut self, task: &Task, place: &Place) {
        if task.on_error.is_empty() {
            return;
        }
        let declared = match &task.kind {
            TaskKind::Task(name) => {
                self.definition.task_definitions.iter().any(|d| d.id == *name && d.continue_on_failure)
            }
            _ => false,
        };
        let (field, message) = match task.continue_on_failure {
            Some(true) => {
                ("continueOnFailure", "`continueOnFailure` and `onError` contradict each other".to_owned())
            }
            None if declared => (
                "onError",
                "the task definition says `continueOnFailure`, and so this `onError` would never run"
                    .to_owned(),
            ),
            _ => return,
        };
        let finding = Finding::new(Code::ConflictingFields, &place.key(field), message).mark(Mark::Key);
        self.tell(finding.help(
            "Pick one: `onError` handles the failure, `continueOnFailure: true` only goes on after it.",
        ));
    }

    fn context_variables(&mut self, number: usize) {
        let outline: &Outline<'_> = self.outline;
        let place = outline.steps[number].place.key("contextVariables");
        for (index, name) in outline.steps[number].task.context_variables.iter().flatten().enumerate() {
            if !self.names.has_variable(outline, Site::Before(number), name) {
                let finding = self.unknown_variable(Site::Before(number), name, &place.index(index));
                self.tell(finding);
            }
        }
    }

    /// What stands behind a `terminate` without a condition.
    fn never_reached(&mut self, list: usize) {
        let outline: &Outline<'_> = self.outline;
        if outline.lists[list].role == Role::Parallel {
            return;
        }
        let steps = outline.lists[list].steps.iter().map(|&step| &outline.steps[step]);
        let mut end: Option<&str> = None;
        for step in steps {
            if let (Some(end), None) = (end, &step.task.depends_on) {
                let message =
                    format!("`{}` is never reached: `{end}` before it always ends the run", step.task.id);
                let help = format!("Remove it, or give `{end}` a `condition`.");
                self.tell(Finding::new(Code::NeverReached, &step.place, message).help(help));
                return;
            }
            if matches!(step.task.kind, TaskKind::Terminate(_)) && step.task.condition.is_none() {
                end = Some(&step.task.id);
            }
        }
    }
}
