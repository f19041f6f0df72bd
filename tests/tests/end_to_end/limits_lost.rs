//! Limits where the store has lost what was leased of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Error, Key, Write};
use oarlock_protocol::Span;
use tokio::sync::Semaphore;

use super::limits_by_key::{CALLS, Seen, begin, begun, gated};
use super::limits_of_fleet::all_complete;
use super::over::{Between, Fence, Over};
use super::system::{System, eventually, settings};

/// What is leased never comes to the store: as if each of these commits were lost.
#[derive(Default)]
struct Forgetful;

#[async_trait]
impl Between for Forgetful {
    async fn commit(&self, inner: &Memory, to: Fence<'_>, writes: &[Write]) -> Result<(), Error> {
        let is_lease = |write: &Write| matches!(write, Write::HashSet { key: Key::Limits, .. });
        let kept: Vec<Write> = writes.iter().filter(|write| !is_lease(write)).cloned().collect();
        to.commit(inner, &kept).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_lost_of_a_limit_is_asked_for_before_anything_is_leased() {
    let settings = Settings { partitions: 8, lease: Span::from_secs(1), ..settings() };
    let store = Arc::new(Over::<Forgetful>::default());
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
