//! The port of what keeps payloads.
//!
//! Every adapter passes the suite `tests/src/conformance/payloads.rs`. The rules, beyond the signatures:
//!
//! - What `put` has answered is kept, whole: nobody ever reads a part, and where the adapter has a disk it is synced.
//! - The same bytes of the same run have the same reference, however often they are put; putting them again mends them.
//! - A reference is a claim that anybody may have written. It is followed only into this store and this tenant, and what is
//!   read has the size and the SHA-256 that it names.

use async_trait::async_trait;
use bytes::Bytes;
use oarlock_protocol::RunKey;
use oarlock_protocol::message::PayloadReference;

use crate::Error;

/// Keeps payloads, each under its run.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Keeps bytes for a run.
    ///
    /// # Errors
    /// [`Error::Unavailable`], or [`Error::TooLarge`].
    async fn put(&self, run: &RunKey, bytes: Bytes) -> Result<PayloadReference, Error>;

    /// Reads what a reference of a tenant's run stands for; of any run of that tenant, since runs hand data on.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`] where it is gone, is not what was written, or belongs to another store or tenant.
    async fn get(&self, tenant: &str, reference: &PayloadReference) -> Result<Bytes, Error>;

    /// Removes everything that was put for a run. Where nothing is left it does nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: some of it may be left.
    async fn delete(&self, run: &RunKey) -> Result<(), Error>;
}
