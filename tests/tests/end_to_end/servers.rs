//! The same tests over RabbitMQ and one Redis.

const BACKEND: system::Backend = system::Backend::Servers;

#[path = "anomalies.rs"]
mod anomalies;
#[path = "anomalies_of_fleet.rs"]
mod anomalies_of_fleet;
#[path = "cancel.rs"]
mod cancel;
#[path = "children.rs"]
mod children;
#[path = "events.rs"]
mod events;
#[path = "fairness.rs"]
mod fairness;
#[path = "limits_by_key.rs"]
mod limits_by_key;
#[path = "limits_of_fleet.rs"]
mod limits_of_fleet;
#[path = "messages.rs"]
mod messages;
#[path = "nodes.rs"]
mod nodes;
#[path = "operations.rs"]
mod operations;
#[path = "pauses.rs"]
mod pauses;
#[path = "priorities.rs"]
mod priorities;
#[path = "queues.rs"]
mod queues;
#[path = "readme.rs"]
mod readme;
#[path = "schedules.rs"]
mod schedules;
#[path = "statistics.rs"]
mod statistics;
#[path = "system.rs"]
mod system;
#[path = "take_over.rs"]
mod take_over;
#[path = "traces.rs"]
mod traces;
#[path = "whole.rs"]
mod whole;
#[path = "work.rs"]
mod work;
#[path = "workers.rs"]
mod workers;
