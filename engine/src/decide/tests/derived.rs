//! Timers that follow from the run alone, where that is least plain. Every other scenario compares them too: `invariants`
//! does after each event.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed, TimedOut};
use oarlock_protocol::message::Operation;
use oarlock_protocol::{Json, TaskPath};
use serde_json::json;

use super::steps::{With, for_each, looped, task, wait, workflow};
use super::world::{BEGIN, Setup, World, scenario};

fn timed(world: &World, path: &str) -> Option<i64> {
    let at = world.derived_timers().get(&TaskPath::from(path)).copied();
    at.map(|at| at.as_millis() - BEGIN.as_millis())
}

#[test]
fn each_kind_of_place_waits_for_its_own_time() {
    let steps = json!([
        {"id": "p", "parallel": [
            task("held").with(json!({"timeouts": {"queue": "1h", "total": "2h"}})),
            wait("w", json!({"first": [{"duration": "10m"}, {"signal": "go"}], "timeout": "5m"})),
            looped("l", json!({"max": 3, "delay": "7m"}), json!([task("t")])),
        ]},
    ]);
    scenario(workflow(steps).with(json!({"timeouts": {"total": "3h"}})), |world| {
        world.complete("/p/l[0]/t", json!({}));
        assert_eq!(timed(world, "/"), Some(3 * 3_600_000));
        assert_eq!(timed(world, "/p/w"), Some(300_000), "the earlier of both");
        assert_eq!(timed(world, "/p/l"), Some(420_000));
        assert_eq!(timed(world, "/p/held"), Some(3_605_000), "in its queue, and a little for its answer");
        assert_eq!(timed(world, "/p/l[0]/t"), None);
        world.signal("one", "go", json!({}));
        world.advance(3_605_000);
        world.fail("/p/l[1]/t", "CANCELLED");
        world.ended(Failed, "TIMEOUT_QUEUE");
        assert_eq!(timed(world, "/"), Some(3_605_000 + 7 * 24 * 3_600_000), "its retention");
    });
}

#[test]
fn a_retry_that_would_come_after_the_total_time_is_not_waited_for() {
    let setup = workflow(json!([task("a").with(json!({"timeouts": {"total": "10s"}}))]));
    let mut setup = Setup::from(setup);
    setup.settings.refusal_delay = oarlock_protocol::Span::from_secs(60);
    scenario(setup, |world| {
        world.answer("/a", oarlock_protocol::message::Outcome::Refused);
        assert_eq!(timed(world, "/a"), Some(10_000));
        world.advance(10_000);
        assert_eq!(world.status("/a"), "TIMED_OUT");
    });
}

#[test]
fn a_ready_task_of_a_paused_run_waits_for_its_total_time_alone() {
    let setup = workflow(json!([task("a").with(json!({"timeouts": {"queue": "1m", "total": "1h"}}))]));
    scenario(setup, |world| {
        world.operate(Operation::Pause);
        world.answer(
            "/a",
            oarlock_protocol::message::Outcome::Deferred { after_ms: 1_000, state: Json::Null },
        );
        world.advance(1_000);
        assert_eq!((world.status("/a"), timed(world, "/a")), ("READY", Some(3_600_000)));
        world.operate(Operation::Resume);
        assert_eq!(timed(world, "/a"), Some(1_000 + 60_000 + 5_000));
        world.complete("/a", json!({}));
    });
}

#[test]
fn what_a_place_that_is_free_begins_needs_no_timer_any_more() {
    let each = for_each("f", json!({"items": "${ input.items }"}), json!([task("t")]));
    let setup = Setup { input: json!({"items": vec![0; 260]}), ..Setup::from(workflow(json!([each]))) };
    let mut world = World::start_unchecked(&setup);
    let both = |world: &World| (timed(world, "/f"), world.timers.contains_key(&TaskPath::from("/f")));
    assert_eq!((world.published.len(), both(&world)), (256, (Some(0), true)), "it goes on at once");
    world.complete("/f[0]/t", json!({}));
    assert_eq!((world.published.len(), both(&world)), (259, (None, false)), "it has gone on by itself");
    (1..260).for_each(|n| world.complete(&format!("/f[{n}]/t"), json!({})));
    world.ended(Completed, "-");
}

#[test]
fn a_for_each_in_an_iteration_whose_turn_has_not_come_does_not_go_on() {
    let inner = for_each("g", json!({"items": [0, 1], "tolerate": "50%"}), json!([task("t")]));
    let fields = json!({"items": [0, 1, 2], "tolerate": "50%", "concurrency": 1});
    scenario(workflow(json!([for_each("f", fields, json!([inner]))])), |world| {
        for n in 0..2 {
            world.fail(&format!("/f[{n}]/g[0]/t"), "BAD");
            world.fail(&format!("/f[{n}]/g[1]/t"), "BAD");
        }
        world.operate(Operation::Retry);
        assert_eq!(world.open(), "/f[0]/g[0]/t /f[0]/g[1]/t");
        assert_eq!((world.status("/f[1]"), world.status("/f[1]/g")), ("PENDING", "RUNNING"));
        assert_eq!(timed(world, "/f[1]/g"), None);
        for n in 0..3 {
            world.complete(&format!("/f[{n}]/g[0]/t"), json!({}));
            world.complete(&format!("/f[{n}]/g[1]/t"), json!({}));
        }
        world.ended(Completed, "-");
    });
}

#[test]
fn the_total_time_of_a_run_that_ends_no_longer_matters() {
    scenario(workflow(json!([task("a")])).with(json!({"timeouts": {"total": "1h"}})), |world| {
        world.advance(3_600_000);
        assert_eq!((timed(world, "/"), timed(world, "/a")), (None, Some(3_610_000)), "only the answer does");
        world.advance(10_000);
        world.ended(TimedOut, "TIMEOUT_TOTAL");
    });
}
