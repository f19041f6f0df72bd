//! Ownership of one partition: the decisions that every embedded store takes alike.
//!
//! [`super::memory`] and [`super::file`] keep one `Lease` a partition and ask it before they write. It reads no
//! clock and stores nothing itself: the time comes in, in milliseconds of a clock that only ever goes on.

use std::sync::Arc;
use std::time::Instant;

use oarlock_protocol::{Span, chance};

use super::{Claim, Error, Ownership, Token};

/// Tells milliseconds since any fixed moment; it never goes back. Tests and the simulator hand in their own.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The clock of this machine: it does not follow when somebody sets the time.
pub fn monotonic() -> Clock {
    let start = Instant::now();
    Arc::new(move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The most partitions of an embedded store: each costs a queue and a task, and one process is all there is.
const MOST_PARTITIONS: u32 = 4096;

/// Who owns a partition, and how far its commits have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    epoch: u64,
    seq: u64,
    holding: Option<Holding>,
}

#[derive(Clone, Debug)]
struct Holding {
    token: Token,
    holder: String,
    expires_at_ms: u64,
}

/// What to do with a commit whose token is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is the next one.
    Apply,
    /// It is there already: a retry after a lost reply.
    Repeated,
}

impl Lease {
    /// A partition nobody owns, as it was stored.
    pub(super) fn stored(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq, holding: None }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Renews the lease that the claim's token names, else takes the partition where it is free.
    pub(super) fn own(&mut self, partition: u32, claim: &Claim, now_ms: u64) -> Result<Ownership, Error> {
        let expires_at_ms = now_ms.saturating_add(claim.lease.as_millis());
        if let Some(token) = &claim.token {
            let holding = self.holding_of(partition, token)?;
            holding.expires_at_ms = expires_at_ms;
            return Ok(Ownership::Owned { token: token.clone(), seq: self.seq, restarted: false });
        }
        if let Some(Holding { holder, expires_at_ms, .. }) = &self.holding
            && now_ms < *expires_at_ms
        {
            let expires_in = Span::from_millis(expires_at_ms - now_ms);
            return Ok(Ownership::HeldBy { holder: holder.clone(), expires_in });
        }
        self.epoch += 1;
        let token = Token { epoch: self.epoch, nonce: chance::fresh().as_u128() };
        self.holding = Some(Holding { token: token.clone(), holder: claim.holder.clone(), expires_at_ms });
        Ok(Ownership::Owned { token, seq: self.seq, restarted: false })
    }

    /// Frees the partition where the token is its owner's.
    pub(super) fn release(&mut self, token: &Token) {
        self.holding.take_if(|holding| holding.token == *token);
    }

    /// Whether a commit may be applied.
    pub(super) fn admit(&mut self, partition: u32, token: &Token, seq: u64) -> Result<Admission, Error> {
        self.holding_of(partition, token)?;
        if seq <= self.seq {
            return Ok(Admission::Repeated);
        }
        let mine = seq - 1;
        if self.seq < mine {
            return Err(Error::RolledBack { partition, stored: self.seq, mine });
        }
        Ok(Admission::Apply)
    }

    /// Notes that the commit `seq` is applied.
    pub(super) fn advance(&mut self, seq: u64) {
        self.seq = seq;
    }

    /// Takes over how far the store came after the fate of a write was unknown; who owns the partition stays.
    pub(super) fn reload(&mut self, stored: &Lease) {
        self.epoch = self.epoch.max(stored.epoch);
        self.seq = stored.seq;
    }

    fn holding_of(&mut self, partition: u32, token: &Token) -> Result<&mut Holding, Error> {
        let holding = self.holding.as_mut().filter(|holding| holding.token == *token);
        holding.ok_or(Error::Fenced(partition))
    }
}

/// Checks how many partitions a new store is to have.
pub(super) fn check_count(wanted: u32) -> Result<(), Error> {
    if (1..=MOST_PARTITIONS).contains(&wanted) {
        return Ok(());
    }
    Err(Error::Unusable(format!("{wanted} partitions are not possible: configure 1 to {MOST_PARTITIONS}")))
}

/// What is wrong with a partition of which the store knows nothing.
pub(super) fn no_such_partition(partition: u32, count: Option<u32>) -> Error {
    Error::Unusable(match count {
        Some(count) => format!("it has {count} partitions, counted from 0, and no partition {partition}"),
        None => "its number of partitions is not fixed yet: ask for it before anything else".to_owned(),
    })
}
