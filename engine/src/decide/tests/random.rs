//! Random small definitions and random outcomes: every run ends, and every invariant holds on the way.

use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{Completion, Operation, Outcome};
use oarlock_protocol::{ErrorDetails, Json};
use proptest::prelude::*;
use serde_json::json;

use super::shapes::{shape, steps};
use super::steps::{With, workflow};
use super::workers::error;
use super::world::{Setup, World, scenario};
use crate::event::Event;
use crate::run::{Body, Stage};

/// So often an ended run may be opened again.
const MOST_RETRIES: u64 = 2;

/// Plays a run: each choice is an open attempt and what becomes of it. Without choices left everything completes.
fn play(world: &mut World, choices: &[(u8, u8)]) {
    let mut choices = choices.iter().copied();
    for n in 0..20_000 {
        let choice = choices.next();
        if world.run.head.status.is_terminal() {
            let again = choice.is_some_and(|(_, what)| what < 128);
            if !again || world.run.head.generation >= MOST_RETRIES {
                return;
            }
            world.operate(Operation::Retry);
            continue;
        }
        let (which, what) = choice.unwrap_or((0, u8::MAX));
        let open: Vec<String> = world.open().split_whitespace().map(str::to_owned).collect();
        match open.get(usize::from(which) % open.len().max(1)) {
            _ if anywhere(world, n, which, what) => {}
            Some(path) => happen(world, path, what),
            None => go_on(world, n),
        }
    }
    panic!("the run does not end");
}

/// What needs no open attempt; whether it was that.
fn anywhere(world: &mut World, n: usize, which: u8, what: u8) -> bool {
    match what {
        0..4 => world.cancel(),
        4..14 => world.advance(700),
        14..20 => world.operate(Operation::Resume),
        20..23 => world.advance(40_000_000),
        23..33 => world.signal(&format!("s{n}"), &format!("go{}", which % 2), json!({"n": n})),
        33..41 => world.operate(Operation::Pause),
        41..55 => return end_from_outside(world, which, what),
        55..57 => world.operate(Operation::Retry),
        _ => return false,
    }
    true
}

fn end_from_outside(world: &mut World, which: u8, what: u8) -> bool {
    let waits = |stage: &Stage| !matches!(stage, Stage::Closed);
    let rows = world.run.rows.iter().filter(|(_, row)| row.work().is_some_and(|work| waits(&work.stage)));
    let mut paths: Vec<String> = rows.map(|(path, _)| path.to_string()).collect();
    paths.sort_unstable();
    let Some(path) = paths.get(usize::from(which) % paths.len().max(1)) else { return false };
    let completion = match what {
        41..48 => Completion::Completed { output: json!({"n": 1}) },
        _ => Completion::Failed { error: error("GIVEN_UP") },
    };
    world.end(path, completion);
    true
}

/// Nothing is open: time goes on, an operator comes, or a signal.
fn go_on(world: &mut World, n: usize) {
    if world.run.head.status == WorkflowStatus::Paused {
        return world.operate(Operation::Resume);
    }
    let signal = world.run.waits.iter().find_map(|path| match &world.run.rows[path].body {
        Body::Await(wait) => wait.signals.first().map(|(name, _)| name.clone()),
        Body::Plain | Body::Work(_) | Body::Block(_) => None,
    });
    // The run's own timer ends it: whatever else can happen happens before.
    let timer = world.next_timer().filter(|(path, _)| !path.is_root());
    match (timer, signal) {
        (Some((_, at)), _) => world.advance(at.since(world.now).as_millis()),
        (None, Some(name)) => world.signal(&format!("s{n}"), &name, Json::Null),
        (None, None) => panic!("a run that waits for nothing is stuck"),
    }
}

fn happen(world: &mut World, path: &str, what: u8) {
    match what {
        57..100 => world.fail(path, "BAD"),
        100..115 => {
            let error = ErrorDetails { retryable: false, ..error("WORSE") };
            world.answer(path, Outcome::Failed { error });
        }
        115..122 => world.complete(path, json!({"no n": 1})),
        122..130 => world.refuse(path),
        130..140 => world.progress(path, u64::from(what)),
        140..150 => world.answer(path, Outcome::Deferred { after_ms: 900, state: json!({"seen": what}) }),
        150..157 => world.answer(path, Outcome::Accepted),
        157..160 => world.event(Event::MessagesLost { path: path.into() }),
        _ => world.complete(path, json!({"n": 1})),
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(300), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_run_ends_and_keeps_the_invariants(
        shapes in prop::collection::vec(shape(), 1..4),
        on_error in prop::collection::vec(shape(), 0..2),
        total in any::<bool>(),
        choices in prop::collection::vec(any::<(u8, u8)>(), 0..60),
    ) {
        let mut next = 0;
        let tasks = steps(&shapes, &mut next);
        let on_error = steps(&on_error, &mut next);
        let timeouts = if total { json!({"total": "1h"}) } else { json!({}) };
        let definition = workflow(json!(tasks))
            .with(json!({"variables": {"x": 0}, "onError": on_error, "timeouts": timeouts}));
        let mut setup = Setup::from(definition);
        // A take-over gives every heartbeat its full time again, so a crash would tell there.
        setup.settings.timeouts.heartbeat = None;
        scenario(setup, |world| play(world, &choices));
    }
}
