//! The `oarlock` binary as its users have it: started as a process, judged by its exit code, what it prints, and what it
//! leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

mod bad_commands;
mod bench;
mod cancelling;
mod checks;
mod children;
mod data;
mod example;
mod examples;
mod fleet;
mod graph;
mod harness;
mod http;
mod iterations;
mod keeping;
mod kills;
mod lists;
mod looking;
mod metrics;
mod operators;
mod orchestrators;
mod parked;
mod payloads;
mod private_servers;
mod run;
mod schedules;
mod server;
mod settings;
mod starts;
mod stats;
mod telling;
mod terminal;
mod testing_page;
mod traces;
mod validate;
mod workers;
mod working;
