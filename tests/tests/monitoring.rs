//! What is written for Prometheus and Grafana: promtool takes it, its alerts fire when they should, and it names no metric that
//! docs/metrics.md does not know.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::Command;

use oarlock_test_servers::programs;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn promtool(arguments: &[&str]) {
    let mut command = Command::new(programs::promtool().unwrap_or_else(|error| panic!("{error}")));
    let output = command.args(arguments).current_dir(root()).output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {}:\n{told}", arguments.join(" "));
}

#[test]
fn promtool_takes_the_alerts_and_the_settings() {
    promtool(&["check", "rules", "--lint-fatal", "config/prometheus/alerts.yml"]);
    promtool(&["check", "config", "config/prometheus/prometheus.yml"]);
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    promtool(&["test", "rules", "config/prometheus/alerts.test.yml"]);
}

/// The metrics of docs/metrics.md; of a histogram what its series are named.
fn documented() -> BTreeSet<String> {
    let page = read("docs/metrics.md");
    let mut names = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `oarlock_")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (name, kind) = (cells.next().unwrap().trim_matches('`'), cells.next().unwrap());
        match kind {
            "histogram" => names.extend(["bucket", "sum", "count"].map(|of| format!("{name}_{of}"))),
            _ => drop(names.insert(name.to_owned())),
        }
    }
    assert!(names.len() > 40, "docs/metrics.md was not understood");
    names
}

/// Every word of a text that begins as a metric does.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("oarlock_")).map(str::to_owned).collect()
}

/// The expressions of a dashboard, wherever they stand.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "query" => found.push(text),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn alerts_and_dashboard_name_only_metrics_that_there_are() {
    let documented = documented();
    let dashboard: Value = serde_json::from_str(&read("config/grafana/oarlock.json")).unwrap();
    let mut shown = Vec::new();
    expressions(&dashboard, &mut shown);
    assert!(shown.len() > 20, "the dashboard was not understood: {shown:?}");
    for (what, text) in [
        ("config/prometheus/alerts.yml", read("config/prometheus/alerts.yml")),
        ("config/prometheus/alerts.test.yml", read("config/prometheus/alerts.test.yml")),
        ("config/grafana/oarlock.json", shown.join("\n")),
    ] {
        let unknown: Vec<String> = named(&text).difference(&documented).cloned().collect();
        assert!(unknown.is_empty(), "{what} names {unknown:?}");
        assert!(named(&text).len() > 5, "{what} was not understood");
    }
}

#[test]
fn every_alert_says_what_it_means_and_what_to_type() {
    let rules = read("config/prometheus/alerts.yml");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        assert!(alert.contains("severity: page") || alert.contains("severity: ticket"), "{name}: how urgent");
        assert!(alert.contains("summary: "), "{name}: a summary");
        assert!(alert.contains("description: ") && alert.contains("Type"), "{name}: what to type");
    }
}
