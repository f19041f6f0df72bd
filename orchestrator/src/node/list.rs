//! Lists runs, the newest first, from the indexes of all partitions.

use oarlock_engine::run::Head;
use oarlock_engine::view;
use oarlock_protocol::instance::{WorkflowStatus, WorkflowSummary};
use oarlock_protocol::{RunId, RunKey};

use super::{Error, Node};
use crate::layout::{self, StoredRun};
use crate::store::{Fields, Key, Range};

/// Which runs to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose runs.
    pub tenant: String,
    /// In which status; all where absent.
    pub status: Option<WorkflowStatus>,
    /// Of which definition; all where absent.
    pub definition: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Begin behind this row: the cursor of the page before.
    pub after: Option<(i64, RunId)>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The runs, the newest first.
    pub runs: Vec<WorkflowSummary>,
    /// Where the next page begins; none where this is the last.
    pub next: Option<(i64, RunId)>,
}

/// How many entries of each index are read at once.
const STRIDE: usize = 200;
/// A page ends after so many entries, though few of them are of the wanted definition: the next page goes on there.
const MOST_SCANNED: usize = 2_000;

impl Node {
    /// Lists runs, the newest first.
    ///
    /// # Errors
    /// The store failed, or holds what this release cannot read.
    pub async fn list(&self, filter: &Filter) -> Result<Page, Error> {
        let mut runs = Vec::new();
        let mut after = filter.after;
        let mut scanned = 0;
        loop {
            let entries = self.entries(filter, after).await?;
            let more = entries.len() >= STRIDE;
            scanned += entries.len();
            for (created, run) in entries {
                after = Some((created, run));
                let Some(summary) = self.summary(filter, run).await? else { continue };
                runs.push(summary);
                if runs.len() >= filter.limit {
                    return Ok(Page { runs, next: after });
                }
            }
            if !more {
                return Ok(Page { runs, next: None });
            }
            if scanned >= MOST_SCANNED {
                return Ok(Page { runs, next: after });
            }
        }
    }

    /// The next entries of all indexes together, the newest first.
    async fn entries(
        &self,
        filter: &Filter,
        after: Option<(i64, RunId)>,
    ) -> Result<Vec<(i64, RunId)>, Error> {
        let statuses = filter.status.map_or(WorkflowStatus::ALL.to_vec(), |status| vec![status]);
        let after = after.map(|(created, run)| (created, run.to_string()));
        let range = Range { from: i64::MIN, to: i64::MAX, after, limit: STRIDE, descending: true };
        let mut entries = Vec::new();
        for partition in 0..self.partitions() {
            for &status in &statuses {
                let key = layout::runs_key(&filter.tenant, status);
                for (member, created) in self.shared.store.read_sorted(partition, &key, &range).await? {
                    entries.extend(member.parse::<RunId>().ok().map(|run| (created, run)));
                }
            }
        }
        entries.sort_unstable_by_key(|&(created, run)| std::cmp::Reverse((created, run)));
        entries.dedup();
        entries.truncate(STRIDE);
        Ok(entries)
    }

    /// The status of a run; none where there is no such run.
    pub(super) async fn status(&self, key: &RunKey) -> Result<Option<WorkflowStatus>, Error> {
        Ok(self.head(key).await?.map(|head| head.status))
    }

    async fn summary(&self, filter: &Filter, run: RunId) -> Result<Option<WorkflowSummary>, Error> {
        let head = match self.head(&RunKey::new(filter.tenant.as_str(), run)).await {
            Ok(head) => head,
            Err(Error::Unreadable(reason)) => {
                tracing::error!(%run, reason, "a run is left out of a list");
                None
            }
            Err(error) => return Err(error),
        };
        let wanted =
            |head: &Head| filter.definition.as_ref().is_none_or(|id| *id == head.workflow_definition_id);
        Ok(head.filter(wanted).map(|head| view::summary(run, &head)))
    }

    async fn head(&self, run: &RunKey) -> Result<Option<Head>, Error> {
        let fields = Fields::Named(layout::head_fields());
        let partition = run.run.partition(self.partitions());
        let read = self.shared.store.read_hash(partition, &Key::Run(run.clone()), fields).await?;
        let stored = StoredRun::read(read).map_err(|e| Error::Unreadable(e.to_string()))?;
        Ok(stored.map(|stored| stored.head))
    }
}
