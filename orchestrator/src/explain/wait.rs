//! Steps that wait for a time or a signal, in sentences.

use oarlock_engine::run::{Body, Row};
use oarlock_protocol::Timestamp;
use oarlock_protocol::instance::TaskInstance;

use super::{Facts, Waiting, add, ago, ahead, word};

/// A `wait` that is not over.
pub(super) fn for_signal_or_time(facts: &Facts<'_>, instance: &TaskInstance, row: &Row) -> Option<Waiting> {
    let Body::Await(awaiting) = &row.body else { return None };
    if row.status.is_terminal() {
        return None;
    }
    let (now, since) = (facts.now, row.start_time.unwrap_or(row.created_at));
    let signals = awaiting.signals.iter().map(|(name, _)| format!("for the signal '{name}'"));
    let time = awaiting.until.map(|(at, _)| format!("until {}", ahead(at, now)));
    let things: Vec<String> = signals.chain(time).collect();
    let mut text = format!("It waits {}, since {}.", things.join(", or "), ago(since, now));
    if let Some(timeout) = awaiting.timeout {
        let late = facts.plan.node(row.node).on_timeout;
        let then = if late.is_some() { "its onTimeout steps run" } else { "it ends TIMED_OUT" };
        add(&mut text, &format!("Where nothing came by {}, {then}.", ahead(timeout, now)));
    }
    let run = facts.run.key.run;
    let command = |(name, _): &(String, usize)| format!("oarlock signal {run} {} --payload JSON", word(name));
    let commands = awaiting.signals.iter().map(command).collect();
    let until = [awaiting.until.map(|(at, _)| at), awaiting.timeout].into_iter().flatten().min();
    Some(told(instance, since, until, text, commands))
}

/// A `loop` between two iterations.
pub(super) fn for_next_iteration(facts: &Facts<'_>, instance: &TaskInstance, row: &Row) -> Option<Waiting> {
    let block = row.block().filter(|block| !row.status.is_terminal() && block.ending.is_none())?;
    let until = block.pause?;
    let (last, next) = (block.begun.checked_sub(1), ahead(until, facts.now));
    let text = match last {
        Some(last) => format!(
            "Iteration {last} has ended at {}, and iteration {} begins at {next}.",
            ago(row.updated_at, facts.now),
            block.begun
        ),
        None => format!("Its first iteration begins at {next}."),
    };
    Some(told(instance, row.updated_at, Some(until), text, Vec::new()))
}

fn told(
    instance: &TaskInstance,
    since: Timestamp,
    until: Option<Timestamp>,
    text: String,
    commands: Vec<String>,
) -> Waiting {
    Waiting {
        task_path: instance.execution_context.task_path.clone(),
        kind: instance.kind,
        status: instance.status,
        since,
        until,
        text,
        commands,
    }
}
