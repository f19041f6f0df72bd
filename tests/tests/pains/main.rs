//! What users of workflow systems suffer from: the pains of docs/pains.md that no other test shows, over RabbitMQ and Redis.
//!
//! A test that shows a pain is named `pain_NN_…`, here or where its subject is tested anyway; `page.rs` holds the page and
//! these names together.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails names its line; figures are for whoever runs it"
)]

#[path = "../end_to_end/system.rs"]
mod system;

mod page;
mod pain_01;
mod pain_02;
mod pain_05;
mod pain_16;
mod pain_18;
mod pain_19;
mod pain_20;
mod pain_21;
mod pain_24;
mod pain_25;

const BACKEND: system::Backend = system::Backend::Servers;
