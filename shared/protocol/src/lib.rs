//! The words of Oarlock: what every crate, worker and stored byte agrees on.
//!
//! Pure data with serde, no I/O; `clock` and `chance` are where time and fresh ids come in. JSON form: camelCase fields, SCREAMING_SNAKE_CASE statuses, RFC 3339 UTC times.
//! Readers of runs and messages ignore unknown fields; definitions refuse them.

pub mod chance;
pub mod clock;
pub mod code;
pub mod definition;
pub mod depth;
pub mod duration;
pub mod error;
pub mod id;
pub mod instance;
mod mapping;
pub mod message;
pub mod name;
pub mod path;
pub mod payload;
pub mod priority;
pub mod schedule;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod security;
pub mod time;
pub mod trace;

pub use clock::Clock;
pub use duration::Span;
pub use error::ErrorDetails;
pub use id::{ExecutionId, RunId, RunKey, ScheduleKey, TaskInstanceId, WorkerId};
pub use path::TaskPath;
pub use time::Timestamp;
pub use trace::{SpanId, TraceId, TraceParent};

/// A JSON value; objects keep their keys sorted, so equal values have equal text.
pub use serde_json::Value as Json;

/// A JSON object.
pub type JsonMap = serde_json::Map<String, Json>;

/// The `format` number written into stored runs and messages by this release.
pub const FORMAT: u32 = 1;
