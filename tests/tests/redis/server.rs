//! A private Redis for one test, and a proxy before it that loses answers. Both end when they are dropped.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use oarlock_tests::resp::{self, Reply};

use super::PATIENCE;

/// A server with its data in a folder of its own.
pub(crate) struct Server {
    child: Option<Child>,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

/// A port nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// A server that syncs every write, with further arguments; waits until it answers.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        // Another process may take a free port first.
        (0..5).find_map(|_| Self::try_start(free_port(), arguments)).expect("redis-server starts")
    }

    fn try_start(port: u16, arguments: &[&str]) -> Option<Self> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { child: None, port, arguments, folder: tempfile::tempdir().unwrap() };
        server.launch().then_some(server)
    }

    /// Starts it again on its port and data.
    pub(crate) fn start_again(&mut self) {
        assert!(self.launch(), "redis-server starts again");
    }

    fn launch(&mut self) -> bool {
        let log = File::options().create(true).append(true).open(self.folder().join("log")).unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(self.folder());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log);
        self.child = Some(command.spawn().unwrap());
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                return false;
            }
            let listens = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            // With a password it refuses, but answers.
            if listens && !self.command(&["PING"]).text().starts_with("LOADING") {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Reply {
        resp::command(&self.url(), words)
    }

    /// As a power cut would end it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// It keeps its connections and answers nothing, until [`Server::resume`].
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Passes bytes on to a server, and loses its answers when told.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    lossy: AtomicBool,
    ended: AtomicBool,
}

impl Proxy {
    pub(crate) fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), server.port());
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                std::thread::spawn(move || pump(from, to, || false));
                let state = Arc::clone(&shared);
                std::thread::spawn(move || pump(upstream, client, || state.lossy.load(Ordering::SeqCst)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on requests arrive, and the connection breaks instead of each answer.
    pub(crate) fn lose_answers(&self, lossy: bool) {
        self.state.lossy.store(lossy, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, breaks: impl Fn() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if breaks() || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
