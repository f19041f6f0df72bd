//! How limits over the whole fleet lie in the hash of their home partition: one field each, with what every partition holds.

use bytes::Bytes;
use oarlock_engine::permits::Home;
use oarlock_protocol::message::LimitName;
use oarlock_protocol::{FORMAT, RunId};
use serde::{Deserialize, Serialize};

use super::{Unreadable, bytes};
use crate::store::{Key, Write};

/// A limit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredLimit {
    /// Version of this form.
    pub format: u32,
    /// Which limit.
    pub limit: LimitName,
    /// What is held of it.
    pub home: Home,
}

/// The field of a limit.
pub fn limit_field(limit: &LimitName) -> String {
    limit.to_string()
}

/// The partition that leases the permits of a limit.
pub fn limit_home(limit: &LimitName, partitions: u32) -> u32 {
    // No definition has such an id.
    RunId::keyed(&limit.tenant_id, &format!("limit/{limit}"), "").partition(partitions)
}

/// The value to store of a limit.
pub fn limit_write(limit: &LimitName, home: &Home) -> (Write, Bytes) {
    let value = bytes(&StoredLimit { format: FORMAT, limit: limit.clone(), home: home.clone() });
    (Write::HashSet { key: Key::Limits, field: limit_field(limit), value: value.clone() }, value)
}

/// Reads the limits among all fields of a partition, each with what is stored of it.
///
/// # Errors
/// One that this release cannot read.
pub fn limits_in(fields: Vec<(String, Bytes)>) -> Result<Vec<(StoredLimit, Bytes)>, Unreadable> {
    let read = |(field, value): (String, Bytes)| {
        let unreadable = |error: String| Unreadable::new(format!("limit {field}"), error);
        let stored: StoredLimit = serde_json::from_slice(&value).map_err(|e| unreadable(e.to_string()))?;
        if stored.format > FORMAT {
            return Err(unreadable(format!("its format {} is from a newer release", stored.format)));
        }
        Ok((stored, value))
    };
    fields.into_iter().map(read).collect()
}
