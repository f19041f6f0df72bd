//! When an attempt that lasts gives its next sign of life. Short tasks give none.

use std::time::Duration;

use tokio::time::Instant;

use crate::TaskContext;

/// A task that ends sooner costs one message, its result.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// What a handler tells is sent no more often than this.
const DETAILS_EVERY: Duration = Duration::from_secs(1);
/// The shortest beat: a heartbeat of a few milliseconds must not flood the inbox.
const SHORTEST_BEAT: Duration = Duration::from_millis(100);

/// The signs of one attempt so far.
#[derive(Debug, Default)]
pub(super) struct Signs {
    last: Option<Instant>,
    next: u64,
    answered: bool,
}

impl Signs {
    /// The number of the sign that is due, if one is.
    pub(super) fn due(&self, context: &TaskContext, now: Instant) -> Option<u64> {
        let beat = beat(context.heartbeat_ms());
        let due = match self.last {
            None => {
                context.asks_first()
                    || now.saturating_duration_since(context.started()) >= beat.min(FIRST_AFTER)
            }
            Some(last) => {
                let silent = now.saturating_duration_since(last);
                silent >= beat || (silent >= DETAILS_EVERY && context.has_details())
            }
        };
        due.then_some(self.next)
    }

    /// Notes that the sign that was due is on its way.
    pub(super) fn sent(&mut self, now: Instant) {
        self.last = Some(now);
        self.next += 1;
    }

    /// Notes that a sign was recorded by the orchestrator.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// Whether the orchestrator knows that the attempt runs here.
    pub(super) fn are_answered(&self) -> bool {
        self.answered
    }
}

/// A third of the longest silence, so that two lost signs do no harm; none asked for, none given.
fn beat(heartbeat_ms: u64) -> Duration {
    match heartbeat_ms {
        0 => Duration::MAX,
        longest => Duration::from_millis(longest / 3).max(SHORTEST_BEAT),
    }
}
