//! The shape of a report: what programs read of it, what terminals show, and checks without a text.

#![allow(clippy::unwrap_used, reason = "a failing test names its line")]

use oarlock_definition::{Severity, check, read};
use oarlock_protocol::definition::{TaskKind, VariableMapping, WorkflowDefinition};
use serde_json::json;

const BROKEN: &str =
    "id: demo\nversion: 1\ntasks:\n  - id: greet\n    task: greeting.say\n    condition: variables.a\n";

#[test]
fn a_diagnostic_is_json_in_camel_case() {
    let report = read("demo.yaml", BROKEN);
    let expected = json!([{
        "severity": "ERROR",
        "code": "unknown-variable",
        "message": "no variable named `a`",
        "file": "demo.yaml",
        "line": 6,
        "column": 26,
        "path": "tasks[0].condition",
        "excerpt": "  |\n6 |     condition: variables.a\n  |                          ^\n",
        "help": "Variables are declared under `variables:` or written by a variableMapping or a `set`.",
    }]);
    assert_eq!(serde_json::to_value(&report.diagnostics).unwrap(), expected);
}

#[test]
fn colours_add_escapes_and_nothing_else() {
    let report = read("demo.yaml", BROKEN);
    let coloured = report.render(true);
    assert!(coloured.contains("\u{1b}[1;31m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, report.render(false));
}

#[test]
fn a_definition_built_in_code_is_checked_by_the_same_rules() {
    let mut definition = read("demo.yaml", &BROKEN.replace("variables.a", "input.a")).definition.unwrap();
    assert_eq!(check(&definition), []);
    definition.tasks[0].condition = Some("variables.a".to_owned());
    definition.tasks[0].id = "error".to_owned();
    let told = check(&definition);
    let codes: Vec<&str> = told.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["reserved-name", "unknown-variable"]);
    assert_eq!(told[1].path, "tasks[0].condition");
    assert_eq!((told[1].line, told[1].column, told[1].excerpt.as_str()), (1, 1, ""));
    let shown = told[1].render(false);
    assert!(
        shown.starts_with(
            "error[unknown-variable]: no variable named `a`\n --> definition (tasks[0].condition)\n"
        ),
        "{shown}"
    );
}

#[test]
fn a_warning_keeps_the_definition() {
    let report = read("demo.yaml", &BROKEN.replace("variables.a", "true"));
    assert!(report.definition.is_some());
    assert!(!report.has_errors());
    assert_eq!(report.diagnostics.iter().map(|told| told.severity).collect::<Vec<_>>(), [Severity::Warning]);
}

#[test]
fn a_definition_cannot_steer_the_terminal() {
    let report = read("demo.yaml", "id: \"a\\e[31m\"\nversion: 1\n\"b\\e[2J\": 1\ntasks: []\n");
    let shown = report.render(false);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

fn good(mappings: &str) -> WorkflowDefinition {
    let text = format!(
        "id: m\nversion: 1\ntasks:\n  - id: price\n    task: x.y\n    variableMappings: {mappings}\n"
    );
    let report = read("m.yaml", &text);
    assert!(!report.has_errors(), "{}", report.render(false));
    report.definition.unwrap()
}

#[test]
fn the_short_form_of_mappings_tells_expressions_from_values() {
    let definition = good(
        "{one: \"${ taskOutput.a }\", two: \"a ${ taskOutput.a }\", three: [1], four: \"${ input.a }${ input.b }\"}",
    );
    let kinds: Vec<(&str, bool)> = definition.tasks[0]
        .variable_mappings
        .iter()
        .map(|mapping| (mapping.target(), matches!(mapping, VariableMapping::Expression { .. })))
        .collect();
    assert_eq!(kinds, [("one", true), ("two", false), ("three", false), ("four", false)]);
}

#[test]
fn what_is_not_written_has_the_defaults_of_the_stored_form() {
    let text = "id: d\nversion: 1\ntaskDefinitions: [{id: x.y, retryPolicy: {maxRetries: 2}}]\ntasks: [{id: s, task: x.y}]\n";
    let read_as_text = read("d.yaml", text).definition.unwrap();
    let stored = json!({
        "id": "d", "version": 1,
        "taskDefinitions": [{"id": "x.y", "retryPolicy": {"maxRetries": 2}}],
        "tasks": [{"id": "s", "task": "x.y"}],
    });
    assert_eq!(read_as_text, serde_json::from_value::<WorkflowDefinition>(stored).unwrap());
    assert!(matches!(&read_as_text.tasks[0].kind, TaskKind::Task(name) if name == "x.y"));
}
