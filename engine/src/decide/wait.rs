//! `wait`: a step that lasts until a time or a signal, or until the first of several.

use oarlock_expression::Limits;
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::{ErrorDetails, Json, Span, Timestamp};
use serde_json::json;

use super::Decider;
use crate::effect::Effect;
use crate::plan::{AwaitNode, AwaitedNode, NodeKind, Step};
use crate::run::{Awaiting, Body};
use crate::{mapping, schema};

impl Decider<'_> {
    pub(super) fn begin_wait(&mut self, step: &Step, wait: &AwaitNode) {
        let awaiting = self.awaiting(step, wait);
        let awaiting = match awaiting {
            Ok(awaiting) => awaiting,
            Err(error) => {
                self.put_row(step, TaskStatus::Running, Body::Plain);
                return self.fail(step, TaskStatus::Failed, error, None);
            }
        };
        self.put_row(step, TaskStatus::Running, Body::Await(awaiting.clone()));
        self.tell_status(step);
        if let Some((index, name, payload)) = self.take_from_mailbox(wait, &awaiting) {
            return self.awaited(step, index, &name, payload);
        }
        self.run.waits.insert(step.path.clone());
        self.arm(step);
    }

    fn awaiting(&self, step: &Step, wait: &AwaitNode) -> Result<Awaiting, ErrorDetails> {
        let mut awaiting =
            Awaiting { timeout: wait.timeout.map(|span| self.now.after(span)), ..Awaiting::default() };
        for (index, awaited) in wait.first.iter().enumerate() {
            let (AwaitedNode::Duration(template)
            | AwaitedNode::Until(template)
            | AwaitedNode::Signal { name: template, .. }) = awaited;
            let value = template.evaluate(&self.scope(step), &Limits::default()).map_err(|e| {
                mapping::unevaluated(e.error.cause, &format!("wait{}: {}", e.pointer, e.error.message))
            })?;
            let at = match awaited {
                AwaitedNode::Duration(_) => self.now.after(span(&value)?),
                AwaitedNode::Until(_) => instant(&value)?,
                AwaitedNode::Signal { .. } => {
                    let Json::String(name) = value else {
                        return Err(mapping::failed("wait.signal: a signal's name is a text"));
                    };
                    awaiting.signals.push((name, index));
                    continue;
                }
            };
            if awaiting.until.is_none_or(|(first, _)| at < first) {
                awaiting.until = Some((at, index));
            }
        }
        Ok(awaiting)
    }

    /// The oldest early signal that this wait waits for. What does not fit its schema is dropped.
    fn take_from_mailbox(&mut self, wait: &AwaitNode, awaiting: &Awaiting) -> Option<(usize, String, Json)> {
        loop {
            let waits_for = |name: &str| awaiting.signals.iter().find(|(waited, _)| waited == name);
            let mut signal = self.run.mailbox.take(|name| waits_for(name).is_some())?;
            self.run.changes.mailbox = true;
            let index = waits_for(&signal.name).map_or(0, |(_, index)| *index);
            if self.fits(wait, index, &mut signal.payload).is_ok() {
                return Some((index, signal.name, signal.payload));
            }
            self.stale("an early signal that does not fit the schema of the wait that began");
        }
    }

    /// What was waited for has come.
    pub(super) fn awaited(&mut self, step: &Step, index: usize, name: &str, payload: Json) {
        let NodeKind::Await(wait) = &self.plan.node(step).kind else { return };
        let is_signal = matches!(wait.first.get(index), Some(AwaitedNode::Signal { .. }));
        let output = match wait.first.len() {
            1 if is_signal => payload,
            1 => Json::Null,
            _ => json!({"winner": name, "index": index, "payload": payload}),
        };
        self.end_wait(step);
        if let Err(error) = self.count_stored(mapping::size(&output)) {
            return self.overrun(step, error);
        }
        self.run.set_output(&step.path, output);
        self.set_status(step, TaskStatus::Completed);
        self.settle(step);
    }

    /// Fills the defaults of the schema that a wait asks for into a signal's payload, and checks it.
    ///
    /// # Errors
    /// SCHEMA_VIOLATION, naming the place; PAYLOAD_TOO_LARGE where the defaults bring it above its limit.
    pub(super) fn fits(
        &self,
        wait: &AwaitNode,
        index: usize,
        payload: &mut Json,
    ) -> Result<(), ErrorDetails> {
        let schema = match wait.first.get(index) {
            Some(AwaitedNode::Signal { schema, .. }) => schema.as_deref(),
            Some(AwaitedNode::Duration(_) | AwaitedNode::Until(_)) | None => None,
        };
        schema::admit(schema, payload, "the payload of the signal", self.settings.payload_bytes)
    }

    fn end_wait(&mut self, step: &Step) {
        self.run.waits.remove(&step.path);
        self.effects.push(Effect::ClearTimer { path: step.path.clone() });
    }

    /// Something around the wait ends.
    pub(super) fn stop_waiting(&mut self, step: &Step) {
        self.end_wait(step);
        self.cancelled(step, Some(ErrorDetails::system(Code::Cancelled, "cancelled while it waited")));
    }

    /// The timer of a wait: its time may have come, or it has waited too long.
    pub(super) fn wait_timer(&mut self, step: &Step) {
        let Some(row) = self.row(step).filter(|row| !row.status.is_terminal()) else {
            return self.stale("timer of a wait that is over");
        };
        let Body::Await(awaiting) = &row.body else { return self.stale("timer of a wait that is over") };
        let (until, timeout) = (awaiting.until, awaiting.timeout);
        if let Some((at, index)) = until.filter(|(at, _)| self.now >= *at)
            && timeout.is_none_or(|timeout| at <= timeout)
        {
            return self.awaited(step, index, time_name(self.plan.node(step), index), Json::Null);
        }
        if timeout.is_some_and(|timeout| self.now >= timeout) {
            return self.waited_too_long(step);
        }
        self.arm(step);
    }

    fn waited_too_long(&mut self, step: &Step) {
        let plan = self.plan;
        let NodeKind::Await(wait) = &plan.node(step).kind else { return };
        let span = wait.timeout.unwrap_or_default();
        let message = format!("nothing it waits for came within {span}");
        let error = ErrorDetails::system(Code::TimeoutWait, message);
        self.end_wait(step);
        let Some(late) = plan.node(step).on_timeout else {
            return self.fail(step, TaskStatus::TimedOut, error, None);
        };
        if let Some(row) = self.row_mut(step) {
            row.error = Some(error);
        }
        self.set_status(step, TaskStatus::TimedOut);
        let late = plan.child(step, late);
        self.begin_block(&late, None);
    }
}

fn time_name(node: &crate::plan::Node, index: usize) -> &'static str {
    match &node.kind {
        NodeKind::Await(wait) if matches!(wait.first.get(index), Some(AwaitedNode::Until(_))) => "until",
        _ => "duration",
    }
}

/// A span as a text such as `10m`, or a number of seconds.
fn span(value: &Json) -> Result<Span, ErrorDetails> {
    let parsed = match value {
        Json::String(text) => text.parse().map_err(|e| format!("{e}")),
        Json::Number(seconds) => seconds
            .as_f64()
            .filter(|seconds| *seconds >= 0.0)
            .map(|seconds| Span::from_secs(1).times(seconds))
            .ok_or_else(|| format!("{seconds} is no number of seconds")),
        other => Err(format!("{other} is no duration; give a text such as 10m or a number of seconds")),
    };
    parsed.map_err(|reason| mapping::failed(&format!("wait.duration: {reason}")))
}

fn instant(value: &Json) -> Result<Timestamp, ErrorDetails> {
    let parsed = serde_json::from_value::<Timestamp>(value.clone()).ok();
    parsed.ok_or_else(|| {
        mapping::failed(&format!("wait.until: {value} is no time; give a text such as 2026-12-24T18:00:00Z"))
    })
}
