//! As much HTTP as RabbitMQ's management interface needs. Called by the servers, the virtual hosts, and tests that look at a
//! server or set it up. Never follows a redirection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use serde_json::Value;

use crate::{Error, Result};

/// An answer takes milliseconds; a stopped server gives none.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks the management interface at `address` (`http://127.0.0.1:PORT`) as `guest`, with a path such as `/api/queues` and a body of
/// JSON or nothing. Returns the JSON of an answer with a status of success, null where it has none.
pub fn ask(method: &str, address: &str, path: &str, body: &str) -> Result<Value> {
    let request = format!("{method} {address}{path}");
    let (status, text) = exchange(method, address, path, body).map_err(Error::io(&request))?;
    if !(200..300).contains(&status) {
        return Err(Error::Refused { request, answer: format!("{status} {text}") });
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text)
        .map_err(|error| Error::Refused { request, answer: format!("{error}: {text}") })
}

/// One request in HTTP/1.0: the answer ends with the connection.
fn exchange(method: &str, address: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let host = address.strip_prefix("http://").unwrap_or(address);
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let credentials = base64::engine::general_purpose::STANDARD.encode("guest:guest");
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: {host}\r\nauthorization: Basic {credentials}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no HTTP answer: {head}")))?;
    Ok((status, body.to_owned()))
}
