//! What this node knows of the whole fleet: its queues, how many workers they want, and what is unusual.

use std::sync::Arc;

use oarlock_monitor::{Change, Subject};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Node, Slot};
use crate::anomalies::handling::Pauses;
use crate::anomalies::{self, AnomaliesView};
use crate::lookout::{Lookout, Scaling};
use crate::partition::Wish;
use crate::queues::QueuesView;

/// Begins to watch the fleet, and to handle what is found.
pub(super) fn watch(
    lookout: &Arc<Lookout>,
    slots: &Arc<Vec<Slot>>,
    found: mpsc::Receiver<Change>,
    pauses: Arc<dyn Pauses>,
) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(lookout.clone().look_for_ever())];
    if lookout.watches_anomalies() {
        let (lookout, slots) = (lookout.clone(), slots.clone());
        tasks.push(tokio::spawn(lookout.handler(pauses).handle_for_ever(found)));
        tasks.push(tokio::spawn(async move { lookout.patrol_for_ever(|| wished(&slots)).await }));
    }
    tasks
}

/// The partitions that this node is to own.
fn wished(slots: &[Slot]) -> Vec<u32> {
    (0..)
        .zip(slots)
        .filter(|(_, slot)| *slot.wish.borrow() == Wish::Own)
        .map(|(partition, _)| partition)
        .collect()
}

impl Node {
    /// The queues of the fleet as they stand, with the work of one tenant alone where that is named. Figures of other
    /// orchestrators are a second old.
    pub async fn queues(&self, tenant: Option<&str>) -> QueuesView {
        self.lookout.queues(tenant).await
    }

    /// How many workers a queue wants.
    pub fn scaling(&self, queue: &str) -> Scaling {
        self.lookout.scaling(queue)
    }

    /// What is unusual now, the worst first: what concerns the tenant, and what concerns no tenant alone.
    pub fn anomalies(&self, tenant: &str) -> AnomaliesView {
        let mut found = anomalies::merged(self.lookout.findings());
        found.retain(|finding| match &finding.subject {
            Subject::Task(key) => &*key.tenant == tenant,
            Subject::Run { tenant: of, .. } => of == tenant,
            Subject::Queue { .. } | Subject::Worker { .. } => true,
        });
        AnomaliesView { anomalies: found, at: self.shared.clock.now() }
    }
}

/// WIP seam.
pub(super) struct Nobody;

#[async_trait::async_trait]
impl Pauses for Nobody {
    async fn pause_task(&self, _: &oarlock_monitor::Key, _: &str) -> Result<(), String> {
        Err("not yet".to_owned())
    }
}
