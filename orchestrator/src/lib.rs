//! Coordinates runs: partitions, store, timers, HTTP.
//!
//! A [`Node`] owns partitions; each is one task that lets the engine decide, commits, and only then acts.

mod admission;
mod books;
mod dead;
pub mod definitions;
pub mod explain;
pub mod http;
pub mod layout;
pub mod members;
pub mod node;
mod parked;
pub mod partition;
pub mod pauses;
mod payloads;
pub mod settings;
mod starts;
pub mod store;
pub mod watch;
mod watchdog;

pub use node::Node;
pub use oarlock_protocol::Clock;
pub use settings::Settings;
