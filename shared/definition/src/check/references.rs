//! One name in an expression: does it exist, may it stand here, and can it have a value by then?

use oarlock_expression::Reference;

use super::Checker;
use super::order::listed;
use super::sites::{Site, Walk};
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
    "error",
    "workflow",
    "now",
    "secrets",
];

const OF_A_STEP: &[&str] = &["output", "status", "error"];
const OF_AN_ERROR: &[&str] = &["code", "message", "details", "retryable", "taskPath"];
const OF_THE_WORKFLOW: &[&str] = &["id", "definitionId", "version", "startTime", "correlationId", "tenantId"];

impl Walk<'_, '_, '_> {
    /// Tells what is wrong with a reference, if anything is.
    pub(super) fn reference(&mut self, site: Site, text: &str, place: &Place, reference: &Reference) {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        if let Some((finding, segment)) = self.wrong(site, place, &path) {
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
                let is_known = self.checker.names.variables.contains(second?);
                (!is_known).then(|| (self.checker.unknown_variable(second.unwrap_or_default(), place), 1))
            }
            "tasks" => self.step_by_id(site, place, path),
            name @ ("taskInput" | "taskOutput") => match site {
                Site::After(_) => None,
                Site::Before(_) | Site::End => Some((task_data(name, place), 0)),
            },
            "error" => self.error(site, place, path),
            "workflow" => {
                no_property("workflow", second?, OF_THE_WORKFLOW, place).map(|finding| (finding, 1))
            }
            "now" => second.map(|name| (now_has_no_parts(name, place), 1)),
            name @ ("item" | "index") => {
                let message = format!("`{name}` is known only inside forEach");
                Some((
                    Finding::new(Code::OutOfScope, place, message)
                        .help("forEach is not available in this release."),
                    0,
                ))
            }
            "secrets" => {
                let finding =
                    Finding::new(Code::OutOfScope, place, "`secrets` are not available in this release");
                Some((finding.help("Let the worker read them from its own environment."), 0))
            }
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

    fn is_sibling(&self, site: Site, read: usize) -> bool {
        let steps = &self.checker.outline.steps;
        match site {
            Site::Before(step) | Site::After(step) => steps[step].list == steps[read].list,
            Site::End => false,
        }
    }

    fn error(&mut self, site: Site, place: &Place, path: &[&str]) -> Option<(Finding, usize)> {
        let is_known = match site {
            Site::Before(step) | Site::After(step) => self.checker.outline.is_in_handlers(step),
            Site::End => false,
        };
        if is_known {
            return no_property("error", path.get(1)?, OF_AN_ERROR, place).map(|finding| (finding, 1));
        }
        let finding = Finding::new(Code::OutOfScope, place, "`error` is known only inside `onError`");
        Some((finding.help("The error of a step that failed and went on is `tasks.<id>.error`; ask with `has(tasks.<id>.error)`."), 0))
    }

    fn unfinished(&mut self, site: Site, place: &Place, read: usize) -> Option<Finding> {
        let answer = match site {
            Site::End => self.finished.at_end(read),
            Site::Before(reader) | Site::After(reader) => self.finished.before(reader, read),
        };
        let why = answer.err()?;
        let (message, help) = why.told(self.checker.outline, read, matches!(site, Site::After(_)));
        Some(Finding::new(Code::NotFinished, place, message).help(help))
    }

    fn unknown_name(&self, site: Site, place: &Place, name: &str) -> Finding {
        let finding = Finding::new(Code::UnknownName, place, format!("unknown name `{name}`"));
        let checker = &self.checker;
        if checker.names.variables.contains(name) {
            return finding.help(format!("It is a variable: write `variables.{name}`."));
        }
        if checker.outline.by_id.contains_key(name) {
            return finding.help(format!("It is a step: outside its own list write `tasks.{name}.output`."));
        }
        if checker.input_properties().any(|property| property == name) {
            return finding.help(format!("It is a property of the input: write `input.{name}`."));
        }
        let siblings = match site {
            Site::Before(step) | Site::After(step) => {
                checker.outline.ids_in(checker.outline.steps[step].list).collect()
            }
            Site::End => Vec::new(),
        };
        let known = ROOTS.iter().copied().filter(|root| !matches!(*root, "item" | "index" | "secrets"));
        let near = checker.findings.nearest(name, known.chain(siblings));
        let finding = with_near(finding, near);
        finding.help("Names begin with input, variables, tasks.<id>, workflow or now, or with the id of a step of the same list. A text stands in quotes.")
    }
}

impl<'d> Checker<'_, 'd> {
    /// The problem of a variable that is neither declared nor written.
    pub(super) fn unknown_variable(&self, name: &str, place: &Place) -> Finding {
        let finding = Finding::new(Code::UnknownVariable, place, format!("no variable named `{name}`"));
        let how = "Variables are declared under `variables:` or written by a variableMapping or a `set`.";
        match self.findings.nearest(name, self.names.variables.iter().copied()) {
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

fn with_near(finding: Finding, near: Option<&str>) -> Finding {
    match near {
        Some(near) => finding.help(format!("Did you mean `{near}`?")),
        None => finding,
    }
}

fn no_property(of: &str, name: &str, known: &[&str], place: &Place) -> Option<Finding> {
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
        format!("`{name}` is known only in `variableMappings` and `terminateWhen`"),
    );
    finding.help(
        "Elsewhere read the output of an earlier step as `tasks.<id>.output`, or keep it in a variable.",
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
