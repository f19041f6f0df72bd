//! The servers all tests of a run share. `cargo xtask test` and `cargo xtask up` start them; tests only learn where they are.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The variables that tell tests where the servers are.
pub mod variable {
    /// `amqp://guest:guest@127.0.0.1:PORT`.
    pub const RABBITMQ: &str = "OARLOCK_TEST_RABBITMQ";
    /// `http://127.0.0.1:PORT`.
    pub const MANAGEMENT: &str = "OARLOCK_TEST_RABBITMQ_MANAGEMENT";
    /// `redis://127.0.0.1:PORT`.
    pub const REDIS: &str = "OARLOCK_TEST_REDIS";
    /// Three of the like, with commas between.
    pub const REDIS_CLUSTER: &str = "OARLOCK_TEST_REDIS_CLUSTER";
    /// The path of a python3 that can import pika.
    pub const PYTHON: &str = "OARLOCK_TEST_PYTHON";
}

/// Where the servers of this run are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// `amqp://guest:guest@127.0.0.1:PORT`. Use a [`crate::Vhost`] of your own in it.
    pub rabbitmq: String,
    /// `http://127.0.0.1:PORT`, the management interface of that RabbitMQ.
    pub management: String,
    /// `redis://127.0.0.1:PORT`. Use a prefix of your own in it.
    pub redis: String,
    /// Three of the like: a cluster of three primaries.
    pub redis_cluster: Vec<String>,
    /// A python3 that can import pika.
    pub python: PathBuf,
}

impl Shared {
    /// The variables and their values.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            (variable::RABBITMQ, self.rabbitmq.clone()),
            (variable::MANAGEMENT, self.management.clone()),
            (variable::REDIS, self.redis.clone()),
            (variable::REDIS_CLUSTER, self.redis_cluster.join(",")),
            (variable::PYTHON, self.python.to_string_lossy().into_owned()),
        ]
    }

    /// From the values of the variables; nothing where one is missing.
    fn read(value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let value = |name| value(name).filter(|value| !value.is_empty());
        Some(Self {
            rabbitmq: value(variable::RABBITMQ)?,
            management: value(variable::MANAGEMENT)?,
            redis: value(variable::REDIS)?,
            redis_cluster: value(variable::REDIS_CLUSTER)?.split(',').map(str::to_owned).collect(),
            python: value(variable::PYTHON)?.into(),
        })
    }
}

/// The servers of this run: from the environment, else those of a running `cargo xtask up`.
///
/// # Panics
/// Where there are none, with what to do about it.
#[allow(clippy::panic, reason = "no test can go on, and its output tells what to do")]
pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        found().unwrap_or_else(|| {
            panic!(
                "this test needs RabbitMQ and Redis: run `cargo xtask test`, or `cargo xtask up` in another terminal \
                 and this again"
            )
        })
    })
}

/// The same, nothing where there are none.
pub fn found() -> Option<Shared> {
    Shared::read(|name| std::env::var(name).ok()).or_else(|| from_file(&file()))
}

/// What `cargo xtask up` writes, and keeps locked while its servers run: `target/servers.env`.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers.env")
}

fn from_file(path: &Path) -> Option<Shared> {
    // Where nobody holds the lock the servers in it are gone.
    let lock = File::open(path).ok()?.try_lock_shared();
    if !matches!(lock, Err(TryLockError::WouldBlock)) {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    Shared::read(|name| values.get(name).map(|value| (*value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_only_while_the_process_that_wrote_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("servers.env");
        let written = Shared {
            rabbitmq: "amqp://guest:guest@127.0.0.1:1".to_owned(),
            management: "http://127.0.0.1:2".to_owned(),
            redis: "redis://127.0.0.1:3".to_owned(),
            redis_cluster: ["redis://127.0.0.1:4", "redis://127.0.0.1:5"].map(str::to_owned).to_vec(),
            python: "/usr/bin/python3".into(),
        };
        let lines = written.variables().into_iter().map(|(name, value)| format!("{name}={value}\n"));
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        assert_eq!(from_file(&path), None);
        let holder = File::open(&path).unwrap();
        holder.lock().unwrap();
        assert_eq!(from_file(&path), Some(written));
        drop(holder);
        assert_eq!(from_file(&path), None);
        assert_eq!(from_file(&folder.path().join("absent")), None);
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_makes_it_no_set() {
        let all = |name: &str| Some(format!("value of {name}"));
        assert!(Shared::read(all).is_some());
        assert!(Shared::read(|name| all(name).filter(|_| name != variable::REDIS)).is_none());
        assert!(
            Shared::read(|name| if name == variable::PYTHON { Some(String::new()) } else { all(name) })
                .is_none()
        );
    }
}
