//! The whole system in one process, under seeded time, chance and faults: orchestrators, workers, broker and store.
//!
//! [`simulate`] runs one seed: random workflows (`generate`) on a fleet whose processes, store and broker fail (`faults`,
//! `process`, `store`, `broker`). After every commit `invariants` look at what is stored, and at the end `verdict` holds every
//! run against a small model that knows nothing of the engine (`model`). The same seed takes the same course, to the last line.

#![allow(clippy::panic, reason = "handlers are told to panic now and then")]

mod behaviour;
mod broker;
mod client;
mod database;
mod definition;
mod faults;
mod fleet;
mod flow;
mod generate;
mod hands;
mod invariants;
mod mirror;
mod model;
mod mutation;
mod panics;
mod process;
mod random;
mod schedule;
mod simulation;
mod store;
mod verdict;
mod world;

pub use mutation::Mutation;
pub use simulation::{Report, simulate};
