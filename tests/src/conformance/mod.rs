//! The suites that every adapter of a port passes, a rule a function.
//!
//! A rule gets a harness: a fresh broker or store that no other test touches, and what is needed to wait for it. The binary
//! `tests/conformance.rs` names the adapters; `broker_rules!`, `store_rules!`,
//! `members_rules!` and `payload_rules!` make one test for each rule and adapter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of it runs in tests only: a failing rule names its line"
)]

pub mod broker;
pub mod members;
pub mod payloads;
pub mod store;

/// How long a rule waits for what must come before it fails: long enough for a loaded machine.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Makes a module of tests, one for each rule of a suite; each gets a harness from `$fresh`.
#[macro_export]
macro_rules! rules {
    ($adapter:ident, $fresh:path, $suite:ident, [$($rule:ident),* $(,)?]) => {
        mod $adapter {
            #[allow(unused_imports, reason = "the path of the harness may be a full one")]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    $crate::conformance::$suite::$rule($fresh().await).await;
                }
            )*
        }
    };
}

/// Polls `look` until it answers `Some`; fails when that takes longer than [`PATIENCE`].
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::task::yield_now().await;
    }
}
