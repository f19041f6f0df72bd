//! Which steps and branches of a definition were taken.

use std::collections::BTreeMap;

use oarlock_engine::plan::{NodeKind, Step};
use oarlock_engine::{Plan, Run};
use oarlock_protocol::TaskPath;
use oarlock_protocol::instance::TaskStatus;
use serde::Serialize;

/// One thing a definition can do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// The step; `[]` stands for any iteration.
    pub task_path: TaskPath,
    /// What of it: `reached`, `skipped`, `case 1`, `no case`, `onError`, `onTimeout`, `compensate`.
    pub what: String,
}

/// How often each branch was taken.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    taken: BTreeMap<Branch, usize>,
}

impl Serialize for Coverage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            branches: usize,
            taken: usize,
            percent: u32,
            not_taken: Vec<&'a Branch>,
        }
        let not_taken: Vec<&Branch> = self.not_taken().collect();
        let (branches, percent) = (self.taken.len(), self.percent());
        Shown { branches, taken: branches - not_taken.len(), percent, not_taken }.serialize(serializer)
    }
}

impl Coverage {
    /// Everything a plan can do, nothing taken yet.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut coverage = Self::default();
        for node in plan.nodes().filter(|node| !node.path.is_root()) {
            let what = match node.attached {
                Some(oarlock_engine::plan::Attachment::OnError) => "onError",
                Some(oarlock_engine::plan::Attachment::OnTimeout) => "onTimeout",
                Some(oarlock_engine::plan::Attachment::Compensation) => "compensate",
                None => "reached",
            };
            coverage.expect(&node.path, what);
            if node.condition.is_some() {
                coverage.expect(&node.path, "skipped");
            }
            if let NodeKind::Switch(cases) = &node.kind {
                (1..=cases.len()).for_each(|case| coverage.expect(&node.path, &format!("case {case}")));
                if cases.iter().all(|case| case.when.is_some()) {
                    coverage.expect(&node.path, "no case");
                }
            }
        }
        coverage
    }

    fn expect(&mut self, path: &TaskPath, what: &str) {
        self.taken.insert(Branch { task_path: path.clone(), what: what.to_owned() }, 0);
    }

    /// Notes a change of a step.
    pub(crate) fn note(&mut self, plan: &Plan, run: &Run, step: &Step, status: TaskStatus) {
        let node = plan.node(step);
        if status == TaskStatus::Skipped {
            return self.take(&node.path, "skipped");
        }
        for what in ["reached", "onError", "onTimeout", "compensate"] {
            self.take(&node.path, what);
        }
        if matches!(node.kind, NodeKind::Switch(_)) {
            match run.rows.get(&step.path).and_then(|row| row.block()).and_then(|block| block.case) {
                Some(case) => self.take(&node.path, &format!("case {}", case + 1)),
                None => self.take(&node.path, "no case"),
            }
        }
    }

    fn take(&mut self, path: &TaskPath, what: &str) {
        let branch = Branch { task_path: path.clone(), what: what.to_owned() };
        if let Some(taken) = self.taken.get_mut(&branch) {
            *taken += 1;
        }
    }

    /// What was not taken, in the order of the places.
    pub fn not_taken(&self) -> impl Iterator<Item = &Branch> {
        self.taken.iter().filter(|(_, taken)| **taken == 0).map(|(branch, _)| branch)
    }

    /// How many of a hundred branches were taken; 100 where there are none.
    pub fn percent(&self) -> u32 {
        let (all, missing) = (self.taken.len(), self.not_taken().count());
        u32::try_from((all - missing) * 100 / all.max(1)).unwrap_or(100)
    }
}
