//! As much HTTP as the tests need of an orchestrator: one request a connection.

use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};

/// Longer than any answer is held back.
const PATIENCE: Duration = Duration::from_secs(90);

/// An orchestrator, as its clients see it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    patience: Duration,
}

/// An answer, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether it says that the same request had been answered before.
    pub(crate) replayed: bool,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), patience: PATIENCE }
    }

    /// Gives an answer up after this time: for a server that may be stopped.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Result<Answer> {
        self.ask("POST", path, body)
    }

    /// Starts a run of `workflow` with this key.
    pub(crate) fn start(&self, workflow: &str, key: &str, input: &Json) -> Result<Answer> {
        let body = json!({"workflow": workflow, "key": key, "input": input});
        self.post("/v1/runs", &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let broken = || Error::other(format!("no HTTP answer: {text}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let replayed = head.lines().any(|line| line == "oarlock-replayed: true");
        Ok(Answer { status: status.ok_or_else(broken)?, body: body.to_owned(), replayed })
    }
}

impl Answer {
    /// Its body, which has to be JSON.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
