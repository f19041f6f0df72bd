//! A step that is a run of another workflow, in sentences.

use oarlock_engine::plan::ChildNode;
use oarlock_engine::run::Open;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{RunId, Timestamp};

use super::task::{ENDED, Told};
use super::{Waiting, add, ago, ahead};

impl Told<'_> {
    /// The run is to be started.
    pub(super) fn ready_child(&self, child: &ChildNode, since: Timestamp) -> Waiting {
        let begins = if self.facts.run.head.status == WorkflowStatus::Paused {
            "when this run goes on"
        } else {
            "next"
        };
        let since_text = ago(since, self.facts.now);
        let mut text =
            format!("A run of {} is READY since {since_text}, and is started {begins}.", named(child));
        self.add_deadline(&mut text);
        self.waiting(since, self.deadline, text, &ENDED)
    }

    /// The run was started, or its start is on its way.
    pub(super) fn open_child(&self, child: &ChildNode, open: &Open) -> Waiting {
        let now = self.facts.now;
        let run = RunId::child_of(open.execution_id);
        let sent = self.work.attempts.last().map_or(self.row.updated_at, |attempt| attempt.scheduled_at);
        let mut text = match (open.started, child.wait) {
            (Some(started), _) => {
                format!(
                    "It lasts until run {run} of {} has ended, which began at {}.",
                    named(child),
                    ago(started, now)
                )
            }
            (None, true) => {
                format!(
                    "Run {run} of {} was asked for at {}; the step lasts until it has ended.",
                    named(child),
                    ago(sent, now)
                )
            }
            (None, false) => {
                format!(
                    "Run {run} of {} was asked for at {}; the step lasts until it is accepted.",
                    named(child),
                    ago(sent, now)
                )
            }
        };
        let mut until = self.deadline;
        if let Some(told) = open.cancelled_until {
            let again = ahead(told, now);
            add(
                &mut text,
                &format!("It was told to end, and is told again at {again} where it has not answered."),
            );
            until = Some(told);
        } else if let Some(asked) = open.ask_at {
            add(&mut text, &format!("It is asked at {} whether it lives.", ahead(asked, now)));
        }
        self.add_last_error(&mut text);
        self.add_deadline(&mut text);
        let mut waiting = self.waiting(open.started.unwrap_or(sent), until, text, &ENDED);
        waiting.commands.insert(0, format!("oarlock explain {run}"));
        waiting
    }
}

fn named(child: &ChildNode) -> String {
    match child.version {
        Some(version) => format!("{}@{version}", child.id),
        None => child.id.clone(),
    }
}
