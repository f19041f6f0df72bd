//! The tests that cross crates: conformance, end to end.

pub mod conformance;
pub mod resp;
