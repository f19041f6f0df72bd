//! Speaks to a Redis directly, as a bystander: to look at what an adapter left, to set a server up, to clean up. Only tests use it,
//! and only for a few commands: each has a connection of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it runs in tests only")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status or a value.
    Text(String),
    /// A number.
    Number(i64),
    /// Nothing.
    Nil,
    /// Several answers.
    List(Vec<Reply>),
    /// A refusal, with its reason.
    Error(String),
}

impl Reply {
    /// The text of a value; nothing for anything else.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Error(text) => text,
            Self::Number(_) | Self::Nil | Self::List(_) => "",
        }
    }

    /// The texts of a list.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(items) => items.iter().map(|item| item.text().to_owned()).collect(),
            _ => Vec::new(),
        }
    }
}

/// Sends one command to the server of a `redis://host:port` URL without a password.
pub fn command(url: &str, words: &[&str]) -> Reply {
    commands(url, &[words.to_vec()]).remove(0)
}

/// Sends several, one behind the other.
fn commands(url: &str, commands: &[Vec<&str>]) -> Vec<Reply> {
    let address = url.trim_start_matches("redis://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = String::new();
    for words in commands {
        request.push_str(&format!("*{}\r\n", words.len()));
        words.iter().for_each(|word| request.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    }
    stream.write_all(request.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    commands.iter().map(|_| read(&mut stream)).collect()
}

/// Removes every key that begins with `prefix` from these servers.
pub fn remove(urls: &[String], prefix: &str) {
    for url in urls {
        let keys = command(url, &["KEYS", &format!("{prefix}:*")]).texts();
        // Keys of two slots of a cluster would be refused: each goes alone, but nobody waits for it.
        for some in keys.chunks(1_000) {
            commands(url, &some.iter().map(|key| vec!["UNLINK", key.as_str()]).collect::<Vec<_>>());
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Reply {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    let number = || rest.parse::<i64>().unwrap();
    match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()),
        "$" | "*" if number() < 0 => Reply::Nil,
        "$" => {
            let mut bytes = vec![0; usize::try_from(number()).unwrap() + 2];
            stream.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => Reply::List((0..number()).map(|_| read(stream)).collect()),
        _ => panic!("no answer of Redis: {line}"),
    }
}

/// A prefix of keys that no one else uses. Dropping it removes every key under it, so that nothing is left on shared servers.
pub struct RemovesKeys {
    nodes: Vec<String>,
    prefix: String,
}

impl RemovesKeys {
    /// A fresh prefix on these servers.
    pub fn of(nodes: &[String]) -> Self {
        Self { nodes: nodes.to_vec(), prefix: format!("test-{}", uuid::Uuid::new_v4().simple()) }
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Drop for RemovesKeys {
    fn drop(&mut self) {
        remove(&self.nodes, &self.prefix);
    }
}
