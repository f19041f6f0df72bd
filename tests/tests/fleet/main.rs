//! A fleet as operators have it: processes of `oarlock orchestrator` and `oarlock worker` over RabbitMQ and Redis that are killed,
//! stopped, continued and replaced while runs are under way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails names its line; figures are for whoever runs it"
)]

mod chaos;
mod client;
mod deadly;
mod evidence;
mod figures;
mod harness;
mod lasting;
mod names;
mod orchestrators;
mod program;
mod workers;
