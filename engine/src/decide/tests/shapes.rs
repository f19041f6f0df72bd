//! Random steps of every kind but child runs, for `random`.

use oarlock_protocol::Json;
use proptest::prelude::*;
use serde_json::json;

use super::steps::With;

/// The shape of a step; ids are given when it becomes one.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    kind: Kind,
    condition: Option<bool>,
    depends: Option<bool>,
    continues: bool,
    retries: Option<(u8, bool)>,
    /// What undoes a task: after any outcome, or only when it was completed.
    undo: Option<bool>,
    /// How many steps inside are enough, and whether the others are cancelled then.
    join: Option<(u8, bool)>,
    /// Whether it has a variable of its own, which its first step counts up.
    own: bool,
    handlers: Vec<Shape>,
}

#[derive(Clone, Debug)]
enum Kind {
    Task,
    Set(bool),
    Terminate(bool),
    Wait(Wait, Vec<Shape>),
    Group(Vec<Shape>),
    Parallel(Vec<Shape>),
    Switch(Vec<(bool, Vec<Shape>)>),
    Each(Each, Vec<Shape>),
    Loop(Repeat, Vec<Shape>),
}

#[derive(Clone, Debug)]
struct Wait {
    kind: u8,
    timeout: bool,
}

#[derive(Clone, Debug)]
struct Each {
    items: u8,
    map: bool,
    concurrency: Option<u8>,
    tolerate: u8,
    until: bool,
    collect: Option<bool>,
    batch: Option<u8>,
}

#[derive(Clone, Debug)]
struct Repeat {
    rounds: u8,
    by_while: bool,
    delay: bool,
    keep: u8,
    max: u8,
    output: bool,
}

fn wait() -> impl Strategy<Value = Wait> {
    (0..6u8, any::<bool>()).prop_map(|(kind, timeout)| Wait { kind, timeout })
}

fn each() -> impl Strategy<Value = Each> {
    let some = |range| prop::option::of(range);
    let collect = prop_oneof![2 => Just(None), 3 => Just(Some(true)), 1 => Just(Some(false))];
    (
        0..5u8,
        any::<bool>(),
        some(1..3u8),
        0..3u8,
        prop::bool::weighted(0.2),
        collect,
        prop::option::weighted(0.2, 1..3u8),
    )
        .prop_map(|(items, map, concurrency, tolerate, until, collect, batch)| Each {
            items,
            map,
            concurrency,
            tolerate,
            until,
            collect,
            batch,
        })
}

fn repeat() -> impl Strategy<Value = Repeat> {
    (0..5u8, any::<bool>(), any::<bool>(), 1..3u8, 3..6u8, any::<bool>()).prop_map(
        |(rounds, by_while, delay, keep, max, output)| Repeat { rounds, by_while, delay, keep, max, output },
    )
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        12 => Just(Kind::Task),
        3 => any::<bool>().prop_map(Kind::Set),
        1 => any::<bool>().prop_map(Kind::Terminate),
        2 => wait().prop_map(|wait| Kind::Wait(wait, Vec::new())),
    ];
    let leaf = dressed(leaf.boxed(), Just(Vec::new()).boxed());
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        let kind = prop_oneof![
            2 => Just(Kind::Task),
            2 => several().prop_map(Kind::Group),
            3 => several().prop_map(Kind::Parallel),
            1 => prop::collection::vec((any::<bool>(), several()), 1..3).prop_map(Kind::Switch),
            3 => (each(), several()).prop_map(|(each, inside)| Kind::Each(each, inside)),
            3 => (repeat(), several()).prop_map(|(repeat, inside)| Kind::Loop(repeat, inside)),
            1 => (wait(), several()).prop_map(|(wait, late)| Kind::Wait(wait, late)),
        ];
        dressed(kind.boxed(), prop::collection::vec(inner.clone(), 0..3).boxed())
    })
}

fn dressed(kind: BoxedStrategy<Kind>, handlers: BoxedStrategy<Vec<Shape>>) -> BoxedStrategy<Shape> {
    let condition = prop_oneof![6 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))];
    let depends = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let retries = prop_oneof![3 => Just(None), 1 => (0..3u8, any::<bool>()).prop_map(Some)];
    let undo = prop::option::weighted(0.2, any::<bool>());
    let join = prop::option::weighted(0.3, (1..3u8, any::<bool>()));
    let (continues, own) = (prop::bool::weighted(0.15), prop::bool::weighted(0.3));
    (kind, condition, depends, continues, retries, undo, join, own, handlers)
        .prop_map(|(kind, condition, depends, continues, retries, undo, join, own, handlers)| Shape {
            kind,
            condition,
            depends,
            continues,
            retries,
            undo,
            join,
            own,
            handlers,
        })
        .boxed()
}

/// Steps of these shapes, each with the next free id.
pub(super) fn steps(shapes: &[Shape], next: &mut usize) -> Vec<Json> {
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

/// The steps inside a block, the first of which counts up the block's own variable where it has one.
fn inside(shape: &Shape, id: &str, children: &[Shape], next: &mut usize) -> Vec<Json> {
    let mut list = steps(children, next);
    if shape.own {
        let count =
            json!({"id": format!("{id}c"), "set": {format!("v{id}"): format!("${{ variables.v{id} + 1 }}")}});
        list.insert(0, count);
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
        Kind::Wait(wait, late) => waiting(wait, id).with(json!({"onTimeout": steps(late, next)})),
        Kind::Group(children) => json!({"id": id, "tasks": inside(shape, id, children, next)}),
        Kind::Parallel(children) => json!({"id": id, "parallel": inside(shape, id, children, next)}),
        Kind::Switch(cases) => {
            let mut compiled = Vec::new();
            for (when, tasks) in cases {
                compiled.push(json!({"when": when.to_string(), "tasks": steps(tasks, next)}));
            }
            json!({"id": id, "switch": compiled})
        }
        Kind::Each(each, children) => {
            for_each(each, id).with(json!({"tasks": inside(shape, id, children, next)}))
        }
        Kind::Loop(repeat, children) => {
            looped(repeat, id).with(json!({"tasks": inside(shape, id, children, next)}))
        }
    };
    let is_block = !matches!(shape.kind, Kind::Task | Kind::Set(_) | Kind::Terminate(_) | Kind::Wait(..));
    let step = match shape.own && is_block {
        true => step.with(json!({"variables": {format!("v{id}"): "${ variables.x }"}})),
        false => step,
    };
    let joins = matches!(shape.kind, Kind::Group(_) | Kind::Parallel(_) | Kind::Each(..));
    let step = match shape.join.filter(|_| joins) {
        Some((need, cancel_rest)) => step.with(json!({"join": {"need": need, "cancelRest": cancel_rest}})),
        None => step,
    };
    let condition =
        shape.condition.map_or(json!({}), |condition| json!({"condition": condition.to_string()}));
    let handlers = steps(&shape.handlers, next);
    step.with(condition).with(json!({"onError": handlers, "continueOnFailure": shape.continues}))
}

fn task(shape: &Shape, id: &str) -> Json {
    let add = json!([{"type": "EXPRESSION", "expression": "variables.x + taskOutput.n", "target": "x"}]);
    let task = json!({"id": id, "task": "work", "variableMappings": add});
    let task = match shape.undo {
        Some(always) => {
            let when = if always { "ATTEMPTED" } else { "COMPLETED" };
            task.with(json!({"compensateWith": {"task": "undo", "when": when}}))
        }
        None => task,
    };
    let Some((retries, pauses)) = shape.retries else { return task };
    let exhausted = if pauses { "PAUSE" } else { "FAIL" };
    task.with(json!({"retryPolicy": {"maxRetries": retries, "onExhausted": exhausted}}))
}

fn waiting(wait: &Wait, id: &str) -> Json {
    let wait_for = match wait.kind {
        0 => json!({"duration": "2s"}),
        1 => json!({"until": "${ workflow.startTime }"}),
        2 => json!({"signal": "go0"}),
        3 => json!({"first": [{"signal": "go0"}, {"duration": "3s"}]}),
        4 => json!({"first": [{"signal": "go1"}, {"signal": "go0"}]}),
        _ => json!({"duration": "${ variables.x }"}),
    };
    let wait_for = if wait.timeout { wait_for.with(json!({"timeout": "1s"})) } else { wait_for };
    json!({"id": id, "wait": wait_for})
}

fn for_each(each: &Each, id: &str) -> Json {
    let items = match each.map {
        true => {
            (0..each.items).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into()
        }
        false => json!((0..each.items).collect::<Vec<_>>()),
    };
    let collect = each.collect.map(|good| if good { "${ index }" } else { "${ input.none }" });
    let until = each.until.then_some("counts.completed >= 2");
    let mut step = json!({"items": items, "tolerate": each.tolerate});
    for (name, value) in [
        ("concurrency", json!(each.concurrency)),
        ("batch", json!(each.batch)),
        ("collect", json!(collect)),
        ("until", json!(until)),
    ] {
        if !value.is_null() {
            step = step.with(json!({name: value}));
        }
    }
    json!({"id": id, "forEach": step})
}

fn looped(repeat: &Repeat, id: &str) -> Json {
    let until = if repeat.by_while {
        json!({"while": format!("index < {}", repeat.rounds)})
    } else {
        json!({"until": format!("index >= {}", repeat.rounds)})
    };
    let delay = if repeat.delay { json!({"delay": "1s", "backoffCoefficient": 2.0}) } else { json!({}) };
    let output = if repeat.output { json!({"output": "${ variables.x }"}) } else { json!({}) };
    let bounds = json!({"keep": repeat.keep, "max": repeat.max});
    json!({"id": id, "loop": bounds.with(until).with(delay).with(output)})
}
