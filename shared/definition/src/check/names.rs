//! The names that expressions may use: variables, of the workflow and of groups, and the properties of the input.

use std::collections::{BTreeSet, HashMap};

use oarlock_protocol::Json;
use oarlock_protocol::definition::{Task, TaskKind, WorkflowDefinition};

use super::outline::Outline;
use super::sites::Site;

/// The names that expressions may use.
pub(super) struct Names<'d> {
    /// Declared by the workflow, or written where no group around has a variable of that name.
    pub(super) variables: BTreeSet<&'d str>,
    /// The steps that have a variable of their own of that name.
    pub(super) of_groups: HashMap<&'d str, Vec<usize>>,
    /// The steps of `forEach` that call their item so.
    pub(super) items: HashMap<&'d str, usize>,
    /// The input's properties, where its schema allows no others.
    pub(super) inputs: Option<BTreeSet<&'d str>>,
}

impl<'d> Names<'d> {
    pub(super) fn of(definition: &'d WorkflowDefinition, outline: &Outline<'d>) -> Self {
        let mut names = Self {
            variables: definition.variables.keys().map(String::as_str).collect(),
            of_groups: HashMap::new(),
            items: HashMap::new(),
            inputs: definition.input.as_ref().and_then(closed_properties),
        };
        for (number, step) in outline.steps.iter().enumerate() {
            for name in step.task.variables.keys() {
                names.of_groups.entry(name).or_default().push(number);
            }
            if let TaskKind::ForEach(each, _) = &step.task.kind {
                names.items.entry(&each.name).or_insert(number);
            }
        }
        for (number, step) in outline.steps.iter().enumerate() {
            for name in written_by(step.task) {
                if names.group_of(outline, number, name).is_none() {
                    names.variables.insert(name);
                }
            }
        }
        names
    }

    /// The step around `step` that has a variable of this name of its own.
    pub(super) fn group_of(&self, outline: &Outline<'_>, step: usize, name: &str) -> Option<usize> {
        let groups = self.of_groups.get(name)?;
        groups.iter().copied().find(|&group| outline.is_inside(step, group))
    }

    /// Whether the variable is known where an expression stands.
    pub(super) fn has_variable(&self, outline: &Outline<'_>, site: Site, name: &str) -> bool {
        let is_own = |step: usize| {
            site == Site::Ended(step) && self.of_groups.get(name).is_some_and(|groups| groups.contains(&step))
        };
        self.variables.contains(name)
            || site.step().is_some_and(|step| self.group_of(outline, step, name).is_some() || is_own(step))
    }

    /// Every variable that is known where an expression stands.
    pub(super) fn variables_at(&self, outline: &Outline<'_>, site: Site) -> Vec<&'d str> {
        let of_groups = self.of_groups.keys().copied().filter(|name| self.has_variable(outline, site, name));
        self.variables.iter().copied().chain(of_groups).collect()
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
