//! The last look: what the runs came to against the model, and that nothing is left over.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use oarlock_engine::run::{Row, Stage};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{RunId, RunKey};

use crate::behaviour::Deed;
use crate::client::Order;
use crate::flow::{Flow, Kind, Step};
use crate::hands::Hands;
use crate::mirror::{Mirror, RunView};
use crate::model::{Foretold, Model, Part};
use crate::schedule::is_scheduled;
use crate::world::World;

/// Looks at every run that ended.
pub(crate) fn of_runs(
    mirror: &Mirror,
    flows: &[Flow],
    orders: &[Order],
    hands: &Hands,
    lenient: bool,
    world: &World,
) -> Result<(), String> {
    let all: BTreeMap<&RunKey, &RunView> =
        mirror.forgotten.iter().chain(mirror.runs.iter().filter(|(_, view)| view.head.is_some())).collect();
    let all: BTreeMap<&RunKey, &RunView> =
        all.into_iter().filter(|(_, view)| !is_scheduled(view.workflow())).collect();
    let x_of = |run: RunId| {
        let view = all.iter().find(|(key, _)| key.run == run)?.1;
        view.output()["x"].as_i64()
    };
    for (key, view) in &all {
        let flow =
            flows.iter().find(|flow| flow.id == view.workflow()).ok_or("a run of an unknown workflow")?;
        let order = orders.iter().find(|order| order.run == **key);
        let (seed, rolled_back) = (world.seed, world.rollbacks.load(Ordering::Relaxed) > 0);
        let model = Model { seed, run: key.run, seen: view, children: &x_of, rolled_back };
        of_run(key, view, flow, order, &model.foretell(flow), lenient)?;
        attempts_did_as_told(key, view, hands, lenient)?;
        undone_in_reverse_order(key, view, flow)?;
    }
    Ok(())
}

fn of_run(
    key: &RunKey,
    view: &RunView,
    flow: &Flow,
    order: Option<&Order>,
    foretold: &Foretold,
    lenient: bool,
) -> Result<(), String> {
    let status = view.run_status().ok_or("a run without a status")?;
    let as_foretold = if foretold.completes { WorkflowStatus::Completed } else { WorkflowStatus::Failed };
    let lenient = lenient || view.head.as_ref().is_some_and(|head| head.generation > 0);
    // A run that another starts ends when the step that started it ends.
    let may_be_cancelled = order.is_none_or(|order| order.cancel_at.is_some());
    match status {
        WorkflowStatus::Completed | WorkflowStatus::Failed if lenient => Ok(()),
        // A cancel ends the handlers of a run that has failed.
        WorkflowStatus::Failed if status == as_foretold && may_be_cancelled => {
            let mut part = foretold.part.clone();
            part.loose.push("/:onError".to_owned());
            exactly(key, view, &part)
        }
        _ if status == as_foretold => exactly(key, view, &foretold.part),
        WorkflowStatus::Cancelled if may_be_cancelled => Ok(()),
        WorkflowStatus::TimedOut if flow.total_s.is_some() => Ok(()),
        // Its time was over while its handlers worked, or a time limit within it decided.
        _ => Err(format!(
            "run {key} of {} is foretold to end {} and ended {}: {:?}",
            flow.id,
            as_foretold.as_str(),
            status.as_str(),
            view.head.as_ref().and_then(|head| head.error.as_ref())
        )),
    }
}

fn is_loose(part: &Part, path: &str) -> bool {
    part.loose.iter().any(|loose| match path.strip_prefix(loose.as_str()) {
        Some(rest) => rest.is_empty() || loose.ends_with(['/', '[']) || rest.starts_with(['/', '[', ':']),
        None => false,
    })
}

fn exactly(key: &RunKey, view: &RunView, part: &Part) -> Result<(), String> {
    for (path, status) in part.certain.iter().filter(|(path, _)| !is_loose(part, path)) {
        let seen = view.status(path).unwrap_or("absent");
        if seen != *status {
            return Err(format!("{path} of run {key} is foretold to be {status} and is {seen}"));
        }
    }
    for path in view.rows.keys().filter(|path| path.as_str() != "/") {
        let row = &view.rows[path];
        let foretold =
            part.certain.contains_key(path) || is_loose(part, path) || path.contains(":compensate");
        let is_part = path.ends_with(']') || path.ends_with(":onError") || path.ends_with(":onTimeout");
        if !foretold && !is_part {
            return Err(format!("{path} of run {key} is {} and nothing leads there", row.status.as_str()));
        }
    }
    for (path, attempts) in part.attempts.iter().filter(|(path, _)| !is_loose(part, path)) {
        let seen = view.rows.get(path).and_then(Row::work).map_or(0, |work| work.attempt_count);
        if seen != *attempts {
            return Err(format!(
                "{path} of run {key} is foretold to take {attempts} attempts and took {seen}"
            ));
        }
    }
    for (path, collected) in part.collected.iter().filter(|(path, _)| !is_loose(part, path)) {
        let seen = view.output_of(path);
        if view.status(path) == Some("COMPLETED") && seen != Some(collected) {
            return Err(format!(
                "{path} of run {key} is foretold to collect {collected} and collected {seen:?}"
            ));
        }
    }
    let x = view.output()["x"].as_i64();
    if view.run_status() == Some(WorkflowStatus::Completed)
        && !x.is_some_and(|x| (part.least..=part.most).contains(&x))
    {
        return Err(format!("run {key} is foretold to give {} to {} and gave {x:?}", part.least, part.most));
    }
    Ok(())
}

/// Each closed attempt tells what its handler did, and not what another attempt's did.
fn attempts_did_as_told(key: &RunKey, view: &RunView, hands: &Hands, lenient: bool) -> Result<(), String> {
    for (path, row) in &view.rows {
        let Some(work) = row.work().filter(|work| work.queue == "work") else { continue };
        if work.stage != Stage::Closed {
            return Err(format!("{path} of run {key} has ended and still waits: {:?}", work.stage));
        }
        let (spec, behaviour) = hands.behaviour(key.run, path);
        let first = work.attempt_count as usize - work.attempts.len();
        for (number, attempt) in (first + 1..).zip(&work.attempts) {
            let deed = behaviour.deed(number as u32);
            let code = attempt.error.as_ref().map(|error| error.code.as_str());
            let fits = match (deed, code) {
                (_, Some("CANCELLED")) => true,
                (_, Some("TIMEOUT_EXECUTION")) => spec.limited,
                (_, Some("TIMEOUT_HEARTBEAT" | "WORKER_LOST")) => lenient,
                (Deed::Fail { fatal: true }, code) => code == Some("WORSE"),
                (Deed::Fail { fatal: false }, code) => code == Some("BAD"),
                (Deed::Panic, code) => code == Some("PANIC"),
                (Deed::Complete(_) | Deed::Defer | Deed::Accept(_), code) => code.is_none(),
            };
            if !fits {
                return Err(format!(
                    "attempt {number} of {path} of run {key} was to {deed:?} and is told {code:?}"
                ));
            }
        }
        if row.status.as_str() == "COMPLETED" {
            let last = behaviour.deed(work.attempt_count);
            if !matches!(last, Deed::Complete(_) | Deed::Accept(_)) {
                return Err(format!("{path} of run {key} is COMPLETED by an attempt that was to {last:?}"));
            }
        }
    }
    Ok(())
}

fn undone_in_reverse_order(key: &RunKey, view: &RunView, flow: &Flow) -> Result<(), String> {
    let ended_well = view.run_status() == Some(WorkflowStatus::Completed);
    let mut undone: Vec<(u64, u64, u64, &str)> = Vec::new();
    for (path, row) in &view.rows {
        let Some(work) = row.work() else { continue };
        let Some(always) = undo_of(&flow.steps, path) else { continue };
        let undo = format!("{path}:compensate");
        let done = row.status.as_str() == "COMPLETED";
        let attempted = always && work.attempt_count > 0;
        let must = !ended_well && (done || (attempted && row.status.as_str() == "FAILED"));
        let is = view.status(&undo);
        if (must && is != Some("COMPLETED")) || (ended_well && is.is_some()) {
            return Err(format!(
                "{path} of run {key} is {} and what undoes it is {is:?}",
                row.status.as_str()
            ));
        }
        if is.is_some() {
            let at = |of: &BTreeMap<String, u64>, path: &str| of.get(path).copied().unwrap_or(0);
            undone.push((at(&view.ended, path), at(&view.begun, &undo), at(&view.ended, &undo), path));
        }
    }
    undone.sort_unstable();
    for pair in undone.windows(2) {
        let [(first, begun, _, path), (second, _, ended, later)] = pair else { continue };
        if first < second && begun < ended {
            return Err(format!(
                "of run {key} {path} was undone before {later} had been, which ended after it"
            ));
        }
    }
    Ok(())
}

/// Whether the task at a place can be undone, and after any outcome.
fn undo_of(steps: &[Step], path: &str) -> Option<bool> {
    let id = path.rsplit('/').next()?;
    steps.iter().find_map(|step| match &step.kind {
        Kind::Task(work) if step.id == id => work.undo,
        Kind::Child(child) if step.id == id => child.undo,
        _ => step.lists().into_iter().find_map(|list| undo_of(list, path)),
    })
}

/// Looks for what is left when every run is forgotten.
pub(crate) fn of_the_store(mirror: &Mirror) -> Result<(), String> {
    if let Some((run, _)) = mirror.runs.iter().find(|(_, view)| view.head.is_some()) {
        return Err(format!("run {run} is not forgotten though its retention is over"));
    }
    let remembered = |place: &str| mirror.runs.keys().any(|run| place == format!("{run}/"));
    for (partition, timers) in &mirror.timers {
        let stays = |place: &str| remembered(place) || mirror.has_hour(*partition, place);
        if let Some((place, _)) = timers.iter().find(|(place, _)| !stays(place)) {
            return Err(format!("partition {partition} has a timer for {place}, and there is no such run"));
        }
    }
    for (partition, outbox) in &mirror.outbox {
        if let Some((field, entries)) = outbox.iter().next() {
            return Err(format!(
                "the outbox of partition {partition} still has {field}, which names {entries:?}"
            ));
        }
    }
    let remembered = mirror
        .runs
        .iter()
        .find(|(run, _)| !mirror.timers.values().any(|timers| timers.contains_key(&format!("{run}/"))));
    match remembered {
        Some((run, _)) => Err(format!("the key of run {run} is remembered for ever")),
        None => Ok(()),
    }
}
