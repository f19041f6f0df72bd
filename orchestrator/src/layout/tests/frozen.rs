//! The form in which runs are stored, frozen: a release that changes it must still read this.

use oarlock_engine::run::{Body, Ending, Row, Stage};

use super::*;
use crate::layout::{head, read_row, row};

/// A head in its two parts and rows by their places, each as it lies in a store.
fn fixture() -> BTreeMap<String, Json> {
    serde_json::from_str(include_str!("../../../fixtures/stored_run.json")).unwrap()
}

fn run_id() -> RunId {
    RunId::keyed("acme", "w", "k")
}

/// With the order of fields that a map gives them.
fn ordered(json: &Bytes) -> Json {
    serde_json::from_slice(json).unwrap()
}

#[test]
fn a_stored_head_is_written_as_it_was_read() {
    let stored = fixture();
    let [origin, head] = ["origin", "head"].map(|part| stored[part].to_string());
    let read = head::decode(origin.as_bytes(), head.as_bytes()).unwrap();
    let (written, has_input) = head::encode_origin(&read.head, read.input.as_ref().unwrap());
    assert_eq!((ordered(&written), has_input), (stored["origin"].clone(), true));
    let (written, has_output) = head::encode_head(&read.head, read.output.as_ref());
    assert_eq!((ordered(&written), has_output), (stored["head"].clone(), true));
}

#[test]
fn stored_rows_are_written_as_they_were_read_and_show_every_variant() {
    let mut seen = Vec::new();
    for (path, stored) in fixture() {
        let Some(path) = path.strip_prefix("t:").map(TaskPath::from) else { continue };
        let row = read_row(run_id(), &path, stored.to_string().as_bytes()).unwrap();
        assert_eq!(ordered(&row::encode(run_id(), &path, &row).row), stored, "{path}");
        seen.push(variant(&row));
    }
    seen.sort_unstable();
    seen.dedup();
    // As many as `variant` tells apart: a new variant does not compile there until it is named, and fails here until it
    // is shown.
    let all = [
        "awaiting",
        "cancelled",
        "closed",
        "completed",
        "enough",
        "failed",
        "group",
        "held",
        "open",
        "plain",
        "ready",
        "timed out",
        "waiting",
    ];
    assert_eq!(seen, all);
}

fn variant(row: &Row) -> &'static str {
    match &row.body {
        Body::Plain => "plain",
        Body::Await(_) => "awaiting",
        Body::Block(block) => match &block.ending {
            None => "group",
            Some(Ending::Failed { .. }) => "failed",
            Some(Ending::Cancelled { .. }) => "cancelled",
            Some(Ending::TimedOut { .. }) => "timed out",
            Some(Ending::Completed { .. }) => "completed",
            Some(Ending::Enough) => "enough",
        },
        Body::Work(work) => match &work.stage {
            Stage::Ready { .. } => "ready",
            Stage::Open(_) => "open",
            Stage::Waiting { .. } => "waiting",
            Stage::Held => "held",
            Stage::Closed => "closed",
        },
    }
}

fn stored_row(path: &str) -> Row {
    let stored = fixture()[&format!("t:{path}")].to_string();
    read_row(run_id(), &TaskPath::from(path), stored.as_bytes()).unwrap()
}

#[test]
fn the_error_of_a_task_is_that_of_its_latest_failed_attempt_until_it_has_completed() {
    assert_eq!(stored_row("/waiting").error.unwrap().code, "BUSY");
    assert_eq!(stored_row("/retried").error, None);
    assert_eq!(stored_row("/openWithAll").error, None);
}

#[test]
fn a_row_that_lacks_something_or_contradicts_itself_is_unreadable() {
    let read =
        |row: &str| read_row(run_id(), &TaskPath::from("/a"), row.as_bytes()).map_err(|e| e.to_string());
    assert!(read(r#"{"status":"READY","at":1,"task":{"queue":"q","count":1,"attempts":[{}]}}"#).is_ok());
    let error = read(r#"{"status":"READY","at":1,"task":{"queue":"q","count":1,"attempts":[{},{}]}}"#);
    assert!(error.unwrap_err().contains("2 attempts of 1"));
    for bad in ["", "{}", r#"{"status":"READY"}"#, r#"{"at":1}"#, r#"{"status":"READY","at":1,"task":{}}"#] {
        assert!(read(bad).unwrap_err().contains("the row /a of run"), "{bad}");
    }
}

#[test]
fn what_is_left_out_of_a_stored_row_has_its_usual_value() {
    let row = stored_row("/closed");
    let work = row.work().unwrap();
    let attempt = &work.attempts[0];
    assert!(row.settled);
    assert_eq!(work.id, oarlock_protocol::TaskInstanceId::of(run_id(), "/closed"));
    assert_eq!(attempt.execution_id, oarlock_protocol::ExecutionId::of(work.id, 1));
    let times = [row.start_time, row.end_time, Some(row.updated_at), Some(attempt.scheduled_at)];
    assert_eq!(times.map(|time| time.unwrap().as_millis() - BEGIN), [3, 9, 9, 1]);
    assert_eq!((work.first_dispatch, work.first_ready), (Some(attempt.scheduled_at), row.created_at));
    assert_eq!((work.priority, work.attempt_count, attempt.deliveries), (4, 1, 1));
    assert_eq!((attempt.queue.as_str(), attempt.metrics.unwrap().execution_time_ms), ("q", 6));
}

#[test]
fn fields_of_a_newer_release_are_ignored() {
    let mut stored = fixture();
    for part in stored.values_mut() {
        add_unknown_fields(part);
    }
    let [origin, head] = ["origin", "head"].map(|part| stored[part].to_string());
    head::decode(origin.as_bytes(), head.as_bytes()).unwrap();
    for (path, row) in stored.iter().filter_map(|(field, row)| Some((field.strip_prefix("t:")?, row))) {
        read_row(run_id(), &TaskPath::from(path), row.to_string().as_bytes()).unwrap();
    }
}

fn add_unknown_fields(part: &mut Json) {
    match part {
        Json::Object(map) => {
            map.values_mut().for_each(add_unknown_fields);
            map.insert("ofTomorrow".to_owned(), json!({"n": [1]}));
        }
        Json::Array(list) => list.iter_mut().for_each(add_unknown_fields),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
