//! A private Redis on a loopback port, with its data in a temporary folder, from the settings of `config/redis.conf`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub use client::Reply;
pub use cluster::RedisCluster;

use crate::ports::Port;
use crate::process::Process;
use crate::{Error, Result, programs, settings, wait};

mod client;
mod cluster;

/// It takes a tenth of a second, more with data to read or where all tests start at once.
const START: Duration = Duration::from_secs(60);
/// An orderly end syncs the append-only file.
const STOP: Duration = Duration::from_secs(30);

/// When a write is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendSync {
    /// Before it is answered.
    Always,
    /// Within a second.
    EverySecond,
    /// When the system likes.
    No,
}

/// What a private Redis does differently from `config/redis.conf`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `appendfsync`; as in `config/redis.conf` where absent.
    pub append_sync: Option<AppendSync>,
    /// The password clients must give.
    pub password: Option<String>,
    /// Further arguments of `redis-server`, such as `["--maxmemory", "10mb"]`.
    pub arguments: Vec<String>,
    /// A folder with the data of an earlier server, for instance a copy of its [`Redis::data_folder`]. It is used in place and
    /// left when this server ends; a folder of its own is removed.
    pub folder: Option<PathBuf>,
}

/// A private Redis. Ends, with its folder, when dropped.
#[derive(Debug)]
pub struct Redis {
    // Before the folder: the process ends first.
    server: Option<Process>,
    port: Port,
    arguments: Vec<String>,
    password: Option<String>,
    folder: PathBuf,
    _own_folder: Option<TempDir>,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub fn start(options: Options) -> Result<Self> {
        let (folder, own_folder) = match options.folder {
            Some(folder) => (folder, None),
            None => {
                let own = tempfile::Builder::new().prefix("oarlock-redis-").tempdir();
                let own = own.map_err(Error::io("a folder for Redis"))?;
                (own.path().to_owned(), Some(own))
            }
        };
        let mut arguments = options.arguments;
        if let Some(sync) = options.append_sync {
            let sync = match sync {
                AppendSync::Always => "always",
                AppendSync::EverySecond => "everysec",
                AppendSync::No => "no",
            };
            arguments.extend(["--appendfsync".to_owned(), sync.to_owned()]);
        }
        if let Some(password) = &options.password {
            arguments.extend(["--requirepass", password, "--masterauth", password].map(str::to_owned));
        }
        let (server, password) = (None, options.password);
        let mut redis =
            Self { server, port: Port::take()?, arguments, password, folder, _own_folder: own_folder };
        redis.start_again()?;
        Ok(redis)
    }

    /// Where clients connect: `redis://127.0.0.1:PORT`, or `redis://:PASSWORD@127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}", self.port.number())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its process id; 0 while it is down.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Process::id)
    }

    /// Where its data and its log (`server.log`) are.
    pub fn data_folder(&self) -> &Path {
        &self.folder
    }

    /// Ends it as a power cut would: SIGKILL. Data and port stay its own.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Ends it in order, as an administrator would. Data and port stay its own.
    pub fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.terminate(STOP))
    }

    /// Stops its processor time: connections stay open and nothing answers, until [`Self::resume`].
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(server) = &mut self.server {
            server.signal(signal);
        }
    }

    /// Starts it on the same port and data, after [`Self::kill`] or [`Self::stop`], and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.server = None;
        let mut command = programs::command("redis-server")?;
        command.arg(settings_file()).args(["--bind", "127.0.0.1", "--port", &self.port.number().to_string()]);
        command.arg("--dir").arg(&self.folder).args(&self.arguments);
        command.current_dir(&self.folder);
        self.server = Some(Process::start(command, &self.log_file())?);
        wait::until("Redis answers", START, || self.answers())?
    }

    /// Whether it answers a PING, which it does not while it reads its data; an inner error where it has ended.
    fn answers(&mut self) -> std::result::Result<Result<()>, String> {
        if !self.server.as_mut().is_some_and(Process::runs) {
            let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
            return Ok(Err(Error::Ended { server: "Redis", log }));
        }
        self.command(&["PING"]).map(|_| Ok(())).map_err(|error| error.to_string())
    }

    /// Sends one command over a connection of its own and returns the reply; an error reply is an [`Error::Refused`].
    pub fn command(&self, arguments: &[&str]) -> Result<Reply> {
        client::ask(self.port.number(), self.password.as_deref(), arguments)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

/// `config/redis.conf` of this project, which docker-compose.yml mounts too.
pub fn settings_file() -> PathBuf {
    settings("redis.conf")
}
