//! What is derived of a run that was read from the store, and what of it memory may forget.

use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::{TaskPath, Timestamp};

use crate::plan::{Plan, Step};
use crate::run::{Block, Body, Row, Run, Stage};

impl Run {
    /// Restores what is derived, after the parts of a run were read from the store at `now`. Signs of life are known
    /// in memory only: every worker that holds an attempt gets its full time to give one again.
    ///
    /// # Errors
    /// A row that the plan does not know: the run belongs to another definition.
    pub fn restore(&mut self, plan: &Plan, now: Timestamp) -> Result<(), TaskPath> {
        for (path, row) in &mut self.rows {
            row.node = plan.locate(path).ok_or_else(|| path.clone())?.node;
            if let Some(Stage::Open(open)) = row.work_mut().map(|work| &mut work.stage) {
                open.seen = open.seen.map(|_| now);
            }
        }
        self.restore_root();
        self.derive(plan);
        Ok(())
    }

    /// The row of the run itself is not stored: all it holds is in the head.
    fn restore_root(&mut self) {
        let head = &self.head;
        let block = Block { ending: head.ending.clone(), ..Default::default() };
        let row = Row {
            node: Plan::ROOT,
            status: TaskStatus::Running,
            settled: head.status.is_terminal(),
            created_at: head.created_at,
            updated_at: head.updated_at,
            start_time: head.start_time,
            end_time: head.end_time,
            input: None,
            output: None,
            error: None,
            failed_at: None,
            body: Body::Block(block),
            is_partial: false,
        };
        self.rows.insert(TaskPath::root(), row);
    }

    /// Counts the progress of every block anew, from the rows of its children.
    pub(crate) fn derive(&mut self, plan: &Plan) {
        self.met.clear();
        self.waits.clear();
        self.to_undo = None;
        let mut steps: Vec<Step> =
            self.rows.iter().map(|(path, row)| Step { node: row.node, path: path.clone() }).collect();
        // What is inside a step has a longer path than the step: children are counted before what is around them.
        steps.sort_unstable_by(|a, b| {
            b.path.as_str().len().cmp(&a.path.as_str().len()).then(a.path.cmp(&b.path))
        });
        for row in self.rows.values_mut() {
            if let Some(block) = row.block_mut() {
                (block.begun, block.settled, block.active) = (0, 0, 0);
                (block.completed, block.failed, block.frontier) = (0, 0, 0);
                block.again.clear();
            }
        }
        for step in &steps {
            self.derive_frontier(plan, step);
            self.count_in_parent(plan, step);
        }
        for block in self.rows.values_mut().filter_map(Row::block_mut) {
            block.again.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    fn count_in_parent(&mut self, plan: &Plan, step: &Step) {
        let Some(row) = self.rows.get(&step.path) else { return };
        if matches!(row.body, Body::Await(_)) && !row.status.is_terminal() {
            self.waits.insert(step.path.clone());
        }
        let Some(parent) = plan.parent(step).filter(|_| !plan.is_attached(step)) else { return };
        let (status, settled, finished) = (row.status, row.settled, row.finished());
        let Some(block) = self.rows.get_mut(&parent.path).and_then(Row::block_mut) else { return };
        block.begun = block.begun.max(plan.number(step).map_or(0, |number| number + 1));
        block.settled += usize::from(settled);
        match plan.number(step) {
            Some(number) if status == TaskStatus::Pending => block.again.push(number),
            _ => block.active += usize::from(!finished),
        }
        match status {
            TaskStatus::Completed => block.completed += usize::from(settled),
            TaskStatus::Failed | TaskStatus::TimedOut => block.failed += usize::from(settled),
            _ => {}
        }
    }

    fn derive_frontier(&mut self, plan: &Plan, step: &Step) {
        let Some(block) = self.rows.get(&step.path).and_then(Row::block) else { return };
        let children = plan.children(step, block.case);
        if !children.ordered {
            return;
        }
        let settled = |&&child: &&crate::NodeId| {
            self.rows.get(&plan.child(step, child).path).is_some_and(|row| row.settled)
        };
        let frontier = children.ids.iter().take_while(settled).count();
        if let Some(block) = self.rows.get_mut(&step.path).and_then(Row::block_mut) {
            block.frontier = frontier;
        }
    }

    /// Drops from memory what no later decision can need: the data of settled steps that no expression reads.
    /// Only for rows that are already written. What is done is only removed, never changed again, so the store keeps it
    /// as it is: [`Run::row_mut`] sees to that.
    pub fn compact(&mut self, plan: &Plan, written: &[TaskPath]) {
        for path in written {
            let Some(row) = self.rows.get_mut(path) else { continue };
            let is_done = matches!(row.status, TaskStatus::Completed | TaskStatus::Skipped);
            // What did not complete may be done again, by an operator.
            if !row.finished() || !is_done || plan.node(row.node).referenced {
                continue;
            }
            (row.input, row.output, row.is_partial) = (None, None, true);
            if let Some(work) = row.work_mut() {
                work.attempts = Vec::new();
            }
        }
    }
}
