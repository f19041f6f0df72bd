//! The two parts of a head.

use super::*;

fn started(input: Json) -> (Plan, Run, Stored) {
    let plan = plan(&json!([task("a", "1")]));
    let (mut run, _) = start(&plan, input);
    let mut stored = Stored::default();
    stored.commit(&mut run);
    (plan, run, stored)
}

#[test]
fn what_the_start_fixes_is_written_once() {
    let (plan, mut run, mut stored) = started(json!({"n": 1}));
    assert_eq!(stored.fields(), ["head", "origin", "t:/a"]);
    stored.0.clear();
    admit(&plan, &mut run, 1, "/a");
    stored.commit(&mut run);
    assert_eq!(stored.fields(), ["head", "t:/a"]);
    assert_eq!(
        stored.text("head"),
        r#"{"status":"RUNNING","updated":1,"counts":{"tasks":1,"attempts":1,"inputBytes":13}}"#
    );
}

#[test]
fn the_priority_of_a_run_is_stored_with_what_its_start_fixes_and_takes_nothing_where_there_is_none() {
    let (plan, run, stored) = started(json!({"n": 1}));
    assert!(!stored.text("origin").contains("priority"));
    assert_eq!(stored.load(&run, &plan).head.priority, None);
    for given in [0, 9] {
        let (plan, mut run, mut urgent) = started(json!({"n": 1}));
        run.head.priority = Some(given);
        run.changes.origin = true;
        urgent.commit(&mut run);
        let priority = format!(r#","priority":{given}"#);
        assert_eq!(urgent.text("origin").replace(&priority, ""), stored.text("origin"));
        assert_eq!(urgent.load(&run, &plan).head.priority, Some(given));
    }
}

#[test]
fn a_large_input_of_a_run_lies_beside_its_head() {
    let input = json!({"text": "x".repeat(1000)});
    let (plan, run, stored) = started(input.clone());
    assert_eq!(stored.fields(), ["head", "input", "origin", "t:/a"]);
    assert_eq!(stored.load(&run, &plan).input, input);
}

#[test]
fn a_finished_run_has_its_small_output_in_its_head_and_writes_none_where_it_is_null() {
    let (plan, mut run, mut stored) = started(json!({"n": 1}));
    admit(&plan, &mut run, 1, "/a");
    complete(&plan, &mut run, 9, "/a", json!({}));
    assert_eq!((&run.output, run.changes.output), (&Some(Json::Null), true));
    let mut writes = Vec::new();
    write_changes(&mut run.clone(), &mut writes);
    assert_eq!(writes.len(), 2, "{writes:?}");
    stored.commit(&mut run);
    assert!(!stored.text("head").contains("\"output\""));
    assert_eq!(stored.load(&run, &plan).output, None);
    run.output = Some(json!({"n": 2}));
    run.changes.output = true;
    stored.commit(&mut run);
    assert_eq!(stored.fields(), ["head", "origin", "t:/a"]);
    assert_eq!(stored.load(&run, &plan).output, run.output);
}

#[test]
fn a_head_of_which_a_part_is_missing_or_strange_is_unreadable_and_says_what() {
    let (_, _, stored) = started(json!({"n": 1}));
    let read = |origin: Option<&str>, head: Option<&str>| {
        let fields = [("origin", origin), ("head", head), ("t:/a", Some("{}"))].into_iter();
        let fields =
            fields.filter_map(|(field, value)| Some((field.to_owned(), Bytes::from(value?.to_owned()))));
        StoredRun::read(fields.collect()).map(|stored| stored.is_some()).map_err(|error| error.to_string())
    };
    let (origin, head) = (stored.text("origin"), stored.text("head"));
    assert_eq!(read(Some(&origin), Some(&head)), Ok(true));
    assert_eq!(read(None, None), Ok(false));
    assert!(read(None, Some(&head)).unwrap_err().contains("no field 'origin'"));
    assert!(read(Some(&origin), None).unwrap_err().contains("no field 'head'"));
    for strange in ["", "null", "[]", "{}", "{\"status\":7}", "\u{0}"] {
        assert!(read(Some(&origin), Some(strange)).is_err(), "{strange}");
        assert!(read(Some(strange), Some(&head)).is_err(), "{strange}");
    }
    let newer = origin.replace(&format!("\"format\":{FORMAT}"), &format!("\"format\":{}", FORMAT + 1));
    assert!(read(Some(&newer), Some(&head)).unwrap_err().contains("newer release"));
}
