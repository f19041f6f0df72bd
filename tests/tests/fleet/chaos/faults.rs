//! What is done to the parts of a system, one group of like parts at a time, and the record of it.

use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use oarlock_protocol::Timestamp;

use super::super::evidence::now;
use super::chance::{Chance, Range};

/// What happens to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// SIGKILL; started again.
    Killed,
    /// Told to end with SIGTERM; started again.
    Restarted,
    /// SIGSTOP; continued.
    Stopped,
    /// Its connections are reset and new ones refused; let through again.
    CutOff,
    /// Its connections stay open and carry nothing; let through again.
    Silenced,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Killed, Self::Restarted, Self::Stopped, Self::CutOff, Self::Silenced];
}

/// Something that was done to a part, and undone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// `orchestrators`, `workers`, `RabbitMQ` or `Redis`.
    pub(super) of: &'static str,
    pub(super) kind: Kind,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// Like parts of which some are away now and then.
pub(super) trait Group {
    const NAME: &'static str;
    /// How many there are, and how many may be away at once.
    const COUNT: usize;
    const MOST_AWAY: usize;
    /// How long all of them are there between two times, in milliseconds.
    const PAUSE: Range;

    /// What happens to one, and for how long.
    fn choose(chance: &mut Chance, several: bool) -> (Kind, Duration);
    fn harm(&mut self, index: usize, kind: Kind);
    fn heal(&mut self, index: usize, kind: Kind);
    /// Returns when the group is as it was before.
    fn settle(&mut self);
}

impl<G: Group> Group for &mut G {
    const NAME: &'static str = G::NAME;
    const COUNT: usize = G::COUNT;
    const MOST_AWAY: usize = G::MOST_AWAY;
    const PAUSE: Range = G::PAUSE;

    fn choose(chance: &mut Chance, several: bool) -> (Kind, Duration) {
        G::choose(chance, several)
    }

    fn harm(&mut self, index: usize, kind: Kind) {
        G::harm(self, index, kind);
    }

    fn heal(&mut self, index: usize, kind: Kind) {
        G::heal(self, index, kind);
    }

    fn settle(&mut self) {
        G::settle(self);
    }
}

/// Does harm to a group by chance until the time is over; heals it each time, so that in the end all is well.
pub(super) fn trouble<G: Group>(mut group: G, seed: u64, until: Instant, faults: &Mutex<Vec<Fault>>) -> G {
    let part = G::NAME.bytes().map(u64::from).sum();
    let mut chance = Chance::of(seed, part);
    loop {
        sleep(chance.time(G::PAUSE));
        if Instant::now() >= until {
            return group;
        }
        let count = if chance.once_in(4) { G::MOST_AWAY } else { 1 };
        let victims = chance.several(count, G::COUNT).into_iter();
        let harmed = victims.map(|index| {
            let (kind, lasts) = G::choose(&mut chance, count > 1);
            let from = now();
            group.harm(index, kind);
            (index, kind, from, Instant::now() + lasts)
        });
        let mut harmed: Vec<_> = harmed.collect();
        harmed.sort_by_key(|(.., until)| *until);
        for (index, kind, from, until) in harmed {
            sleep(until.saturating_duration_since(Instant::now()));
            group.heal(index, kind);
            println!("{from} {} {index} {kind:?}, healed {}", G::NAME, now());
            faults.lock().unwrap().push(Fault { of: G::NAME, kind, from, to: now() });
        }
        group.settle();
    }
}
