//! `compensateWith`: where it may stand, and the task it names.

use super::Checker;
use super::outline::Outline;
use crate::code::Code;
use crate::findings::{Finding, Mark};

impl Checker<'_, '_> {
    pub(super) fn compensation(&mut self, number: usize) {
        let outline: &Outline<'_> = self.outline;
        let step = &outline.steps[number];
        let Some(compensation) = &step.task.compensate_with else { return };
        let place = step.place.key("compensateWith");
        if outline.is_in_handlers(number) {
            let message = "a step inside `onError` has no `compensateWith`: handlers are not undone";
            let finding = Finding::new(Code::MisplacedField, &place, message).mark(Mark::Key);
            self.tell(finding.help("Put it on the step whose failure is handled, or remove it."));
        }
        self.task_name(&compensation.task, &place.key("task"));
        if let Some(policy) = &compensation.retry_policy {
            self.retry_policy(policy, &place.key("retryPolicy"));
        }
        self.timeouts(&compensation.timeouts, &place.key("timeouts"));
    }
}
