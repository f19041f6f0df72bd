//! A worker on the embedded broker, seen from the partition's side: tasks in, results and signs of life out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

mod beats;
mod command;
mod delivery;
mod ending;
mod harness;
#[cfg(feature = "http")]
mod later;
mod lifecycle;
mod outcome;
mod payloads;
#[cfg(feature = "http")]
mod request;
#[cfg(feature = "http")]
mod secret;
mod traces;
