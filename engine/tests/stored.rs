//! The form in which runs are stored, frozen: a release that changes it must still read this.

#![allow(clippy::unwrap_used, reason = "a test that fails names its line")]

use oarlock_engine::run::{Body, Ending, Head, Row, Stage};
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/stored_run.json")).unwrap()
}

#[test]
fn a_stored_head_is_written_as_it_was_read() {
    let stored = &fixture()["head"];
    let head: Head = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(&serde_json::to_value(head).unwrap(), stored);
}

#[test]
fn stored_rows_are_written_as_they_were_read_and_show_every_variant() {
    let mut seen = Vec::new();
    for stored in fixture()["rows"].as_array().unwrap() {
        let row: Row = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(&serde_json::to_value(&row).unwrap(), stored);
        seen.push(variant(&row));
    }
    seen.dedup();
    // As many as `variant` tells apart: a new variant does not compile there until it is named, and fails here until it is shown.
    assert_eq!(
        seen,
        [
            "plain",
            "failed",
            "cancelled",
            "timed out",
            "completed",
            "enough",
            "ready",
            "open",
            "waiting",
            "held",
            "closed",
            "awaiting"
        ]
    );
}

fn variant(row: &Row) -> &'static str {
    match &row.body {
        Body::Plain => "plain",
        Body::Await(_) => "awaiting",
        Body::Block(block) => match block.ending.as_ref().unwrap() {
            Ending::Failed { .. } => "failed",
            Ending::Cancelled { .. } => "cancelled",
            Ending::TimedOut { .. } => "timed out",
            Ending::Completed { .. } => "completed",
            Ending::Enough => "enough",
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

#[test]
fn fields_of_a_newer_release_are_ignored() {
    let mut stored = fixture()["head"].clone();
    stored["ofTomorrow"] = Value::Bool(true);
    serde_json::from_value::<Head>(stored).unwrap();
}
