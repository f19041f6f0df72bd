//! When a block is done: all its children, or as many as its `join` needs.

use oarlock_protocol::ErrorDetails;
use oarlock_protocol::code::Code;
use serde_json::json;

use super::{Decider, Next};
use crate::plan::{NodeKind, Step};
use crate::run::{Ending, Row};

impl Decider<'_> {
    /// Looks whether a block of `total` children is done, or cannot get what its `join` needs, and says so.
    /// Nothing more is to be begun in it then.
    pub(super) fn is_joined(&mut self, step: &Step, total: usize) -> bool {
        let Some(row) = self.row(step) else { return false };
        let Some(block) = row.block() else { return false };
        let (settled, active, completed) = (block.settled, block.active, block.completed);
        let all = settled == total && active == 0;
        if row.settled {
            // Enough of it was done before: only the block around it still waits for the rest.
            if all {
                self.rest_ended(step);
            }
            return false;
        }
        let Some(join) = self.plan.node(step).join else {
            if all {
                self.complete(step);
            }
            return all;
        };
        let need = join.need as usize;
        if completed >= need {
            if join.cancel_rest && !all {
                self.end_block(step, Ending::Enough);
            } else {
                if let Some(block) = self.row_mut(step).and_then(Row::block_mut) {
                    block.rest = !all;
                }
                self.complete(step);
            }
            // Without `cancelRest` what is left goes on.
            return join.cancel_rest || all;
        }
        if completed + (total - settled.min(total)) < need {
            let error = self.not_met(step, need, completed, settled);
            let failed_at = step.path.clone();
            self.end_block(step, Ending::Failed { error, failed_at });
            return true;
        }
        false
    }

    /// A block that was settled before has nothing open in it any more.
    pub(super) fn rest_ended(&mut self, step: &Step) {
        if let Some(block) = self.row_mut(step).and_then(Row::block_mut)
            && std::mem::take(&mut block.rest)
        {
            self.agenda.push_back(Next::Finished(step.clone()));
        }
    }

    /// Whether the failure of a child alone does not end a block.
    pub(super) fn bears_failures(&self, step: &Step) -> bool {
        let node = self.plan.node(step);
        let is_done = self.row(step).is_some_and(|row| row.settled);
        is_done || node.join.is_some() || matches!(node.kind, NodeKind::ForEach(_))
    }

    fn not_met(&self, step: &Step, need: usize, completed: usize, settled: usize) -> ErrorDetails {
        let message = format!(
            "{need} steps inside must complete; {completed} did, and {} ended otherwise",
            settled - completed
        );
        let failed = |row: &Row| row.error.clone().map(|error| (row.end_time, error));
        let children = self.children_of(step);
        let last = children.iter().filter_map(|child| self.row(child).and_then(failed));
        let last = last.max_by_key(|(end, _)| *end).map(|(_, error)| error);
        ErrorDetails {
            details: json!({ "lastFailure": last }),
            ..ErrorDetails::system(Code::JoinNotMet, message)
        }
    }
}
