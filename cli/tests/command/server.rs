//! A server of `oarlock dev` on a free port, its commands, and bare HTTP requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdout, Command};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal};
use serde_json::Value as Json;

use crate::harness::{Ended, Folder, PATIENCE, Process};

/// `oarlock dev`, ready to be asked. It does not outlive the test.
pub(crate) struct Server {
    process: Process,
    address: String,
    /// What it said before it listened.
    pub(crate) said: String,
}

impl Server {
    /// Starts `oarlock dev` on a free port with these further arguments, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(folder: &Folder, arguments: &[&str]) -> Self {
        Self::try_start(folder, arguments).unwrap_or_else(|said| panic!("it does not listen:\n{said}"))
    }

    /// As [`Server::start`]; where it ends without listening, what it said.
    pub(crate) fn try_start(folder: &Folder, arguments: &[&str]) -> Result<Self, String> {
        let arguments = [&["dev", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::start_by(&mut folder.command(&arguments))
    }

    /// As [`Server::try_start`], by a command of one's own.
    pub(crate) fn start_by(command: &mut Command) -> Result<Self, String> {
        let (process, stdout) = Process::start_talking(command);
        let lines = lines(stdout);
        let mut said = String::new();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => said.push_str(&format!("{line}\n")),
                Err(_) => return Err(said + &process.end().stderr),
            }
            let listening = said.lines().last().and_then(|line| line.strip_prefix("listening on http://"));
            if let Some(address) = listening.and_then(|rest| rest.split(';').next()) {
                let address = address.to_owned();
                return Ok(Self { process, address, said });
            }
        }
    }

    /// The address as `--server` takes it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Runs a command that speaks to this server.
    pub(crate) fn oarlock(&self, folder: &Folder, arguments: &[&str]) -> Ended {
        folder.oarlock(&[&["--server", &self.url()], arguments].concat())
    }

    /// As [`Server::oarlock`] with `--json`: what it printed. It has to end with 0.
    #[track_caller]
    pub(crate) fn json(&self, folder: &Folder, arguments: &[&str]) -> Json {
        self.oarlock(folder, &[arguments, &["--json"]].concat()).exits(0).json()
    }

    /// Starts a run and returns its id.
    #[track_caller]
    pub(crate) fn start_run(&self, folder: &Folder, arguments: &[&str]) -> String {
        let started = self.json(folder, &[&["start"], arguments].concat());
        started["id"].as_str().unwrap().to_owned()
    }

    /// Sends a request; its status and body, or none where the connection broke.
    pub(crate) fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Option<(u16, Json)> {
        request(&self.address, method, path, headers, body)
    }

    pub(crate) fn id(&self) -> Pid {
        self.process.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Ends it with SIGTERM.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Ended {
        self.process.end()
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.end();
    }
}

/// Sends a request on a connection of its own.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<(u16, Json)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).ok()?;
    // A server may refuse a long body before it has read all of it.
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, serde_json::from_str(body).unwrap_or(Json::String(body.to_owned()))))
}

/// The lines of a stream as they come; the channel ends with it.
fn lines(stream: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        // Read to the end even when nobody listens any more, so that the process never writes into a closed pipe.
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    lines
}
