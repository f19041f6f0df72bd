//! What must hold after every commit, whatever the faults.

use std::collections::{BTreeMap, BTreeSet};

use oarlock_engine::run::{Body, Row, Stage};
use oarlock_orchestrator::layout::Timed;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{RunId, RunKey};

use crate::definition::RETENTION_S;
use crate::mirror::{Mirror, RunView};

/// What a look at a commit needs beside the store.
pub(crate) struct Circumstances<'a> {
    pub(crate) partition: u32,
    /// The names of the messages that the broker has confirmed.
    pub(crate) confirmed: &'a BTreeSet<String>,
    pub(crate) watches_outbox: bool,
    /// The most attempts of a queue that a partition may have open.
    pub(crate) window: usize,
    /// Milliseconds since the epoch, and how far a clock may be off.
    pub(crate) now_ms: i64,
    pub(crate) skew_ms: i64,
}

/// Looks at the runs that a commit touched, each given as it was before.
pub(crate) fn check(
    mirror: &Mirror,
    touched: &BTreeMap<RunKey, Option<RunView>>,
    around: &Circumstances<'_>,
) -> Result<(), String> {
    for (key, before) in touched {
        let Some(view) = mirror.runs.get(key).filter(|view| view.head.is_some()) else {
            if let Some(before) = before.as_ref().filter(|view| view.head.is_some()) {
                forgotten_in_time(key, before, around)?;
                let listed = mirror.index.get(&(around.partition, key.run.to_string()));
                if listed.is_some_and(|statuses| !statuses.is_empty()) {
                    return Err(format!("run {key} is forgotten and still listed: {listed:?}"));
                }
            }
            continue;
        };
        listed_as_it_stands(mirror, key, view, around.partition)?;
        if let Some(before) = before {
            an_end_is_final(key, before, view)?;
            attempts_close_once(key, before, view)?;
        }
        open_work_has_a_timer(mirror, key, view, around.partition)?;
        if around.watches_outbox {
            open_attempts_are_published(mirror, key, view, around)?;
        }
    }
    statistics_are_in_the_commit(mirror, around)?;
    the_window_holds(mirror, around)
}

/// What closed and ended is counted by then, once, and the hash of the hour is removed some day.
fn statistics_are_in_the_commit(mirror: &Mirror, around: &Circumstances<'_>) -> Result<(), String> {
    let (is, counted) = ((mirror.closed, mirror.ended), mirror.counted());
    if is.1 != counted.1 || is.0 > counted.0 || (is.0 < counted.0 && !mirror.begun_anew) {
        return Err(format!("{is:?} attempts and runs have ended, and the statistics count {counted:?}"));
    }
    let timers = mirror.timers.get(&around.partition);
    let has_timer =
        |hour| timers.is_some_and(|timers| timers.contains_key(&Timed::Statistics(hour).to_string()));
    let mut hours = mirror.statistics.keys().filter(|(partition, _)| *partition == around.partition);
    match hours.find(|(_, hour)| !has_timer(*hour)) {
        Some((partition, hour)) => {
            Err(format!("partition {partition} keeps the statistics of {hour} for ever"))
        }
        None => Ok(()),
    }
}

fn forgotten_in_time(key: &RunKey, before: &RunView, around: &Circumstances<'_>) -> Result<(), String> {
    let Some(head) = &before.head else { return Ok(()) };
    if !head.status.is_terminal() {
        return Err(format!("run {key} is forgotten while it is {}", head.status.as_str()));
    }
    let ended = head.end_time.map_or(0, |end| end.as_millis());
    let kept = around.now_ms - ended + 2 * around.skew_ms;
    if kept < RETENTION_S as i64 * 1_000 {
        return Err(format!("run {key} is forgotten after {kept} ms, before its retention is over"));
    }
    Ok(())
}

fn listed_as_it_stands(mirror: &Mirror, key: &RunKey, view: &RunView, partition: u32) -> Result<(), String> {
    let status = view.run_status().map_or("", |status| status.as_str());
    let listed = mirror.index.get(&(partition, key.run.to_string())).cloned().unwrap_or_default();
    if listed != BTreeSet::from([status.to_owned()]) {
        return Err(format!("run {key} is {status} and listed as {listed:?}"));
    }
    Ok(())
}

fn an_end_is_final(key: &RunKey, before: &RunView, view: &RunView) -> Result<(), String> {
    let (Some(before), Some(head)) = (&before.head, &view.head) else { return Ok(()) };
    let again = head.generation > before.generation;
    if before.status.is_terminal() && before.status != head.status && !again {
        let (was, is) = (before.status.as_str(), head.status.as_str());
        return Err(format!("run {key} had ended {was} and is {is}"));
    }
    Ok(())
}

fn attempts_close_once(key: &RunKey, before: &RunView, view: &RunView) -> Result<(), String> {
    for (path, row) in &view.rows {
        let Some(work) = row.work() else { continue };
        let open = work.attempts.iter().filter(|attempt| attempt.end_time.is_none()).count();
        let expected = usize::from(matches!(work.stage, Stage::Open(_)));
        if open != expected {
            return Err(format!("{path} of run {key} has {open} open attempts at {:?}", work.stage));
        }
        let Some(earlier) = before.rows.get(path).and_then(Row::work) else { continue };
        for attempt in &work.attempts {
            let same = earlier.attempts.iter().find(|other| other.execution_id == attempt.execution_id);
            if let Some(same) = same.filter(|same| same.end_time.is_some())
                && (same.end_time != attempt.end_time || same.error != attempt.error)
            {
                return Err(format!(
                    "attempt {} of {path} of run {key} was closed twice",
                    attempt.execution_id
                ));
            }
        }
    }
    Ok(())
}

/// What is open, ready or waits makes the store wake the owner of the run, and in time; what has ended waits for its end.
fn open_work_has_a_timer(
    mirror: &Mirror,
    key: &RunKey,
    view: &RunView,
    partition: u32,
) -> Result<(), String> {
    let timers = mirror.timers.get(&partition);
    let stored = |member: String| timers.and_then(|timers| timers.get(&member)).copied();
    let (woken, kept) = (stored(key.to_string()), stored(format!("{key}/")));
    if view.run_status().is_some_and(|status| status.is_terminal()) {
        return match (woken, kept) {
            (_, None) => Err(format!("run {key} has ended and no timer forgets it")),
            (Some(_), _) => Err(format!("run {key} has ended, and a take-over would load it")),
            (None, Some(_)) => Ok(()),
        };
    }
    if kept.is_some() {
        return Err(format!("run {key} is under way and has a timer that forgets it"));
    }
    let paused = view.run_status() == Some(WorkflowStatus::Paused);
    for (path, row) in &view.rows {
        let Some(limit) = latest_wake(row, paused) else { continue };
        if woken.is_none_or(|at| at > limit) {
            let status = row.status.as_str();
            return Err(format!("{path} of run {key} is {status} until {limit}, and its timer is {woken:?}"));
        }
    }
    Ok(())
}

/// By when the owner must be woken because of a row, where it must; any time does where limits of the configuration decide.
fn latest_wake(row: &Row, paused: bool) -> Option<i64> {
    match &row.body {
        Body::Work(work) => match &work.stage {
            Stage::Open(open) => (!open.accepted || open.deadline.is_some()).then_some(i64::MAX),
            Stage::Waiting { until, .. } => Some(until.as_millis()),
            Stage::Ready { .. } => (!paused).then_some(i64::MAX),
            Stage::Held | Stage::Closed => None,
        },
        Body::Await(wait) => {
            let times = [wait.until.map(|(at, _)| at), wait.timeout].into_iter().flatten();
            times.min().filter(|_| !row.status.is_terminal()).map(|at| at.as_millis())
        }
        Body::Block(block) => {
            let pause = block.pause.filter(|_| !row.settled && block.ending.is_none());
            pause.map(|at| at.as_millis())
        }
        Body::Plain => None,
    }
}

fn open_attempts_are_published(
    mirror: &Mirror,
    key: &RunKey,
    view: &RunView,
    around: &Circumstances<'_>,
) -> Result<(), String> {
    let outbox = mirror.outbox.get(&around.partition);
    for (path, attempt, accepted) in view.open() {
        let name = attempt.to_string();
        let listed = outbox.is_some_and(|outbox| outbox.values().any(|field| field.contains_key(&name)));
        let known = |name: &str| around.confirmed.contains(name);
        let child = format!("{}-start", RunId::child_of(attempt));
        if !accepted && !listed && !known(&name) && !known(&child) {
            return Err(format!(
                "attempt {attempt} of {path} of run {key} is open, no broker has confirmed it, and the outbox does not name it"
            ));
        }
    }
    Ok(())
}

fn the_window_holds(mirror: &Mirror, around: &Circumstances<'_>) -> Result<(), String> {
    let listed = |key: &RunKey| mirror.index.contains_key(&(around.partition, key.run.to_string()));
    let open = mirror.runs.iter().filter(|(key, _)| listed(key)).flat_map(|(_, view)| {
        let work = |row: &Row| {
            row.work()
                .filter(|work| matches!(&work.stage, Stage::Open(open) if !open.accepted))
                .map(|w| w.queue.clone())
        };
        view.rows.values().filter_map(work).collect::<Vec<_>>()
    });
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    open.filter(|queue| !queue.is_empty()).for_each(|queue| *counts.entry(queue).or_default() += 1);
    match counts.into_iter().find(|(queue, count)| queue == "work" && *count > around.window) {
        Some((queue, count)) => Err(format!(
            "partition {} has {count} attempts of queue '{queue}' open, the window is {}",
            around.partition, around.window
        )),
        None => Ok(()),
    }
}
