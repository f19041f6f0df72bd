//! Whole runs in one process: node, worker, embedded broker and store together, also when messages, commits and owners fail.

#![allow(
    clippy::duplicate_mod,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails names its line; figures are for whoever runs it; each backend runs the same tests"
)]

mod cluster;
mod embedded;
mod servers;
