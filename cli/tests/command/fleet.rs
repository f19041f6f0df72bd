//! Orchestrators and workers over the RabbitMQ and the Redis of this run, in a virtual host and under a prefix of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;

use oarlock_test_servers::{Vhost, shared};
use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::{Ended, Folder, Process, eventually};
use crate::server::Server;

/// Where the processes of a test meet. What it leaves in the servers goes with it.
pub(crate) struct Fleet {
    pub(crate) vhost: Vhost,
    environment: Vec<(&'static str, String)>,
}

/// `oarlock worker`, which takes tasks.
pub(crate) struct Worker {
    process: Process,
    /// What it said before it took tasks.
    pub(crate) said: String,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let vhost = Vhost::create(&shared().management).unwrap();
        let environment = vec![
            ("OARLOCK_BROKER__NODES", vhost.uri()),
            ("OARLOCK_STORE__NODES", shared().redis.clone()),
            ("OARLOCK_STORE__PREFIX", vhost.name().to_owned()),
            ("OARLOCK_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ];
        Self { vhost, environment }
    }

    /// Sets a variable of every process that is started from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    /// `oarlock` with these arguments and the fleet's settings.
    pub(crate) fn command(&self, folder: &Folder, arguments: &[&str]) -> Command {
        let mut command = folder.command(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// An orchestrator that listens; whether it is ready is another matter.
    #[track_caller]
    pub(crate) fn begin(&self, folder: &Folder, arguments: &[&str]) -> Server {
        let arguments = [&["orchestrator"], arguments].concat();
        let started = Server::start_by(&mut self.command(folder, &arguments));
        started.unwrap_or_else(|said| panic!("it does not listen:\n{said}"))
    }

    /// An orchestrator that is ready, with these definitions registered.
    #[track_caller]
    pub(crate) fn orchestrator(&self, folder: &Folder, definitions: &[&str]) -> Server {
        let server = self.begin(folder, &[]);
        eventually("the orchestrator is ready", || readiness(&server)["status"] == "READY");
        for definition in definitions {
            server.oarlock(folder, &["apply", definition]).exits(0);
        }
        server
    }

    /// A worker that takes tasks. The command runs in the folder.
    #[track_caller]
    pub(crate) fn worker(&self, folder: &Folder, arguments: &[&str]) -> Worker {
        self.worker_in(folder, folder.path(), arguments)
    }

    /// As [`Fleet::worker`], begun in another place.
    #[track_caller]
    pub(crate) fn worker_in(&self, folder: &Folder, place: &Path, arguments: &[&str]) -> Worker {
        let mut command = self.command(folder, &[&["worker"], arguments].concat());
        let (process, stdout) = Process::start_talking(command.current_dir(place));
        let mut lines = BufReader::new(stdout).lines();
        let mut said = String::new();
        while !said.contains("takes tasks from") {
            let Some(line) = lines.next() else {
                panic!("it takes nothing:\n{said}{}", process.end().stderr)
            };
            said.push_str(&format!("{}\n", line.unwrap()));
        }
        // Read on, so that it never writes into a closed pipe.
        thread::spawn(move || lines.for_each(drop));
        Worker { process, said }
    }

    /// Ends a fleet's process that has not said anything yet.
    #[track_caller]
    pub(crate) fn run(&self, folder: &Folder, arguments: &[&str]) -> Ended {
        Process::start(&mut self.command(folder, arguments)).end()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let forget = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";
        let pattern = format!("{}:*", self.vhost.name());
        let words = ["EVAL", forget, "0", &pattern];
        let mut command = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| command.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        let address = shared().redis.trim_start_matches("redis://").to_owned();
        // The answer is waited for: without a reader the server may drop the command.
        let asked = TcpStream::connect(address).and_then(|mut redis| {
            redis.write_all(command.as_bytes())?;
            BufReader::new(redis).read_line(&mut String::new())
        });
        drop(asked);
    }
}

impl Worker {
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Waits for its end. What it wrote to stdout after its first words is not kept.
    pub(crate) fn end(self) -> Ended {
        self.process.end()
    }
}

/// What `/readyz` answers.
pub(crate) fn readiness(server: &Server) -> Json {
    server.http("GET", "/readyz", &[], b"").map(|(_, body)| body).unwrap_or_default()
}
