//! Tells in sentences what a run waits for, since when, how long still, and who can move it.
//!
//! Pure: [`crate::Node::explain`] gathers what is known, this tells it: the run in `run`, tasks in `task`, runs of runs in
//! `child`, what waits for a time or a signal in `wait`.

use oarlock_engine::view;
use oarlock_engine::{Plan, Run, Settings};
use oarlock_protocol::instance::{InstanceKind, TaskInstance, TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, RunId, Span, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};

use oarlock_engine::map::Map;

use crate::pauses::Pause;

mod child;
mod run;
mod task;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]
mod tests;
mod wait;

/// The most places that are told: more than anybody reads; how many there are beside is told as a number.
const MOST_PLACES: usize = 50;

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Which run.
    pub id: RunId,
    /// Which workflow.
    pub workflow_definition_id: String,
    /// Which version of it.
    pub workflow_definition_version: u32,
    /// Where the run stands.
    pub status: WorkflowStatus,
    /// The run in sentences.
    pub text: String,
    /// What moves the run as a whole, the likeliest first.
    pub commands: Vec<String>,
    /// The steps that wait for something, in the order of the definition: at most 50.
    pub waits: Vec<Waiting>,
    /// How many more wait.
    pub more: usize,
}

/// A step that waits for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Where it stands.
    pub task_path: TaskPath,
    /// What kind of step it is.
    pub kind: InstanceKind,
    /// Its status.
    pub status: TaskStatus,
    /// Since when it waits.
    pub since: Timestamp,
    /// When it goes on, or is given up, if nothing else happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What it waits for, in sentences.
    pub text: String,
    /// What moves it, the likeliest first.
    pub commands: Vec<String>,
}

/// What is known of a run and what is around it.
pub(crate) struct Facts<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) run: &'a Run,
    pub(crate) settings: &'a Settings,
    pub(crate) now: Timestamp,
    /// How many tasks of each queue a node may have out now.
    pub(crate) windows: Map<String, usize>,
    /// What is held back in the fleet.
    pub(crate) pauses: Vec<Pause>,
    /// How many permits are taken of each limit that a ready task is under, by its text.
    pub(crate) limits: Map<String, u32>,
    /// Why the broker takes nothing now, where that is so.
    pub(crate) broker_problem: Option<String>,
    /// How many messages wait in a task queue, as far as the broker has told.
    pub(crate) waiting: Map<String, u64>,
}

/// Tells what a run waits for.
pub(crate) fn explain(facts: &Facts<'_>) -> Explanation {
    let instance = view::instance(facts.plan, facts.run);
    let mut waits = Vec::new();
    let mut more = 0;
    if !instance.status.is_terminal() {
        for instance in &instance.task_instances {
            let Some(waiting) = step(facts, instance) else { continue };
            if waits.len() < MOST_PLACES {
                waits.push(waiting);
            } else {
                more += 1;
            }
        }
    }
    let (text, commands) = run::told(facts, &instance, waits.len() + more);
    Explanation {
        id: instance.id,
        workflow_definition_id: instance.workflow_definition_id,
        workflow_definition_version: instance.workflow_definition_version,
        status: instance.status,
        text,
        commands,
        waits,
        more,
    }
}

/// What a step waits for; none where it has ended, or waits only for steps inside it.
fn step(facts: &Facts<'_>, instance: &TaskInstance) -> Option<Waiting> {
    let row = facts.run.rows.get(&instance.execution_context.task_path)?;
    match instance.kind {
        InstanceKind::Task | InstanceKind::Workflow | InstanceKind::Compensation => {
            task::waiting(facts, instance, row)
        }
        InstanceKind::Wait => wait::for_signal_or_time(facts, instance, row),
        InstanceKind::Loop => wait::for_next_iteration(facts, instance, row),
        // They wait for nothing but what is inside them.
        InstanceKind::Group
        | InstanceKind::Parallel
        | InstanceKind::Switch
        | InstanceKind::OnError
        | InstanceKind::OnTimeout
        | InstanceKind::ForEach
        | InstanceKind::Iteration => None,
        // Done in the decision that begins them.
        InstanceKind::Set | InstanceKind::Terminate => None,
    }
}

/// A text as one word of a command.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | ':');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A time, and how long ago it was.
fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{time} ({} ago)", rounded(now.since(time)))
}

/// A time, and how long it is until then.
fn ahead(time: Timestamp, now: Timestamp) -> String {
    if time > now { format!("{time} (in {})", rounded(time.since(now))) } else { format!("{time} (now due)") }
}

/// A length of time that can be read: whole seconds, whole minutes from an hour on.
fn rounded(span: Span) -> Span {
    let grain = match span.as_millis() {
        0..1_000 => 1,
        1_000..3_600_000 => 1_000,
        _ => 60_000,
    };
    Span::from_millis(span.as_millis() / grain * grain)
}

/// The longest part of an error's message that a sentence repeats, in characters; `oarlock get --json` has all of it.
const SHOWN_MESSAGE: usize = 300;

fn error_text(error: &ErrorDetails) -> String {
    let line = error.message.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN_MESSAGE).collect();
    let cut = if shown.len() < error.message.trim_end().len() { "…" } else { "" };
    format!("{}: {shown}{cut}", error.code)
}

/// A sentence more.
fn add(text: &mut String, sentence: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(sentence);
}
