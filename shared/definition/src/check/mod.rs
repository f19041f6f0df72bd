//! What a definition means: names, order, expressions and policies that fit together.
//!
//! Works on the decoded types alone, so that definitions built in code are checked by the same rules.

mod blocks;
mod compensation;
mod finished;
mod inside;
mod iterations;
mod misplaced;
mod names;
mod order;
mod outline;
mod policy;
mod references;
mod schemas;
mod secrets;
mod sites;
mod structure;
mod task_definitions;
mod waits;

use oarlock_protocol::definition::WorkflowDefinition;

use crate::code::Code;
use crate::findings::{Finding, Findings, Mark};
use crate::place::Place;
use names::Names;
use outline::{DEEPEST_STEPS, MOST_STEPS, Outline};

/// Tells `findings` of everything in `definition` that does not fit together.
pub(crate) fn check(definition: &WorkflowDefinition, findings: &mut Findings) {
    let outline = Outline::of(definition);
    if let Some(finding) = too_large(&outline) {
        return findings.push_checked(finding);
    }
    let names = Names::of(definition, &outline);
    let mut checker = Checker { definition, outline: &outline, names: &names, findings };
    checker.workflow();
    checker.structure();
    checker.task_definitions();
    let orders = checker.order();
    checker.expressions(&orders);
}

/// The problem of a definition that is not looked into further.
fn too_large(outline: &Outline<'_>) -> Option<Finding> {
    let (place, message) = match (&outline.too_many, &outline.too_deep) {
        (Some(place), _) => {
            (place, format!("a workflow has at most {MOST_STEPS} steps, and this is one more"))
        }
        (None, Some(place)) => (place, format!("steps stand more than {DEEPEST_STEPS} deep in one another")),
        (None, None) => return None,
    };
    let help = "Move a part of it into a workflow of its own, and start that with `workflow: {id: …}`.";
    Some(Finding::new(Code::TooLarge, place, message).help(help))
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
