//! A fleet among faults of its servers and its network: two orchestrators and a worker over a RabbitMQ and a Redis that die,
//! forget, fall silent or refuse.
//!
//! Every test starts servers of its own. What was accepted ends as if nothing had happened; what was not is told in time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails names its line; figures are for whoever runs it"
)]

mod doubled_messages;
mod fleet;
mod memory_alarm;
mod rabbitmq_killed;
mod redis_killed;
mod redis_rolled_back;
mod servers;
mod take_over;
mod tap;
mod unreachable;
