//! What the servers behind the store have used, and the removal of a whole store: for measurements and tests, not for a node.

use std::collections::BTreeMap;

use redis::{Pipeline, Value};

use super::keys::Place;
use super::{Redis, fault, send};
use crate::store::Error;

/// Keys that are looked for in one call.
const PAGE: usize = 1_000;

/// What the servers have used since they began, together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time in seconds.
    pub cpu_seconds: f64,
    /// The bytes that data and what belongs to it take in memory.
    pub used_bytes: u64,
    /// The greatest resident memory, in bytes.
    pub peak_bytes: u64,
    /// How often a script was called.
    pub script_calls: u64,
}

impl Redis {
    /// What the servers have used. The number of partitions has to be known.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn usage(&self) -> Result<Usage, Error> {
        let mut all = Usage::default();
        for (_, info) in self.servers().await?.values() {
            let number =
                |name: &str| field(info, name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
            all.cpu_seconds += number("used_cpu_sys") + number("used_cpu_user");
            all.used_bytes += number("used_memory") as u64;
            all.peak_bytes += number("used_memory_peak") as u64;
            let calls = field(info, "cmdstat_evalsha").and_then(|text| text.split(['=', ',']).nth(1));
            all.script_calls += calls.and_then(|calls| calls.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(all)
    }

    /// Removes every key below the prefix: nothing may use the store any more.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn remove_all(&self) -> Result<(), Error> {
        let prefix = self.names.prefix();
        for (place, _) in self.servers().await?.values() {
            let mut cursor = "0".to_owned();
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor).arg("MATCH").arg(format!("{prefix}:*")).arg("COUNT").arg(PAGE);
                let (next, keys): (String, Vec<String>) = self.ask(*place, scan).await?;
                let mut removals = Pipeline::with_capacity(keys.len());
                for key in keys {
                    removals.cmd("UNLINK").arg(key);
                }
                if !removals.is_empty() {
                    send(&self.lanes, *place, &removals).await?;
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(())
    }

    /// The servers that hold partitions, by their names for themselves: a place on each, and what each tells.
    async fn servers(&self) -> Result<BTreeMap<String, (Place, String)>, Error> {
        let mut servers = BTreeMap::new();
        let apart = [self.names.count_key().place, self.names.members().0.place];
        let count = self.names.count().unwrap_or(0);
        let partitions = (0..count).filter_map(|partition| Some(self.names.partition(partition)?.place()));
        for place in apart.into_iter().chain(partitions) {
            let mut question = redis::cmd("INFO");
            question.arg("everything");
            let info: Value = self.ask(place, question).await?;
            let info: String = redis::from_redis_value(info).map_err(|error| fault::unexpected(&error))?;
            let name = field(&info, "run_id").unwrap_or_default().to_owned();
            servers.entry(name).or_insert((place, info));
        }
        Ok(servers)
    }
}

/// A line `name:value` of what a server tells.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "used_memory_rss:5\r\nused_memory:7\r\ncmdstat_evalsha:calls=12,usec=3\r\n";
        assert_eq!(field(info, "used_memory"), Some("7"));
        assert_eq!(field(info, "cmdstat_evalsha").and_then(|text| text.split(['=', ',']).nth(1)), Some("12"));
        assert_eq!(field(info, "memory"), None);
    }
}
