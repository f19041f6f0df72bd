//! Which faults a seed brings, and how often. Each seed has some kinds and not others: many at once would hide one another.

use crate::random::Random;

/// How often each fault comes, in ten thousand steps, and how long it lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// A process ends between two effects.
    pub(crate) crash: u64,
    /// A worker ends between two effects.
    pub(crate) worker_crash: u64,
    /// Every call of a process stands still for longer than its lease.
    pub(crate) stall: u64,
    /// The same, with a commit in its hands.
    pub(crate) commit_stalls: u64,
    /// A call takes long: what comes later overtakes it.
    pub(crate) delay: u64,
    pub(crate) longest_delay_ms: u64,
    /// The store does not answer, and did nothing.
    pub(crate) store_refuses: u64,
    /// The store does not answer, and did it.
    pub(crate) store_reply_lost: u64,
    /// The store does not answer, and does it later.
    pub(crate) store_late: u64,
    /// The broker takes nothing.
    pub(crate) broker_refuses: u64,
    /// The broker took it and does not say so.
    pub(crate) confirm_lost: u64,
    /// A message comes twice.
    pub(crate) duplicate: u64,
    /// A message comes late: others overtake it.
    pub(crate) late_message: u64,
    /// A consumer ends: what it holds goes back.
    pub(crate) consumer_ends: u64,
    /// The broker is away from one process for a while.
    pub(crate) broker_away: u64,
    /// The store cannot be reached by one process for a while.
    pub(crate) store_away: u64,
    /// So often the store loses its last commits.
    pub(crate) rollbacks: u64,
    /// A node leaves in order and comes again, in ten thousand looks.
    pub(crate) leaves: u64,
    /// So far a clock may be off, in milliseconds.
    pub(crate) skew_ms: u64,
}

impl Faults {
    /// The faults of a seed. One in ten has none.
    pub(crate) fn draw(random: &mut Random) -> Self {
        if random.percent(10) {
            return Self::default();
        }
        let mut some = |share: u64, least: u64, most: u64| {
            let rate = random.between(least, most);
            if random.percent(share) { rate } else { 0 }
        };
        Self {
            crash: some(50, 5, 60),
            worker_crash: some(45, 5, 80),
            stall: some(35, 5, 60),
            commit_stalls: some(40, 50, 900),
            delay: some(60, 200, 3_000),
            longest_delay_ms: some(100, 20, 3_000),
            store_refuses: some(35, 50, 600),
            store_reply_lost: some(35, 50, 600),
            store_late: some(25, 20, 300),
            broker_refuses: some(35, 50, 600),
            confirm_lost: some(40, 50, 1_000),
            duplicate: some(45, 100, 2_500),
            late_message: some(45, 100, 2_500),
            consumer_ends: some(30, 10, 150),
            broker_away: some(20, 5, 40),
            store_away: some(20, 5, 40),
            rollbacks: some(20, 1, 3),
            leaves: some(25, 50, 400),
            skew_ms: some(50, 10, 3_000),
        }
    }
}
