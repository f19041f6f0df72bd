//! What one transaction does: claims, releases and commits, against books that are kept only when it succeeds.
//!
//! [`super::writer`] makes it, runs the calls of one batch through it, and keeps or drops it. An outer error
//! is the file's and fails the batch; an inner one is the answer to that call alone, which then has written nothing.

use super::base::Books;
use super::rows::Tables;
use crate::store::lease::{Admission, Lease, check_count, no_such_partition};
use crate::store::{Claim, Error, Ownership, Token, Write};

/// The answer to one call, or the file's failure.
pub(super) type Outcome<T> = Result<Result<T, Error>, redb::Error>;

/// Evaluates to the value, or returns the call's own error.
macro_rules! answered {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

/// A transaction under way.
pub(super) struct Change<'txn> {
    tables: Tables<'txn>,
    books: &'txn mut Books,
    now_ms: u64,
    wrote: bool,
}

impl<'txn> Change<'txn> {
    pub(super) fn new(tables: Tables<'txn>, books: &'txn mut Books, now_ms: u64) -> Self {
        Self { tables, books, now_ms, wrote: false }
    }

    /// Whether there is anything to make durable.
    pub(super) fn wrote(&self) -> bool {
        self.wrote
    }

    pub(super) fn partitions(&mut self, wanted: u32) -> Outcome<u32> {
        if self.books.is_empty() {
            answered!(check_count(wanted));
            self.wrote = true;
            self.tables.set_partitions(wanted)?;
            self.books.extend((0..wanted).map(|_| Lease::default()));
        }
        Ok(Ok(u32::try_from(self.books.len()).unwrap_or(u32::MAX)))
    }

    pub(super) fn own(&mut self, partition: u32, claim: &Claim) -> Outcome<Ownership> {
        let now_ms = self.now_ms;
        let lease = answered!(self.lease(partition));
        let epoch = lease.epoch();
        let ownership = answered!(lease.own(partition, claim, now_ms));
        if lease.epoch() != epoch {
            self.store_owner(partition)?;
        }
        Ok(Ok(ownership))
    }

    pub(super) fn release(&mut self, partition: u32, token: &Token) -> Outcome<()> {
        answered!(self.lease(partition)).release(token);
        Ok(Ok(()))
    }

    pub(super) fn commit(
        &mut self,
        partition: u32,
        token: &Token,
        seq: u64,
        writes: &[Write],
    ) -> Outcome<()> {
        let lease = answered!(self.lease(partition));
        match answered!(lease.admit(partition, token, seq)) {
            Admission::Repeated => return Ok(Ok(())),
            Admission::Apply => lease.advance(seq),
        }
        for write in writes {
            self.tables.apply(partition, write)?;
        }
        self.store_owner(partition)?;
        Ok(Ok(()))
    }

    fn store_owner(&mut self, partition: u32) -> Result<(), redb::Error> {
        self.wrote = true;
        if let Ok(lease) = self.lease(partition) {
            let (epoch, seq) = (lease.epoch(), lease.seq());
            self.tables.set_owner(partition, epoch, seq)?;
        }
        Ok(())
    }

    fn lease(&mut self, partition: u32) -> Result<&mut Lease, Error> {
        let count = u32::try_from(self.books.len()).ok().filter(|count| *count > 0);
        let found = usize::try_from(partition).ok().and_then(|index| self.books.get_mut(index));
        found.ok_or_else(|| no_such_partition(partition, count))
    }
}
