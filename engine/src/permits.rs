//! Limits over the whole fleet: how many attempts under a limit are open at once, and how many begin in a time.
//!
//! A limit has one home, which leases permits to the partitions that have tasks under it; each of these opens attempts only
//! by permits that it has, so that no partition asks anybody when a task's turn comes. The [`Home`] and a [`Holder`] talk in
//! two kinds of messages, [`Want`] and [`Grant`], of which any may be lost, doubled, late or in another order. Pure: the
//! owners send and commit what comes of it.
//!
//! - A `Want` says: from now on I open at most `keeps` at once, and I would like `wants` more. The holder lowers its own
//!   ceiling before it is sent, so the home may count on it.
//! - A `Grant` answers the newest `Want`, and is sent once what the home leases is committed. One for an earlier `Want` is
//!   worth nothing. What is free later is granted for the same `Want`: ceilings and tokens of one only grow.
//!
//! So the home never counts less than a holder may open; also where either of them begins anew: who takes a partition over
//! counts what is open there and speaks under a later epoch, and the home's next owner reads what was committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use oarlock_protocol::{Span, Timestamp};
use serde::{Deserialize, Serialize};

mod holder;

pub use holder::Holder;

/// A token of a rate is used within this time, or it is gone: what lies about would come in bursts. One stays
/// where a task has come back for it and waits for its turn.
pub const TOKEN_LASTS: Span = Span::from_secs(1);
/// A tenth of what a time allows may begin at once; the rest is spread evenly over it.
const BURST: u32 = 10;
/// The most that a holder asks for at once: what is granted and not used keeps others waiting.
pub const MOST_WANTED: u32 = 256;

/// What a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Allowance {
    /// So many attempts are open at once.
    Concurrency {
        /// At least 1.
        most: u32,
    },
    /// So many attempts begin in a time.
    Rate {
        /// At least 1.
        limit: u32,
        /// The time, in milliseconds; at least 1.
        per_ms: u64,
    },
}

/// What a holder asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Want {
    /// The epoch of the lease of the partition that asks.
    pub epoch: u64,
    /// Grows with each that it sends in that epoch.
    pub n: u64,
    /// So many attempts may be open there; no more are opened until it is granted more.
    pub keeps: u32,
    /// How many more it would like.
    pub wants: u32,
    /// How many tokens it has had in that epoch. What it was given beside these it will not take any more.
    #[serde(default, skip_serializing_if = "is_none")]
    pub had: u64,
}

fn is_none(had: &u64) -> bool {
    *had == 0
}

/// What the home answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The epoch of the [`Want`] that it answers.
    pub epoch: u64,
    /// Its number.
    pub n: u64,
    /// So many attempts may be open there.
    pub ceiling: u32,
    /// So many tokens it was given for this `Want`, all together.
    pub tokens: u32,
}

/// The home of one limit: what each partition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Home {
    /// By partition.
    held: BTreeMap<u32, Lease>,
    /// Of a rate: when the next token is due if they come evenly, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_us: Option<i64>,
    /// The partition that was given something last: the one behind it is the first of the next turn.
    #[serde(default)]
    last: u32,
}

/// What a partition holds of a limit, as its home counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    epoch: u64,
    n: u64,
    /// So many attempts it may have open.
    ceiling: u32,
    /// So many tokens it was given for its newest want.
    tokens: u32,
    /// So many it was given in that epoch, but for those that never came to it.
    #[serde(default, skip_serializing_if = "is_none")]
    given: u64,
    /// So many more it would like. Not stored: who wants something says so again.
    #[serde(skip)]
    wants: u32,
    /// When it spoke last. Not stored: a new owner asks.
    #[serde(skip)]
    heard: Option<Timestamp>,
    /// When it was given how many tokens within the time that one lasts. Not stored: they are old by then.
    #[serde(skip)]
    fresh: VecDeque<(Timestamp, u32)>,
}

impl Home {
    /// Takes in what a partition asks for; false where it is not its newest word. It is answered in any case, by the next
    /// [`Home::grant`] or by [`Home::answer`]: until then its holder says nothing more.
    pub fn hear(&mut self, partition: u32, want: Want, now: Timestamp) -> bool {
        let known = self.held.get(&partition).map_or((0, 0), |lease| (lease.epoch, lease.n));
        if (want.epoch, want.n) <= known {
            return false;
        }
        let Want { epoch, n, keeps, wants, had } = want;
        let wants = wants.min(MOST_WANTED);
        let mut before = self.held.remove(&partition).unwrap_or_default();
        // Tokens that crossed this word on their way are worth nothing there. While they are fresh they are given again.
        let crossed = if before.epoch == epoch { before.given.saturating_sub(had) } else { 0 };
        let tokens = before.keep_fresh(u32::try_from(crossed).unwrap_or(u32::MAX).min(wants), now);
        let lease = Lease {
            epoch,
            n,
            ceiling: keeps,
            tokens,
            given: had.saturating_add(tokens.into()),
            wants: wants - tokens,
            heard: Some(now),
            fresh: before.fresh,
        };
        self.held.insert(partition, lease);
        true
    }

    /// What a partition has by now, as an answer to its newest word.
    pub fn answer(&self, partition: u32) -> Option<Grant> {
        let Lease { epoch, n, ceiling, tokens, .. } = self.held.get(&partition)?;
        let (epoch, n, ceiling, tokens) = (*epoch, *n, *ceiling, *tokens);
        Some(Grant { epoch, n, ceiling, tokens })
    }

    /// Leases what is free, in turn among those that want it. Returns who got something; that is to be committed before any
    /// of them is answered.
    pub fn grant(&mut self, allowance: Allowance, now: Timestamp) -> BTreeSet<u32> {
        let mut granted = BTreeSet::new();
        while let Some(partition) = self.next_in_turn() {
            match allowance {
                Allowance::Concurrency { most } if self.taken() < most.max(1) => {}
                Allowance::Rate { limit, per_ms } if self.take_token(limit, per_ms, now) => {}
                Allowance::Concurrency { .. } | Allowance::Rate { .. } => break,
            }
            let Some(lease) = self.held.get_mut(&partition) else { break };
            lease.wants -= 1;
            match allowance {
                Allowance::Concurrency { .. } => lease.ceiling += 1,
                Allowance::Rate { .. } => lease.give_token(now),
            }
            granted.insert(partition);
            self.last = partition;
        }
        granted
    }

    /// How many permits are taken: for people. Of a rate none is taken for long.
    pub fn taken(&self) -> u32 {
        self.held.values().map(|lease| lease.ceiling).sum()
    }

    /// When the next token of a rate can be given that somebody waits for.
    pub fn wakes_at(&self, allowance: Allowance, now: Timestamp) -> Option<Timestamp> {
        let Allowance::Rate { limit, per_ms } = allowance else { return None };
        self.next_in_turn()?;
        let at_us = self.due_us(now) - ahead_us(limit, per_ms);
        Some(Timestamp::from_millis(at_us.div_euclid(1_000) + 1).max(now))
    }

    /// The partitions that hold permits and have not spoken for so long: each is asked what it still has.
    pub fn silent(&self, now: Timestamp, span: Span) -> Vec<u32> {
        let is_silent =
            |lease: &Lease| lease.ceiling > 0 && lease.heard.is_none_or(|heard| now.since(heard) >= span);
        self.held.iter().filter(|(_, lease)| is_silent(lease)).map(|(partition, _)| *partition).collect()
    }

    /// Whether nothing of it needs to be remembered: nobody holds or wants anything, and no token is given ahead of its time.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let is_held = self.held.values().any(|lease| lease.ceiling > 0 || lease.wants > 0);
        !is_held && self.next_us.is_none_or(|next| next <= us(now))
    }

    fn next_in_turn(&self) -> Option<u32> {
        let wants = |(partition, lease): (&u32, &Lease)| (lease.wants > 0).then_some(*partition);
        let behind = self.held.range(self.last.saturating_add(1)..).find_map(wants);
        behind.or_else(|| self.held.iter().find_map(wants))
    }

    /// Takes a token where one may be given: they come evenly, and a few ahead of their time.
    fn take_token(&mut self, limit: u32, per_ms: u64, now: Timestamp) -> bool {
        let due = self.due_us(now);
        let may = due - ahead_us(limit, per_ms) <= us(now);
        if may {
            self.next_us = Some(due + interval_us(limit, per_ms));
        }
        may
    }

    /// When the next token is due. Those of a time in which nobody wanted any are gone.
    fn due_us(&self, now: Timestamp) -> i64 {
        self.next_us.map_or(us(now), |next| next.max(us(now)))
    }
}

impl Lease {
    fn give_token(&mut self, now: Timestamp) {
        self.tokens += 1;
        self.given = self.given.saturating_add(1);
        match self.fresh.back_mut() {
            Some((at, count)) if *at == now => *count += 1,
            _ => self.fresh.push_back((now, 1)),
        }
        self.drop_old(now);
    }

    /// Remembers the latest of its fresh tokens, at most so many; how many these are.
    fn keep_fresh(&mut self, most: u32, now: Timestamp) -> u32 {
        self.drop_old(now);
        let mut kept = 0;
        let mut fresh = VecDeque::new();
        while kept < most
            && let Some((at, count)) = self.fresh.pop_back()
        {
            let count = count.min(most - kept);
            kept += count;
            fresh.push_front((at, count));
        }
        self.fresh = fresh;
        kept
    }

    fn drop_old(&mut self, now: Timestamp) {
        while self.fresh.front().is_some_and(|(at, _)| now.since(*at) >= TOKEN_LASTS) {
            self.fresh.pop_front();
        }
    }
}

fn us(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1_000)
}

/// The time between two tokens.
fn interval_us(limit: u32, per_ms: u64) -> i64 {
    // A year at most: whoever wants less often wants a schedule.
    let per_us = i64::try_from(per_ms.clamp(1, 31_536_000_000)).unwrap_or(i64::MAX / 1_000) * 1_000;
    (per_us / i64::from(limit.max(1))).max(1)
}

/// By how much a token may be given ahead of its time.
fn ahead_us(limit: u32, per_ms: u64) -> i64 {
    let burst = i64::from((limit / BURST).max(1));
    interval_us(limit, per_ms).saturating_mul(burst - 1)
}

#[cfg(test)]
mod tests;
