//! Payloads in whatever `object_store` reaches: a directory, S3, or memory. A payload's key is `<tenant>/<run>/<sha256>`.

use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::{RunId, RunKey};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::{Error, Store};

mod directory;
mod open;

use directory::Directory;
pub use open::OpenError;

/// How long the store may take for one payload: a network file system that hangs answers never.
const PATIENCE: Duration = Duration::from_secs(30);
/// Above this a hash is calculated off the threads that serve: it takes milliseconds.
const HASHED_HERE: usize = 256 * 1024;
/// How many objects of a run are removed at once.
const DELETED_AT_ONCE: usize = 16;

/// Payloads in an object store.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The address of the store, without a slash at its end.
    url: String,
    /// Where it is a directory of this machine.
    directory: Option<Directory>,
    largest_bytes: u64,
}

impl Objects {
    /// A store in the memory of this process, which ends with it.
    pub fn memory(largest_bytes: u64) -> Self {
        let store = Arc::new(InMemory::new());
        Self { store, url: "memory://".to_owned(), directory: None, largest_bytes }
    }

    /// The address of the store, as references begin.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn reference(&self, key: &Path, size: u64, sha256: String) -> PayloadReference {
        PayloadReference { uri: format!("{}/{key}", self.url), size, sha256 }
    }

    /// The key a reference names, where it names one of this store and this tenant. It is made anew from its parts, so no
    /// spelling of an address leads anywhere else.
    fn key_of(&self, tenant: &str, reference: &PayloadReference) -> Result<Path, Error> {
        let lost = |reason: &str| Error::lost(&reference.uri, reason);
        let inside = reference.uri.strip_prefix(&self.url).and_then(|rest| rest.strip_prefix('/'));
        let Some(inside) = inside else {
            return Err(lost(&format!("is outside the payload store, {}", self.url)));
        };
        let run = inside.split('/').nth(1).and_then(|run| run.parse::<RunId>().ok());
        let key = run.map(|run| key(&RunKey::new(tenant, run), &reference.sha256));
        match key {
            Some(key) if key.as_ref() == inside => Ok(key),
            _ => Err(lost("is not one of this tenant, or its address does not fit its SHA-256")),
        }
    }

    async fn check(&self) -> Result<(), Error> {
        match &self.directory {
            Some(directory) => within(directory.check()).await,
            None => Ok(()),
        }
    }

    async fn read(&self, key: &Path, reference: &PayloadReference) -> Result<Bytes, Error> {
        let found = match self.store.get(key).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => {
                // A directory that is not there, as while a disk is not mounted, has lost nothing.
                self.check().await?;
                return Err(Error::lost(&reference.uri, "is not there"));
            }
            Err(error) => return Err(unavailable(error)),
        };
        let size = found.meta.size;
        if size != reference.size {
            return Err(Error::lost(
                &reference.uri,
                format!("has {size} bytes, not the {} written", reference.size),
            ));
        }
        found.bytes().await.map_err(unavailable)
    }
}

#[async_trait]
impl Store for Objects {
    async fn put(&self, run: &RunKey, bytes: Bytes) -> Result<PayloadReference, Error> {
        let size = bytes.len() as u64;
        bounded(size, self.largest_bytes)?;
        let sha256 = hash(bytes.clone()).await?;
        let key = key(run, &sha256);
        self.check().await?;
        within(async { self.store.put(&key, PutPayload::from(bytes)).await.map_err(unavailable) }).await?;
        Ok(self.reference(&key, size, sha256))
    }

    async fn get(&self, tenant: &str, reference: &PayloadReference) -> Result<Bytes, Error> {
        bounded(reference.size, self.largest_bytes)?;
        let key = self.key_of(tenant, reference)?;
        let bytes = within(self.read(&key, reference)).await?;
        if hash(bytes.clone()).await? != reference.sha256 {
            return Err(Error::lost(&reference.uri, "is not what was written: its SHA-256 is another"));
        }
        Ok(bytes)
    }

    async fn delete(&self, run: &RunKey) -> Result<(), Error> {
        self.check().await?;
        let prefix = Path::from_iter([run.tenant.as_ref(), run.run.to_string().as_str()]);
        if let Some(directory) = &self.directory {
            return within(directory.remove(&prefix)).await;
        }
        let found = self.store.list(Some(&prefix)).map_ok(|object| object.location).boxed();
        let deleted = self.store.delete_stream(found).map(|deleted| match deleted {
            // Another node was faster.
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        });
        within(deleted.try_for_each_concurrent(DELETED_AT_ONCE, |()| async { Ok(()) })).await
    }
}

fn key(run: &RunKey, sha256: &str) -> Path {
    Path::from_iter([run.tenant.as_ref(), run.run.to_string().as_str(), sha256])
}

fn bounded(size: u64, limit: u64) -> Result<(), Error> {
    if size > limit { Err(Error::TooLarge { size, limit }) } else { Ok(()) }
}

async fn within<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}

/// The SHA-256 in hex, as small letters.
async fn hash(bytes: Bytes) -> Result<String, Error> {
    if bytes.len() <= HASHED_HERE {
        return Ok(hex(&bytes));
    }
    tokio::task::spawn_blocking(move || hex(&bytes))
        .await
        .map_err(|error| Error::Unavailable(error.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unavailable(error: object_store::Error) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
