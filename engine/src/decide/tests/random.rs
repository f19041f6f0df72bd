//! Random small definitions and random outcomes: every run ends, and every invariant holds on the way.

use oarlock_protocol::message::Outcome;
use oarlock_protocol::{ErrorDetails, Json};
use proptest::prelude::*;
use serde_json::json;

use super::steps::{With, workflow};
use super::workers::error;
use super::world::{Setup, World, scenario};
use crate::event::Event;
use oarlock_protocol::message::Operation;

/// The shape of a step; ids are given when it becomes one.
#[derive(Clone, Debug)]
struct Shape {
    kind: Kind,
    condition: Option<bool>,
    depends: Option<bool>,
    continues: bool,
    retries: Option<(u8, bool)>,
    handlers: Vec<Shape>,
}

#[derive(Clone, Debug)]
enum Kind {
    Task,
    Set(bool),
    Terminate(bool),
    Group(Vec<Shape>),
    Parallel(Vec<Shape>),
    Switch(Vec<(bool, Vec<Shape>)>),
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        12 => Just(Kind::Task),
        3 => any::<bool>().prop_map(Kind::Set),
        1 => any::<bool>().prop_map(Kind::Terminate),
    ];
    let leaf = dressed(leaf.boxed(), Just(Vec::new()).boxed());
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        let kind = prop_oneof![
            2 => Just(Kind::Task),
            2 => several().prop_map(Kind::Group),
            3 => several().prop_map(Kind::Parallel),
            1 => prop::collection::vec((any::<bool>(), several()), 1..3).prop_map(Kind::Switch),
        ];
        dressed(kind.boxed(), prop::collection::vec(inner.clone(), 0..3).boxed())
    })
}

fn dressed(kind: BoxedStrategy<Kind>, handlers: BoxedStrategy<Vec<Shape>>) -> BoxedStrategy<Shape> {
    let condition = prop_oneof![6 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))];
    let depends = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let retries = prop_oneof![3 => Just(None), 1 => (0..3u8, any::<bool>()).prop_map(Some)];
    let continues = prop::bool::weighted(0.15);
    (kind, condition, depends, continues, retries, handlers)
        .prop_map(|(kind, condition, depends, continues, retries, handlers)| Shape {
            kind,
            condition,
            depends,
            continues,
            retries,
            handlers,
        })
        .boxed()
}

/// Gives each step the next free id.
fn steps(shapes: &[Shape], next: &mut usize) -> Vec<Json> {
    let mut before: Option<String> = None;
    let mut list = Vec::new();
    for shape in shapes {
        let id = format!("s{next}");
        *next += 1;
        let step = step(shape, &id, next);
        list.push(match (shape.depends, &before) {
            (Some(true), Some(before)) => step.with(json!({"dependsOn": [before]})),
            (Some(_), _) => step.with(json!({"dependsOn": []})),
            (None, _) => step,
        });
        before = Some(id);
    }
    list
}

fn step(shape: &Shape, id: &str, next: &mut usize) -> Json {
    let step = match &shape.kind {
        Kind::Task => task(shape, id),
        Kind::Set(good) => {
            json!({"id": id, "set": {"x": if *good { "${ variables.x + 1 }" } else { "${ input.none }" }}})
        }
        Kind::Terminate(good) => {
            json!({"id": id, "terminate": {"status": if *good { "COMPLETED" } else { "FAILED" }}})
        }
        Kind::Group(children) => json!({"id": id, "tasks": steps(children, next)}),
        Kind::Parallel(children) => json!({"id": id, "parallel": steps(children, next)}),
        Kind::Switch(cases) => {
            let case = |(when, tasks): &(bool, Vec<Shape>)| json!({"when": when.to_string(), "tasks": steps(tasks, next)});
            json!({"id": id, "switch": cases.iter().map(case).collect::<Vec<_>>()})
        }
    };
    let condition =
        shape.condition.map_or(json!({}), |condition| json!({"condition": condition.to_string()}));
    let handlers = steps(&shape.handlers, next);
    step.with(condition).with(json!({"onError": handlers, "continueOnFailure": shape.continues}))
}

fn task(shape: &Shape, id: &str) -> Json {
    let add = json!([{"type": "EXPRESSION", "expression": "variables.x + taskOutput.n", "target": "x"}]);
    let task = json!({"id": id, "task": "work", "variableMappings": add});
    let Some((retries, pauses)) = shape.retries else { return task };
    let exhausted = if pauses { "PAUSE" } else { "FAIL" };
    task.with(json!({"retryPolicy": {"maxRetries": retries, "onExhausted": exhausted}}))
}

/// Plays a run: each choice is an open attempt and what becomes of it. Without choices left everything completes.
fn play(world: &mut World, choices: &[(u8, u8)]) {
    let mut choices = choices.iter().copied();
    for _ in 0..5_000 {
        if world.run.head.status.is_terminal() {
            return;
        }
        let (which, what) = choices.next().unwrap_or((0, u8::MAX));
        let open: Vec<String> = world.open().split_whitespace().map(str::to_owned).collect();
        match open.get(usize::from(which) % open.len().max(1)) {
            Some(path) => happen(world, path, what),
            None if world.run.head.status.as_str() == "PAUSED" => {
                world.event(Event::Operation(Operation::Resume))
            }
            None => {
                let (_, at) = world.next_timer().expect("a run that waits for nothing is stuck");
                world.advance(at.since(world.now).as_millis());
            }
        }
    }
    panic!("the run does not end");
}

fn happen(world: &mut World, path: &str, what: u8) {
    match what {
        0..60 => world.fail(path, "BAD"),
        60..80 => {
            let error = ErrorDetails { retryable: false, ..error("WORSE") };
            world.answer(path, Outcome::Failed { error });
        }
        80..90 => world.complete(path, json!({"no n": 1})),
        90..100 => world.refuse(path),
        100..115 => world.progress(path, u64::from(what)),
        115..120 => world.cancel(),
        120..130 => world.advance(700),
        130..135 => world.event(Event::Operation(Operation::Resume)),
        135..138 => world.advance(40_000_000),
        _ => world.complete(path, json!({"n": 1})),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_run_ends_and_keeps_the_invariants(
        shapes in prop::collection::vec(shape(), 1..4),
        on_error in prop::collection::vec(shape(), 0..2),
        total in any::<bool>(),
        choices in prop::collection::vec(any::<(u8, u8)>(), 0..40),
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
