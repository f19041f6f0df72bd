//! A fresh virtual host of a RabbitMQ: what keeps tests that share one server apart.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::{Error, Result, management};

/// A virtual host with nothing in it. Deleted, with all its queues, when dropped.
#[derive(Debug)]
pub struct Vhost {
    name: String,
    management: String,
    amqp_port: u64,
}

/// A queue as the management interface knows it. Its counts are up to half a second old with the servers of this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How many messages wait in it.
    pub ready: u64,
    /// How many were delivered and not yet acknowledged.
    pub unacknowledged: u64,
    /// How many consumers it has.
    pub consumers: u64,
}

impl Vhost {
    /// Makes one on the server whose management interface is at `management`: `http://127.0.0.1:PORT`. `guest` may do
    /// everything in it.
    pub fn create(management: &str) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("test-{}-{made}-{}", std::process::id(), since.as_millis());
        let amqp_port = amqp_port(&management::ask("GET", management, "/api/overview", "")?)?;
        management::ask("PUT", management, &format!("/api/vhosts/{name}"), "{}")?;
        let vhost = Self { name, management: management.to_owned(), amqp_port };
        let rights = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
        management::ask("PUT", management, &format!("/api/permissions/{}/guest", vhost.name), rights)?;
        Ok(vhost)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect: `amqp://guest:guest@127.0.0.1:PORT/NAME`.
    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{}", self.amqp_port, self.name)
    }

    /// Its queues, sorted by name.
    pub fn queues(&self) -> Result<Vec<Queue>> {
        queues(&self.management, &self.name)
    }

    /// Closes every connection to it from the server's side, as an administrator would. Returns how many there were.
    pub fn close_connections(&self) -> Result<usize> {
        let list =
            management::ask("GET", &self.management, &format!("/api/vhosts/{}/connections", self.name), "")?;
        let names: Vec<&str> =
            list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        for name in &names {
            let path = format!("/api/connections/{}", name.replace(' ', "%20").replace('>', "%3E"));
            management::ask("DELETE", &self.management, &path, "")?;
        }
        Ok(names.len())
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        // A server that a test has killed keeps it, and is of that test alone.
        let _ = management::ask("DELETE", &self.management, &format!("/api/vhosts/{}", self.name), "");
    }
}

/// The queues of a virtual host, sorted by name; `/` is written `%2F`.
pub fn queues(management: &str, vhost: &str) -> Result<Vec<Queue>> {
    let list = management::ask("GET", management, &format!("/api/queues/{vhost}"), "")?;
    let count = |queue: &Value, field: &str| queue[field].as_u64().unwrap_or(0);
    let read = |queue: &Value| Queue {
        name: queue["name"].as_str().unwrap_or_default().to_owned(),
        ready: count(queue, "messages_ready"),
        unacknowledged: count(queue, "messages_unacknowledged"),
        consumers: count(queue, "consumers"),
    };
    let mut queues: Vec<Queue> = list.as_array().into_iter().flatten().map(read).collect();
    queues.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(queues)
}

/// The port on which the server speaks AMQP, from its overview.
fn amqp_port(overview: &Value) -> Result<u64> {
    let mut listeners = overview["listeners"].as_array().into_iter().flatten();
    let amqp = listeners.find(|listener| listener["protocol"] == "amqp");
    amqp.and_then(|listener| listener["port"].as_u64()).ok_or_else(|| Error::Refused {
        request: "the AMQP port in /api/overview".to_owned(),
        answer: overview["listeners"].to_string(),
    })
}
