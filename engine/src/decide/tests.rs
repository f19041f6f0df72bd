//! Scenarios of whole runs: given a definition, when events, then the run as it stands.
//!
//! [`world`] plays the world around the engine; every scenario is played three times, with and without faults, and must
//! end with the same run. The files beside it hold the scenarios by what they are about.

mod cancel;
mod children;
mod compensation;
mod completions;
mod conditions;
mod cost;
mod derived;
mod failure;
mod for_each;
mod for_each_cost;
mod handlers;
mod invariants;
mod joins;
mod limit_keys;
mod limits;
mod loops;
mod mappings;
mod memory;
mod metrics;
mod operations;
mod operators;
mod order;
mod pause;
mod payloads;
mod priority;
mod progress;
mod random;
mod retry;
mod schemas;
mod scoped_variables;
mod secrets;
mod shapes;
mod start;
mod steps;
mod store;
mod timeouts;
mod waits;
mod workers;
mod world;
