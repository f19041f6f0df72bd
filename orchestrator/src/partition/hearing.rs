//! What time limits wait for: what workers have answered already, but an owner could not hear yet.
//!
//! The owner asks it before timers fire. It knows no message and fires nothing.

use std::time::Duration;

use tokio::time::Instant;

/// How long time limits wait for the messages that were there at the take-over: an inbox of a dead owner is handled by then.
const HEAR_FIRST: Duration = Duration::from_secs(10);
/// How long they wait after an interruption: a worker that could not answer tries again after five seconds at most.
const ANSWERS: Duration = Duration::from_secs(6);
/// A round that lasts longer is an interruption: signs of life wait behind it.
const STALL: Duration = Duration::from_secs(2);

/// Whether an owner has heard what there was to hear.
pub(super) struct Hearing {
    /// Messages that waited at the take-over and are not handled yet: a result among them comes before its time limit.
    unheard: u64,
    until: Instant,
    interrupted: bool,
}

impl Hearing {
    /// At a take-over, with so many messages in the inbox; `interrupted` where workers could not answer before.
    pub(super) fn new(waiting: u64, interrupted: bool) -> Self {
        Self { unheard: waiting, until: Instant::now() + HEAR_FIRST, interrupted }
    }

    /// So many messages are handled.
    pub(super) fn heard(&mut self, messages: usize) {
        self.unheard = self.unheard.saturating_sub(messages as u64);
    }

    /// A round that began then is over.
    pub(super) fn round_ended(&mut self, began: Instant) {
        // Limits that wait already do not wait longer: where every round is slow they are looked at all the same.
        self.interrupted |= self.is_done() && began.elapsed() >= STALL;
    }

    /// Looks whether workers can answer now. Whether that begins again after an interruption: every worker that holds an
    /// attempt is given its full time to give a sign of life then.
    pub(super) fn begins_again(&mut self, broker_takes: bool) -> bool {
        self.interrupted |= !broker_takes;
        if !(self.interrupted && broker_takes) {
            return false;
        }
        *self = Self { unheard: u64::MAX, until: Instant::now() + ANSWERS, interrupted: false };
        true
    }

    /// Whether time limits need not wait.
    pub(super) fn is_done(&self) -> bool {
        !self.interrupted && (self.unheard == 0 || Instant::now() >= self.until)
    }

    /// When they need not wait any longer; none where that does not depend on time.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        (!self.interrupted).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limits_wait_for_messages_and_interruptions() {
        let mut hearing = Hearing::new(2, false);
        assert!(!hearing.begins_again(true));
        hearing.heard(1);
        assert!(!hearing.is_done());
        hearing.heard(5);
        assert!(hearing.is_done());
        assert!(!hearing.begins_again(false));
        assert!(!hearing.is_done() && hearing.ends_at().is_none(), "as long as the broker takes nothing");
        assert!(hearing.begins_again(true));
        hearing.heard(1_000);
        assert!(!hearing.is_done() && hearing.ends_at().is_some(), "workers are about to answer");
        assert!(!hearing.begins_again(true));
    }

    #[tokio::test]
    async fn a_round_that_stood_still_is_an_interruption() {
        let mut hearing = Hearing::new(0, false);
        let now = Instant::now();
        hearing.round_ended(now);
        assert!(hearing.is_done());
        hearing.round_ended(now.checked_sub(STALL).unwrap());
        assert!(!hearing.is_done());
        assert!(hearing.begins_again(true));
    }
}
