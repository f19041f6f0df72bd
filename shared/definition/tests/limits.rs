//! Hostile texts: large, deep, and made to be slow. Each must be answered within seconds even without optimisation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use oarlock_definition::{Report, check, read};
use oarlock_protocol::definition::TaskKind;

fn read_in_time(name: &str, text: &str) -> Report {
    let start = Instant::now();
    let report = read(name, text);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{name} took {took:?}");
    report
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

fn steps(count: usize, write: impl Fn(&mut String, usize)) -> String {
    let mut text = "id: many\nversion: 1\ntasks:\n".to_owned();
    (0..count).for_each(|number| write(&mut text, number));
    text
}

#[test]
fn a_text_over_a_megabyte_is_refused() {
    let text = format!("id: large\nversion: 1\n# {}\n", "x".repeat(1024 * 1024));
    assert_eq!(codes(&read_in_time("large.yaml", &text)), ["too-large"]);
}

#[test]
fn deep_nesting_is_refused_in_both_languages() {
    for (name, open) in [("deep.json", "["), ("deep.yaml", "[")] {
        let text = format!("{}{}", if name == "deep.yaml" { "a: " } else { "" }, open.repeat(100_000));
        let report = read_in_time(name, &text);
        assert_eq!(report.diagnostics.len(), 1, "{}", report.render(false));
    }
    let dashes = format!("a:\n  {}x", "- ".repeat(100_000));
    assert_eq!(codes(&read_in_time("dashes.yaml", &dashes)), ["too-large"]);
}

#[test]
fn a_definition_of_many_steps_is_accepted() {
    let text = steps(10_000, |text, number| {
        let before = number.saturating_sub(1);
        let read = if number == 0 {
            String::new()
        } else {
            format!(", inputMappings: {{a: \"${{ s{before}.output }}\"}}")
        };
        writeln!(text, "  - {{id: s{number}, task: x.y{read}}}").unwrap();
    });
    let report = read_in_time("steps.yaml", &text);
    assert!(report.definition.is_some(), "{}", report.render(false));
}

#[test]
fn a_definition_of_more_steps_is_refused_at_the_first_too_many() {
    let text = steps(10_001, |text, number| writeln!(text, "  - {{id: s{number}, task: x.y}}").unwrap());
    let report = read_in_time("steps.yaml", &text);
    assert_eq!(codes(&report), ["too-large"]);
    assert_eq!(report.diagnostics[0].path, "tasks[10000]");
    let inner: String = (0..30_000).map(|number| format!("{{id: s{number}, task: x}}, ")).collect();
    let text =
        format!("id: many\nversion: 1\ntasks: [{{id: g, forEach: {{items: [1]}}, tasks: [{inner}]}}]\n");
    assert_eq!(codes(&read_in_time("inner.yaml", &text)), ["too-large"]);
}

#[test]
fn steps_that_stand_too_deep_in_one_another_are_refused() {
    let nested = |depth: usize| {
        let mut definition =
            read("deep.yaml", "id: deep\nversion: 1\ntasks: [{id: s0, task: x.y}]\n").definition.unwrap();
        for level in 1..depth {
            let mut outer = definition.tasks[0].clone();
            outer.id = format!("s{level}");
            outer.kind = TaskKind::Tasks(std::mem::take(&mut definition.tasks));
            definition.tasks = vec![outer];
        }
        definition
    };
    assert_eq!(check(&nested(100)), []);
    let told = check(&nested(101));
    assert_eq!(told.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), ["too-large"]);
    assert!(told[0].message.contains("100 deep"), "{}", told[0].message);
}

#[test]
fn many_nested_iterations_are_checked_in_time() {
    let text = steps(1_500, |text, number| {
        writeln!(text, "  - id: f{number}\n    variables: {{v: 1}}\n    forEach: {{items: \"${{ input.a }}\", as: i{number}}}").unwrap();
        writeln!(text, "    tasks: [{{id: s{number}, task: x.y, inputMappings: {{a: \"${{ i{number} }}\", b: \"${{ variables.v }}\"}}}}]").unwrap();
    });
    let report = read_in_time("each.yaml", &text);
    assert!(report.definition.is_some(), "{}", report.render(false));
}

#[test]
fn thousands_of_mistakes_are_counted_and_not_all_told() {
    let text = steps(10_000, |text, number| {
        writeln!(
            text,
            "  - {{id: s{number}, taks: x.y, dependsOn: [nobody_{number}], condition: variables.v{number}}}"
        )
        .unwrap();
    });
    let report = read_in_time("mistakes.yaml", &text);
    assert_eq!(report.definition, None);
    assert_eq!(report.diagnostics.len(), 201);
    assert_eq!(report.diagnostics[200].code, "too-many-problems");
}

#[test]
fn a_tangle_of_dependencies_is_untangled_in_time() {
    // Every step waits for a later one that waits for all before it: one circle is told, not one for each way around it.
    let text = steps(3_000, |text, number| {
        let wait = if number % 2 == 0 { format!(", dependsOn: [s{}]", number + 1) } else { String::new() };
        writeln!(text, "  - {{id: s{number}, task: x.y{wait}}}").unwrap();
    });
    let report = read_in_time("tangle.yaml", &text);
    assert!(codes(&report).contains(&"dependency-cycle"), "{}", report.render(false));
}

#[test]
fn one_endless_line_is_answered_in_time() {
    let items: String = (0..40_000).map(|number| format!("{{é{number}: NO}}, ")).collect();
    let report = read_in_time("line.yaml", &format!("id: line\nversion: 1\nvariables: {{a: [{items}]}}\n"));
    assert_eq!(report.diagnostics.len(), 201);
    assert!(report.diagnostics.iter().all(|diagnostic| diagnostic.excerpt.len() < 1_000));
}

#[test]
fn many_warnings_hide_no_error() {
    let unused: String = (0..1_000).map(|number| format!("  - {{id: x.y{number}}}\n")).collect();
    let text = format!(
        "id: many\nversion: 1\ntaskDefinitions:\n{unused}tasks:\n  - {{id: s, task: a.b, condition: oops}}\n"
    );
    let report = read_in_time("warnings.yaml", &text);
    assert!(report.has_errors() && report.definition.is_none());
    assert!(codes(&report).contains(&"unknown-name"));
    let accepted = read_in_time("warnings.yaml", &text.replace("oops", "input.go"));
    assert!(accepted.definition.is_some());
    assert!(codes(&accepted).contains(&"too-many-problems"));
}
