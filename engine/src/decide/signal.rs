//! Someone tells the run something: a `wait` takes it, or it waits for one.

use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::{Json, TaskPath, Timestamp};

use super::Decider;
use crate::mapping;
use crate::plan::{NodeId, NodeKind, Step};
use crate::run::{Body, Signal};

/// The longest name and id of a signal, in bytes: both are kept in the mailbox.
const LONGEST_NAME: usize = 200;

impl Decider<'_> {
    pub(super) fn on_signal(&mut self, id: String, name: String, mut payload: Json) {
        if self.run.mailbox.knows(&id) {
            return self.stale("a signal that was there before");
        }
        if self.run.head.status.is_terminal() {
            let status = self.run.head.status.as_str();
            return self.reject(
                "CONFLICT",
                &format!("the run has ended {status}: nothing waits for signals any more"),
            );
        }
        if id.is_empty() || id.len() > LONGEST_NAME || name.is_empty() || name.len() > LONGEST_NAME {
            let message = format!("name and id of a signal have 1 to {LONGEST_NAME} bytes");
            return self.reject("INVALID_INPUT", &message);
        }
        if !nests_within(&payload, DEEPEST) || mapping::size(&payload) > self.settings.payload_bytes {
            let message = "the payload of a signal is larger than limits.payload_bytes, or nests too deeply";
            return self.reject("PAYLOAD_TOO_LARGE", message);
        }
        match self.waiting_for(&name) {
            Some((step, index)) => {
                let NodeKind::Await(wait) = &self.plan.node(&step).kind else { return };
                if let Err(error) = self.fits(wait, index, &mut payload) {
                    return self.reject(&error.code, &error.message);
                }
                self.remember(id);
                self.awaited(&step, index, &name, payload);
            }
            None if self.run.mailbox.has_room(&payload) => {
                self.remember(id);
                self.run.mailbox.waiting.push_back(Signal { name, payload });
            }
            None => {
                let message =
                    "signals that nobody waits for yet fill the run's mailbox; send this one again later";
                self.reject("MAILBOX_FULL", message);
            }
        }
    }

    fn remember(&mut self, id: String) {
        self.run.mailbox.remember(id);
        self.run.changes.mailbox = true;
        self.touch();
    }

    /// The step that has waited longest for a signal of this name.
    fn waiting_for(&self, name: &str) -> Option<(Step, usize)> {
        let waits = self.run.waits.iter().filter_map(|path| {
            let row = self.run.rows.get(path)?;
            let Body::Await(awaiting) = &row.body else { return None };
            let (_, index) = awaiting.signals.iter().find(|(waited, _)| waited == name)?;
            Some((row.created_at, path, row.node, *index))
        });
        // Of those that began at once the first iteration's: its place is shorter, or less.
        let age = |(begun, path, ..): &(Timestamp, &TaskPath, NodeId, usize)| {
            (*begun, path.as_str().len(), (*path).clone())
        };
        let (_, path, node, index) = waits.min_by_key(age)?;
        Some((Step { node, path: path.clone() }, index))
    }
}
