//! Where the servers' programs are. Called by the servers, and by xtask, which installs what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result, containers};

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

/// The program `promtool`, which checks what is written for Prometheus.
pub fn promtool() -> Result<PathBuf> {
    find("promtool").ok_or(Error::NotInstalled("promtool"))
}

/// A command that runs a program of a server: by its path where it is installed, else by its bare name, which
/// [`crate::process`] runs in a container.
pub(crate) fn command(name: &'static str) -> Result<Command> {
    let installed = match name {
        "rabbitmq-server" | "rabbitmqctl" => rabbitmq().map(|folder| folder.join(name)),
        // Erlang's daemon that knows where its nodes listen comes with RabbitMQ.
        _ => find(name).ok_or(Error::NotInstalled(name)),
    };
    match installed {
        Err(_) if containers::are_allowed() => Ok(Command::new(name)),
        installed => installed.map(Command::new),
    }
}

fn find(name: &str) -> Option<PathBuf> {
    folders().map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    path.into_iter().chain(FOLDERS.map(PathBuf::from))
}
