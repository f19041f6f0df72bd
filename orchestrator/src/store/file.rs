//! The store on disk: one file, `DIR/oarlock.redb`, of one process at a time. `oarlock dev --data DIR` uses it.
//!
//! A thread of its own makes every change: what arrives while it syncs goes together into the next transaction, and no
//! answer goes out before its transaction is on disk. Reads see the last finished transaction. Space that deletions free
//! is used again; the file does not shrink by itself.
//!
//! The file is locked while it is open, so whoever opens it knows that no owner lives: leases are kept in memory only,
//! and after a crash every partition may be taken at once, under a greater epoch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::lease::{Clock, monotonic};
use super::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use base::Base;
use writer::Writer;

mod base;
mod change;
mod fault;
mod keys;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

/// The name of the file in its folder.
const FILE: &str = "oarlock.redb";
/// The most bytes one commit may write: hundreds of the largest payloads, and far from what would exhaust memory.
const LARGEST_COMMIT: usize = 512 * 1024 * 1024;

/// A store in a folder. Dropping it waits for what is being written and closes the file.
pub struct File {
    base: Arc<Base>,
    writer: Writer,
}

impl File {
    /// Opens the store in the folder `dir`, which is made where it is missing. It reads the disk, so it blocks.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with_clock(dir, monotonic())
    }

    /// As [`File::open`], with leases that run by `clock`.
    pub fn open_with_clock(dir: impl AsRef<Path>, clock: Clock) -> Result<Self, Error> {
        let (base, books) = Base::open(dir.as_ref())?;
        let base = Arc::new(base);
        let writer = Writer::start(Arc::clone(&base), books, clock)?;
        Ok(Self { base, writer })
    }

    /// Where the file stands.
    pub fn path(&self) -> PathBuf {
        self.base.path().to_owned()
    }

    /// Reads on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        partition: u32,
        work: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let base = Arc::clone(&self.base);
        let reading = tokio::task::spawn_blocking(move || base.read(partition, work));
        let interrupted =
            |error: tokio::task::JoinError| Error::Unavailable(format!("a read broke off: {error}"));
        reading.await.map_err(interrupted)?
    }
}

#[async_trait]
impl Store for File {
    async fn partitions(&self, wanted: u32) -> Result<u32, Error> {
        match self.base.partitions() {
            Some(count) => Ok(count),
            None => self.writer.submit(0, move |change| change.partitions(wanted)).await,
        }
    }

    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        let claim = claim.clone();
        self.writer.submit(0, move |change| change.own(partition, &claim)).await
    }

    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error> {
        let token = token.clone();
        self.writer.submit(0, move |change| change.release(partition, &token)).await
    }

    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error> {
        let bytes = writes.iter().map(rows::size).sum();
        if bytes > LARGEST_COMMIT {
            return Err(Error::Unusable(format!(
                "a commit of {bytes} bytes is larger than {LARGEST_COMMIT}"
            )));
        }
        let (token, writes) = (token.clone(), writes.to_vec());
        self.writer.submit(bytes, move |change| change.commit(partition, &token, seq, &writes)).await
    }

    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error> {
        let prefix = keys::prefix(partition, key);
        self.read(partition, move |transaction| rows::read_hash(transaction, &prefix, fields)).await
    }

    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error> {
        let (prefix, range) = (keys::prefix(partition, key), range.clone());
        self.read(partition, move |transaction| rows::read_sorted(transaction, &prefix, &range)).await
    }
}
