//! Holds docs/PROTOCOL.md to the fixtures: its examples are them, whole. With `OARLOCK_BLESS=1` they are copied in anew.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failing test names its line")]

use std::fs::{read_to_string, write};

use oarlock_protocol::message::Kind;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const BEGIN: &str = "<!-- fixture: ";

fn page() -> String {
    read_to_string(format!("{HERE}/../../docs/PROTOCOL.md")).unwrap()
}

/// The page with every example replaced by its fixture, and how many there are.
fn with_fixtures(page: &str) -> (String, usize) {
    let mut parts = page.split(BEGIN);
    let mut text = parts.next().unwrap().to_owned();
    let mut count = 0;
    for part in parts {
        let (name, rest) = part.split_once(" -->\n```json\n").unwrap();
        let (_, rest) = rest.split_once("```\n").unwrap();
        let path = format!("{HERE}/fixtures/{name}.json");
        let fixture = read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        text += &format!("{BEGIN}{name} -->\n```json\n{fixture}```\n{rest}");
        count += 1;
    }
    (text, count)
}

#[test]
fn every_example_is_a_fixture() {
    let page = page();
    let (with_fixtures, count) = with_fixtures(&page);
    assert!(count > 10 && page.matches("```json").count() == count, "an example that is no fixture");
    if std::env::var_os("OARLOCK_BLESS").is_some() {
        return write(format!("{HERE}/../../docs/PROTOCOL.md"), with_fixtures).unwrap();
    }
    assert!(page == with_fixtures, "copy the fixtures in: OARLOCK_BLESS=1 cargo test -p oarlock-protocol");
}

#[test]
fn every_message_is_named_with_its_schema() {
    let page = page();
    for kind in Kind::ALL {
        let schema = kind.as_str().trim_start_matches("oarlock.");
        assert!(page.contains(&format!("(schemas/{schema}.json)")), "{kind:?}");
    }
    assert!(page.contains("(schemas/start_request.json)"));
}
