//! `worker.toml` and `--exec`: which commands a worker may run, which hosts it may call, how much at once.
//!
//! ```toml
//! slots = 4
//! early_ack = "30s"
//!
//! [exec]
//! "log.check" = "sh check.sh"
//!
//! [exec."log.split"]
//! command = "sh split.sh"
//! queue = "logs"
//! kill_grace = "2s"
//!
//! [http]
//! allow_hosts = ["api.example.com", "127.0.0.1:*"]
//!
//! [worker]
//! secrets = "secrets"
//! ```
//!
//! Commands run in the folder of the file, and the folder of secrets is named from there. `cli` reads it; nothing of it ever
//! comes from a definition. The sections `[broker]`, `[limits]`, `[log]`, `[payloads]`, `[telemetry]` and all else of `[worker]` are those of
//! config/oarlock.toml: the binary reads them for `oarlock worker`, not this.

mod near;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::Broker;
use oarlock_protocol::name::check_task_name;

use crate::builder::Builder;
use crate::hosts::HostPattern;
use crate::{Exec, Secrets, Worker, exec};

/// The name of the file beside a workflow.
pub const FILE: &str = "worker.toml";
#[cfg(feature = "http")]
const HTTP_QUEUE: &str = crate::http::TASK;
/// Without the feature no worker comes of settings with hosts.
#[cfg(not(feature = "http"))]
const HTTP_QUEUE: &str = "";
/// More than any sound file has: a wrong path must not be read into memory.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// What a stock worker may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    folder: PathBuf,
    slots: Option<usize>,
    early_ack: Option<Duration>,
    commands: BTreeMap<String, CommandSettings>,
    allow_hosts: Option<Vec<HostPattern>>,
    secrets: Option<PathBuf>,
}

/// How one task is run as a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSettings {
    /// What `sh -c` runs.
    pub command: String,
    /// The queue the task is taken from; that of its name where absent.
    pub queue: Option<String>,
    /// How long it may take to end after SIGTERM.
    pub kill_grace: Duration,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the file is wrong.
    #[error("{place}: {message}")]
    Wrong {
        /// The file, line and column.
        place: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// An `--exec` flag is wrong.
    #[error("--exec {flag}: {message}")]
    Flag {
        /// The flag's value.
        flag: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The folder of secrets cannot be read.
    #[error("the folder of secrets {} cannot be read: {why}", path.display())]
    Secrets {
        /// Which folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// `[http]` cannot be had here.
    #[error("[http] in worker.toml: {0}")]
    Http(String),
}

impl Settings {
    /// No commands and no hosts; commands that are added run in `folder`.
    pub fn empty(folder: PathBuf) -> Self {
        let commands = BTreeMap::new();
        Self { folder, slots: None, early_ack: None, commands, allow_hosts: None, secrets: None }
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > LARGEST_BYTES {
            return Err(unreadable(io::Error::other(format!(
                "it has {size} bytes, at most {LARGEST_BYTES} are read"
            ))));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        read::settings(&text, path, folder)
    }

    /// Adds the command of an `--exec` flag; it comes before one of the file.
    pub fn add_command(&mut self, task: String, command: String) {
        let settings = CommandSettings { command, queue: None, kill_grace: exec::DEFAULT_KILL_GRACE };
        self.commands.insert(task, settings);
    }

    /// Lets the command of a task be taken from `queue`, where the file names none: known from a definition at hand.
    pub fn set_queue(&mut self, task: &str, queue: &str) {
        if let Some(command) = self.commands.get_mut(task) {
            command.queue.get_or_insert_with(|| queue.to_owned());
        }
    }

    /// The tasks that are run as commands.
    pub fn commands(&self) -> &BTreeMap<String, CommandSettings> {
        &self.commands
    }

    /// How many executions run at once, where the file says so.
    pub fn slots(&self) -> Option<usize> {
        self.slots
    }

    /// Lets so many executions run at once, whatever the file says.
    pub fn set_slots(&mut self, slots: usize) {
        self.slots = Some(slots);
    }

    /// After how long a task that still runs is acknowledged, where the file says so.
    pub fn early_ack(&self) -> Option<Duration> {
        self.early_ack
    }

    /// The folder of secrets, where the file or [`Settings::set_secrets`] names one.
    pub fn secrets(&self) -> Option<&Path> {
        self.secrets.as_deref()
    }

    /// Reads secrets from this folder, whatever the file says.
    pub fn set_secrets(&mut self, folder: PathBuf) {
        self.secrets = Some(folder);
    }

    /// Checks that the folder of secrets is there: a wrong path is told at the start, not by the first task.
    ///
    /// # Errors
    /// [`Error::Secrets`].
    pub fn check_secrets(&self) -> Result<(), Error> {
        let Some(folder) = &self.secrets else { return Ok(()) };
        let unreadable = |why: String| Error::Secrets { path: folder.clone(), why };
        let found = std::fs::metadata(folder).map_err(|error| unreadable(error.to_string()))?;
        if found.is_dir() { Ok(()) } else { Err(unreadable("it is no folder".to_owned())) }
    }

    /// The queues a worker of these settings takes tasks from, without their prefix.
    pub fn queues(&self) -> BTreeSet<&str> {
        let commands = self.commands.iter();
        let queues = commands.map(|(task, command)| command.queue.as_deref().unwrap_or(task));
        queues.chain(self.has_http().then_some(HTTP_QUEUE)).collect()
    }

    /// Whether the worker executes `http.request`.
    pub fn has_http(&self) -> bool {
        self.allow_hosts.is_some()
    }

    /// Whether the worker would have nothing to do.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && !self.has_http()
    }

    /// A worker that does what the settings allow.
    pub fn into_worker(self, broker: Arc<dyn Broker>) -> Result<Builder, Error> {
        self.check_secrets()?;
        let mut builder = Worker::builder(broker).secrets(Secrets::new(self.secrets));
        if let Some(slots) = self.slots {
            builder = builder.slots(slots);
        }
        if let Some(after) = self.early_ack {
            builder = builder.early_ack(after);
        }
        for (task, settings) in self.commands {
            let exec = Exec::new(&settings.command, self.folder.clone()).kill_grace(settings.kill_grace);
            let queue = settings.queue.as_deref().unwrap_or(&task);
            builder = builder.handler(queue, &task, Arc::new(exec));
        }
        match self.allow_hosts {
            Some(hosts) => with_http(builder, hosts),
            None => Ok(builder),
        }
    }
}

/// Reads `NAME=COMMAND`, the value of an `--exec` flag: the task and what `sh -c` runs for it.
pub fn parse_exec_flag(flag: &str) -> Result<(String, String), Error> {
    let wrong = |message: String| Error::Flag { flag: flag.to_owned(), message };
    let (name, command) = flag
        .split_once('=')
        .ok_or_else(|| wrong("write the task's name and its command: --exec NAME='command'".to_owned()))?;
    check_task_name(name).map_err(|error| wrong(error.to_string()))?;
    if command.trim().is_empty() {
        return Err(wrong(format!("the command is empty: --exec {name}='command'")));
    }
    Ok((name.to_owned(), command.to_owned()))
}

#[cfg(feature = "http")]
fn with_http(builder: Builder, hosts: Vec<HostPattern>) -> Result<Builder, Error> {
    let http = crate::http::Http::new(hosts).map_err(|error| Error::Http(error.to_string()))?;
    Ok(builder.handler(crate::http::TASK, crate::http::TASK, Arc::new(http)))
}

#[cfg(not(feature = "http"))]
fn with_http(_: Builder, _: Vec<HostPattern>) -> Result<Builder, Error> {
    Err(Error::Http("this binary was built without the feature `http`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_a_name_and_a_command() {
        let parsed = parse_exec_flag("a.b=x --y=z").unwrap();
        assert_eq!(parsed, ("a.b".to_owned(), "x --y=z".to_owned()));
        for (flag, said) in
            [("a", "NAME='command'"), ("a b=c", "no valid task"), ("a= ", "empty"), ("=x", "no valid")]
        {
            let error = parse_exec_flag(flag).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--exec {flag}: ")) && error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_flag_comes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "[exec]\na = \"old\"\nb = \"kept\"\n").unwrap();
        let mut settings = Settings::load(&path).unwrap();
        settings.add_command("a".into(), "new".into());
        let commands: Vec<_> =
            settings.commands().values().map(|settings| settings.command.as_str()).collect();
        assert_eq!(commands, ["new", "kept"]);
        assert_eq!(settings.folder, folder.path());
    }

    #[test]
    fn a_queue_of_the_file_comes_before_a_definitions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "[exec]\na = \"x\"\n[exec.b]\ncommand = \"y\"\nqueue = \"own\"\n").unwrap();
        let mut settings = Settings::load(&path).unwrap();
        ["a", "b", "unknown"].iter().for_each(|task| settings.set_queue(task, "routed"));
        let queues: Vec<_> = settings.commands().values().map(|command| command.queue.as_deref()).collect();
        assert_eq!(queues, [Some("routed"), Some("own")]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Settings::load(Path::new("nowhere/worker.toml")).unwrap_err().to_string();
        assert!(error.starts_with("nowhere/worker.toml cannot be read: "), "{error}");
    }
}
