//! Scenarios of whole runs: given a definition, when events, then the run as it stands.
//!
//! [`world`] plays the world around the engine; every scenario is played three times, with and without faults, and must
//! end with the same run. The files beside it hold the scenarios by what they are about.

mod cancel;
mod conditions;
mod cost;
mod failure;
mod handlers;
mod invariants;
mod limits;
mod mappings;
mod order;
mod pause;
mod payloads;
mod progress;
mod random;
mod retry;
mod schemas;
mod start;
mod steps;
mod store;
mod timeouts;
mod workers;
mod world;
