//! A store in memory with something between it and its node: a test watches there what passes, or lets it fail.

use std::ops::Deref;

use async_trait::async_trait;
use bytes::Bytes;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};

/// The store, and what stands between; the latter is at hand as if it were the store.
#[derive(Default)]
pub(super) struct Over<B> {
    pub(super) inner: Memory,
    between: B,
}

impl<B> Deref for Over<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.between
    }
}

/// What stands between: it passes on what it does not name.
#[async_trait]
pub(super) trait Between: Send + Sync + 'static {
    async fn own(&self, inner: &Memory, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        inner.own(partition, claim).await
    }

    async fn commit(&self, inner: &Memory, to: Fence<'_>, writes: &[Write]) -> Result<(), Error> {
        to.commit(inner, writes).await
    }

    /// Sees what is read of a hash, and may refuse it.
    fn reads_hash(&self, _key: &Key) -> Result<(), Error> {
        Ok(())
    }

    /// May refuse to read what is sorted.
    fn reads_sorted(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Where a commit goes.
#[derive(Clone, Copy)]
pub(super) struct Fence<'a>(u32, &'a Token, u64);

impl Fence<'_> {
    pub(super) async fn commit(self, inner: &Memory, writes: &[Write]) -> Result<(), Error> {
        let Self(partition, token, seq) = self;
        inner.commit(partition, token, seq, writes).await
    }
}

#[async_trait]
impl<B: Between> Store for Over<B> {
    async fn partitions(&self, wanted: u32) -> Result<u32, Error> {
        self.inner.partitions(wanted).await
    }

    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        self.between.own(&self.inner, partition, claim).await
    }

    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error> {
        self.inner.release(partition, token).await
    }

    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error> {
        self.between.commit(&self.inner, Fence(partition, token, seq), writes).await
    }

    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error> {
        self.between.reads_hash(key)?;
        self.inner.read_hash(partition, key, fields).await
    }

    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error> {
        self.between.reads_sorted()?;
        self.inner.read_sorted(partition, key, range).await
    }
}
