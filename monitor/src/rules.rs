//! What is wrong as a snapshot shows it: one rule a file, each a pure function of what is known of one thing and the time.
//!
//! A rule tells what is so now. [`crate::Board`] makes beginnings and ends of that.

mod queues;
mod retries;
mod runs;
mod workers;

pub use queues::{QueueSnapshot, stalled};
pub use retries::{RetrySnapshot, storm};
pub use runs::{MovedBy, RunSnapshot, stuck};
pub use workers::{WorkerSnapshot, silent};

use oarlock_protocol::Span;

/// Milliseconds as evidence has them.
fn ms(span: Span) -> f64 {
    span.as_millis() as f64
}

/// By how much `current` is beyond `allowed`; the current figure itself where nothing is allowed.
fn score(current: f64, allowed: f64) -> f64 {
    current / allowed.max(1.0)
}
