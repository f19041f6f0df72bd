//! How urgent a task is: by its step, by its run, or as usual.

use oarlock_protocol::instance::WorkflowStatus::{Completed, Failed};
use oarlock_protocol::message::Operation;
use oarlock_protocol::{Json, TaskPath, priority};
use serde_json::json;

use super::steps::{With, plan, task, workflow};
use super::world::{BEGIN, Faults, Setup, World, request, scenario};
use crate::child_message;
use crate::decide::{digest, start};
use crate::effect::Effect;
use crate::router::{DEFAULT_PRIORITY, Rule};
use crate::settings::Settings;

fn urgent(definition: Json, priority: impl Into<Option<u8>>) -> Setup {
    Setup { priority: priority.into(), ..Setup::from(definition) }
}

/// The priority of the task at `path`, as it is stored.
#[track_caller]
fn of(world: &World, path: &str) -> u8 {
    world.run.rows[&TaskPath::from(path)].work().unwrap().priority
}

#[test]
fn the_step_comes_before_the_run_and_the_run_before_what_is_usual() {
    let own = |id: &str, priority: u8| task(id).with(json!({"priority": priority}));
    let steps = json!([{"id": "p", "parallel": [own("low", 0), own("high", 9), task("plain")]}]);
    for (given, plain) in [(None, DEFAULT_PRIORITY), (Some(0), 0), (Some(7), 7), (Some(9), 9)] {
        let setup = urgent(workflow(steps.clone()), given);
        let (_, effects) =
            start(&plan(setup.definition.clone()), request(&setup), &setup.settings, BEGIN).unwrap();
        let offered = effects.iter().filter_map(|effect| match effect {
            Effect::Offer { priority, .. } => Some(*priority),
            _ => None,
        });
        assert_eq!(offered.collect::<Vec<_>>(), [0, 9, plain], "{given:?}");
        let world = World::start(&setup, Faults::Crashes);
        let stored = ["/p/low", "/p/high", "/p/plain"].map(|path| of(&world, path));
        assert_eq!((stored, world.instance().priority), ([0, 9, plain], given));
    }
}

#[test]
fn what_undoes_a_step_and_what_handles_an_error_are_as_urgent_as_the_run() {
    let undone = task("a").with(json!({"priority": 1, "compensateWith": {"task": "undo"}}));
    let fails = task("b").with(json!({"onError": [task("help")]}));
    scenario(urgent(workflow(json!([undone, fails])), 8), |world| {
        world.complete("/a", json!({}));
        world.fail("/b", "BROKEN");
        assert_eq!((of(world, "/a"), of(world, "/b:onError/help")), (1, 8));
        world.fail("/b:onError/help", "BROKEN");
        assert_eq!(of(world, "/a:compensate"), 8);
        world.complete("/a:compensate", json!({}));
        world.ended(Failed, "BROKEN");
    });
}

#[test]
fn a_run_that_is_opened_again_is_as_urgent_as_before() {
    scenario(urgent(workflow(json!([task("a"), task("b")])), 8), |world| {
        world.fail("/a", "BROKEN");
        world.operate(Operation::Retry);
        assert_eq!((of(world, "/a"), world.run.head.priority), (8, Some(8)));
        world.complete("/a", json!({}));
        assert_eq!(of(world, "/b"), 8);
        world.complete("/b", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_run_that_a_run_starts_is_as_urgent_and_hands_it_on() {
    let child = json!({"id": "c", "workflow": {"id": "invoice"}});
    for given in [None, Some(9)] {
        let world = World::start(&urgent(workflow(json!([child])), given), Faults::None);
        let message = child_message::start(&world.plan, &world.run, &TaskPath::from("/c")).unwrap();
        assert_eq!(message.priority, given);
        let below = plan(workflow(json!([child])));
        let (mut run, _) = start(&below, message, &Settings::default(), BEGIN).unwrap();
        let mut decider = crate::decide::Decider::new(&below, &mut run, &world.settings, BEGIN);
        decider.handle(crate::event::Event::Admitted { path: TaskPath::from("/c") });
        drop(decider.finish());
        let further = child_message::start(&below, &run, &TaskPath::from("/c")).unwrap();
        assert_eq!((run.head.priority, further.priority), (given, given));
    }
}

#[test]
fn the_router_sees_the_priority_that_counts() {
    let steps = json!([{"id": "p", "parallel": [task("a").with(json!({"priority": 1})), task("b")]}]);
    for (given, queue) in [(None, "work"), (Some(7), "work"), (Some(8), "fast")] {
        let mut setup = urgent(workflow(steps.clone()), given);
        setup.settings.routes = vec![Rule { priority: Some(8), queue: "fast".into(), ..Rule::default() }];
        let world = World::start(&setup, Faults::None);
        let queues =
            ["/p/a", "/p/b"].map(|path| &*world.run.rows[&TaskPath::from(path)].work().unwrap().queue);
        assert_eq!(queues, ["work", queue], "{given:?}");
    }
}

#[test]
fn a_priority_out_of_range_is_refused_with_the_range() {
    let start = |given: u8| {
        let setup = urgent(workflow(json!([task("a")])), given);
        start(&plan(setup.definition.clone()), request(&setup), &setup.settings, BEGIN).map(drop)
    };
    assert_eq!(start(priority::HIGHEST), Ok(()));
    for given in [priority::HIGHEST + 1, u8::MAX] {
        let error = start(given).unwrap_err().0;
        assert_eq!(
            (&*error.code, error.message),
            ("INVALID_INPUT", format!("`priority`: {}", priority::WANTED))
        );
    }
}

#[test]
fn a_start_of_another_priority_is_another_start_and_one_without_is_what_it_was() {
    let digest = |given: Option<u8>| digest(&request(&urgent(workflow(json!([])), given)));
    assert_eq!(digest(Some(8)), digest(Some(8)));
    assert_ne!(digest(Some(8)), digest(Some(7)));
    assert_ne!(digest(Some(DEFAULT_PRIORITY)), digest(None));
    // Stored with runs and tombstones by releases that knew no priority.
    assert_eq!(digest(None), "93d846bcdd375880ba29089abfc9be2f");
}
