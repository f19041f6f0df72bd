//! A private RabbitMQ: one node on loopback ports, with its data in a temporary folder, from the settings of
//! `config/rabbitmq.conf`; or a cluster of them.
//!
//! It has its own name, cookie and `epmd`, so nothing of another RabbitMQ on the machine is touched.

use std::fs::{create_dir_all, write};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub use cluster::RabbitMqCluster;
use names::Names;

use crate::ports::Port;
use crate::process::{self, Process};
use crate::{Error, Result, management, programs, settings, wait};

mod cluster;
mod names;

/// It takes five seconds alone, several times that where all tests start at once.
const START: Duration = Duration::from_secs(120);
/// An orderly end closes every queue.
const STOP: Duration = Duration::from_secs(60);

/// What a private RabbitMQ does differently from `config/rabbitmq.conf`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// After this time a message that was not acknowledged is taken back. RabbitMQ looks once a minute.
    pub consumer_timeout: Option<Duration>,
    /// Further lines of `rabbitmq.conf`, such as `heartbeat = 10`.
    pub configuration: Vec<String>,
    /// Users beside `guest`: name and password. Each may do everything in the virtual host `/`.
    pub users: Vec<(String, String)>,
}

/// A private RabbitMQ with its management interface. Ends, with its folder, when dropped.
#[derive(Debug)]
pub struct RabbitMq {
    // Before the folder: the processes end first.
    server: Option<Process>,
    names: Arc<Names>,
    amqp: Port,
    management: Port,
    distribution: Port,
    folder: TempDir,
}

impl RabbitMq {
    /// Starts one and waits until it answers AMQP and HTTP.
    pub fn start(options: Options) -> Result<Self> {
        let folder = folder()?;
        let names = Arc::new(Names::start(folder.path())?);
        let mut rabbit = Self::prepare(folder, names)?;
        rabbit.configure(&options)?;
        rabbit.start_again()?;
        for (name, password) in &options.users {
            rabbit.add_user(name, password)?;
        }
        Ok(rabbit)
    }

    /// A node that does not run yet.
    fn prepare(folder: TempDir, names: Arc<Names>) -> Result<Self> {
        let (amqp, management, distribution) = (Port::take()?, Port::take()?, Port::take()?);
        Ok(Self { server: None, names, amqp, management, distribution, folder })
    }

    /// Where clients connect: `amqp://guest:guest@127.0.0.1:PORT`, the virtual host `/`.
    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.amqp.number())
    }

    /// Where its management interface is: `http://127.0.0.1:PORT`, as guest with the password guest.
    pub fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.management.number())
    }

    /// The process id of the Erlang machine; 0 while it is down.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Process::id)
    }

    /// Where its data and its log (`server.log`) are.
    pub fn data_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it as a power cut would: SIGKILL. Data and ports stay its own.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Ends it in order, as an administrator would. Data and ports stay its own.
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

    /// Starts it on the same ports and data, after [`Self::kill`] or [`Self::stop`], and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.server = None;
        // With this variable the script becomes the Erlang machine: no shell stands between, whose id would be of no use.
        let mut node = programs::command("rabbitmq-server")?;
        node.env("detached", "true");
        self.environment(&mut node);
        self.server = Some(Process::start(node, &self.log_file())?);
        wait::until("RabbitMQ answers", START, || self.answers())?
    }

    /// Whether it answers AMQP and HTTP; an inner error where it has ended.
    fn answers(&mut self) -> std::result::Result<Result<()>, String> {
        if !self.server.as_mut().is_some_and(Process::runs) {
            return Ok(Err(Error::Ended { server: "RabbitMQ", log: self.log() }));
        }
        greeting(self.amqp.number()).map_err(|error| format!("AMQP: {error}"))?;
        management::ask("GET", &self.management(), "/api/overview", "").map_err(|error| error.to_string())?;
        Ok(Ok(()))
    }

    /// Raises the memory alarm, at which RabbitMQ takes no more messages, or ends it.
    pub fn alarm(&self, on: bool) -> Result<()> {
        // The second is the share in config/rabbitmq.conf.
        let share = if on { "0.0000001" } else { "0.4" };
        self.control(&["set_vm_memory_high_watermark", share]).map(drop)
    }

    /// Waits until the disk knows that a quorum queue exists; `vhost` is the name of its virtual host, such as `/`.
    ///
    /// RabbitMQ answers the declaration about a second earlier. Killed in that second it forgets the queue's log with all
    /// confirmed messages, and the queue has no leader afterwards. Call this between the declaration and [`Self::kill`].
    pub fn until_on_disk(&self, vhost: &str, queue: &str) -> Result<()> {
        let node = self.node_name();
        let names = self.folder.path().join("data").join(&node).join("quorum").join(node).join("names.dets");
        let name = format!("{}_{queue}", vhost.replace('/', "%2F"));
        wait::until(&format!("the queue {queue} is on disk"), START, || {
            let bytes = std::fs::read(&names).map_err(|error| error.to_string())?;
            // An Erlang atom has its length before it. The word at 8 is 1 while nothing is left to be written.
            let atom = [&[u8::try_from(name.len()).unwrap_or_default()], name.as_bytes()].concat();
            let is_named = bytes.windows(atom.len()).any(|window| window == atom);
            let is_saved = bytes.get(8..12) == Some(&[0, 0, 0, 1]);
            let state = format!("{}: named {is_named}, saved {is_saved}", names.display());
            (is_named && is_saved).then_some(()).ok_or(state)
        })
    }

    /// Runs `rabbitmqctl` with these arguments against this node. Returns what it prints.
    pub fn control(&self, arguments: &[&str]) -> Result<String> {
        let request = format!("rabbitmqctl {}", arguments.join(" "));
        let mut command = programs::command("rabbitmqctl")?;
        command.args(arguments);
        self.environment(&mut command);
        let output = process::output(command)?;
        if !output.status.success() {
            let answer = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Refused { request, answer });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes the settings that differ from `config/rabbitmq.conf`; RabbitMQ reads both, and the later wins.
    fn configure(&self, options: &Options) -> Result<()> {
        let mut lines = vec![
            format!("listeners.tcp.1 = 127.0.0.1:{}", self.amqp.number()),
            "management.tcp.ip = 127.0.0.1".to_owned(),
            format!("management.tcp.port = {}", self.management.number()),
            // A machine for tests may have little; what fills it is gone after the test.
            "disk_free_limit.absolute = 50MB".to_owned(),
        ];
        lines.extend(options.consumer_timeout.map(|time| format!("consumer_timeout = {}", time.as_millis())));
        lines.extend(options.configuration.iter().cloned());
        let folder = self.folder.path();
        let settings = folder.join("conf.d");
        create_dir_all(&settings)
            .and_then(|()| write(settings.join("90-test.conf"), lines.join("\n") + "\n"))
            .and_then(|()| write(folder.join("plugins"), "[rabbitmq_management].\n"))
            .map_err(Error::io("the settings of RabbitMQ"))
    }

    /// What makes the node, its `epmd` and `rabbitmqctl` one private set. Every RABBITMQ_ variable of the caller is dropped.
    fn environment(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RABBITMQ_") {
                command.env_remove(name);
            }
        }
        let folder = self.folder.path();
        command
            .current_dir(folder)
            // The cookie, by which nodes and rabbitmqctl know each other, is made here.
            .env("HOME", folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.names.port().to_string())
            .env("RABBITMQ_NODENAME", self.node_name())
            .env("RABBITMQ_DIST_PORT", self.distribution.number().to_string())
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("no-environment-file"))
            .env("RABBITMQ_CONFIG_FILE", settings_file())
            .env("RABBITMQ_CONFIG_FILES", folder.join("conf.d/*.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            // Counts of messages in the management interface are refreshed twice a second instead of every five.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false \
                 -rabbit quorum_tick_interval 500 -rabbit collect_statistics_interval 500",
            );
    }

    fn add_user(&self, name: &str, password: &str) -> Result<()> {
        let user = serde_json::json!({"password": password, "tags": "administrator"}).to_string();
        let rights = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
        management::ask("PUT", &self.management(), &format!("/api/users/{name}"), &user)?;
        management::ask("PUT", &self.management(), &format!("/api/permissions/%2F/{name}"), rights)?;
        Ok(())
    }

    fn node_name(&self) -> String {
        format!("oarlock{}@localhost", self.amqp.number())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("oarlock-rabbitmq-").tempdir();
    folder.map_err(Error::io("a folder for RabbitMQ"))
}

/// `config/rabbitmq.conf` of this project, which docker-compose.yml mounts too.
pub fn settings_file() -> PathBuf {
    settings("rabbitmq.conf")
}

/// Opens an AMQP connection as far as the server's first frame.
fn greeting(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut first = [0; 1];
    stream.read_exact(&mut first)?;
    // The type of a frame with a method, which is connection.start here.
    if first == [1] { Ok(()) } else { Err(std::io::Error::other("not AMQP 0-9-1")) }
}
