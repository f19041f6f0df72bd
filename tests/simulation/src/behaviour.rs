//! What a handler does: it follows from the seed, the run, the place and the number of the attempt, and from nothing else.
//!
//! So it does not matter who executes an attempt, how often, or after which fault; and the model knows it beforehand.

use oarlock_protocol::RunId;

use crate::flow::Work;
use crate::random::{Random, hash};

/// What a task comes to, attempt by attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    seed: u64,
    /// So many attempts ask to be looked at again.
    pub(crate) defers: u32,
    /// So many attempts behind those fail.
    pub(crate) fails: u32,
    /// Whether such a failure is for good.
    pub(crate) fatal: bool,
    /// Whether the handler hands its last attempt on.
    pub(crate) accepts: bool,
    /// What the task gives.
    pub(crate) n: i64,
}

/// What one attempt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Complete(i64),
    Fail { fatal: bool },
    Panic,
    Defer,
    Accept(i64),
}

impl Behaviour {
    /// Of the task at a place of a run; a `safe` one completes at once.
    pub(crate) fn of(seed: u64, run: RunId, path: &str, safe: bool) -> Self {
        let seed = hash(seed, &format!("{run}{path}"));
        let mut random = Random::new(seed);
        let n = random.between(1, 9) as i64;
        let fails = if random.percent(32) { random.between(1, 3) as u32 } else { 0 };
        let fatal = random.percent(20);
        let defers = if random.percent(10) { random.between(1, 2) as u32 } else { 0 };
        let accepts = random.percent(10);
        match safe {
            true => Self { seed, defers: 0, fails: 0, fatal: false, accepts: false, n },
            false => Self { seed, defers, fails, fatal, accepts, n },
        }
    }

    /// What attempt `number` does, counted from 1.
    pub(crate) fn deed(&self, number: u32) -> Deed {
        if number <= self.defers {
            Deed::Defer
        } else if number <= self.defers + self.fails {
            match self.seed % 5 {
                0 if !self.fatal => Deed::Panic,
                _ => Deed::Fail { fatal: self.fatal },
            }
        } else if self.accepts {
            Deed::Accept(self.n)
        } else {
            Deed::Complete(self.n)
        }
    }

    /// How long attempt `number` takes, in milliseconds.
    pub(crate) fn lasts_ms(&self, number: u32, limited: bool) -> u64 {
        let mut random = Random::new(self.seed ^ u64::from(number));
        match random.below(20) {
            // Longer than its limit: it is ended.
            0..=9 if limited && number == 1 => 10_000,
            0..=13 => random.between(1, 60),
            14..=18 => random.between(60, 1_500),
            _ => random.between(1_500, 6_000),
        }
    }

    /// Whether the task completes in the end, and with which attempt. Some may have ended because a worker was told to, by
    /// commits that the store has lost since: they spend no retry, and the next of them does what its number says.
    pub(crate) fn foretold(&self, work: &Work, ended: &dyn Fn(u32) -> bool) -> (bool, u32) {
        let (retries, pauses) = work.retries.unwrap_or((0, false));
        let (mut number, mut failed) = (1, 0);
        loop {
            match self.deed(number) {
                _ if ended(number) => {}
                Deed::Complete(_) | Deed::Accept(_) => return (true, number),
                Deed::Defer => {}
                Deed::Fail { fatal: true } => return (false, number),
                Deed::Fail { fatal: false } | Deed::Panic if pauses => {}
                Deed::Fail { fatal: false } | Deed::Panic if failed == retries => return (false, number),
                Deed::Fail { fatal: false } | Deed::Panic => failed += 1,
            }
            number += 1;
        }
    }
}
