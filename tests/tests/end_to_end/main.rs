//! Whole runs in one process: node, worker, embedded broker and store together, also when messages, commits and owners fail.

mod cancel;
mod faults;
mod messages;
mod readme;
mod system;
mod work;
