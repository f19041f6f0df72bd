//! Reads the address of a store: `file:///directory`, and `s3://bucket/prefix` in builds that know S3.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use super::Objects;
use super::directory::Directory;

/// Why a store cannot be opened: somebody has to change something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The address makes no sense here.
    #[error("payloads.url is '{url}': {reason}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it, with the remedy.
        reason: String,
    },
    /// The directory cannot be used.
    #[error(
        "the directory {directory} of payloads.url cannot be used: {reason}; make it, and let this user write there"
    )]
    Directory {
        /// Which one.
        directory: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Objects {
    /// Opens the store at an address. All who share payloads must write the address alike: references begin with it.
    ///
    /// # Errors
    /// The address or the directory cannot be used. An S3 that is away is no error here.
    pub fn open(url: &str, largest_bytes: u64) -> Result<Self, OpenError> {
        let trimmed = url.trim_end_matches('/');
        if let Some(directory) = trimmed.strip_prefix("file://") {
            return in_directory(url, trimmed, PathBuf::from(directory), largest_bytes);
        }
        if trimmed.starts_with("s3://") {
            return in_s3(url, trimmed, largest_bytes);
        }
        Err(wrong(url, "it is file:///directory or s3://bucket/prefix"))
    }
}

fn wrong(url: &str, reason: impl Into<String>) -> OpenError {
    OpenError::Address { url: url.to_owned(), reason: reason.into() }
}

fn in_directory(
    url: &str,
    trimmed: &str,
    directory: PathBuf,
    largest_bytes: u64,
) -> Result<Objects, OpenError> {
    if !directory.is_absolute() || trimmed.contains('%') {
        return Err(wrong(url, "a directory is written whole, as in file:///srv/payloads, without %"));
    }
    let unusable = |reason: String| OpenError::Directory { directory: directory.clone(), reason };
    let store = LocalFileSystem::new_with_prefix(&directory).map_err(|error| unusable(error.to_string()))?;
    let marked = Directory::open(directory.clone()).map_err(|error| unusable(error.to_string()))?;
    Ok(Objects {
        // Synced, for whoever commits a reference has promised that the payload is there.
        store: Arc::new(store.with_fsync(true)),
        url: trimmed.to_owned(),
        directory: Some(marked),
        largest_bytes,
    })
}

#[cfg(feature = "s3")]
fn in_s3(url: &str, trimmed: &str, largest_bytes: u64) -> Result<Objects, OpenError> {
    use std::time::Duration;

    use object_store::aws::AmazonS3Builder;
    use object_store::prefix::PrefixStore;
    use object_store::{ObjectStore, RetryConfig};

    /// How long one call tries again by itself: whoever called tries on, and tells of it.
    const RETRIES: RetryConfig = RetryConfig {
        backoff: object_store::BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(20),
    };
    let (bucket, prefix) =
        trimmed["s3://".len()..].split_once('/').unwrap_or((&trimmed["s3://".len()..], ""));
    if bucket.is_empty() {
        return Err(wrong(url, "it names no bucket"));
    }
    let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(RETRIES).build();
    let store = store
        .map_err(|error| wrong(url, format!("{error}; the environment holds the rest, as AWS_REGION")))?;
    let store: Arc<dyn ObjectStore> =
        if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) };
    Ok(Objects { store, url: trimmed.to_owned(), directory: None, largest_bytes })
}

#[cfg(not(feature = "s3"))]
fn in_s3(url: &str, _: &str, _: u64) -> Result<Objects, OpenError> {
    Err(wrong(url, "this build knows no S3: build it with `--features s3`, or name a file:///directory"))
}
