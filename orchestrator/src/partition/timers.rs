//! The timers of a partition that are due soon, as the store has them; and when what it has for a run is to be changed.
//!
//! Which places of a run wait, and for when, follows from the run. The store has one time for all of them, not later than the
//! first, and it is written only where that would no longer hold or where it has passed: a chain of steps with the same
//! time limits writes it once.

use oarlock_protocol::{Span, Timestamp};

use super::times::Times;
use crate::layout::Timed;

/// Timers due within this time are kept in memory.
pub(super) const HORIZON: Span = Span::from_secs(60);

/// The timers that are due soon.
#[derive(Debug, Default)]
pub(super) struct Timers {
    near: Times<Timed>,
}

impl Timers {
    /// Takes in what the store is about to have; what is not due soon is left to it.
    pub(super) fn set(&mut self, timed: Timed, at: Timestamp, now: Timestamp) {
        if at <= now.after(HORIZON) {
            self.near.set(timed, at);
        } else {
            self.near.clear(&timed);
        }
    }

    /// Takes in what the store has.
    pub(super) fn load(&mut self, timed: Timed, at: Timestamp) {
        self.near.set(timed, at);
    }

    /// Takes in that the store has it no more.
    pub(super) fn clear(&mut self, timed: &Timed) {
        self.near.clear(timed);
    }

    /// When it is due, where that is soon.
    pub(super) fn get(&self, timed: &Timed) -> Option<Timestamp> {
        self.near.get(timed)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.near.first()
    }

    /// Takes the next one that is due, with its time.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(Timed, Timestamp)> {
        self.near.take_due(now)
    }
}

/// What the store has for the timers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nobody knows: the run was read by itself.
    Unknown,
    /// Nothing.
    Nothing,
    /// This time.
    At(Timestamp),
    /// The time of its retention: it has ended.
    Ended,
}

impl Stored {
    /// What is to be written where the first place of a run waits for `first`; none where what is there will do.
    pub(super) fn moves_to(self, first: Option<Timestamp>, now: Timestamp) -> Option<Option<Timestamp>> {
        let moves = match (self, first) {
            (Self::Nothing | Self::Ended, None) => false,
            (Self::Unknown | Self::At(_), None) => true,
            (Self::Unknown | Self::Nothing | Self::Ended, Some(_)) => true,
            (Self::At(at), Some(first)) => first < at || (at <= now && now < first),
        };
        moves.then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::{RunId, RunKey};

    use super::*;

    fn run(name: &str) -> Timed {
        Timed::Run(RunKey::new("t", RunId::keyed("t", "d", name)))
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn what_is_far_is_the_stores() {
        let mut timers = Timers::default();
        timers.set(run("a"), at(30), at(0));
        timers.set(run("b"), at(20), at(0));
        timers.set(run("far"), at(3600), at(0));
        timers.load(run("c"), at(25));
        timers.set(run("b"), at(3600), at(0));
        assert_eq!((timers.next(), timers.get(&run("b"))), (Some(at(25)), None));
        timers.clear(&run("c"));
        assert_eq!(timers.take_due(at(29)), None);
        assert_eq!(timers.take_due(at(9999)), Some((run("a"), at(30))));
        assert_eq!(timers.take_due(at(9999)), None);
    }

    #[test]
    fn the_stored_time_moves_where_it_is_too_late_or_has_passed() {
        let now = at(100);
        for (stored, first, moves) in [
            (Stored::Nothing, Some(at(200)), true),
            (Stored::Unknown, Some(at(200)), true),
            (Stored::Ended, Some(at(200)), true),
            (Stored::At(at(150)), Some(at(150)), false),
            (Stored::At(at(150)), Some(at(200)), false),
            (Stored::At(at(150)), Some(at(149)), true),
            (Stored::At(at(150)), Some(at(50)), true),
            // It has fired: early, or for what is due by now.
            (Stored::At(at(100)), Some(at(101)), true),
            (Stored::At(at(90)), Some(at(100)), false),
            (Stored::At(at(90)), Some(at(90)), false),
            (Stored::At(at(150)), None, true),
            (Stored::Unknown, None, true),
            (Stored::Nothing, None, false),
            (Stored::Ended, None, false),
        ] {
            let expected = moves.then_some(first);
            assert_eq!(stored.moves_to(first, now), expected, "{stored:?} with {first:?}");
        }
    }
}
