//! Steps: the fields they share, and the one key that says what a step does.

use oarlock_protocol::JsonMap;
use oarlock_protocol::definition::{SwitchCase, Task, TaskKind, Terminate, TerminateStatus};

use super::fields::Fields;
use super::{Decoder, example};
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;
use crate::tree::{Node, Value};

const KINDS: &[&str] =
    &["task", "forEach", "loop", "tasks", "parallel", "switch", "set", "terminate", "workflow", "wait"];

const TASK: &[&str] = &[
    "id",
    "description",
    "condition",
    "dependsOn",
    "inputMappings",
    "variableMappings",
    "contextVariables",
    "priority",
    "retryPolicy",
    "timeouts",
    "continueOnFailure",
    "onError",
    "variables",
    "join",
    "compensateWith",
    "onTimeout",
    "terminateWhen",
    "task",
    "tasks",
    "parallel",
    "switch",
    "set",
    "terminate",
    "forEach",
    "loop",
    "workflow",
    "wait",
];

impl Decoder<'_, '_> {
    /// A list of steps.
    pub(super) fn tasks(&mut self, node: &Node, place: &Place) -> Option<Vec<Task>> {
        let wanted = "a list of steps (`- {id: greet, task: greeting.say}`)";
        self.list(node, place, wanted, Self::task, || stand_in(TaskKind::Task(String::new())))
    }

    fn task(&mut self, node: &Node, place: &Place) -> Option<Task> {
        let Some(fields) = self.fields(node, place, "a step", TASK) else {
            self.findings.advise(place, || "Write it as `- {id: greet, task: greeting.say}`.".to_owned());
            return None;
        };
        let kind = self.kind(&fields, node).unwrap_or_else(|| TaskKind::Task(String::new()));
        Some(Task {
            id: self.required(&fields, "id", Self::text).unwrap_or_default(),
            description: self.optional(&fields, "description", Self::text),
            condition: self.optional(&fields, "condition", Self::expression),
            depends_on: self.optional(&fields, "dependsOn", Self::depends_on),
            input_mappings: self.optional(&fields, "inputMappings", Self::json_map).unwrap_or_default(),
            variable_mappings: self
                .optional(&fields, "variableMappings", Self::variable_mappings)
                .unwrap_or_default(),
            context_variables: self.optional(&fields, "contextVariables", Self::texts),
            priority: self.optional(&fields, "priority", |decoder, node, place| {
                decoder.whole_number(node, place, 0, 9)
            }),
            retry_policy: self.optional(&fields, "retryPolicy", Self::retry_policy),
            timeouts: self.optional(&fields, "timeouts", Self::task_timeouts).unwrap_or_default(),
            continue_on_failure: self.optional(&fields, "continueOnFailure", Self::boolean),
            on_error: self.optional(&fields, "onError", Self::tasks).unwrap_or_default(),
            variables: self.optional(&fields, "variables", Self::json_map).unwrap_or_default(),
            join: self.optional(&fields, "join", Self::join),
            compensate_with: self.optional(&fields, "compensateWith", Self::compensation).map(Box::new),
            on_timeout: self.optional(&fields, "onTimeout", Self::tasks).unwrap_or_default(),
            terminate_when: self.optional(&fields, "terminateWhen", Self::expression),
            kind,
        })
    }

    /// What the step does. All kinds that are written are read, so that what is wrong in them is told too.
    fn kind(&mut self, fields: &Fields<'_>, node: &Node) -> Option<TaskKind> {
        let has_iterations = fields.has("forEach") || fields.has("loop");
        let is_kind = |kind: &&str| fields.has(kind) && !(has_iterations && *kind == "tasks");
        let written: Vec<&'static str> = KINDS.iter().copied().filter(is_kind).collect();
        if let [first, second, ..] = written[..] {
            let message = format!("a step does one thing, and this one has both `{first}` and `{second}`");
            let finding =
                Finding::new(Code::SeveralKinds, &fields.place.key(second), message).mark(Mark::Key);
            self.findings.push(finding.help("Make two steps of it, each with its own id."));
        } else if written.is_empty() {
            self.no_kind(fields, node);
            self.findings.hole(&fields.place.key("task"));
        }
        let kinds: Vec<TaskKind> = written.into_iter().map(|kind| self.one_kind(fields, kind)).collect();
        kinds.into_iter().next()
    }

    /// The kind that the field of this name tells; where it cannot be read, one with nothing in it.
    fn one_kind(&mut self, fields: &Fields<'_>, kind: &'static str) -> TaskKind {
        match kind {
            "task" => TaskKind::Task(self.optional(fields, kind, Self::text).unwrap_or_default()),
            "tasks" => TaskKind::Tasks(self.optional(fields, kind, Self::tasks).unwrap_or_default()),
            "parallel" => TaskKind::Parallel(self.optional(fields, kind, Self::tasks).unwrap_or_default()),
            "switch" => TaskKind::Switch(self.optional(fields, kind, Self::cases).unwrap_or_default()),
            "set" => TaskKind::Set(self.optional(fields, kind, Self::json_map).unwrap_or_default()),
            "forEach" => self.for_each(fields),
            "loop" => self.repeat(fields),
            "workflow" => self.child_workflow(fields),
            "wait" => self.wait(fields),
            _ => TaskKind::Terminate(self.optional(fields, kind, Self::terminate).unwrap_or(Terminate {
                status: TerminateStatus::Failed,
                output: None,
                message: None,
            })),
        }
    }

    fn no_kind(&mut self, fields: &Fields<'_>, node: &Node) {
        let Value::Map(entries) = &node.value else { return };
        let unknown = entries.iter().map(|entry| entry.key.as_str()).filter(|key| !TASK.contains(key));
        // A misspelled kind was told as an unknown field, with the right spelling.
        let is_told = |key: &str| {
            self.findings.nearest(key, TASK.iter().copied()).is_some_and(|near| KINDS.contains(&near))
        };
        if unknown.into_iter().any(is_told) {
            return;
        }
        let message = "this step does not say what it does";
        let help = format!("Give it one of {}, such as `{}`.", KINDS.join(", "), example::of("task"));
        self.findings.push(Finding::new(Code::NoKind, &fields.place, message).help(help));
    }

    fn depends_on(&mut self, node: &Node, place: &Place) -> Option<Vec<String>> {
        self.texts(node, place)
    }

    fn cases(&mut self, node: &Node, place: &Place) -> Option<Vec<SwitchCase>> {
        let wanted = "a list of cases (`- {when: variables.total > 0, tasks: […]}`)";
        self.list(node, place, wanted, Self::case, || SwitchCase {
            when: None,
            otherwise: false,
            tasks: Vec::new(),
        })
    }

    fn case(&mut self, node: &Node, place: &Place) -> Option<SwitchCase> {
        let fields = self.fields(node, place, "a case of a switch", &["when", "otherwise", "tasks"])?;
        Some(SwitchCase {
            when: self.optional(&fields, "when", Self::expression),
            otherwise: self.optional(&fields, "otherwise", Self::boolean).unwrap_or(false),
            tasks: self.required(&fields, "tasks", Self::tasks).unwrap_or_default(),
        })
    }

    fn terminate(&mut self, node: &Node, place: &Place) -> Option<Terminate> {
        let fields = self.fields(node, place, "a `terminate`", &["status", "output", "message"])?;
        let status = self.required(&fields, "status", |decoder, node, place| {
            decoder.choice(node, place, &["COMPLETED", "FAILED"])
        });
        Some(Terminate {
            status: status.unwrap_or(TerminateStatus::Failed),
            output: self.optional(&fields, "output", Self::json),
            message: self.optional(&fields, "message", Self::text),
        })
    }
}

/// A step that keeps the place of one that could not be read.
fn stand_in(kind: TaskKind) -> Task {
    Task {
        id: String::new(),
        description: None,
        condition: None,
        depends_on: None,
        input_mappings: JsonMap::new(),
        variable_mappings: Vec::new(),
        context_variables: None,
        priority: None,
        retry_policy: None,
        timeouts: oarlock_protocol::definition::TaskTimeouts::default(),
        continue_on_failure: None,
        on_error: Vec::new(),
        variables: JsonMap::new(),
        join: None,
        compensate_with: None,
        on_timeout: Vec::new(),
        terminate_when: None,
        kind,
    }
}
