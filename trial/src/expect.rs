//! Compares what came of a case with what was expected.

use oarlock_protocol::TaskPath;
use oarlock_protocol::instance::TaskStatus;

use crate::mocks::Expect;
use crate::report::{CaseReport, Reached};

/// What is otherwise than expected, a sentence each.
pub(crate) fn compare(expect: &Expect, found: &CaseReport) -> Vec<String> {
    let mut failures = Vec::new();
    let status = found.status.as_str();
    match &expect.status {
        Some(expected) if expected != status => failures.push(format!("it ended {status}, not {expected}")),
        Some(_) => {}
        None if !found.status.is_terminal() => failures.push(format!("it did not end: it is {status}")),
        None => {}
    }
    if let Some(expected) = &expect.output
        && found.output.as_ref() != Some(expected)
    {
        let output = found.output.clone().unwrap_or_default();
        failures.push(format!("its output is {output}, not {expected}"));
    }
    let code = found.error.as_ref().map_or("none", |error| error.code.as_str());
    if let Some(expected) = expect.error.as_ref().filter(|expected| *expected != code) {
        failures.push(format!("its error is {code}, not {expected}"));
    }
    for (name, expected) in &expect.variables {
        match found.variables.get(name) {
            Some(value) if value == expected => {}
            Some(value) => failures.push(format!("the variable '{name}' is {value}, not {expected}")),
            None => failures.push(format!("the variable '{name}' has no value, not {expected}")),
        }
    }
    failures.extend(path(&expect.path, &found.path));
    for step in &expect.not_reached {
        if begun(&found.path).any(|path| names(step, path)) {
            failures.push(format!("'{step}' was begun, and must not be"));
        }
    }
    if let Some(expected) = expect.took.filter(|expected| *expected != found.took) {
        failures.push(format!("it took {}, not {expected}", found.took));
    }
    failures
}

/// The first of the expected steps that is not begun after those before it.
fn path(expected: &[String], found: &[Reached]) -> Option<String> {
    let mut begun = begun(found);
    let mut before = "the start";
    for step in expected {
        if !begun.any(|path| names(step, path)) {
            return Some(format!("'{step}' was not begun after {before}"));
        }
        before = step;
    }
    None
}

/// The steps that were begun, in that order, each once.
fn begun(found: &[Reached]) -> impl Iterator<Item = &TaskPath> {
    let mut seen = std::collections::BTreeSet::new();
    found
        .iter()
        .filter(|reached| reached.status != TaskStatus::Skipped)
        .map(|reached| &reached.task_path)
        .filter(move |path| seen.insert(path.as_str().to_owned()))
}

/// Whether a name of the file means this place: the whole place, or its last part without iterations.
pub(crate) fn names(name: &str, path: &TaskPath) -> bool {
    if name.starts_with('/') {
        return matches(name, path.as_str());
    }
    let last = path.as_str().rsplit('/').next().unwrap_or_default();
    last == name
}

/// Whether a place fits a pattern in which `[*]` stands for any iteration.
fn matches(pattern: &str, path: &str) -> bool {
    let mut rest = path;
    let mut parts = pattern.split("[*]");
    let Some(first) = parts.next() else { return false };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for part in parts {
        let Some((_, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            return false;
        };
        let Some(after) = after.strip_prefix(part) else { return false };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_place_a_step_or_all_iterations() {
        let path = TaskPath::from("/all[3]/ship");
        for name in ["ship", "/all[3]/ship", "/all[*]/ship"] {
            assert!(names(name, &path), "{name}");
        }
        for name in ["all", "/all[2]/ship", "/all[*]", "/all/ship", "hip"] {
            assert!(!names(name, &path), "{name}");
        }
    }
}
