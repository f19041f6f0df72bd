//! Fields that do not go with what a step does.

use oarlock_protocol::definition::{Task, TaskKind};

use super::Checker;
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;

/// What a kind of step is called, and what to do with a field that it does not have.
struct Described {
    kind: &'static str,
    advice: &'static str,
}

impl Checker<'_, '_> {
    /// Tells of every field that a step of this kind does not have.
    pub(super) fn misplaced(&mut self, task: &Task, place: &Place) {
        let described = described(&task.kind);
        let has = Has::of(&task.kind);
        let timeouts = &task.timeouts;
        let fields = [
            ("inputMappings", !task.input_mappings.is_empty(), has.mappings),
            ("variableMappings", !task.variable_mappings.is_empty(), has.mappings),
            ("contextVariables", task.context_variables.is_some(), has.worker),
            ("priority", task.priority.is_some(), has.worker),
            ("retryPolicy", task.retry_policy.is_some(), has.mappings),
            ("timeouts", !timeouts.is_empty(), has.mappings),
            ("terminateWhen", task.terminate_when.is_some(), has.worker),
            ("continueOnFailure", task.continue_on_failure.is_some(), has.failure),
            ("onError", !task.on_error.is_empty(), has.failure),
            ("variables", !task.variables.is_empty(), has.steps),
            ("join", task.join.is_some(), has.join),
            ("compensateWith", task.compensate_with.is_some(), has.mappings),
            ("onTimeout", !task.on_timeout.is_empty(), has.timeout),
        ];
        for (field, ..) in fields.into_iter().filter(|(_, is_set, is_known)| *is_set && !is_known) {
            let advice = advice_for(field).unwrap_or(described.advice);
            self.misplaced_field(described.kind, field, &place.key(field), advice);
        }
        if matches!(task.kind, TaskKind::Workflow(_)) {
            let place = place.key("timeouts");
            let of_a_worker = [
                ("queue", timeouts.queue),
                ("execution", timeouts.execution),
                ("heartbeat", timeouts.heartbeat),
            ];
            for (field, _) in of_a_worker.into_iter().filter(|(_, limit)| limit.is_some()) {
                let advice =
                    "No worker holds it: it has `total` alone, and the workflow that it starts its own.";
                self.misplaced_field(described.kind, field, &place.key(field), advice);
            }
        }
    }

    pub(super) fn misplaced_field(&mut self, kind: &str, field: &str, place: &Place, advice: &str) {
        let finding = Finding::new(Code::MisplacedField, place, format!("{kind} has no `{field}`"));
        self.tell(finding.mark(Mark::Key).help(advice));
    }
}

/// Which of the fields that not all steps have go with a kind.
#[derive(Default)]
struct Has {
    /// Mappings, retries, limits in time, compensation: what is done elsewhere, with an input and an output.
    mappings: bool,
    /// What only a worker's task has.
    worker: bool,
    /// It can fail.
    failure: bool,
    /// It has steps inside.
    steps: bool,
    /// Some of what is inside may be enough.
    join: bool,
    /// It waits, and may do so in vain.
    timeout: bool,
}

impl Has {
    fn of(kind: &TaskKind) -> Self {
        let none = Self::default();
        let fails = Self { failure: true, ..none };
        match kind {
            TaskKind::Task(_) => Self { mappings: true, worker: true, ..fails },
            TaskKind::Workflow(_) => Self { mappings: true, ..fails },
            TaskKind::Tasks(_) | TaskKind::Parallel(_) | TaskKind::ForEach(..) => {
                Self { steps: true, join: true, ..fails }
            }
            TaskKind::Switch(_) | TaskKind::Loop(..) => Self { steps: true, ..fails },
            TaskKind::Wait(_) => Self { timeout: true, ..fails },
            TaskKind::Set(_) => fails,
            TaskKind::Terminate(_) => Self::default(),
        }
    }
}

/// Where a field belongs that few kinds have.
fn advice_for(field: &str) -> Option<&'static str> {
    match field {
        "join" => Some("It belongs to `tasks`, `parallel` and `forEach`, of which some may be enough."),
        "onTimeout" => Some("It belongs to a `wait` with a `timeout`."),
        "variables" => Some("It belongs to steps with steps inside; the workflow has `variables` too."),
        "compensateWith" => {
            Some("It belongs to steps that have `task` or `workflow`: each is undone by itself.")
        }
        _ => None,
    }
}

fn described(kind: &TaskKind) -> Described {
    let (kind, advice) = match kind {
        TaskKind::Task(_) => ("a step with `task`", "Remove it."),
        TaskKind::Workflow(_) => (
            "a `workflow` step",
            "It belongs to steps that have `task`; put it into the workflow that is started.",
        ),
        TaskKind::Wait(_) => {
            ("a `wait`", "It belongs to steps that have `task`; what a `wait` gives is `tasks.<id>.output`.")
        }
        TaskKind::ForEach(..) => ("a `forEach`", "Put it on the steps inside that have `task`."),
        TaskKind::Loop(..) => ("a `loop`", "Put it on the steps inside that have `task`."),
        TaskKind::Tasks(_) | TaskKind::Parallel(_) => {
            ("a group", "Put it on the steps inside that have `task`.")
        }
        TaskKind::Switch(_) => ("a `switch`", "Put it on the steps inside that have `task`."),
        TaskKind::Set(_) => {
            ("a `set`", "It belongs to steps that have `task`; a `set` only writes variables.")
        }
        TaskKind::Terminate(_) => {
            ("a `terminate`", "It belongs to steps that have `task`; a `terminate` only ends the run.")
        }
    };
    Described { kind, advice }
}
