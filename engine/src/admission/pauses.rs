//! What is held back, by queue, task definition or workflow definition. Asked for each task whose turn has come.

use std::collections::BTreeSet;

use oarlock_protocol::message::PauseSubject;

use super::Offered;
use crate::map::{Map, Set};

/// What is held back.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    queues: Set<String>,
    tenants: Map<String, OfTenant>,
}

#[derive(Debug, Default)]
struct OfTenant {
    tasks: Set<String>,
    workflows: Set<String>,
}

impl Pauses {
    pub(super) fn new(subjects: &BTreeSet<PauseSubject>) -> Self {
        let mut pauses = Self::default();
        for subject in subjects.iter().cloned() {
            match subject {
                PauseSubject::Queue { queue } => {
                    pauses.queues.insert(queue);
                }
                PauseSubject::Task { tenant_id, task } => {
                    pauses.tenants.entry(tenant_id).or_default().tasks.insert(task);
                }
                PauseSubject::Workflow { tenant_id, workflow } => {
                    pauses.tenants.entry(tenant_id).or_default().workflows.insert(workflow);
                }
            }
        }
        pauses
    }

    pub(super) fn holds_queue(&self, queue: &str) -> bool {
        self.queues.contains(queue)
    }

    /// The definition by whose pause the task is held back.
    pub(super) fn holding(&self, offered: &Offered) -> Option<PauseSubject> {
        let tenant = &*offered.ticket.run.tenant;
        let of = self.tenants.get(tenant)?;
        let tenant_id = tenant.to_owned();
        if of.tasks.contains(&*offered.task) {
            return Some(PauseSubject::Task { tenant_id, task: offered.task.to_string() });
        }
        let workflow = of.workflows.contains(&*offered.workflow);
        workflow.then(|| PauseSubject::Workflow { tenant_id, workflow: offered.workflow.to_string() })
    }
}
