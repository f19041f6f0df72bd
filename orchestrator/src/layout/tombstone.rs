//! What outlives a run: for a while, the same start still starts nothing.

use bytes::Bytes;
use oarlock_engine::run::Run;
use oarlock_protocol::RunKey;
use serde::{Deserialize, Serialize};

use super::{Unreadable, bytes, runs_key};
use crate::store::{Key, Write};

const TOMBSTONE: &str = "tombstone";

/// What outlives a run that a key or another run had started: for a while, the same request still starts nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    /// Version of this form.
    pub format: u32,
    /// Tells the same request from another one.
    pub request_digest: String,
    /// The version of its definition that the run had.
    pub workflow_definition_version: u32,
}

impl Tombstone {
    /// Reads the tombstone among the fields of a run; none where there is none.
    ///
    /// # Errors
    /// One this release cannot read.
    pub fn read(fields: &[(String, Bytes)]) -> Result<Option<Self>, Unreadable> {
        let Some((_, value)) = fields.iter().find(|(field, _)| field == TOMBSTONE) else { return Ok(None) };
        serde_json::from_slice(value).map(Some).map_err(|e| Unreadable::new("a run's tombstone", e))
    }

    /// Whether the run was cancelled before it had begun.
    pub fn is_of_nothing(&self) -> bool {
        self.request_digest.is_empty()
    }
}

/// The writes that remove an ended run. Where a key or another run had started it and `remember`, a tombstone stays;
/// whether it does.
pub fn forget(run: &Run, remember: bool, writes: &mut Vec<Write>) -> bool {
    let key = Key::Run(run.key.clone());
    let member = run.key.run.to_string();
    writes.push(Write::Delete { key: key.clone() });
    writes.push(Write::SortedRemove { key: runs_key(&run.key.tenant, run.head.status), member });
    let stays = remember && run.key.run.is_keyed();
    if stays {
        let tombstone = Tombstone {
            format: oarlock_protocol::FORMAT,
            request_digest: run.head.request_digest.clone(),
            workflow_definition_version: run.head.workflow_definition_version,
        };
        writes.push(put(&run.key, &tombstone));
    }
    stays
}

/// The write of a tombstone for a run that was never begun, and shall not be.
pub fn bury(run: &RunKey) -> Write {
    let tombstone = Tombstone {
        format: oarlock_protocol::FORMAT,
        request_digest: String::new(),
        workflow_definition_version: 0,
    };
    put(run, &tombstone)
}

fn put(run: &RunKey, tombstone: &Tombstone) -> Write {
    Write::HashSet { key: Key::Run(run.clone()), field: TOMBSTONE.to_owned(), value: bytes(tombstone) }
}
