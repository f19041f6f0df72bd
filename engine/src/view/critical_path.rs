//! The critical path of a run: which steps made it last as long as it did.
//!
//! Nothing of it is stored. A step is made in the moment in which the last thing it waited for has ended, so the path is found from its
//! end backwards: the step that ended last, then the one that had ended last when that one was made, and so on to the start.

use oarlock_protocol::instance::CriticalStep;
use oarlock_protocol::{TaskPath, Timestamp};

use crate::run::{Row, Run};

/// The most steps that are told.
const MOST: usize = 1_000;
/// Of so many steps that ended last the nearest is sought: a run may have tens of thousands.
const LOOKED_AT: usize = 256;

/// The critical path of a run as it stands, the first step first.
pub(super) fn of(run: &Run) -> Vec<CriticalStep> {
    let now = run.head.end_time.unwrap_or(run.head.updated_at);
    // Blocks end with what is inside them.
    let mut steps: Vec<(Timestamp, &TaskPath, &Row)> = run
        .rows
        .iter()
        .filter(|(path, row)| !path.is_root() && row.block().is_none())
        .map(|(path, row)| (row.end_time.unwrap_or(now), path, row))
        .collect();
    steps.sort_unstable_by(|a, b| (a.0, a.2.created_at, a.1).cmp(&(b.0, b.2.created_at, b.1)));
    let mut path = Vec::new();
    let mut from = now;
    // What ends in the millisecond in which it was made is told once: what stands before it is looked at next.
    while let Some((end, at, row)) = last_until(&mut steps, from, path.last().map(|(at, _, _)| *at)) {
        path.push((at, end, row));
        from = row.created_at;
    }
    path.reverse();
    let mut told: Vec<CriticalStep> = path.into_iter().map(|(at, end, row)| step(at, end, row)).collect();
    if told.len() > MOST {
        keep_longest(&mut told);
    }
    told
}

/// Takes the step that let `next` begin then: one that ended in that moment; where none did, since a pause lay between, the last before.
/// Of several the one nearest to `next`.
fn last_until<'a>(
    steps: &mut Vec<(Timestamp, &'a TaskPath, &'a Row)>,
    then: Timestamp,
    next: Option<&TaskPath>,
) -> Option<(Timestamp, &'a TaskPath, &'a Row)> {
    steps.truncate(steps.partition_point(|(end, ..)| *end <= then));
    let first = steps.partition_point(|(end, ..)| *end < then);
    let from = if first < steps.len() { first } else { 0 }.max(steps.len().saturating_sub(LOOKED_AT));
    let near = |path: &TaskPath| next.map_or(0, |next| common(path, next));
    // Of those that are as near, the last of the order: it ended last.
    let place = (from..steps.len()).max_by_key(|&place| steps.get(place).map(|(_, path, _)| near(path)))?;
    Some(steps.remove(place))
}

/// How many steps two places lie in together, whatever the iteration.
fn common(one: &TaskPath, other: &TaskPath) -> usize {
    names(one).zip(names(other)).take_while(|(a, b)| a == b).count()
}

fn names(path: &TaskPath) -> impl Iterator<Item = &str> {
    path.as_str().split('/').map(|name| name.split('[').next().unwrap_or_default())
}

fn step(at: &TaskPath, end: Timestamp, row: &Row) -> CriticalStep {
    let attempts = row.work().map(|work| work.attempts.as_slice()).unwrap_or_default();
    let (mut queue, mut execution) = (0, 0);
    for attempt in attempts {
        let begun = attempt.start_time.or(attempt.end_time).unwrap_or(end);
        queue += begun.since(attempt.ready_at).as_millis();
        execution += attempt.end_time.unwrap_or(end).since(begun).as_millis();
    }
    CriticalStep {
        task_path: at.clone(),
        lasted_ms: end.since(row.created_at).as_millis(),
        queue_time_ms: queue,
        execution_time_ms: execution,
    }
}

fn keep_longest(told: &mut Vec<CriticalStep>) {
    let mut times: Vec<u64> = told.iter().map(|step| step.lasted_ms).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    let border = times.get(MOST - 1).copied().unwrap_or_default();
    told.retain(|step| step.lasted_ms >= border);
    told.truncate(MOST);
}
