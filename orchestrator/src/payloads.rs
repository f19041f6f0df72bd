//! Payloads that decisions look into: read for them, off the way of the partitions, and the latest kept in memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oarlock_payloads::{Error, Payloads};
use oarlock_protocol::Json;
use oarlock_protocol::message::PayloadReference;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How many bytes of payloads a node keeps read, as they lie in the store: in memory they take several times as much.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// How many payloads are read at once, by all partitions of a node.
const READ_AT_ONCE: usize = 4;
/// How long a store that does not answer is asked again before the step that needs a payload fails: longer than a restart or a
/// mount takes, and shorter than a broker lets a message wait for its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The pause before it is asked again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a reference stands for, or why it cannot be read.
pub(crate) type Read = oarlock_engine::payloads::Read;

/// Reads payloads for the decisions of a node.
pub(crate) struct Reader {
    payloads: Payloads,
    turns: Semaphore,
    kept: Mutex<Kept>,
}

/// The payloads that were read last, the latest last.
#[derive(Default)]
struct Kept {
    payloads: Vec<(String, PayloadReference, Arc<Json>)>,
    bytes: u64,
}

impl Reader {
    /// A reader of the store.
    pub(crate) fn new(payloads: Payloads) -> Self {
        Self { payloads, turns: Semaphore::new(READ_AT_ONCE), kept: Mutex::default() }
    }

    /// A payload that was read lately.
    pub(crate) fn kept(&self, tenant: &str, reference: &PayloadReference) -> Option<Arc<Json>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(tenant, reference)
    }

    /// Reads a payload, and tries again while the store does not answer.
    pub(crate) async fn read(&self, tenant: &str, reference: &PayloadReference) -> Read {
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(kept) = self.kept(tenant, reference) {
                return Ok(kept);
            }
            let error = match self.read_once(tenant, reference).await {
                Ok(payload) => return Ok(payload),
                Err(error) => error,
            };
            if !matches!(error, Error::Unavailable(_)) || Instant::now() + pause > until {
                return Err(error.to_string());
            }
            if pause == FIRST_PAUSE {
                tracing::warn!(%error, "a decision waits for a payload; asking again");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn read_once(&self, tenant: &str, reference: &PayloadReference) -> Result<Arc<Json>, Error> {
        // Closed never; and without a turn it is read all the same.
        let _turn = self.turns.acquire().await;
        let payload = Arc::new(self.payloads.read(tenant, reference).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(tenant, reference, &payload);
        Ok(payload)
    }
}

impl Kept {
    fn get(&mut self, tenant: &str, reference: &PayloadReference) -> Option<Arc<Json>> {
        let found = self.payloads.iter().position(|(of, kept, _)| of == tenant && kept == reference)?;
        let entry = self.payloads.remove(found);
        let payload = entry.2.clone();
        self.payloads.push(entry);
        Some(payload)
    }

    fn put(&mut self, tenant: &str, reference: &PayloadReference, payload: &Arc<Json>) {
        if reference.size > KEPT_BYTES || self.get(tenant, reference).is_some() {
            return;
        }
        self.payloads.push((tenant.to_owned(), reference.clone(), payload.clone()));
        self.bytes += reference.size;
        while self.bytes > KEPT_BYTES {
            let (_, oldest, _) = self.payloads.remove(0);
            self.bytes -= oldest.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(name: &str, size: u64) -> PayloadReference {
        PayloadReference { uri: name.to_owned(), size, sha256: String::new() }
    }

    #[test]
    fn the_latest_are_kept_within_bounds_and_for_their_tenant_alone() {
        let mut kept = Kept::default();
        let half = KEPT_BYTES / 2;
        for name in ["a", "b"] {
            kept.put("acme", &reference(name, half), &Arc::new(Json::from(name)));
        }
        assert!(kept.get("acme", &reference("a", half)).is_some());
        assert!(kept.get("other", &reference("a", half)).is_none(), "another tenant's claim is not followed");
        kept.put("acme", &reference("c", half), &Arc::new(Json::Null));
        assert!(kept.get("acme", &reference("b", half)).is_none(), "used longest ago");
        assert_eq!(kept.get("acme", &reference("a", half)).as_deref(), Some(&Json::from("a")));
        kept.put("acme", &reference("d", KEPT_BYTES + 1), &Arc::new(Json::Null));
        assert_eq!((kept.payloads.len(), kept.bytes), (2, KEPT_BYTES));
    }
}
