//! The rules by which a fleet is watched: what is unusual in it, and how many workers a queue wants.
//!
//! Called by the orchestrator, which feeds it closed attempts and snapshots and shows what it finds. Pure: no I/O, no
//! clock, no chance; times come in as data, the same input gives the same findings, and memory is bounded.

pub mod anomaly;
mod board;
mod finding;
pub mod rules;
pub mod scaling;
mod sentence;
mod settings;

pub use board::Board;
pub use finding::{Change, Ending, Evidence, Finding, Key, Kind, Severity, Subject};
pub use settings::{Settings, Worth};
