//! Coordinates runs: partitions, store, timers, HTTP.
//!
//! A [`Node`] owns partitions; each is one task that lets the engine decide, commits, and only then acts.

mod admission;
pub mod anomalies;
mod books;
mod dead;
pub mod definitions;
pub mod events;
pub mod explain;
pub mod fleet;
pub mod http;
pub mod layout;
pub mod lookout;
pub mod members;
mod metrics;
pub mod node;
mod parked;
pub mod partition;
pub mod pauses;
mod payloads;
pub mod queues;
pub mod schedules;
pub mod settings;
mod starts;
pub mod statistics;
pub mod store;
mod traces;
pub mod watch;
mod watchdog;

pub use node::Node;
pub use oarlock_protocol::Clock;
pub use settings::Settings;
