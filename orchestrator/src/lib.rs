//! Coordinates runs: partitions, store, timers, HTTP.

pub mod store;
