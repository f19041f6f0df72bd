//! Takes the effects of a decision in: what is written goes into the batch, what is done waits there for the commit.

use std::sync::atomic::Ordering;

use oarlock_broker::{Message, Publication};
use oarlock_engine::Effect;
use oarlock_engine::admission::Ticket;
use oarlock_protocol::message::{ControlMessage, Kind};
use oarlock_protocol::{ErrorDetails, RunKey, Span, TaskPath, Timestamp};

use super::batch::{Dispatch, Entry, What};
use super::owner::Owner;
use crate::layout::{self, Place};
use crate::watch::{Change, Changed};

/// The pause before a run is looked at again whose retention is over, but of whose end another run has not heard.
const UNTOLD: Span = Span::from_secs(1);

/// What a decision came to, for who asked for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is decided, and goes with the next commit.
    Changed,
    /// Nothing changed: late, or decided before.
    Stale,
    /// Nothing changed: it cannot be done.
    Rejected(ErrorDetails),
    /// There is no such run.
    NoRun,
    /// It waits for a payload, and is decided later: nothing is to be answered yet.
    Waits,
}

/// What a decision came to. A decision may count something as stale beside what it does; a decision that only does
/// that changed nothing.
fn verdict(effects: &[Effect]) -> Verdict {
    for effect in effects {
        if let Effect::Rejected { error } = effect {
            return Verdict::Rejected(error.clone());
        }
    }
    let stale = |effect: &Effect| matches!(effect, Effect::Stale { .. });
    if !effects.is_empty() && effects.iter().all(stale) { Verdict::Stale } else { Verdict::Changed }
}

impl Owner {
    /// Takes them in, and tells what the decision came to for who asked for it.
    pub(super) fn take_effects(&mut self, key: &RunKey, effects: Vec<Effect>) -> Verdict {
        self.put_into_batch(key);
        let now = self.shared.clock.now();
        let verdict = verdict(&effects);
        for effect in effects {
            self.take_effect(key, effect, now);
        }
        verdict
    }

    /// The next commit stores what has changed in the run.
    pub(super) fn put_into_batch(&mut self, key: &RunKey) {
        if let Some(cached) = self.runs.cached(key)
            && !std::mem::replace(&mut cached.in_batch, true)
        {
            self.batch.runs.push(key.clone());
        }
    }

    fn take_effect(&mut self, key: &RunKey, effect: Effect, now: Timestamp) {
        self.trace(key, &effect);
        let place = |path| Place { run: key.clone(), path };
        match effect {
            Effect::Offer { path, queue, priority } => {
                self.offer(&queue, priority, Ticket { run: key.clone(), path });
            }
            Effect::Withdraw { path, queue } => {
                let ticket = Ticket { run: key.clone(), path };
                self.limits.leaves_place(&ticket);
                self.admission.withdraw(&queue, &ticket);
            }
            Effect::Publish { path, execution_id, queue } => {
                self.admission.opened(&queue, execution_id);
                self.note_opened(key, &path, execution_id);
                let what = What::Task { attempt: execution_id, queue };
                self.dispatch(Dispatch { place: place(path), what });
            }
            Effect::Closed { path, execution_id, queue } => {
                self.admission.closed(&queue, execution_id);
                self.limits.closed(execution_id);
                self.publisher.close(execution_id.into());
                self.note_closed(key, &path, execution_id);
            }
            Effect::HandedOn { execution_id, queue } => {
                self.admission.closed(&queue, execution_id);
                self.publisher.close(execution_id.into());
            }
            Effect::SetTimer { path, at } => self.set_timer(place(path), Some(at)),
            Effect::ClearTimer { path } => self.set_timer(place(path), None),
            Effect::Tell { control_queue, message } => self.tell(control_queue, &message),
            Effect::TaskChanged { path, status, attempt, error } => {
                self.book(key, &path);
                self.note_task_change(key, &path, status, attempt, error.as_ref(), now);
                let what = Changed::Task { path, status, attempt, error };
                self.note(Change { run: key.clone(), at: now, what });
            }
            Effect::RunChanged { from, to } => {
                if let Some(cached) = self.runs.cached(key) {
                    layout::move_index(&cached.run, from, to, &mut self.batch.writes);
                }
                if to.is_terminal() {
                    self.note_ended(key);
                }
                self.note_run_change(key, to, now);
                self.note(Change { run: key.clone(), at: now, what: Changed::Run { status: to } });
            }
            Effect::Stale { what } => {
                self.shared.counters.stale_events.fetch_add(1, Ordering::Relaxed);
                let trace_id = self.trace_id(key).map(tracing::field::display);
                tracing::debug!(run = %key, trace_id, what, "an event changed nothing");
            }
            Effect::StartChild { path, execution_id, again: false, .. } => {
                self.note_opened(key, &path, execution_id);
                self.dispatch(Dispatch { place: place(path), what: What::Child { attempt: execution_id } });
            }
            Effect::StartChild { path, .. } => self.ask_child(&place(path)),
            Effect::CancelChild { path, execution_id } => self.tell_child_to_end(&place(path), execution_id),
            Effect::TellParent => {
                self.dispatch(Dispatch { place: place(TaskPath::root()), what: What::End });
            }
            // The verdict tells it.
            Effect::Rejected { .. } => {}
            // What has started it is still to hear how it ended.
            Effect::Forget if self.publisher.awaits(Entry::of_end(key)) => {
                self.batch.timers.insert(place(TaskPath::root()).into(), Some(now.after(UNTOLD)));
            }
            Effect::Forget => self.batch.forgotten.push(key.clone()),
        }
    }

    /// Publishes it after the commit, and until it is confirmed.
    pub(super) fn dispatch(&mut self, dispatch: Dispatch) {
        self.publisher.add(&dispatch);
        if self.publisher.needs_outbox(&dispatch.what) {
            self.batch.outbox.push((dispatch.entry(), dispatch.place.clone()));
        }
        self.batch.dispatches.push(dispatch);
    }

    fn note(&mut self, change: Change) {
        if self.shared.watch.is_watched() || matches!(change.what, Changed::Run { .. }) {
            self.batch.changes.push(change);
        }
    }

    fn tell(&mut self, queue: String, message: &ControlMessage) {
        let body = serde_json::to_vec(message).unwrap_or_default().into();
        let message = Message {
            body,
            message_id: format!("{}-control", message.execution_id),
            correlation_id: Some(message.execution_id.to_string()),
            kind: Kind::Control.as_str().to_owned(),
            ..Message::default()
        };
        self.batch.tell.push(Publication { queue, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_changed_something_unless_it_says_otherwise() {
        let stale = || Effect::Stale { what: "late" };
        let refused = || ErrorDetails::system(oarlock_protocol::code::Code::Cancelled, "no");
        let changed =
            || Effect::RunChanged { from: None, to: oarlock_protocol::instance::WorkflowStatus::Paused };
        // A signal that is kept for later has no effect at all.
        assert_eq!(verdict(&[]), Verdict::Changed);
        assert_eq!(verdict(&[stale()]), Verdict::Stale);
        assert_eq!(verdict(&[changed(), stale()]), Verdict::Changed);
        assert_eq!(verdict(&[Effect::Rejected { error: refused() }]), Verdict::Rejected(refused()));
    }
}
