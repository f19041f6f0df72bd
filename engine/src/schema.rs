//! Values that must fit a schema: filled with its defaults, judged, and still small enough.

use oarlock_protocol::{ErrorDetails, Json};
use oarlock_schema::Schema;

use crate::mapping;

/// Fills the defaults of `schema` into `value`, then checks it; anything is admitted where there is no schema. `what`
/// names the value to people.
///
/// # Errors
/// SCHEMA_VIOLATION, naming the places; PAYLOAD_TOO_LARGE where the defaults bring it above `limit` bytes.
pub fn admit(
    schema: Option<&Schema>,
    value: &mut Json,
    what: &str,
    limit: usize,
) -> Result<(), ErrorDetails> {
    let Some(schema) = schema else { return Ok(()) };
    schema.admit(value, what)?;
    mapping::check(value, &format!("{what}, with the defaults of its schema,"), limit)
}
