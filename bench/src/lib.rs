//! Measures Oarlock against the floor: what its broker alone takes to move the same bytes. `oarlock bench` calls it.
//!
//! The parent process starts orchestrators and workers as processes of their own ([`part`]), lets the orchestrators start runs
//! ([`drive`]), and measures the floor in turn with them, in the same minutes on the same machine ([`rounds`]). It reads
//! what the processes used ([`usage`]) and puts it together ([`report`]). It decides nothing about workflows.

pub mod counting;
pub mod drive;
pub mod error;
pub mod fleet;
pub mod floor;
pub mod hands;
pub mod latency;
pub mod part;
pub mod plan;
pub mod report;
pub mod rounds;
pub mod shape;
pub mod usage;

pub use error::Error;
pub use plan::{Plan, Shape};
