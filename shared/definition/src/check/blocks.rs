//! Steps with steps inside: the variables of their own, and how many of what is inside are enough.

use oarlock_protocol::Json;
use oarlock_protocol::definition::{Task, TaskKind};

use super::Checker;
use super::outline::Outline;
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;

impl Checker<'_, '_> {
    /// A group's own variables hide none that are declared around it.
    pub(super) fn own_variables(&mut self, number: usize) {
        let outline: &Outline<'_> = self.outline;
        let step = &outline.steps[number];
        for name in step.task.variables.keys() {
            let place = step.place.key("variables").key(name);
            self.identifier(name, &place, Mark::Key);
            let around = self.names.group_of(outline, number, name);
            let owner = match around {
                Some(around) => format!("the step `{}` around this one", outline.steps[around].task.id),
                None if self.names.variables.contains(name.as_str()) => "the workflow".to_owned(),
                None => continue,
            };
            let message = format!("`{name}` is a variable of {owner} already");
            let help = format!(
                "Give it another name, such as `{}_{name}`, or use the one that is there.",
                step.task.id
            );
            self.tell(Finding::new(Code::ShadowedName, &place, message).mark(Mark::Key).help(help));
        }
    }

    /// No more may be needed than there are.
    pub(super) fn join(&mut self, task: &Task, place: &Place) {
        let Some(join) = task.join else { return };
        let (count, what) = match &task.kind {
            TaskKind::Tasks(tasks) | TaskKind::Parallel(tasks) => (Some(tasks.len()), "steps"),
            TaskKind::ForEach(each, _) => {
                let items = match &each.items {
                    Json::Array(items) => Some(items.len()),
                    Json::Object(items) => Some(items.len()),
                    Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
                };
                let batch = each.batch.unwrap_or(1).max(1) as usize;
                (items.map(|items| items.div_ceil(batch)), "iterations")
            }
            _ => return,
        };
        let need = join.need as usize;
        let message = match count {
            _ if need == 0 => "a `join` that needs none would be met before anything is done".to_owned(),
            Some(count) if need > count && count > 0 => {
                format!("{need} of {count} {what} are needed: that can never be")
            }
            _ => return,
        };
        let finding = Finding::new(Code::SenselessPolicy, &place.key("join").key("need"), message);
        self.tell(finding.help("Write how many of what is inside are enough, from 1 to all of them."));
    }
}
