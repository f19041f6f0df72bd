//! Small data lies in its row, large beside it: whichever it is, the newest is read, and none is lost.

use oarlock_protocol::message::Operation;

use super::*;
use crate::layout::form::SMALL;

/// A text whose JSON has so many bytes.
fn text(bytes: usize) -> Json {
    Json::from("x".repeat(bytes - 2))
}

fn running() -> (Plan, Run, Stored, TaskPath) {
    let plan = plan(&json!([task("a", "${ input.text }"), task("b", "${ input.text }")]));
    let (mut run, _) = start(&plan, json!({"text": "x"}));
    let mut stored = Stored::default();
    stored.commit(&mut run);
    (plan, run, stored, TaskPath::from("/a"))
}

fn output(run: &Run, path: &TaskPath) -> Option<Json> {
    run.rows[path].output.clone()
}

#[test]
fn data_up_to_its_border_lies_inside_and_above_it_beside() {
    let (plan, mut run, mut stored, path) = running();
    for (bytes, field) in [(SMALL, false), (SMALL + 1, true)] {
        run.set_output(&path, text(bytes));
        stored.commit(&mut run);
        assert_eq!(stored.0.contains_key("o:/a"), field, "{bytes}");
        assert_eq!(stored.text("t:/a").contains("\"output\""), !field, "{bytes}");
        assert_eq!(output(&stored.load(&run, &plan), &path), Some(text(bytes)));
    }
}

#[test]
fn what_grew_or_shrank_between_two_writes_is_read_as_it_is() {
    let (plan, mut run, mut stored, path) = running();
    for bytes in [10, 1000, 20, 2000, 3000, 30, 40] {
        run.set_output(&path, text(bytes));
        stored.commit(&mut run);
        assert_eq!(output(&stored.load(&run, &plan), &path), Some(text(bytes)));
        // Written again for another reason.
        run.row_mut(&path).unwrap();
        stored.commit(&mut run);
        assert_eq!(output(&stored.load(&run, &plan), &path), Some(text(bytes)));
    }
}

#[test]
fn data_alone_writes_its_row() {
    let (plan, mut run, mut stored, path) = running();
    run.set_input(&path, json!({"text": "new"}));
    assert!(run.changes.rows.is_empty());
    let mut writes = Vec::new();
    assert!(write_changes(&mut run.clone(), &mut writes).iter().eq([&path]));
    stored.commit(&mut run);
    assert_eq!(stored.load(&run, &plan).rows[&path].input, Some(json!({"text": "new"})));
}

#[test]
fn an_output_that_is_null_is_told_from_none() {
    let (plan, mut run, mut stored, path) = running();
    assert_eq!(output(&stored.load(&run, &plan), &path), None);
    run.set_output(&path, Json::Null);
    stored.commit(&mut run);
    assert_eq!(output(&stored.load(&run, &plan), &path), Some(Json::Null));
}

#[test]
fn what_memory_forgot_of_a_row_stays_in_the_store() {
    let (plan, mut run, mut stored, path) = running();
    admit(&plan, &mut run, 1, "/a");
    complete(&plan, &mut run, 2, "/a", json!({"text": "y"}));
    let written = write_changes(&mut run.clone(), &mut Vec::new());
    stored.commit(&mut run);
    run.compact(&plan, &written);
    assert_eq!(output(&run, &path), None);
    let before = stored.text("t:/a");

    // Neither a decision nor the writer itself brings it to be written without them.
    assert!(run.row_mut(&path).is_none());
    run.set_output(&path, json!("other"));
    assert!(run.changes.is_empty());
    run.changes.rows.insert(path.clone());
    stored.commit(&mut run);
    assert_eq!(stored.text("t:/a"), before);
    let loaded = stored.load(&run, &plan);
    assert_eq!(output(&loaded, &path), Some(json!({"text": "y"})));
    assert_eq!(loaded.rows[&path].work().unwrap().attempts.len(), 1);
}

#[test]
fn a_row_that_goes_takes_its_data_along_and_one_made_anew_keeps_none_of_it() {
    let rounds = json!({"until": "index >= 3", "keep": 1, "max": 5});
    let tasks = json!([{"id": "l", "loop": rounds, "tasks": [task("t", "${ input.text }")]}]);
    let plan = plan(&tasks);
    let (mut run, _) = start(&plan, json!({"text": "x".repeat(1000)}));
    let mut stored = Stored::default();
    stored.commit(&mut run);
    for (round, bytes) in [(0, 1000), (1, 10)] {
        let path = format!("/l[{round}]/t");
        admit(&plan, &mut run, 1, &path);
        complete(&plan, &mut run, 2, &path, text(bytes));
        stored.commit(&mut run);
    }
    let fields: Vec<&str> = stored.fields().into_iter().filter(|field| field.contains("/l[")).collect();
    assert_eq!(fields, ["i:/l[2]/t", "t:/l[2]", "t:/l[2]/t"]);

    // Removed and made in one commit: what lay beside the old one must not be taken for the new one's.
    let (path, mut anew) = (TaskPath::from("/l[2]/t"), run.rows[&TaskPath::from("/l[2]/t")].clone());
    (anew.input, anew.output) = (None, None);
    run.rows.insert(path.clone(), anew);
    run.changes.removed.insert(path.clone());
    run.changes.rows.insert(path.clone());
    stored.commit(&mut run);
    assert!(!stored.0.contains_key("i:/l[2]/t"));
    assert_eq!(stored.load(&run, &plan).rows[&path].input, None);
}

#[test]
fn a_run_that_is_opened_again_has_no_output_any_more() {
    for bytes in [10, 1000] {
        let stop = json!({"id": "stop", "terminate": {"status": "COMPLETED", "output": "${ input.text }"}});
        let plan = plan(&json!([{"id": "p", "parallel": [task("a", "1"), stop]}]));
        let (mut run, _) = start(&plan, json!({"text": text(bytes)}));
        let mut stored = Stored::default();
        stored.commit(&mut run);
        assert_eq!(stored.load(&run, &plan).output, Some(text(bytes)));
        run.head.status = oarlock_protocol::instance::WorkflowStatus::Failed;
        handle(&plan, &mut run, 1, Event::Operation(Operation::Retry));
        // It ends again the same way at once: as it is between the two.
        let ended = run.output.take();
        stored.commit(&mut run);
        assert_eq!(stored.load(&run, &plan).output, None, "{bytes}");
        assert_eq!(ended, Some(text(bytes)));
    }
}
