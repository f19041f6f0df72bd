//! What people see of runs and schedules.

pub(crate) mod progress;
pub(crate) mod schedule;
pub(crate) mod summary;
pub(crate) mod table;
mod tree;
