//! Holds docs/schemas to the words: each file is made from the type of its message; with `OARLOCK_BLESS=1` written anew.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failing test names its line")]

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string, remove_file, write};

use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::{
    Attempt, HistoryEntry, TaskExecutionContext, TaskInstance, WorkflowInstance, WorkflowSummary,
};
use oarlock_protocol::message::{
    AnswerMessage, BeatMessage, CancelMessage, CompleteMessage, ControlMessage, OperationMessage,
    PauseMessage, PayloadReference, PermitsMessage, ProgressMessage, RegisterMessage, ResultMessage,
    RunEvent, ScheduleMessage, SignalMessage, StartMessage, StartRequest, TaskEvent, TaskMessage,
    WatchMessage,
};
use oarlock_protocol::schedule::{ScheduleDefinition, ScheduleView};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{ErrorDetails, Json};
use schemars::JsonSchema;
use serde_json::json;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schemas");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

type Make = fn() -> Json;

/// The messages: the file of each, and the schema in it.
const MESSAGES: [(&str, Make); 19] = [
    ("start_request", schema::<StartRequest>),
    ("start", schema::<StartMessage>),
    ("task", schema::<TaskMessage>),
    ("result", schema::<ResultMessage>),
    ("progress", schema::<ProgressMessage>),
    ("control", schema::<ControlMessage>),
    ("cancel", schema::<CancelMessage>),
    ("signal", schema::<SignalMessage>),
    ("answer", schema::<AnswerMessage>),
    ("register", schema::<RegisterMessage>),
    ("watch", schema::<WatchMessage>),
    ("complete", schema::<CompleteMessage>),
    ("operation", schema::<OperationMessage>),
    ("beat", schema::<BeatMessage>),
    ("schedule", schema::<ScheduleMessage>),
    ("pause", schema::<PauseMessage>),
    ("permits", schema::<PermitsMessage>),
    ("run_event", schema::<RunEvent>),
    ("task_event", schema::<TaskEvent>),
];

/// The words that have fixtures and are no messages.
const OTHERS: [(&str, Make); 12] = [
    ("workflow_definition", schema::<WorkflowDefinition>),
    ("workflow_instance", schema::<WorkflowInstance>),
    ("workflow_summary", schema::<WorkflowSummary>),
    ("history_entry", schema::<HistoryEntry>),
    ("task_instance", schema::<TaskInstance>),
    ("attempt", schema::<Attempt>),
    ("task_execution_context", schema::<TaskExecutionContext>),
    ("security_context", schema::<SecurityContext>),
    ("error_details", schema::<ErrorDetails>),
    ("payload_reference", schema::<PayloadReference>),
    ("schedule_view", schema::<ScheduleView>),
    ("schedule_definition", schema::<ScheduleDefinition>),
];

fn schema<T: JsonSchema>() -> Json {
    let mut schema = schemars::schema_for!(T).to_value();
    for_readers(&mut schema);
    schema
}

/// Makes the descriptions, which are written for the documentation of Rust, fit to be read anywhere.
fn for_readers(value: &mut Json) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                match value {
                    Json::String(text) if key == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
                    }
                    inner => for_readers(inner),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(for_readers),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The name of every file with this ending in a folder, without the ending; `workflow.schema.json` is no message's.
fn names(folder: &str) -> BTreeSet<String> {
    let files = read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = files.filter_map(|file| Some(file.strip_suffix(".json")?.to_owned()));
    names.filter(|name| name != "workflow.schema").collect()
}

fn fixture(name: &str) -> Json {
    serde_json::from_str(&read_to_string(format!("{FIXTURES}/{name}.json")).unwrap()).unwrap()
}

/// The schema of the word that a fixture shows: fixtures are named for it, with what is special about them behind.
fn schema_of(fixture: &str) -> Json {
    let all = MESSAGES.iter().chain(&OTHERS);
    let fitting = all.filter(|(word, _)| {
        fixture.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    });
    let (_, make) = fitting.max_by_key(|(word, _)| word.len()).unwrap_or_else(|| panic!("{fixture}"));
    make()
}

#[test]
fn the_schemas_are_up_to_date() {
    let made = MESSAGES.map(|(name, make)| (name, serde_json::to_string_pretty(&make()).unwrap() + "\n"));
    if std::env::var_os("OARLOCK_BLESS").is_some() {
        std::fs::create_dir_all(FOLDER).unwrap();
        for name in names(FOLDER) {
            remove_file(format!("{FOLDER}/{name}.json")).unwrap();
        }
        for (name, text) in made {
            write(format!("{FOLDER}/{name}.json"), text).unwrap();
        }
        return;
    }
    let anew = "write the schemas anew: OARLOCK_BLESS=1 cargo test -p oarlock-protocol";
    assert_eq!(names(FOLDER), made.iter().map(|(name, _)| (*name).to_owned()).collect(), "{anew}");
    for (name, text) in made {
        assert!(read_to_string(format!("{FOLDER}/{name}.json")).unwrap() == text, "{name}: {anew}");
    }
}

#[test]
fn every_fixture_fits_the_schema_of_its_word() {
    for name in names(FIXTURES) {
        let validator = jsonschema::validator_for(&schema_of(&name)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&fixture(&name)).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn a_later_field_fits_and_a_missing_or_wrong_one_does_not() {
    for (name, place, value, fits) in [
        ("start_request", "/laterField", json!({"of": "a later release"}), true),
        ("start_request", "/version", json!("3"), false),
        ("start_request_smallest", "/workflow", Json::Null, false),
        ("result_completed", "/executionId", Json::Null, false),
        ("result_completed", "/laterField", json!(1), true),
        ("result_completed", "/status", json!("DONE"), false),
        ("result_failed", "/error", Json::Null, false),
        ("result_deferred", "/afterMs", json!(-1), false),
        ("progress", "/n", json!("3"), false),
        ("progress", "/details", json!([1]), true),
        ("answer_accepted", "/existing", Json::Null, false),
        ("operation", "/operation", json!("STOP"), false),
        ("beat", "/lastActive", Json::Null, true),
        ("beat", "/beatMs", Json::Null, false),
        ("complete", "/taskPath", Json::Null, false),
        ("complete_failed", "/error", Json::Null, false),
        ("answer_recorded", "/existing", Json::Null, false),
        ("answer_ended", "/runStatus", json!("OVER"), false),
        ("control_cancel", "/order", json!("STOP"), false),
        ("task", "/executionContext/laterField", json!(1), true),
        ("task", "/executionContext/taskPath", json!("charge"), false),
        ("register", "/definition/laterField", json!(1), false),
        ("schedule_put", "/definition/laterField", json!(1), false),
        ("schedule_pause", "/action", json!("STOP"), false),
        ("schedule_trigger", "/due", Json::Null, false),
    ] {
        let mut changed = fixture(name);
        let (parent, field) = place.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Json::Null => drop(parent.remove(field)),
            value => drop(parent.insert(field.to_owned(), value)),
        }
        let valid = jsonschema::validator_for(&schema_of(name)).unwrap().is_valid(&changed);
        assert_eq!(valid, fits, "{name} with another {place}");
    }
}
