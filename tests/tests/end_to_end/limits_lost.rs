//! Limits where the store has lost what was leased of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use oarlock_protocol::Span;
use tokio::sync::Semaphore;

use super::limits_by_key::{CALLS, Seen, begin, begun, gated};
use super::limits_of_fleet::all_complete;
use super::system::{System, eventually, settings};

/// A store that has lost what was leased, once it is told to.
struct Forgetful {
    inner: Memory,
    forgets: AtomicBool,
}

#[async_trait]
impl Store for Forgetful {
    async fn partitions(&self, wanted: u32) -> Result<u32, Error> {
        self.inner.partitions(wanted).await
    }

    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        self.inner.own(partition, claim).await
    }

    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error> {
        self.inner.release(partition, token).await
    }

    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error> {
        self.inner.commit(partition, token, seq, writes).await
    }

    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error> {
        if matches!(key, Key::Limits) && self.forgets.load(Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        self.inner.read_hash(partition, key, fields).await
    }

    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error> {
        self.inner.read_sorted(partition, key, range).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_lost_of_a_limit_is_asked_for_before_anything_is_leased() {
    let settings = Settings { partitions: 8, lease: Span::from_secs(1), ..settings() };
    let store = Arc::new(Forgetful { inner: Memory::new(), forgets: AtomicBool::new(false) });
    let broker = Arc::new(Embedded::new());
    let first = System::over(broker.clone(), store.clone(), settings.clone()).await;
    first.register(CALLS).await;
    let (shut, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let _worker = gated(&first, [("busy", &shut), ("other", &open)], &seen).await;
    let mut runs = begin(&first, "calls", "busy", 40).await;
    runs.extend(begin(&first, "calls", "other", 40).await);
    let full = || async { (begun(&seen, "busy") + begun(&seen, "other") == 4).then_some(()) };
    eventually("all permits are taken", full).await;
    drop(first);
    store.forgets.store(true, Ordering::SeqCst);
    let second = System::over(broker, store.clone(), settings).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let at_once = seen.lock().unwrap().most.clone();
    assert_eq!((at_once["busy"], at_once["other"]), (2, 2), "what is open still holds its permits");
    shut.add_permits(1_000);
    open.add_permits(1_000);
    all_complete(&second, &runs).await;
    let most = seen.lock().unwrap().most.clone();
    assert_eq!((most["busy"], most["other"]), (2, 2));
}
