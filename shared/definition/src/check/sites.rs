//! Every expression of a definition, with what it may refer to at its place.

use oarlock_expression::{CompileError, Reference, Registry};
use oarlock_protocol::Json;
use oarlock_protocol::JsonMap;
use oarlock_protocol::definition::{
    Awaited, ConcurrencyLimit, ForEach, Loop, Task, TaskDefinition, TaskKind, Transformation, VariableMapping,
};

use super::Checker;
use super::finished::Finished;
use super::order::Order;
use super::waits::awaited_place;
use crate::code::Code;
use crate::expressions;
use crate::findings::{Finding, Mark};
use crate::place::Place;

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// In a step, evaluated before or when it begins.
    Before(usize),
    /// In the `inputMappings` of a step that a worker does.
    Input(usize),
    /// In the `variables` of a step with steps inside: evaluated when it, or an iteration of it, begins.
    Begun(usize),
    /// In the `while` of a loop, asked before each iteration.
    Asked(usize),
    /// In a `forEach` or `loop`, evaluated where an iteration has ended.
    Ended(usize),
    /// In the `until` of a `forEach`, asked over its counts.
    Counted(usize),
    /// In a step, evaluated over its output.
    After(usize),
    /// In the `inputMappings` of a compensation.
    Undo(usize),
    /// In the `key` of a limit of a task definition, evaluated when a task has its input.
    Key,
    /// In the workflow's `output`.
    End,
}

impl Site {
    /// The step it stands in.
    pub(super) fn step(self) -> Option<usize> {
        match self {
            Self::Before(step)
            | Self::Input(step)
            | Self::Begun(step)
            | Self::Asked(step)
            | Self::Ended(step)
            | Self::Counted(step)
            | Self::After(step)
            | Self::Undo(step) => Some(step),
            Self::Key | Self::End => None,
        }
    }

    /// Whether it is evaluated within an iteration of its own step, where that has iterations.
    pub(super) fn is_within_iteration(self) -> bool {
        match self {
            Self::Begun(_) | Self::Asked(_) | Self::Ended(_) => true,
            Self::Before(_)
            | Self::Input(_)
            | Self::Counted(_)
            | Self::After(_)
            | Self::Undo(_)
            | Self::Key
            | Self::End => false,
        }
    }

    /// Whether `taskInput` and `taskOutput` are known.
    pub(super) fn sees_task(self) -> bool {
        matches!(self, Self::After(_) | Self::Undo(_) | Self::Key)
    }
}

/// Walks the expressions in the order of the steps.
pub(super) struct Walk<'w, 'c, 'd> {
    pub(super) checker: &'w mut Checker<'c, 'd>,
    pub(super) finished: Finished<'w, 'd>,
    registry: Registry,
}

impl Checker<'_, '_> {
    pub(super) fn expressions(&mut self, orders: &[Order]) {
        let outline = self.outline;
        let definition = self.definition;
        let mut walk =
            Walk { finished: Finished::new(outline, orders), registry: Registry::standard(), checker: self };
        for (index, task) in definition.task_definitions.iter().enumerate() {
            walk.keys_of_limits(task, &Place::root().key("taskDefinitions").index(index));
        }
        for (number, step) in outline.steps.iter().enumerate() {
            walk.step(number, step.task, &step.place);
        }
        if let Some(output) = &definition.output {
            walk.value(Site::End, output, &Place::root().key("output"));
        }
    }
}

impl Walk<'_, '_, '_> {
    /// What the limits of a task count together.
    fn keys_of_limits(&mut self, task: &TaskDefinition, place: &Place) {
        let concurrency = task.concurrency_limit.as_ref().and_then(ConcurrencyLimit::key);
        let rate = task.rate_limit.as_ref().and_then(|limit| limit.key.as_deref());
        for (field, key) in [("concurrencyLimit", concurrency), ("rateLimit", rate)] {
            let Some(key) = key else { continue };
            let place = place.key(field).key("key");
            if expressions::is_template(key) {
                self.text(Site::Key, key, &place);
            } else {
                let message = "the `key` of a limit without `${ }` is the same for every task";
                let finding = Finding::new(Code::InvalidExpression, &place, message);
                let help =
                    "Write what is counted apart, such as `${ taskInput.customer }`, or leave `key` out.";
                self.checker.tell(finding.help(help));
            }
        }
    }

    fn step(&mut self, number: usize, task: &Task, place: &Place) {
        let before = Site::Before(number);
        if let Some(condition) = &task.condition {
            self.expression(before, condition, &place.key("condition"));
        }
        let input = if matches!(task.kind, TaskKind::Task(_)) { Site::Input(number) } else { before };
        self.values(input, &task.input_mappings, &place.key("inputMappings"));
        self.values(Site::Begun(number), &task.variables, &place.key("variables"));
        if let Some(compensation) = &task.compensate_with {
            let place = place.key("compensateWith").key("inputMappings");
            self.values(Site::Undo(number), &compensation.input_mappings, &place);
        }
        self.kind(number, task, place);
        for (index, mapping) in task.variable_mappings.iter().enumerate() {
            self.mapping(Site::After(number), mapping, &place.key("variableMappings"), index);
        }
        if let Some(condition) = &task.terminate_when {
            self.expression(Site::After(number), condition, &place.key("terminateWhen"));
        }
    }

    /// The expressions that only steps of this kind have.
    fn kind(&mut self, number: usize, task: &Task, place: &Place) {
        let before = Site::Before(number);
        match &task.kind {
            TaskKind::Set(values) => self.values(before, values, &place.key("set")),
            TaskKind::Switch(cases) => {
                for (index, case) in cases.iter().enumerate() {
                    let place = place.key("switch").index(index).key("when");
                    case.when.iter().for_each(|when| self.expression(before, when, &place));
                }
            }
            TaskKind::Terminate(terminate) => {
                let place = place.key("terminate");
                terminate.output.iter().for_each(|output| self.value(before, output, &place.key("output")));
                terminate
                    .message
                    .iter()
                    .for_each(|message| self.text(before, message, &place.key("message")));
            }
            TaskKind::ForEach(each, _) => self.for_each(number, each, &place.key("forEach")),
            TaskKind::Loop(repeat, _) => self.repeat(number, repeat, &place.key("loop")),
            TaskKind::Wait(wait) => {
                for (index, awaited) in wait.first.iter().enumerate() {
                    let place = awaited_place(self.checker.findings, &place.key("wait"), index);
                    match awaited {
                        Awaited::Duration { duration } => self.text(before, duration, &place.key("duration")),
                        Awaited::Until { until } => self.text(before, until, &place.key("until")),
                        Awaited::Signal { signal, .. } => self.text(before, signal, &place.key("signal")),
                    }
                }
            }
            TaskKind::Task(_) | TaskKind::Tasks(_) | TaskKind::Parallel(_) | TaskKind::Workflow(_) => {}
        }
    }

    fn for_each(&mut self, number: usize, each: &ForEach, place: &Place) {
        self.value(Site::Before(number), &each.items, &place.key("items"));
        each.until
            .iter()
            .for_each(|until| self.expression(Site::Counted(number), until, &place.key("until")));
        each.collect.iter().for_each(|value| self.value(Site::Ended(number), value, &place.key("collect")));
    }

    fn repeat(&mut self, number: usize, repeat: &Loop, place: &Place) {
        repeat.while_.iter().for_each(|text| self.expression(Site::Asked(number), text, &place.key("while")));
        repeat.until.iter().for_each(|text| self.expression(Site::Ended(number), text, &place.key("until")));
        repeat.output.iter().for_each(|value| self.value(Site::Ended(number), value, &place.key("output")));
    }

    fn mapping(&mut self, site: Site, mapping: &VariableMapping, list: &Place, index: usize) {
        let place = list.index(index);
        let is_short = self.checker.findings.is_short_form(list);
        match mapping {
            VariableMapping::Value { value, target } if is_short => {
                self.value(site, value, &list.key(target));
            }
            VariableMapping::Value { value, .. } => self.value(site, value, &place.key("value")),
            VariableMapping::Expression { expression, target } if is_short => {
                self.expression(site, expression, &list.key(target));
            }
            VariableMapping::Expression { expression, .. } => {
                self.expression(site, expression, &place.key("expression"))
            }
            VariableMapping::Direct { source, .. } => self.path(source, &place.key("source")),
            VariableMapping::Transform { source, transformation, .. } => {
                self.path(source, &place.key("source"));
                self.pipeline(transformation, &place.key("transformation"));
            }
        }
    }

    fn values(&mut self, site: Site, values: &JsonMap, place: &Place) {
        values.iter().for_each(|(name, value)| self.value(site, value, &place.key(name)));
    }

    /// A value with `${ }` in its texts, however deep.
    fn value(&mut self, site: Site, value: &Json, place: &Place) {
        match value {
            Json::String(text) => self.text(site, text, place),
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.value(site, item, &place.index(index)))
            }
            Json::Object(map) => self.values(site, map, place),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn text(&mut self, site: Site, text: &str, place: &Place) {
        if expressions::is_template(text) {
            self.compiled(site, text, place, expressions::template(text));
        }
    }

    fn expression(&mut self, site: Site, text: &str, place: &Place) {
        self.compiled(site, text, place, expressions::expression(text));
    }

    fn compiled(
        &mut self,
        site: Site,
        text: &str,
        place: &Place,
        compiled: Result<Vec<Reference>, Vec<CompileError>>,
    ) {
        if self.checker.findings.is_full() {
            return;
        }
        match compiled {
            Ok(references) => {
                references.iter().for_each(|reference| self.reference(site, text, place, reference))
            }
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.problem(Code::InvalidExpression, problem, place))
            }
        }
    }

    /// The `source` of a mapping, which begins inside the task's output.
    fn path(&mut self, source: &str, place: &Place) {
        if source.contains("${") {
            let finding = Finding::new(Code::InvalidPath, place, "`source` is a path, not an expression");
            let help =
                "Write the path alone, such as `quote.total`, or use `type: EXPRESSION` with `expression:`.";
            self.checker.tell(finding.help(help));
        } else if let Some(path) = source.strip_prefix("taskOutput.") {
            let finding =
                Finding::new(Code::InvalidPath, place, "`source` begins inside the task's output already");
            self.checker.tell(finding.help(format!("Write `{path}`.")));
        } else if let Err(problem) = expressions::path(source) {
            self.problem(Code::InvalidPath, problem, place);
        }
    }

    fn problem(&mut self, code: Code, problem: CompileError, place: &Place) {
        let finding = Finding::new(code, place, problem.message).mark(Mark::Within(problem.range));
        self.checker.tell(finding.help(advice(problem.help)));
    }

    /// Each transformation by itself, so that each wrong one is told at its place.
    fn pipeline(&mut self, transformations: &[Transformation], place: &Place) {
        if transformations.is_empty() {
            let finding =
                Finding::new(Code::EmptyList, place, "a TRANSFORM without transformations does nothing");
            self.checker
                .tell(finding.help("Name one, such as `transformation: [trim]`, or use `type: DIRECT`."));
        }
        for (index, transformation) in transformations.iter().enumerate() {
            let Err(problem) = expressions::transformation(transformation, &self.registry) else { continue };
            let finding = Finding::new(Code::InvalidTransformation, &place.index(index), problem.message);
            self.checker.tell(finding.help(advice(problem.help)));
        }
    }
}

/// The help of the expression language as a sentence; where it has none, where to look.
fn advice(help: Option<String>) -> String {
    let Some(help) = help else {
        return "Operators and functions are listed in docs/expressions.md.".to_owned();
    };
    let mut rest = help.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    let end = if help.ends_with(['.', '?', '!']) { "" } else { "." };
    first.chain(rest).collect::<String>() + end
}
