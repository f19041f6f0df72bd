//! The store in memory: gone with the process. `run`, tests and the simulator use it.
//!
//! Each partition has its own lock, held for one call and never over an await; the calls answer at once.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::lease::{Admission, Clock, Lease, check_count, monotonic, no_such_partition};
use super::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use tables::Tables;

mod tables;

/// A store within this process.
pub struct Memory {
    clock: Clock,
    partitions: OnceLock<Box<[Mutex<Partition>]>>,
}

/// What a store held at some moment.
pub struct Moment(Vec<Partition>);

#[derive(Clone, Default)]
struct Partition {
    lease: Lease,
    tables: Tables,
}

impl Memory {
    /// An empty store on this machine's monotonic clock.
    pub fn new() -> Self {
        Self::with_clock(monotonic())
    }

    /// An empty store whose leases run by `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self { clock, partitions: OnceLock::new() }
    }

    /// What it holds now, for [`Memory::go_back`].
    pub fn moment(&self) -> Moment {
        let partitions = self.partitions.get().map_or(&[][..], |partitions| partitions);
        let held = partitions.iter().map(|one| one.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Moment(held.collect())
    }

    /// Holds again what it held at that moment, as a store does that was restarted without its last commits: for the
    /// simulation. Partitions that were not there then stay as they are.
    pub fn go_back(&self, to: &Moment) {
        let partitions = self.partitions.get().map_or(&[][..], |partitions| partitions);
        for (standing, held) in partitions.iter().zip(&to.0) {
            standing.lock().unwrap_or_else(PoisonError::into_inner).clone_from(held);
        }
    }

    fn lock(&self, partition: u32) -> Result<MutexGuard<'_, Partition>, Error> {
        let partitions = self.partitions.get().ok_or_else(|| no_such_partition(partition, None))?;
        let found = usize::try_from(partition).ok().and_then(|index| partitions.get(index));
        let count = u32::try_from(partitions.len()).ok();
        let found = found.ok_or_else(|| no_such_partition(partition, count))?;
        Ok(found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for Memory {
    async fn partitions(&self, wanted: u32) -> Result<u32, Error> {
        if self.partitions.get().is_none() {
            check_count(wanted)?;
        }
        let partitions = self.partitions.get_or_init(|| (0..wanted).map(|_| Mutex::default()).collect());
        Ok(u32::try_from(partitions.len()).unwrap_or(u32::MAX))
    }

    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        let now_ms = (self.clock)();
        self.lock(partition)?.lease.own(partition, claim, now_ms)
    }

    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error> {
        self.lock(partition)?.lease.release(token);
        Ok(())
    }

    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error> {
        let mut standing = self.lock(partition)?;
        if standing.lease.admit(partition, token, seq)? == Admission::Apply {
            // No write can fail, so they are applied wholly.
            writes.iter().for_each(|write| standing.tables.apply(write));
            standing.lease.advance(seq);
        }
        Ok(())
    }

    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error> {
        Ok(self.lock(partition)?.tables.read_hash(key, fields))
    }

    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error> {
        Ok(self.lock(partition)?.tables.read_sorted(key, range))
    }
}
