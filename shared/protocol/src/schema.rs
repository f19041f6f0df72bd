//! JSON Schemas of the words whose JSON form is a text that a program wrote by hand. All others derive theirs.
//!
//! Only with the feature `schema`: for the documentation and its tests, never for a check at run time.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{ExecutionId, RunId, Span, TaskInstanceId, TaskPath, Timestamp, TraceParent, WorkerId};

/// Gives a word that is a text in JSON the schema of these fields.
macro_rules! text {
    ($word:ident, $($field:tt)+) => {
        impl JsonSchema for $word {
            fn schema_name() -> Cow<'static, str> {
                stringify!($word).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", $($field)+})
            }
        }
    };
}

text!(RunId, "format": "uuid", "description": "Names a run: one workflow instance.");
text!(
    TaskInstanceId,
    "format": "uuid",
    "description": "Names a task instance; the same over all its attempts, and so its idempotency key."
);
text!(ExecutionId, "format": "uuid", "description": "Names an attempt: one dispatch of a task instance.");
text!(WorkerId, "description": "Names one start of a worker process: a process that starts again has another.");
text!(
    TaskPath,
    "pattern": "^/",
    "description": "Where a task stands in its run, such as /fulfil/label; the run itself is /."
);
text!(
    Timestamp,
    "format": "date-time",
    "description": "A point in time: RFC 3339, UTC, in milliseconds, such as 2026-11-23T07:06:42.000Z."
);
text!(
    TraceParent,
    "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
    "description": "A place in a trace: the `traceparent` of W3C Trace Context."
);
text!(Span, "description": "A length of time in words, such as 500ms, 1m 30s or 24h.");
