//! Puts the statistics of all partitions together, for one tenant.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use oarlock_protocol::Timestamp;
use serde::de::DeserializeOwned;

use super::{Error, Node};
use crate::layout::statistics::{self, Kind};
use crate::statistics::series::{TaskSeries, WorkflowSeries};
use crate::statistics::summary::{Task, Tasks, Workflow, Workflows};
use crate::statistics::{HOUR, hour_of};
use crate::store::{Fields, Key};

/// How many hours of partitions are read at once: each is a question to the store, beside what runs need of it.
const AT_ONCE: usize = 16;
/// The most hours that one question is about: each is a read of every partition.
pub(crate) const MOST_HOURS: u32 = 24 * 31;

/// Which statistics are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whose.
    pub tenant: String,
    /// Of which task definition or workflow; of all where absent.
    pub id: Option<String>,
    /// Of so many hours: the one at hand and those before it. At least 1, at most 744.
    pub hours: u32,
}

impl Node {
    /// What attempts took, by task definition.
    ///
    /// # Errors
    /// The store failed.
    pub async fn task_statistics(&self, asked: &Asked) -> Result<Tasks, Error> {
        let to = self.shared.clock.now();
        let (from, found) = self.statistics(Kind::Task, asked, to).await?;
        let put = |all: &mut TaskSeries, part: TaskSeries| all.merge(&part);
        let series = merged(found, put);
        let tasks = series.into_iter().map(|(task, series)| Task::of(task, series)).collect();
        Ok(Tasks { from, to, tasks })
    }

    /// What runs took, by workflow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn workflow_statistics(&self, asked: &Asked) -> Result<Workflows, Error> {
        let to = self.shared.clock.now();
        let (from, found) = self.statistics(Kind::Workflow, asked, to).await?;
        let put = |all: &mut WorkflowSeries, part: WorkflowSeries| all.merge(&part);
        let series = merged(found, put);
        let workflows =
            series.into_iter().map(|(workflow, series)| Workflow::of(workflow, &series)).collect();
        Ok(Workflows { from, to, workflows })
    }

    /// When the first hour begins, and the stored values, each with its definition.
    async fn statistics(
        &self,
        kind: Kind,
        asked: &Asked,
        to: Timestamp,
    ) -> Result<(Timestamp, Vec<(String, Bytes)>), Error> {
        let last = hour_of(to);
        let hour = |back: u32| {
            let back = i64::try_from(HOUR.as_millis()).unwrap_or(0) * i64::from(back);
            Timestamp::from_millis(last.as_millis().saturating_sub(back))
        };
        let hours = asked.hours.clamp(1, MOST_HOURS);
        // A partition whose owner's clock is ahead has begun the next hour already.
        let next = last.after(HOUR);
        let all: Vec<Timestamp> = (0..hours).map(hour).chain([next]).collect();
        let parts =
            all.iter().flat_map(|hour| (0..self.partitions()).map(move |partition| (partition, *hour)));
        let reads = parts.map(|(partition, hour)| async move {
            self.shared.store.read_hash(partition, &Key::Statistics { hour }, Fields::All).await
        });
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut found = Vec::new();
        while let Some(fields) = reads.next().await {
            for (field, value) in fields? {
                let Some(id) = statistics::id(&field, kind, &asked.tenant) else { continue };
                if asked.id.as_ref().is_none_or(|asked| asked == id) {
                    found.push((id.to_owned(), value));
                }
            }
        }
        Ok((hour(hours - 1), found))
    }
}

/// By definition. What cannot be read is left out: it is from a later release, or somebody else's.
fn merged<S: Default + DeserializeOwned>(
    found: Vec<(String, Bytes)>,
    put: impl Fn(&mut S, S),
) -> BTreeMap<String, S> {
    let mut all = BTreeMap::<String, S>::new();
    for (id, value) in found {
        match serde_json::from_slice(&value) {
            Ok(part) => put(all.entry(id).or_default(), part),
            Err(error) => tracing::error!(id, %error, "statistics cannot be read; they are left out"),
        }
    }
    all
}
