//! What a definition means: names, order, expressions and policies that fit together.
//!
//! Works on the decoded types alone, so that definitions built in code are checked by the same rules.

mod finished;
mod order;
mod outline;
mod policy;
mod references;
mod schemas;
mod sites;
mod structure;
mod task_definitions;

use std::collections::BTreeSet;

use oarlock_protocol::Json;
use oarlock_protocol::definition::{Task, TaskKind, WorkflowDefinition};

use crate::code::Code;
use crate::findings::{Finding, Findings, Mark};
use crate::place::Place;
use outline::Outline;

/// Tells `findings` of everything in `definition` that does not fit together.
pub(crate) fn check(definition: &WorkflowDefinition, findings: &mut Findings) {
    let outline = Outline::of(definition);
    let names = Names::of(definition, &outline);
    let mut checker = Checker { definition, outline: &outline, names: &names, findings };
    checker.workflow();
    checker.structure();
    checker.task_definitions();
    let orders = checker.order();
    checker.expressions(&orders);
}

/// The names that expressions may use.
struct Names<'d> {
    variables: BTreeSet<&'d str>,
    /// The input's properties, where its schema allows no others.
    inputs: Option<BTreeSet<&'d str>>,
}

impl<'d> Names<'d> {
    fn of(definition: &'d WorkflowDefinition, outline: &Outline<'d>) -> Self {
        let mut variables: BTreeSet<&str> = definition.variables.keys().map(String::as_str).collect();
        for step in &outline.steps {
            variables.extend(written_by(step.task));
        }
        Self { variables, inputs: definition.input.as_ref().and_then(closed_properties) }
    }
}

/// The variables that a step writes.
fn written_by(task: &Task) -> impl Iterator<Item = &str> {
    let set = match &task.kind {
        TaskKind::Set(values) => Some(values.keys().map(String::as_str)),
        _ => None,
    };
    task.variable_mappings.iter().map(|mapping| mapping.target()).chain(set.into_iter().flatten())
}

/// The properties of a schema that refuses all others.
fn closed_properties(schema: &Json) -> Option<BTreeSet<&str>> {
    let is_closed = schema.get("additionalProperties") == Some(&Json::Bool(false))
        && schema.get("patternProperties").is_none();
    let properties = schema.get("properties")?.as_object()?;
    is_closed.then(|| properties.keys().map(String::as_str).collect())
}

/// What all checks share.
struct Checker<'c, 'd> {
    definition: &'d WorkflowDefinition,
    outline: &'c Outline<'d>,
    names: &'c Names<'d>,
    findings: &'c mut Findings,
}

impl Checker<'_, '_> {
    fn tell(&mut self, finding: Finding) {
        self.findings.push_checked(finding);
    }

    /// The workflow's own fields.
    fn workflow(&mut self) {
        let root = Place::root();
        self.identifier(&self.definition.id, &root.key("id"), Mark::Value);
        for name in self.definition.variables.keys() {
            self.identifier(name, &root.key("variables").key(name), Mark::Key);
        }
        if self.definition.tasks.is_empty() {
            let finding =
                Finding::new(Code::EmptyList, &root.key("tasks"), "a workflow without steps does nothing");
            self.tell(finding.help("Add a step, such as `tasks: [{id: greet, task: greeting.say}]`."));
        }
        self.not_zero(self.definition.timeouts.total, &root.key("timeouts").key("total"));
        self.not_zero(self.definition.retention, &root.key("retention"));
        if let Some(security) = &self.definition.security_requirements {
            self.permissions(security, &root.key("securityRequirements"));
        }
    }

    /// The spelling of an id or variable.
    fn identifier(&mut self, name: &str, place: &Place, mark: Mark) {
        if let Err(error) = oarlock_protocol::name::check_identifier(name) {
            let finding = Finding::new(Code::InvalidName, place, error.to_string()).mark(mark);
            let better = as_identifier(name);
            self.tell(if better.is_empty() {
                finding
            } else {
                finding.help(format!("Write `{better}`, for example."))
            });
        }
    }
}

/// A name made of what can be kept of a wrong one.
fn as_identifier(name: &str) -> String {
    let kept: String =
        name.trim().chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let kept = kept.trim_matches('_');
    if kept.starts_with(|c: char| c.is_ascii_digit()) { format!("_{kept}") } else { kept.to_owned() }
}
