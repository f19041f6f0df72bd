//! One name in an expression: does it exist, may it stand here, and can it have a value by then?

use oarlock_expression::Reference;

use super::finished::Unfinished;
use super::order::listed;
use super::outline::Role;
use super::sites::{Site, Walk};
use super::{Checker, secrets};
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;

/// The names an expression can begin with, beside the ids of the steps in the same list.
pub(super) const ROOTS: &[&str] = &[
    "input",
    "variables",
    "workflowVariables",
    "taskInput",
    "taskOutput",
    "tasks",
    "item",
    "index",
    "key",
    "counts",
    "error",
    "workflow",
    "now",
    "secrets",
];

/// What the key of a limit may look at: it is the same at whatever step the task is used.
const OF_A_KEY: &[&str] = &["taskInput", "input", "workflow"];
const OF_A_STEP: &[&str] = &["output", "status", "error"];
const OF_AN_ERROR: &[&str] = &["code", "message", "details", "retryable", "taskPath"];
const OF_THE_WORKFLOW: &[&str] = &["id", "definitionId", "version", "startTime", "correlationId", "tenantId"];

impl Walk<'_, '_, '_> {
    /// Tells what is wrong with a reference, if anything is.
    pub(super) fn reference(&mut self, site: Site, text: &str, place: &Place, reference: &Reference) {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        let wrong = match path.first() {
            Some(&"secrets") => secrets::wrong(site, text, place, reference),
            Some(name) if site == Site::Key && !OF_A_KEY.contains(name) => {
                Some((not_of_a_key(name, place), 0))
            }
            _ => self.wrong(site, place, &path),
        };
        if let Some((finding, segment)) = wrong {
            let mark = Mark::Within(segment_range(text, reference, segment));
            self.checker.tell(finding.mark(mark));
        }
    }

    /// The problem of a path, and which of its segments it is about.
    fn wrong(&mut self, site: Site, place: &Place, path: &[&str]) -> Option<(Finding, usize)> {
        let second = path.get(1).copied();
        match path.first().copied()? {
            "input" => self.checker.unknown_input(second?, place).map(|finding| (finding, 1)),
            "variables" | "workflowVariables" => {
                let is_known = self.checker.names.has_variable(self.checker.outline, site, second?);
                (!is_known)
                    .then(|| (self.checker.unknown_variable(site, second.unwrap_or_default(), place), 1))
            }
            "tasks" => self.step_by_id(site, place, path),
            name @ ("taskInput" | "taskOutput") => (!site.sees_task()).then(|| (task_data(name, place), 0)),
            "error" => self.error(site, place, path),
            "workflow" => {
                no_property("workflow", second?, OF_THE_WORKFLOW, place).map(|finding| (finding, 1))
            }
            "now" => second.map(|name| (now_has_no_parts(name, place), 1)),
            "counts" => self.counts(site, place, path),
            name if self.is_of_an_iteration(site, name) => None,
            name @ ("item" | "index" | "key") => Some((self.no_iteration(site, place, name), 0)),
            name => self.sibling(site, place, name, path),
        }
    }

    /// `tasks.<id>.output`
    fn step_by_id(&mut self, site: Site, place: &Place, path: &[&str]) -> Option<(Finding, usize)> {
        let Some(id) = path.get(1).copied() else {
            let finding = Finding::new(Code::UnknownTask, place, "`tasks` alone is not a value");
            return Some((
                finding.help("Name a step: `tasks.<id>.output`, with the id as it is written."),
                0,
            ));
        };
        let Some(&read) = self.checker.outline.by_id.get(id) else {
            let ids = self.checker.outline.by_id.keys().copied();
            let finding =
                Finding::new(Code::UnknownTask, place, format!("there is no step `{id}` in this workflow"));
            return Some((with_near(finding, self.checker.findings.nearest(id, ids)), 1));
        };
        if let Some(finding) = self.hidden(site, place, read) {
            return Some((finding, 1));
        }
        let property = path
            .get(2)
            .and_then(|name| no_step_property(&format!("tasks.{id}"), name, place))
            .map(|finding| (finding, 2));
        property.or_else(|| self.unfinished(site, place, read).map(|finding| (finding, 1)))
    }

    /// `<id>.output`, for a step of the same list.
    fn sibling(&mut self, site: Site, place: &Place, name: &str, path: &[&str]) -> Option<(Finding, usize)> {
        let read = self.checker.outline.by_id.get(name).copied().filter(|&read| self.is_sibling(site, read));
        let Some(read) = read else { return Some((self.unknown_name(site, place, name), 0)) };
        let Some(property) = path.get(1) else {
            let finding =
                Finding::new(Code::UnknownProperty, place, format!("`{name}` is a step, not a value"));
            return Some((
                finding.help(format!("Write `{name}.output` for what it returned, or `{name}.status`.")),
                0,
            ));
        };
        let property = no_step_property(name, property, place).map(|finding| (finding, 1));
        property.or_else(|| self.unfinished(site, place, read).map(|finding| (finding, 0)))
    }

    /// Whether `read` stands in the same list; where an iteration has ended, whether it is a part of that.
    fn is_sibling(&self, site: Site, read: usize) -> bool {
        let outline = self.checker.outline;
        match (site, site.step()) {
            (Site::Ended(step), _) => outline.around(read) == Some((step, Role::Iteration)),
            (_, Some(step)) => outline.steps[step].list == outline.steps[read].list,
            (_, None) => false,
        }
    }

    fn error(&self, site: Site, place: &Place, path: &[&str]) -> Option<(Finding, usize)> {
        let is_known = site.step().is_some_and(|step| self.checker.outline.is_in_handlers(step));
        if is_known {
            return no_property("error", path.get(1)?, OF_AN_ERROR, place).map(|finding| (finding, 1));
        }
        let finding = Finding::new(Code::OutOfScope, place, "`error` is known only inside `onError`");
        Some((finding.help("The error of a step that failed and went on is `tasks.<id>.error`; ask with `has(tasks.<id>.error)`."), 0))
    }

    fn unfinished(&mut self, site: Site, place: &Place, read: usize) -> Option<Finding> {
        let outline = self.checker.outline;
        let answer = match (site, site.step()) {
            (Site::Ended(step), _) if outline.is_inside(read, step) => Ok(()),
            (_, Some(reader)) => self.finished.before(reader, read),
            (_, None) => self.finished.at_end(read),
        };
        let (message, help) = match (answer.err()?, site) {
            (Unfinished::Inside, Site::Asked(_)) => while_is_asked_before(&outline.steps[read].task.id),
            (why, _) => why.told(outline, read, site.sees_task()),
        };
        Some(Finding::new(Code::NotFinished, place, message).help(help))
    }

    fn unknown_name(&self, site: Site, place: &Place, name: &str) -> Finding {
        let finding = Finding::new(Code::UnknownName, place, format!("unknown name `{name}`"));
        let checker = &self.checker;
        if checker.names.has_variable(checker.outline, site, name) {
            return finding.help(format!("It is a variable: write `variables.{name}`."));
        }
        if let Some(&each) = checker.names.items.get(name) {
            return self.item_elsewhere(name, each, place);
        }
        if let Some(&read) = checker.outline.by_id.get(name) {
            if let Site::Asked(step) = site
                && checker.outline.is_inside(read, step)
            {
                let (message, help) = while_is_asked_before(name);
                return Finding::new(Code::NotFinished, place, message).help(help);
            }
            if let Some(hidden) = self.hidden(site, place, read) {
                return hidden;
            }
            return finding.help(format!("It is a step: outside its own list write `tasks.{name}.output`."));
        }
        if checker.input_properties().any(|property| property == name) {
            return finding.help(format!("It is a property of the input: write `input.{name}`."));
        }
        let siblings: Vec<&str> = match site.step() {
            Some(step) => checker.outline.ids_in(checker.outline.steps[step].list).collect(),
            None => Vec::new(),
        };
        let rare = ["item", "index", "key", "counts", "secrets"];
        let known = ROOTS.iter().copied().filter(|root| !rare.contains(root));
        let near = checker.findings.nearest(name, known.chain(siblings));
        let finding = with_near(finding, near);
        finding.help("Names begin with input, variables, tasks.<id>, workflow or now, or with the id of a step of the same list. A text stands in quotes.")
    }
}

impl<'d> Checker<'_, 'd> {
    /// The problem of a variable that is not known where it is read.
    pub(super) fn unknown_variable(&self, site: Site, name: &str, place: &Place) -> Finding {
        if let Some(&group) = self.names.of_groups.get(name).and_then(|groups| groups.first()) {
            let group = &self.outline.steps[group].task.id;
            let message = format!("`{name}` is a variable of the step `{group}`, and known only inside it");
            let finding = Finding::new(Code::OutOfScope, place, message);
            return finding.help("Declare it under the workflow's `variables` instead.");
        }
        let finding = Finding::new(Code::UnknownVariable, place, format!("no variable named `{name}`"));
        let how = "Variables are declared under `variables:` or written by a variableMapping or a `set`.";
        match self.findings.nearest(name, self.names.variables_at(self.outline, site)) {
            Some(near) => finding.help(format!("Did you mean `{near}`? {how}")),
            None => finding.help(how),
        }
    }

    fn unknown_input(&self, name: &str, place: &Place) -> Option<Finding> {
        let properties = self.names.inputs.as_ref()?;
        if properties.contains(name) {
            return None;
        }
        let finding = Finding::new(Code::UnknownInput, place, format!("the input has no property `{name}`"));
        let finding = with_near(finding, self.findings.nearest(name, properties.iter().copied()));
        let listed = listed(&properties.iter().copied().collect::<Vec<_>>());
        Some(finding.help(format!("The schema under `input:` allows only: {listed}.")))
    }

    fn input_properties(&self) -> impl Iterator<Item = &'d str> {
        let properties =
            self.definition.input.as_ref().and_then(|schema| schema.get("properties")?.as_object());
        properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
    }
}

/// The message and the help, where a `while` reads a step of its loop.
fn while_is_asked_before(name: &str) -> (String, String) {
    let message = format!("`{name}` is a part of the loop, and `while` is asked before each iteration");
    let help = "Use `until`, which is asked after each, or keep what it gives in a variable.";
    (message, help.to_owned())
}

fn with_near(finding: Finding, near: Option<&str>) -> Finding {
    match near {
        Some(near) => finding.help(format!("Did you mean `{near}`?")),
        None => finding,
    }
}

pub(super) fn no_property(of: &str, name: &str, known: &[&str], place: &Place) -> Option<Finding> {
    let finding = || Finding::new(Code::UnknownProperty, place, format!("`{of}` has no `{name}`"));
    (!known.contains(&name)).then(|| finding().help(format!("It has {}.", known.join(", "))))
}

/// `of` is the step as it is written, such as `tasks.price`.
fn no_step_property(of: &str, name: &str, place: &Place) -> Option<Finding> {
    if OF_A_STEP.contains(&name) {
        return None;
    }
    let finding = Finding::new(Code::UnknownProperty, place, format!("the step `{of}` has no `{name}`"));
    Some(finding.help(format!(
        "A step has output, status and error. For a part of its output write `{of}.output.{name}`."
    )))
}

fn task_data(name: &str, place: &Place) -> Finding {
    let finding = Finding::new(
        Code::OutOfScope,
        place,
        format!("`{name}` is known only in `variableMappings`, `terminateWhen` and `compensateWith`"),
    );
    finding.help(
        "Elsewhere read the output of an earlier step as `tasks.<id>.output`, or keep it in a variable.",
    )
}

fn not_of_a_key(name: &str, place: &Place) -> Finding {
    let message = format!("`{name}` is not known in the `key` of a limit");
    let finding = Finding::new(Code::OutOfScope, place, message);
    finding.help(
        "It knows taskInput, input and workflow: hand the task what it counts by in its `inputMappings`.",
    )
}

fn now_has_no_parts(name: &str, place: &Place) -> Finding {
    let finding = Finding::new(
        Code::UnknownProperty,
        place,
        format!("`now` is a text such as `2026-11-23T07:06:42.000Z` and has no `{name}`"),
    );
    finding.help("The time functions take it as it is.")
}

/// The bytes of one segment of a reference.
fn segment_range(text: &str, reference: &Reference, segment: usize) -> std::ops::Range<usize> {
    let whole = reference.range.clone();
    let Some(written) = text.get(whole.clone()) else { return whole };
    let mut at = 0;
    for (number, name) in reference.path.iter().enumerate() {
        let Some(found) = written.get(at..).and_then(|rest| rest.find(name.as_str())) else { return whole };
        let start = at + found;
        if number == segment {
            return whole.start + start..whole.start + start + name.len();
        }
        at = start + name.len();
    }
    whole
}
