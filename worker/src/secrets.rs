//! Secrets: values that only the worker knows, named in a task's input by the reserved value `{"$secret": …}`.
//!
//! Before a handler runs, `resolve` puts the values in; `source` reads them, anew for each task, from a folder or the
//! environment. What the handler answers passes through the `mask` of its attempt, which puts `***` where a value stands,
//! so that it reaches neither a message nor a log.

mod coding;
mod forms;
mod mask;
mod panics;
mod resolve;
mod source;
mod stream;

pub(crate) use mask::Mask;
pub(crate) use panics::quiet;
pub(crate) use resolve::{Resolved, resolve};
pub use source::{ENVIRONMENT_PREFIX, Secrets};
pub(crate) use stream::MaskedStream;
