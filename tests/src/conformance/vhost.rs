//! A virtual host of RabbitMQ for one test, made over the server's management interface.
//!
//! The harnesses of `tests/conformance.rs` use it. It starts no server: the environment names one.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Where the server's management interface is, such as `http://127.0.0.1:15672`.
const MANAGEMENT: &str = "OARLOCK_TEST_RABBITMQ_MANAGEMENT";
/// Where the server is, such as `amqp://guest:guest@127.0.0.1:5672`.
const SERVER: &str = "OARLOCK_TEST_RABBITMQ";

/// A virtual host with nothing in it. Deleted, with all its queues, when dropped.
pub struct Vhost {
    name: String,
}

impl Vhost {
    /// Makes one; `guest` may do everything in it.
    pub fn create() -> Self {
        let name = format!("test-{}", uuid::Uuid::now_v7().simple());
        ask("PUT", &format!("/api/vhosts/{name}"), "{}");
        ask(
            "PUT",
            &format!("/api/permissions/{name}/guest"),
            r#"{"configure":".*","write":".*","read":".*"}"#,
        );
        Self { name }
    }

    /// Where clients connect.
    pub fn uri(&self) -> String {
        format!("{}/{}", variable(SERVER), self.name)
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        ask("DELETE", &format!("/api/vhosts/{}", self.name), "");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} must name a RabbitMQ for the tests"))
}

fn ask(method: &str, path: &str, body: &str) {
    let address = variable(MANAGEMENT);
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let login = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=";
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{login}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.split(' ').nth(1).is_some_and(|code| code.starts_with('2')), "{method} {path}: {answer}");
}
