//! Where the servers' programs are. Called by the servers, and by xtask, which installs what is missing.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Where packages put servers that are not on everybody's PATH.
const FOLDERS: [&str; 6] =
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin"];

/// The folder of RabbitMQ's own scripts: `rabbitmq-server`, `rabbitmqctl`.
///
/// Debian puts a script before them that changes to the user `rabbitmq` and its folders. It is passed over: a private server runs
/// as whoever runs the tests.
pub fn rabbitmq() -> Result<PathBuf> {
    let candidates = std::iter::once(PathBuf::from("/usr/lib/rabbitmq/bin")).chain(folders());
    let scripts = candidates.map(|folder| folder.join("rabbitmq-server"));
    let real = scripts
        .filter_map(|script| script.canonicalize().ok())
        .find(|script| script.ends_with("rabbitmq-server"));
    real.and_then(|script| script.parent().map(Path::to_owned)).ok_or(Error::NotInstalled("rabbitmq-server"))
}

/// The program `redis-server`.
pub fn redis() -> Result<PathBuf> {
    find("redis-server").ok_or(Error::NotInstalled("redis-server"))
}

/// Erlang's daemon that knows where its nodes listen. It comes with RabbitMQ.
pub(crate) fn epmd() -> Result<PathBuf> {
    find("epmd").ok_or(Error::NotInstalled("epmd"))
}

fn find(name: &str) -> Option<PathBuf> {
    folders().map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    path.into_iter().chain(FOLDERS.map(PathBuf::from))
}
