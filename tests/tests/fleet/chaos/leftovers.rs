//! What is left when every run has left: nothing but what stays by design.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use oarlock_broker::topology;
use oarlock_test_servers::redis::Reply;
use oarlock_test_servers::{Queue, RedisCluster, Result};

use super::super::harness::PARTITIONS;
use super::servers::{Brokers, PREFIX, Stores};

/// The queues of the tasks of the workflows.
pub(super) const TASKS: [&str; 5] = ["quick", "slow", "third", "broken", "undo"];
/// RabbitMQ's counts are half a second old, a retention's timer late by little.
const PAUSE: Duration = Duration::from_millis(250);

/// The queues that every fleet with these workflows has.
pub(super) fn queues() -> BTreeSet<String> {
    let shared = [topology::START, topology::DEAD, topology::PARKED].map(str::to_owned);
    let inboxes = (0..PARTITIONS).map(topology::inbox);
    shared.into_iter().chain(inboxes).chain(TASKS.map(topology::tasks)).collect()
}

/// Looks until nothing is left, at most until `limit`; what is left then, in sentences.
pub(super) fn until_nothing(look: impl Fn() -> Result<Vec<String>>, limit: Instant) -> Vec<String> {
    loop {
        let left = look().unwrap_or_else(|error| vec![error.to_string()]);
        if left.is_empty() || Instant::now() >= limit {
            return left;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The queues that hold a message.
pub(super) fn messages(brokers: &Brokers) -> Result<Vec<String>> {
    let full = |queue: &Queue| queue.ready + queue.unacknowledged > 0;
    Ok(brokers.queues()?.iter().filter(|queue| full(queue)).map(|queue| format!("{queue:?}")).collect())
}

/// The queues that should not be there, or should, once every process has ended.
pub(super) fn strange_queues(brokers: &Brokers) -> Result<Vec<String>> {
    let there: BTreeSet<_> = brokers.queues()?.into_iter().map(|queue| queue.name).collect();
    Ok(there.symmetric_difference(&queues()).cloned().collect())
}

/// The keys that should not be there. What stays: definitions, who owns what, who lives, how many partitions there are; for an hour,
/// with its timer, the tombstone of each run that another had started, of which there are so many; and for two days, with its
/// timer, what each hour took.
pub(super) fn strange_keys(stores: &Stores, children: usize) -> Result<Vec<String>> {
    let (mut strange, mut tombstones, mut timers, mut hours) = (Vec::new(), 0, 0, 0);
    for key in keys(&stores.cluster)? {
        match kind(&key) {
            "own" | "definitions" | "count" | "until" | "entries" => {}
            "timers" => timers += stores.number(&["ZCARD", &key])?,
            "statistics" => hours += 1,
            "run" if stores.texts(&["HKEYS", &key])? == ["tombstone"] => tombstones += 1,
            _ => strange.push(key),
        }
    }
    if tombstones != children || timers != children + hours {
        strange.push(format!(
            "{tombstones} tombstones and {timers} timers of {children} runs that others started, and {hours} hours"
        ));
    }
    Ok(strange)
}

/// Removes what stays by design: only what nobody knows is left then.
pub(super) fn remove(brokers: &Brokers, stores: &Stores) -> Result<Vec<String>> {
    for key in keys(&stores.cluster)? {
        if kind(&key) != "run" || stores.texts(&["HKEYS", &key])? == ["tombstone"] {
            stores.ask(&["UNLINK", &key])?;
        }
    }
    queues().iter().try_for_each(|queue| brokers.delete(queue))?;
    let left = brokers.queues()?.into_iter().map(|queue| queue.name);
    Ok(keys(&stores.cluster)?.into_iter().chain(left).collect())
}

fn keys(cluster: &RedisCluster) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for node in cluster.nodes() {
        if let Reply::Array(found) = node.command(&["KEYS", "*"])? {
            keys.extend(found.iter().map(Reply::text));
        }
    }
    Ok(keys)
}

/// What a key of the fleet is for: the word behind the braces.
fn kind(key: &str) -> &str {
    let rest = key.strip_prefix(PREFIX).and_then(|rest| rest.split_once("}:"));
    rest.map_or("", |(_, rest)| rest.split(':').next().unwrap_or_default())
}
