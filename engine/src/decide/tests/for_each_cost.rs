//! What an iteration costs in a large `forEach`: no more than in a small one.

use oarlock_protocol::instance::WorkflowStatus::Completed;
use serde_json::json;

use super::steps::{With, for_each, task, workflow};
use super::world::{Setup, World};

fn each(count: usize) -> Setup {
    let steps = json!([task("t").with(json!({"inputMappings": {"n": "${ item }"}}))]);
    let each = for_each(
        "f",
        json!({"items": "${ input.items }", "concurrency": 20, "collect": "${ t.output.n }"}),
        steps,
    );
    let mut setup = Setup::from(workflow(json!([each])));
    setup.input = json!({"items": (0..count).collect::<Vec<_>>()});
    setup
}

/// Completes every iteration; the most bytes and rows that one event wrote.
fn play(count: usize) -> (usize, usize) {
    let mut world = World::start_unchecked(&each(count));
    let (mut bytes, mut rows) = (0, 0);
    world.admits = false;
    for n in 0..count {
        world.complete(&format!("/f[{n}]/t"), json!({"n": n}));
        // The last ones join.
        if n + 20 < count {
            (bytes, rows) = (bytes.max(world.written.bytes), rows.max(world.written.rows.len()));
        }
        for offered in std::mem::take(&mut world.offers) {
            world.admit(offered.as_str());
        }
    }
    world.ended(Completed, "-");
    (bytes, rows)
}

#[test]
fn an_iteration_of_ten_thousand_writes_as_little_as_one_of_a_hundred() {
    let [small, large] = [100, 10_000].map(play);
    assert_eq!(small.1, large.1, "rows");
    // The numbers in it have more digits.
    assert!(large.0 <= small.0 + 64, "{small:?} {large:?}");
}
