//! The Redis adapter among the faults of real servers: killed, paused, cut off, set up wrongly. Each test has servers of its own.
//! What every store does is in the conformance suite, not here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use oarlock_orchestrator::store::redis::{Redis, Settings};
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use oarlock_protocol::{RunId, RunKey, Span};

mod cluster;
mod faults;
mod large;
mod random;
mod replicas;
mod server;
mod setup;
mod tls;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
const LONG: Span = Span::from_secs(600);

/// Settings for one server, with answers that are soon given up.
fn settings(url: &str) -> Settings {
    Settings {
        nodes: vec![url.to_owned()],
        prefix: "test".to_owned(),
        response_timeout: Span::from_millis(2000),
        connect_timeout: Span::from_millis(1000),
        ..Settings::default()
    }
}

/// A store with 4 partitions at `url`.
async fn store(url: &str) -> Redis {
    let store = Redis::connect(settings(url)).unwrap();
    assert_eq!(store.partitions(4).await, Ok(4));
    store
}

fn claim(token: Option<&Token>) -> Claim {
    Claim { holder: "one".to_owned(), lease: LONG, token: token.cloned() }
}

/// Takes or renews what must be free or one's own: the token, the seq, and whether the store began anew.
async fn own(store: &Redis, partition: u32, token: Option<&Token>) -> (Token, u64, bool) {
    match store.own(partition, &claim(token)).await.unwrap() {
        Ownership::Owned { token, seq, restarted } => (token, seq, restarted),
        held @ Ownership::HeldBy { .. } => panic!("it should be free: {held:?}"),
    }
}

fn run(number: u128) -> Key {
    Key::Run(RunKey::new("acme", RunId::from_uuid(uuid::Uuid::from_u128(number))))
}

fn set(key: &Key, field: &str, value: &str) -> Write {
    Write::HashSet { key: key.clone(), field: field.to_owned(), value: Bytes::from(value.to_owned()) }
}

fn score(key: &Key, member: &str, score: i64) -> Write {
    Write::SortedSet { key: key.clone(), member: member.to_owned(), score }
}

async fn hash(store: &Redis, partition: u32, key: &Key) -> Vec<(String, Bytes)> {
    let mut fields = store.read_hash(partition, key, Fields::All).await.unwrap();
    fields.sort();
    fields
}

fn pair(field: &str, value: &str) -> (String, Bytes) {
    (field.to_owned(), Bytes::from(value.to_owned()))
}

/// Polls until `look` answers `Ok`; what may pass is tried again, anything else fails the test.
async fn available<T, F: Future<Output = Result<T, Error>>>(mut look: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(Error::Unavailable(reason)) => assert!(began.elapsed() < PATIENCE, "{reason}"),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn unusable<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Unusable(text)) => text,
        other => panic!("it should be unusable: {other:?}"),
    }
}

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Unavailable(text)) => text,
        other => panic!("it should be unavailable: {other:?}"),
    }
}
