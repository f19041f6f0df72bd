//! Whole runs in one process: node, worker, embedded broker and store together, also when messages, commits and owners fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails names its line"
)]

mod cluster;
mod embedded;
mod servers;
