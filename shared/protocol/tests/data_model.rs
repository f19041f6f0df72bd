//! Holds docs/data-model.md to the code: every word with every field, every choice, and samples out of the fixtures.
//!
//! The fields are read from the sources, because no value can tell which fields its type might have had.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failing test names its line")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;

use serde_json::Value as Json;

const SOURCES: [&str; 11] = [
    "definition",
    "definition/step",
    "error",
    "instance",
    "mapping",
    "message",
    "message/beat",
    "message/event",
    "message/request",
    "schedule",
    "security",
];
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The fields that a row of the documentation stands for, where it is not one field.
const TOGETHER: [(&str, &[&str]); 4] = [
    ("the keys of its kind", &["TaskKind"]),
    ("`status` and its fields", &["Outcome", "Answer", "Completion"]),
    ("`order` and its fields", &["Order"]),
    ("`action` and its fields", &["ScheduleAction"]),
];

/// Where the fixtures show every field of each word.
const SHOWN: [(&str, &[&str]); 55] = [
    ("WorkflowDefinition", &["workflow_definition"]),
    ("WorkflowTimeouts", &["workflow_definition#/timeouts"]),
    ("TaskDefinition", &["workflow_definition#/taskDefinitions/0"]),
    ("RetryPolicy", &["workflow_definition#/taskDefinitions/0/retryPolicy"]),
    ("RateLimit", &["workflow_definition#/taskDefinitions/0/rateLimit"]),
    ("TaskTimeouts", &["workflow_definition#/taskDefinitions/0/timeouts"]),
    ("SecurityRequirements", &["workflow_definition#/taskDefinitions/0/securityRequirements"]),
    (
        "Task",
        &[
            "workflow_definition#/tasks/1",
            "workflow_definition#/tasks/7",
            "workflow_definition#/tasks/9",
            "workflow_definition#/tasks/13",
        ],
    ),
    ("ForEach", &["workflow_definition#/tasks/7/forEach"]),
    ("Loop", &["workflow_definition#/tasks/8/loop"]),
    ("ChildWorkflow", &["workflow_definition#/tasks/13/workflow"]),
    ("Wait", &["workflow_definition#/tasks/9/wait"]),
    ("Join", &["workflow_definition#/tasks/7/join"]),
    ("Compensation", &["workflow_definition#/tasks/7/tasks/0/compensateWith"]),
    ("SwitchCase", &["workflow_definition#/tasks/4/switch/0", "workflow_definition#/tasks/4/switch/1"]),
    ("Terminate", &["workflow_definition#/tasks/6/terminate"]),
    ("WorkflowInstance", &["workflow_instance", "workflow_instance_failed", "workflow_instance_child"]),
    ("ParentStep", &["workflow_instance_child#/parent"]),
    ("CriticalStep", &["workflow_instance#/criticalPath/0"]),
    ("WorkflowMetrics", &["workflow_instance#/metrics"]),
    ("WorkflowSummary", &["workflow_summary", "workflow_summary_child"]),
    ("TaskInstance", &["task_instance", "task_instance_waiting", "task_instance_child"]),
    ("Attempt", &["attempt"]),
    ("TaskMetrics", &["attempt#/metrics"]),
    ("TaskExecutionContext", &["task_execution_context"]),
    ("SecurityContext", &["security_context"]),
    ("ErrorDetails", &["error_details"]),
    ("HistoryEntry", &["history_entry"]),
    ("StartRequest", &["start_request"]),
    ("StartMessage", &["start", "start_child"]),
    ("Parent", &["start_child#/parent"]),
    ("TaskMessage", &["task", "task_deferred"]),
    ("ResultMessage", &["result_completed"]),
    ("ProgressMessage", &["progress"]),
    ("ControlMessage", &["control_closed"]),
    ("CancelMessage", &["cancel", "cancel_child"]),
    ("SignalMessage", &["signal"]),
    ("AnswerMessage", &["answer_accepted"]),
    ("RegisterMessage", &["register"]),
    ("WatchMessage", &["watch"]),
    ("CompleteMessage", &["complete"]),
    ("OperationMessage", &["operation"]),
    ("BeatMessage", &["beat", "beat_leaving"]),
    ("PauseMessage", &["pause"]),
    (
        "PermitsMessage",
        &["permits_ask", "permits_ask_all", "permits_grant", "permits_told_all", "permits_want"],
    ),
    ("RunEvent", &["run_event"]),
    ("TaskEvent", &["task_event"]),
    ("PayloadReference", &["payload_reference"]),
    ("ScheduleMessage", &["schedule_put"]),
    ("ScheduleDefinition", &["schedule_view#/definition"]),
    ("Schedule", &["schedule_view"]),
    ("ScheduleView", &["schedule_view"]),
    ("ScheduleState", &["schedule_view#/state"]),
    ("ScheduledStart", &["schedule_view#/state/starting/0", "schedule_view#/state/queued/0"]),
    ("ScheduleProblem", &["schedule_view#/state/lastProblem"]),
];

fn documentation() -> String {
    read_to_string(format!("{HERE}/../../docs/data-model.md")).unwrap()
}

fn fixture(name: &str) -> Json {
    let path = format!("{HERE}/fixtures/{name}.json");
    serde_json::from_str(&read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
}

#[test]
fn every_field_of_every_word_is_documented() {
    let sections = sections(&documentation());
    let mut words = structs();
    // Both are flattened into the messages that hold them.
    let inside = ["AttemptAddress", "RunKey"].map(|word| words.remove(word).unwrap_or_default());
    assert!(!inside[0].is_empty() && words.len() > 25, "the sources were not understood: {words:?}");
    for (word, fields) in words {
        let documented = sections.get(&word).unwrap_or_else(|| panic!("there is no section `### {word}`"));
        assert_eq!(documented, &fields, "the fields of {word}: documented, and in the code");
    }
}

#[test]
fn every_choice_is_documented() {
    let documentation = documentation();
    for (name, variants) in enums() {
        for variant in variants {
            let text = match name.as_str() {
                "TaskKind" | "Awaited" => variant[..1].to_lowercase() + &variant[1..],
                _ => screaming(&variant),
            };
            assert!(documentation.contains(&format!("`{text}`")), "{name} {text}");
        }
    }
    for kind in oarlock_protocol::message::Kind::ALL {
        assert!(documentation.contains(&format!("| `{}` |", kind.as_str())), "{kind:?}");
    }
}

#[test]
fn every_sample_is_part_of_its_fixture() {
    let documentation = documentation();
    let samples: Vec<&str> = documentation.split("<!-- sample: ").skip(1).collect();
    assert!(samples.len() > 15);
    for sample in samples {
        let (name, rest) = sample.split_once(" -->\n```json\n").unwrap();
        let shown: Json = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
        let frozen = at(name);
        assert!(is_part(&shown, &frozen), "the sample of {name} differs:\n{shown:#}\n{frozen:#}");
    }
}

#[test]
fn the_fixtures_hold_every_field() {
    for (word, fields) in structs() {
        if ["AttemptAddress", "RunKey"].contains(&word.as_str()) {
            continue;
        }
        let places =
            SHOWN.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("{word} is not in SHOWN"));
        let seen: BTreeSet<String> = places.1.iter().flat_map(|place| keys(place)).collect();
        let missing: Vec<_> =
            fields.iter().filter(|field| !is_together(field) && !seen.contains(*field)).collect();
        assert!(missing.is_empty(), "no fixture shows {missing:?} of {word}");
    }
}

fn keys(place: &str) -> Vec<String> {
    let object = at(place);
    let object = object.as_object().unwrap_or_else(|| panic!("{place} is no object"));
    object.keys().cloned().collect()
}

/// The value at `file#/pointer` in the fixtures.
fn at(place: &str) -> Json {
    let (file, pointer) = place.split_once('#').unwrap_or((place, ""));
    fixture(file).pointer(pointer).unwrap_or_else(|| panic!("{place} is not there")).clone()
}

fn is_together(field: &str) -> bool {
    TOGETHER.iter().any(|(row, _)| *row == field)
}

/// Whether `shown` is `whole` with parts left out: absent fields, and `…` for any value or for the rest of a list.
fn is_part(shown: &Json, whole: &Json) -> bool {
    match (shown, whole) {
        (Json::String(text), _) if text == "…" => true,
        (Json::Object(shown), Json::Object(whole)) => {
            shown.iter().all(|(key, part)| whole.get(key).is_some_and(|value| is_part(part, value)))
        }
        (Json::Array(shown), Json::Array(whole)) => {
            let cut = shown.last().is_some_and(|last| last == "…");
            let shown = &shown[..shown.len() - usize::from(cut)];
            (cut || shown.len() == whole.len())
                && shown.iter().zip(whole).all(|(part, value)| is_part(part, value))
        }
        _ => shown == whole,
    }
}

/// The first column of the first table with a `Field` column below each `### ` heading.
fn sections(documentation: &str) -> BTreeMap<String, BTreeSet<String>> {
    let tables = documentation.split("\n### ").skip(1).filter_map(|section| {
        let (word, body) = section.split_once('\n')?;
        let rows = body.split_once("| Field |")?.1.lines().skip(2).take_while(|line| line.starts_with('|'));
        let first = rows.filter_map(|row| row.split('|').nth(1));
        let fields = first.map(|cell| match cell.trim().trim_end_matches(" ?") {
            together if is_together(together) => together.to_owned(),
            field => field.trim_matches('`').to_owned(),
        });
        Some((word.to_owned(), fields.collect()))
    });
    tables.collect()
}

/// Every public struct of the sources with the names of its fields in JSON.
fn structs() -> BTreeMap<String, BTreeSet<String>> {
    let mut declared: BTreeMap<String, Vec<(String, Option<String>)>> = BTreeMap::new();
    declared.insert("RunKey".into(), vec![("tenantId".into(), None), ("workflowInstanceId".into(), None)]);
    for source in SOURCES {
        for (word, body) in declarations(source, "pub struct ") {
            declared.insert(word, fields(&body));
        }
    }
    // How a step is written, whose keys are those of `TaskKind`.
    declared.remove("Kind");
    let flat = |word: &String| -> BTreeSet<String> { flattened(&declared, word).into_iter().collect() };
    declared.keys().map(|word| (word.clone(), flat(word))).collect()
}

fn flattened(declared: &BTreeMap<String, Vec<(String, Option<String>)>>, word: &str) -> Vec<String> {
    if let Some((row, _)) = TOGETHER.iter().find(|(_, words)| words.contains(&word)) {
        return vec![(*row).to_owned()];
    }
    let fields = declared.get(word).unwrap_or_else(|| panic!("{word} is flattened and unknown"));
    let names = fields.iter().flat_map(|(name, flat)| match flat {
        Some(inner) => flattened(declared, inner),
        None => vec![name.clone()],
    });
    names.collect()
}

/// The name of each field, and its type where it is flattened.
fn fields(body: &str) -> Vec<(String, Option<String>)> {
    let mut flat = false;
    let mut renamed = None;
    let mut fields = Vec::new();
    for line in body.lines().map(str::trim) {
        flat |= line == "#[serde(flatten)]";
        renamed = line.split_once("rename = \"").and_then(|(_, rest)| rest.split('"').next()).or(renamed);
        let Some((name, kind)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": ")) else {
            continue;
        };
        let name = renamed.take().map_or_else(|| camel(name), str::to_owned);
        fields.push((name, flat.then(|| kind.trim_end_matches(',').to_owned())));
        flat = false;
    }
    fields
}

fn enums() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for source in SOURCES {
        for (name, body) in declarations(source, "pub enum ") {
            // The variants stand four spaces deep; `Kind` has texts of its own, two others no names.
            let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
            let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
            let name_of = |line: &str| line.chars().take_while(char::is_ascii_alphanumeric).collect();
            found.insert(name, variants.map(name_of).collect());
        }
    }
    found.remove("Kind");
    found.remove("Transformation");
    found.remove("Tolerance");
    assert!(found.len() > 8, "the sources were not understood: {found:?}");
    found
}

/// The name and body of each declaration with braces.
fn declarations(source: &str, keyword: &str) -> Vec<(String, String)> {
    let text = read_to_string(format!("{HERE}/src/{source}.rs")).unwrap();
    let opening = format!("\n{keyword}");
    let found = text.split(&opening).skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(" {\n")?;
        Some((name.to_owned(), rest.split_once("\n}")?.0.to_owned()))
    });
    found.collect()
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &part[..1].to_uppercase() + &part[1..])
}

fn screaming(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}
