//! As much of Redis' protocol as tests need to look at a server and to set it up: one command, one reply.

use std::io::{BufRead, BufReader, Error as IoError, Read, Result as IoResult, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::{Error, Result};

/// A reply takes less than a millisecond; a stopped server gives none.
const LIMIT: Duration = Duration::from_secs(10);

/// What Redis replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status or a value, as text.
    Text(String),
    /// A number.
    Integer(i64),
    /// Several replies.
    Array(Vec<Reply>),
    /// There is no such value.
    Nothing,
    /// A refusal, such as `MOVED 866 127.0.0.1:7001`. Only inside arrays.
    Refusal(String),
}

impl Reply {
    /// The text, or the number as text; empty for anything else.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Array(_) | Self::Nothing | Self::Refusal(_) => String::new(),
        }
    }
}

/// Sends one command to the server on `port`.
pub(super) fn ask(port: u16, password: Option<&str>, arguments: &[&str]) -> Result<Reply> {
    let request = format!("{} to Redis on port {port}", arguments.join(" "));
    let reply = exchange(port, password, arguments).map_err(Error::io(&request))?;
    match reply {
        Reply::Refusal(answer) => Err(Error::Refused { request, answer }),
        reply => Ok(reply),
    }
}

fn exchange(port: u16, password: Option<&str>, arguments: &[&str]) -> IoResult<Reply> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut stream = BufReader::new(stream);
    if let Some(password) = password {
        write(&mut stream, &["AUTH", password])?;
        if let refusal @ Reply::Refusal(_) = read(&mut stream)? {
            return Ok(refusal);
        }
    }
    write(&mut stream, arguments)?;
    read(&mut stream)
}

fn write(stream: &mut BufReader<TcpStream>, arguments: &[&str]) -> IoResult<()> {
    let words = arguments.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let message = format!("*{}\r\n{}", arguments.len(), words.collect::<String>());
    stream.get_mut().write_all(message.as_bytes())
}

fn read(stream: &mut BufReader<TcpStream>) -> IoResult<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let strange = || IoError::other(format!("no reply of Redis: {line:?}"));
    let (kind, rest) = line.split_at_checked(1).ok_or_else(strange)?;
    let number = || rest.parse::<i64>().map_err(|_| strange());
    match kind {
        "+" => Ok(Reply::Text(rest.to_owned())),
        "-" => Ok(Reply::Refusal(rest.to_owned())),
        ":" => number().map(Reply::Integer),
        "$" => match usize::try_from(number()?) {
            Ok(length) => text(stream, length),
            Err(_) => Ok(Reply::Nothing),
        },
        "*" => match usize::try_from(number()?) {
            Ok(length) => (0..length).map(|_| read(stream)).collect::<IoResult<_>>().map(Reply::Array),
            Err(_) => Ok(Reply::Nothing),
        },
        _ => Err(strange()),
    }
}

fn text(stream: &mut BufReader<TcpStream>, length: usize) -> IoResult<Reply> {
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
}
