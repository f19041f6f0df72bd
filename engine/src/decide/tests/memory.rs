//! What memory forgets of a run, and what it must not.

use oarlock_protocol::TaskPath;
use serde_json::json;

use super::steps::{With, task, workflow};
use super::world::{Faults, Setup, World};

fn chain(second: serde_json::Value) -> World {
    let setup = Setup::from(workflow(json!([task("a"), second])));
    let mut world = World::start(&setup, Faults::None);
    world.complete("/a", json!({"n": 1}));
    world
}

#[test]
fn a_row_of_which_memory_holds_a_part_is_not_changed_any_more() {
    let mut world = chain(task("b"));
    let path = TaskPath::from("/a");
    let row = &world.run.rows[&path];
    assert!(row.is_partial && row.output.is_none() && row.work().unwrap().attempts.is_empty());

    assert!(world.run.row_mut(&path).is_none());
    world.run.set_input(&path, json!({"n": 2}));
    world.run.set_output(&path, json!({"n": 2}));
    assert!(world.run.changes.is_empty(), "{:?}", world.run.changes);
    assert_eq!(world.output("/a"), json!({"n": 1}));
}

#[test]
fn what_is_looked_into_or_may_be_done_again_stays_whole() {
    let world = chain(task("b").with(json!({"inputMappings": {"n": "${ a.output.n }"}})));
    assert!(!world.run.rows[&TaskPath::from("/a")].is_partial);
    let mut world = chain(task("b"));
    world.fail("/b", "BAD");
    let failed = &world.run.rows[&TaskPath::from("/b")];
    assert!(!failed.is_partial && failed.input.is_some());
}
