//! The rules of the payload port. See [`oarlock_payloads::Store`].

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use oarlock_payloads::{Error, Store};
use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::{RunId, RunKey};

/// Makes the tests of an adapter: `payload_rules!(memory, fresh_memory)`, where the function answers a [`Harness`].
#[macro_export]
macro_rules! payload_rules {
    ($adapter:ident, $fresh:path) => {
        $crate::rules! { $adapter, $fresh, payloads, [
            what_is_put_is_read_again,
            an_empty_payload_is_one_too,
            another_handle_reads_it,
            the_same_content_of_a_run_has_one_reference,
            runs_keep_their_payloads_apart,
            every_run_of_a_tenant_reads_it,
            a_claim_reaches_no_other_tenant,
            a_claim_reaches_nothing_but_payloads,
            a_claim_about_size_or_content_is_checked,
            what_was_never_put_is_lost,
            too_large_a_payload_is_neither_put_nor_read,
            a_deleted_run_loses_all_it_had,
            deleting_spares_other_runs,
            deleting_nothing_does_nothing,
            many_at_once_are_all_kept,
        ] }
    };
}

/// The largest payload of a store under test.
pub const LARGEST: u64 = 1_000_000;

/// A fresh store for one rule.
pub struct Harness {
    store: Arc<dyn Store>,
    other: Arc<dyn Store>,
    _guard: Box<dyn Any + Send + Sync>,
}

impl Harness {
    /// A harness of two handles on one store that takes payloads up to [`LARGEST`]. `guard` is dropped when the rule is over,
    /// and cleans up.
    pub fn new(store: Arc<dyn Store>, other: Arc<dyn Store>, guard: impl Any + Send + Sync) -> Self {
        Self { store, other, _guard: Box::new(guard) }
    }

    async fn put(&self, run: &RunKey, content: &str) -> PayloadReference {
        self.store.put(run, Bytes::from(content.to_owned())).await.unwrap()
    }

    async fn get(&self, tenant: &str, reference: &PayloadReference) -> Bytes {
        self.store.get(tenant, reference).await.unwrap()
    }

    async fn is_lost(&self, tenant: &str, reference: &PayloadReference) {
        let answer = self.store.get(tenant, reference).await;
        assert!(matches!(answer, Err(Error::Lost { .. })), "{reference:?}: {answer:?}");
    }
}

fn run_of(tenant: &str) -> RunKey {
    RunKey::new(tenant, RunId::random())
}

fn with_uri(reference: &PayloadReference, uri: String) -> PayloadReference {
    PayloadReference { uri, ..reference.clone() }
}

/// The bytes come back as they were, and the reference tells their size and SHA-256.
pub async fn what_is_put_is_read_again(harness: Harness) {
    let run = run_of("acme");
    let reference = harness.put(&run, "payload\0\u{e4}").await;
    assert_eq!(reference.size, 10);
    assert_eq!(reference.sha256.len(), 64);
    assert!(reference.uri.ends_with(&format!("/acme/{}/{}", run.run, reference.sha256)), "{reference:?}");
    assert_eq!(harness.get("acme", &reference).await, "payload\0\u{e4}");
}

/// Nothing is something.
pub async fn an_empty_payload_is_one_too(harness: Harness) {
    let reference = harness.put(&run_of("acme"), "").await;
    assert_eq!(harness.get("acme", &reference).await, "");
}

/// Whoever opens the same address reads what others put.
pub async fn another_handle_reads_it(harness: Harness) {
    let reference = harness.put(&run_of("acme"), "x").await;
    assert_eq!(harness.other.get("acme", &reference).await.unwrap(), "x");
}

/// An attempt that is made twice leaves one payload.
pub async fn the_same_content_of_a_run_has_one_reference(harness: Harness) {
    let run = run_of("acme");
    let first = harness.put(&run, "x").await;
    assert_eq!(harness.put(&run, "x").await, first);
    assert_ne!(harness.put(&run, "y").await.uri, first.uri);
    assert_eq!(harness.get("acme", &first).await, "x");
}

/// What goes with one run must not be what another refers to.
pub async fn runs_keep_their_payloads_apart(harness: Harness) {
    let one = harness.put(&run_of("acme"), "x").await;
    let other = harness.put(&run_of("acme"), "x").await;
    assert_ne!(one.uri, other.uri);
}

/// Runs hand data on to the runs they start.
pub async fn every_run_of_a_tenant_reads_it(harness: Harness) {
    let reference = harness.put(&run_of("acme"), "x").await;
    assert_eq!(harness.get("acme", &reference).await, "x");
}

/// A reference may be written by anybody: it opens nothing of another tenant, however it is spelled.
pub async fn a_claim_reaches_no_other_tenant(harness: Harness) {
    let (run, mine) = (run_of("acme"), run_of("evil"));
    let reference = harness.put(&run, "secret").await;
    harness.put(&mine, "secret").await;
    for tenant in ["evil", "acme2", "acm", "", ".", "..", "acme/.."] {
        harness.is_lost(tenant, &reference).await;
    }
    let path = format!("/acme/{}/{}", run.run, reference.sha256);
    let base = reference.uri.strip_suffix(&path).unwrap();
    for detour in ["/evil/..", "/evil/../../acme/..", "/./acme/..", "//", "/%2e%2e", "/evil/%2e%2e"] {
        harness.is_lost("evil", &with_uri(&reference, format!("{base}{detour}{path}"))).await;
    }
}

/// Nor does it open anything else of the machine, or of another store.
pub async fn a_claim_reaches_nothing_but_payloads(harness: Harness) {
    let run = run_of("acme");
    let reference = harness.put(&run, "x").await;
    let uri = &reference.uri;
    let upper = uri.replace(&reference.sha256, &reference.sha256.to_uppercase());
    let claims = [
        "file:///etc/passwd".to_owned(),
        "http://127.0.0.1/".to_owned(),
        "".to_owned(),
        format!("{uri}/"),
        format!("{uri}/x"),
        format!("{uri}#1"),
        format!("x{uri}"),
        uri.replace(&run.run.to_string(), "x"),
        uri.replace(&run.run.to_string(), &run.run.to_string().to_uppercase()),
        uri.replace("acme", "acme/.."),
        uri.replace("acme", ""),
        upper,
    ];
    for claim in claims.into_iter().filter(|claim| claim != uri) {
        harness.is_lost("acme", &with_uri(&reference, claim)).await;
    }
    let whole = PayloadReference { sha256: "../../x".to_owned(), ..reference.clone() };
    harness.is_lost("acme", &with_uri(&whole, uri.replace(&reference.sha256, "../../x"))).await;
}

/// What is read has the size and the SHA-256 that the reference names.
pub async fn a_claim_about_size_or_content_is_checked(harness: Harness) {
    let run = run_of("acme");
    let (x, y) = (harness.put(&run, "x").await, harness.put(&run, "y").await);
    harness.is_lost("acme", &PayloadReference { size: 2, ..x.clone() }).await;
    harness.is_lost("acme", &PayloadReference { sha256: y.sha256.clone(), ..x.clone() }).await;
    assert_eq!(harness.get("acme", &x).await, "x");
}

/// It is told apart from a store that does not answer: trying again is of no use.
pub async fn what_was_never_put_is_lost(harness: Harness) {
    let reference = harness.put(&run_of("acme"), "x").await;
    let elsewhere = RunId::random().to_string();
    let run = reference.uri.rsplit('/').nth(1).unwrap();
    harness.is_lost("acme", &with_uri(&reference, reference.uri.replace(run, &elsewhere))).await;
}

/// Nobody fills the memory of a worker by a claim.
pub async fn too_large_a_payload_is_neither_put_nor_read(harness: Harness) {
    let run = run_of("acme");
    let most = usize::try_from(LARGEST).unwrap();
    let reference = harness.put(&run, &"x".repeat(most)).await;
    assert_eq!(harness.get("acme", &reference).await.len(), most);
    let too_large = |answer| assert!(matches!(answer, Err(Error::TooLarge { limit: LARGEST, .. })));
    too_large(harness.store.put(&run, vec![b'x'; most + 1].into()).await.map(drop));
    let claim = PayloadReference { size: LARGEST + 1, ..reference };
    too_large(harness.store.get("acme", &claim).await.map(drop));
}

/// A run that is forgotten leaves nothing.
pub async fn a_deleted_run_loses_all_it_had(harness: Harness) {
    let run = run_of("acme");
    let (x, y) = (harness.put(&run, "x").await, harness.put(&run, "y").await);
    harness.store.delete(&run).await.unwrap();
    harness.is_lost("acme", &x).await;
    harness.is_lost("acme", &y).await;
    let again = harness.put(&run, "x").await;
    assert_eq!(harness.get("acme", &again).await, "x");
}

/// Not those of its tenant, nor those of the same id of another tenant.
pub async fn deleting_spares_other_runs(harness: Harness) {
    let run = run_of("acme");
    let theirs = RunKey::new("other", run.run);
    harness.put(&run, "x").await;
    let kept = [harness.put(&run_of("acme"), "x").await, harness.put(&theirs, "x").await];
    harness.store.delete(&run).await.unwrap();
    assert_eq!(harness.get("acme", &kept[0]).await, "x");
    assert_eq!(harness.get("other", &kept[1]).await, "x");
}

/// It is repeated until it is known to be done.
pub async fn deleting_nothing_does_nothing(harness: Harness) {
    let run = run_of("acme");
    harness.store.delete(&run).await.unwrap();
    harness.put(&run, "x").await;
    harness.store.delete(&run).await.unwrap();
    harness.store.delete(&run).await.unwrap();
}

/// Also the same content at once: whoever is later finds it there.
pub async fn many_at_once_are_all_kept(harness: Harness) {
    let run = run_of("acme");
    let puts = (0..50).map(|n| {
        let (store, run) = (Arc::clone(&harness.store), run.clone());
        tokio::spawn(async move { store.put(&run, Bytes::from(format!("{}", n % 10))).await.unwrap() })
    });
    for (n, put) in puts.collect::<Vec<_>>().into_iter().enumerate() {
        let reference = put.await.unwrap();
        assert_eq!(harness.get("acme", &reference).await, (n % 10).to_string());
    }
}
