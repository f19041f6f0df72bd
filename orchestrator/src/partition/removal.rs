//! What a forgotten run has kept elsewhere goes with it: after the commit that forgets it, and again until it is done.
//!
//! The commit sets a timer at a place of its own. When that fires the payloads are removed, off the way of the partition, and
//! the timer goes once they are gone: whoever owns the partition by then has it too.

use std::sync::atomic::Ordering;

use oarlock_payloads::Error;
use oarlock_protocol::{RunKey, Span, TaskPath};
use tokio::task::JoinSet;

use super::Lost;
use super::owner::Owner;
use super::runs;
use crate::layout::Place;

/// The place of the timer: no step stands there.
const PLACE: &str = "/:payloads";
/// How many runs lose their payloads at once: each is a question or more to the store.
const AT_ONCE: usize = 16;
/// The pause before a store that failed is asked again.
const AGAIN: Span = Span::from_secs(60);
/// The pause where too many are under way: they take moments.
const SOON: Span = Span::from_secs(1);

/// Removals under way.
#[derive(Default)]
pub(super) struct Removals {
    under_way: JoinSet<(RunKey, Result<(), Error>)>,
    /// Whether it was said that the store fails: once is enough.
    complained: bool,
}

impl Removals {
    /// The next one that has ended; never where none is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> (RunKey, Result<(), Error>) {
        loop {
            match self.under_way.join_next().await {
                Some(Ok(ended)) => return ended,
                // It panicked or was ended: the timer tries again.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// The place of the timer that removes what a run has kept elsewhere.
pub(super) fn place(run: &RunKey) -> Place {
    Place { run: run.clone(), path: TaskPath::from(PLACE) }
}

/// Whether a timer is one of a removal.
pub(super) fn is_removal(place: &Place) -> bool {
    place.path.as_str() == PLACE
}

impl Owner {
    /// Begins the removal that a timer asks for. The timer stays until it is done.
    pub(super) async fn begin_removal(&mut self, place: Place) -> Result<(), Lost> {
        let Some(payloads) = self.shared.settings.payloads.clone() else {
            self.batch.timers.insert(place.into(), None);
            return Ok(());
        };
        match self.runs.get(&self.shared, self.partition, &place.run).await {
            // The same key has started it anew since: what lies there goes with that one.
            Ok(Some(_)) => drop(self.batch.timers.insert(place.into(), None)),
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Ok(None) | Err(_) => {
                let full = self.removals.under_way.len() >= AT_ONCE;
                let again = self.shared.clock.now().after(if full { SOON } else { AGAIN });
                if !full {
                    let run = place.run.clone();
                    self.removals.under_way.spawn(async move {
                        let removed = payloads.delete(&run).await;
                        (run, removed)
                    });
                }
                self.batch.timers.insert(place.into(), Some(again));
            }
        }
        Ok(())
    }

    /// Takes in how a removal ended.
    pub(super) fn end_removal(&mut self, run: &RunKey, removed: Result<(), Error>) {
        match removed {
            Ok(()) => {
                self.removals.complained = false;
                self.batch.timers.insert(place(run).into(), None);
            }
            Err(error) => {
                self.shared.counters.failed_removals.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut self.removals.complained, true) {
                    tracing::warn!(%run, %error, "payloads of forgotten runs cannot be removed; trying on");
                }
            }
        }
    }
}
