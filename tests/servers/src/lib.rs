//! RabbitMQ and Redis for tests: private servers in temporary folders, the shared ones of a run, virtual hosts, and a proxy
//! that fails on demand.
//!
//! Called by the tests of every crate, and by xtask, which starts the shared servers. Names no client library, and ends only
//! what it started, by process id.

pub use error::Error;
pub use process::Process;
pub use proxy::Proxy;
pub use rabbitmq::{RabbitMq, RabbitMqCluster};
pub use redis::{Redis, RedisCluster};
pub use shared::{Shared, shared};
pub use vhost::{Queue, Vhost, queues};

pub mod containers;
mod error;
pub mod management;

mod ports;
mod process;
pub mod programs;
mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod shared;
mod vhost;
mod wait;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// A file of the folder `config`.
fn settings(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    // In a container the folder is at its full path.
    folder.canonicalize().unwrap_or(folder).join(name)
}
