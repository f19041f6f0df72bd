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

/// What the events of a run cost: the most bytes and rows one wrote, and the time of the quickest hundred items.
struct Cost {
    bytes: usize,
    rows: usize,
    seconds: f64,
}

fn play(count: usize) -> Cost {
    let mut world = World::start_unchecked(&each(count));
    let mut cost = Cost { bytes: 0, rows: 0, seconds: f64::INFINITY };
    world.admits = false;
    let mut begin = Instant::now();
    for n in 0..count {
        world.complete(&format!("/f[{n}]/t"), json!({"n": n}));
        // The last ones join.
        if n + 20 < count {
            cost.bytes = cost.bytes.max(world.written.bytes);
            cost.rows = cost.rows.max(world.written.rows.len());
        }
        for offered in std::mem::take(&mut world.offers) {
            world.admit(offered.as_str());
        }
        if n % 100 == 99 {
            // The first half is quicker where a later item costs more.
            if n >= count / 2 {
                cost.seconds = cost.seconds.min(begin.elapsed().as_secs_f64());
            }
            begin = Instant::now();
        }
    }
    world.ended(Completed, "-");
    cost
}

#[test]
fn an_iteration_of_ten_thousand_costs_as_little_as_one_of_a_hundred() {
    let large = play(10_000);
    // The quickest of several: what else this machine does only ever adds.
    let small = (0..30).map(|_| play(100)).min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
    assert_eq!(small.rows, large.rows);
    // The numbers in it have more digits.
    assert!(large.bytes <= small.bytes + 64, "{} bytes against {}", large.bytes, small.bytes);
    assert!(large.seconds < small.seconds * 1.5, "{:.4} s against {:.4} s", large.seconds, small.seconds);
}
