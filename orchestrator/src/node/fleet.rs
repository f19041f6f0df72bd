//! What this node knows of the whole fleet: its queues, how many workers they want, and what is unusual.

use std::sync::Arc;

use async_trait::async_trait;
use oarlock_monitor::{Change, Key, Subject};
use oarlock_protocol::message::{Operation, PauseSubject};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::owners::Owners;
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
    owners: Arc<Owners>,
) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(lookout.clone().look_for_ever())];
    if lookout.watches_anomalies() {
        let (lookout, slots) = (lookout.clone(), slots.clone());
        tasks.push(tokio::spawn(lookout.handler(owners).handle_for_ever(found)));
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

#[async_trait]
impl Pauses for Owners {
    async fn pause_task(&self, task: &Key, reason: &str) -> Result<(), String> {
        let subject =
            PauseSubject::Task { tenant_id: task.tenant.to_string(), task: task.definition.to_string() };
        let paused = self.change_pause(subject, Operation::Pause, reason, "oarlock").await;
        paused.map(drop).map_err(|error| error.to_string())
    }
}
