//! The store port: hashes and sorted sets of a partition, changed only by its owner, in batches.
//!
//! Adapters stand in the folder `store/`; every one passes `tests/src/conformance/store.rs`. What is kept under which key
//! is told in [`crate::layout`], not here: an adapter knows nothing of runs. The rules, beyond the signatures:
//!
//! - A commit is atomic and absolute: applied wholly or not at all, and harmless when applied again.
//! - A commit needs the owner's token, and `seq` one above the stored one. The same `seq` again with the same token
//!   answers `Ok` without writing: a retry after a lost reply.
//! - Ownership never ends by itself: an expired lease is merely free to be taken, with a greater epoch.

use async_trait::async_trait;
use bytes::Bytes;
use oarlock_protocol::{RunKey, Span, Timestamp};

pub mod file;
pub mod lease;
pub mod memory;
pub mod redis;

/// What a caller can do about a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached or does not answer: send the same again; a write may have happened.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The token is no longer the partition's: drop everything, stop owning.
    #[error("partition {0} has another owner now")]
    Fenced(u32),
    /// The stored seq is behind the owner's: the store lost commits. Drop everything, take the partition again.
    #[error("partition {partition} was rolled back: the store is at {stored}, its owner at {mine}")]
    RolledBack {
        /// Which partition.
        partition: u32,
        /// The seq of the store.
        stored: u64,
        /// The seq the owner had committed.
        mine: u64,
    },
    /// The store is set up in a way that cannot work; the text says what to change.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
}

/// A durable store of partitions.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How many partitions this store has: `wanted` where it is new, else what was fixed then.
    async fn partitions(&self, wanted: u32) -> Result<u32, Error>;

    /// Takes the partition where its lease is free or expired, or renews the lease that `claim.token` names.
    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error>;

    /// Gives the partition up, so that another may take it at once. A token that is no longer valid does nothing.
    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error>;

    /// Applies the writes in order, under the rules above, and returns when they are durable.
    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error>;

    /// Reads fields of a hash; a missing field or hash is left out of the answer.
    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error>;

    /// Reads members of a sorted set in the order of (score, member), or the reverse.
    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error>;
}

/// A wish to own a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The node that asks, for people.
    pub holder: String,
    /// How long it owns the partition unless it renews.
    pub lease: Span,
    /// The token to renew; where absent the partition is taken.
    pub token: Option<Token>,
}

/// Proves ownership: no two owners ever hold the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Grows with every owner.
    pub epoch: u64,
    /// Random: tells owners of the same epoch apart after the store lost commits.
    pub nonce: u128,
}

/// The answer to a [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The partition is the claimant's.
    Owned {
        /// Proves it.
        token: Token,
        /// The seq of the last commit.
        seq: u64,
        /// Whether the store began anew since the partition was last taken: it may have lost commits since, so every open
        /// attempt is published again. It is told again until something is committed: who was told may have done nothing.
        restarted: bool,
    },
    /// Someone else's lease runs.
    HeldBy {
        /// Whose.
        holder: String,
        /// For how much longer.
        expires_in: Span,
    },
}

/// Names a hash or a sorted set of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Hash: the parts of one run.
    Run(RunKey),
    /// Sorted set: what is to be looked at when, by time in milliseconds.
    Timers,
    /// Hash: open attempts whose publication is not confirmed.
    Outbox,
    /// Sorted set: runs of a tenant in a status, by creation time in milliseconds.
    Runs {
        /// Whose runs.
        tenant: String,
        /// In which status.
        status: String,
    },
    /// Hash: workflow definitions whose home this partition is.
    Definitions,
    /// Hash: what attempts and runs took that closed in one hour.
    Statistics {
        /// When the hour begins.
        hour: Timestamp,
    },
    /// Hash: schedules whose home this partition is, and how far each is.
    Schedules,
    /// Hash: what is held back in the whole fleet, where this partition is the home of that.
    Pauses,
    /// Hash: limits whose home this partition is, with what each partition holds of them.
    Limits,
}

/// One absolute write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are those of the commands of the same names")]
pub enum Write {
    HashSet {
        key: Key,
        field: String,
        value: Bytes,
    },
    HashDelete {
        key: Key,
        field: String,
    },
    SortedSet {
        key: Key,
        member: String,
        score: i64,
    },
    SortedRemove {
        key: Key,
        member: String,
    },
    /// Removes the whole hash or sorted set.
    Delete {
        key: Key,
    },
}

/// Which fields of a hash to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Every field, in no order.
    All,
    /// These, in no order.
    Named(Vec<String>),
}

/// Which members of a sorted set to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least score.
    pub from: i64,
    /// The greatest score.
    pub to: i64,
    /// Begin behind this (score, member) in reading order: the last row of the page before.
    pub after: Option<(i64, String)>,
    /// At most so many.
    pub limit: usize,
    /// From the greatest to the least.
    pub descending: bool,
}
