//! The tests over the embedded broker and the store in memory.

const BACKEND: system::Backend = system::Backend::Embedded;

#[path = "anomalies.rs"]
mod anomalies;
#[path = "anomalies_of_fleet.rs"]
mod anomalies_of_fleet;
#[path = "cancel.rs"]
mod cancel;
#[path = "children.rs"]
mod children;
#[path = "children_faults.rs"]
mod children_faults;
#[path = "events.rs"]
mod events;
#[path = "fairness.rs"]
mod fairness;
#[path = "faults.rs"]
mod faults;
#[path = "iterations.rs"]
mod iterations;
#[path = "limits.rs"]
mod limits;
#[path = "limits_by_key.rs"]
mod limits_by_key;
#[path = "limits_lost.rs"]
mod limits_lost;
#[path = "limits_of_fleet.rs"]
mod limits_of_fleet;
#[path = "lost_answers.rs"]
mod lost_answers;
#[path = "messages.rs"]
mod messages;
#[path = "nodes.rs"]
mod nodes;
#[path = "operations.rs"]
mod operations;
#[path = "over.rs"]
mod over;
#[path = "pauses.rs"]
mod pauses;
#[path = "payloads.rs"]
mod payloads;
#[path = "priorities.rs"]
mod priorities;
#[path = "queues.rs"]
mod queues;
#[path = "readme.rs"]
mod readme;
#[path = "rolled_back.rs"]
mod rolled_back;
#[path = "schedules.rs"]
mod schedules;
#[path = "schemas.rs"]
mod schemas;
#[path = "statistics.rs"]
mod statistics;
#[path = "statistics_kept.rs"]
mod statistics_kept;
#[path = "system.rs"]
mod system;
#[path = "take_over.rs"]
mod take_over;
#[path = "timers.rs"]
mod timers;
#[path = "traces.rs"]
mod traces;
#[path = "whole.rs"]
mod whole;
#[path = "work.rs"]
mod work;
#[path = "workers.rs"]
mod workers;
