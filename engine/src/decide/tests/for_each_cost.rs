//! What an iteration costs in a large `forEach`: no more than in a small one.

use std::time::Instant;

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

/// Completes every iteration but the last ones, which join; the most bytes and rows that one event wrote.
fn play(world: &mut World, count: usize) -> (usize, usize) {
    let (mut bytes, mut rows) = (0, 0);
    for n in 0..count {
        world.admits = false;
        world.complete(&format!("/f[{n}]/t"), json!({"n": n}));
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
    let [small, large] = [100, 10_000].map(|count| play(&mut World::start_unchecked(&each(count)), count));
    assert_eq!(small.1, large.1, "rows");
    // The numbers in it have more digits.
    assert!(large.0 <= small.0 + 64, "{small:?} {large:?}");
}

#[test]
fn an_iteration_of_ten_thousand_takes_as_long_as_one_of_a_hundred() {
    // The least of several looks: what else this machine does only ever adds.
    let per_item = |count: usize, looks: usize| {
        let looks = (0..looks).map(|_| {
            let setup = each(count);
            let begin = Instant::now();
            play(&mut World::start_unchecked(&setup), count);
            begin.elapsed().as_secs_f64() / count as f64
        });
        looks.fold(f64::INFINITY, f64::min)
    };
    let (small, large) = (per_item(100, 60), per_item(10_000, 3));
    assert!(large < small * 1.5, "{:.1} µs against {:.1} µs", large * 1e6, small * 1e6);
}
