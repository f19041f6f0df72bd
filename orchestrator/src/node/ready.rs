//! Whether this node can work, and what is in the way.

use oarlock_broker::Health;
use serde::Serialize;

use super::Node;
use crate::members::Member;
use crate::partition::Wish;

/// What a node tells of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether starts are accepted and runs go on.
    pub ready: bool,
    /// What is in the way: a sentence each.
    pub problems: Vec<String>,
    /// Partitions that this node owns.
    pub partitions_owned: Vec<u32>,
    /// Partitions that it should own.
    pub partitions_wanted: Vec<u32>,
    /// How many partitions there are.
    pub partitions: u32,
    /// The orchestrators that live, this one among them.
    pub members: Vec<Member>,
}

impl Node {
    /// Whether this node can work: the broker takes messages, the store answers, and every partition it should own is owned.
    pub fn readiness(&self) -> Readiness {
        let mut problems = Vec::new();
        match &*self.shared.broker.health().borrow() {
            Health::Ready => {}
            Health::Blocked(reason) => problems.push(format!("the broker takes no messages: {reason}")),
            Health::Down(reason) => problems.push(format!("the broker is not there: {reason}")),
        }
        let membership = self.membership.borrow().clone();
        match &membership.problem {
            Some(problem) => problems.push(problem.clone()),
            None if membership.members.is_empty() => {
                problems.push("the store has not answered yet".to_owned());
            }
            None => {}
        }
        if let Some(problem) = self.payloads().and_then(oarlock_payloads::Payloads::problem) {
            problems.push(problem);
        }
        let (mut owned, mut wanted) = (Vec::new(), Vec::new());
        for (partition, slot) in (0..).zip(self.slots.iter()) {
            if *slot.owned.borrow() {
                owned.push(partition);
            }
            if *slot.wish.borrow() == Wish::Own {
                wanted.push(partition);
            }
        }
        let missing: Vec<_> =
            wanted.iter().filter(|wanted| !owned.contains(wanted)).map(u32::to_string).collect();
        if !missing.is_empty() {
            problems.push(format!("not owned yet: partition {}", missing.join(", ")));
        }
        if self.tasks().0.iter().any(tokio::task::JoinHandle::is_finished) {
            problems.push("the node is stopping".to_owned());
        }
        Readiness {
            ready: problems.is_empty(),
            problems,
            partitions_owned: owned,
            partitions_wanted: wanted,
            partitions: self.partitions(),
            members: membership.members,
        }
    }
}
