//! What people see of runs.

pub(crate) mod progress;
pub(crate) mod summary;
pub(crate) mod table;
mod tree;
