//! `forEach` and `loop` by themselves: items, names, and numbers in their ranges.

use oarlock_protocol::Json;
use oarlock_protocol::definition::{ForEach, Loop, Task, TaskKind};

use super::Checker;
use super::outline::Outline;
use super::references::ROOTS;
use super::sites::Site;
use crate::code::Code;
use crate::expressions;
use crate::findings::{Finding, Mark};
use crate::place::Place;

/// More iterations of one loop are a mistake: each is decided and stored, and a run must end.
const MOST_ITERATIONS: u32 = 1_000_000;
/// More iterations are not kept: they are read whenever the run is loaded.
const MOST_KEPT: u32 = 1_000;

impl Checker<'_, '_> {
    pub(super) fn for_each(&mut self, number: usize, each: &ForEach, tasks: &[Task]) {
        let outline: &Outline<'_> = self.outline;
        let step = &outline.steps[number].place;
        let place = step.key("forEach");
        self.not_empty(tasks.len(), &step.key("tasks"), "a `forEach` without steps does nothing");
        self.items(&each.items, &place.key("items"));
        self.item_name(number, &each.name, &place.key("as"));
        self.in_range(each.concurrency, 1, u32::MAX, &place.key("concurrency"));
        self.in_range(each.batch, 1, u32::MAX, &place.key("batch"));
        self.condition(each.until.as_deref(), &place.key("until"), "Remove it.");
    }

    /// What is iterated over: one expression, or a list or map as it stands.
    fn items(&mut self, items: &Json, place: &Place) {
        let found = match items {
            Json::Array(items) => {
                return self.not_empty(items.len(), place, "a `forEach` over no items does nothing");
            }
            Json::Object(items) => {
                return self.not_empty(items.len(), place, "a `forEach` over no items does nothing");
            }
            Json::String(text) if expressions::is_template(text) => {
                // One that does not compile is told where all expressions are.
                if expressions::is_one_expression(text) || expressions::template(text).is_err() {
                    return;
                }
                "a text with an expression in it"
            }
            Json::String(_) => "a text",
            Json::Number(_) => "a number",
            Json::Bool(_) => "a boolean",
            Json::Null => "null",
        };
        let message = format!("`items` is a list, a map, or one expression that gives one; found {found}");
        let help = match items {
            Json::String(text) if !text.contains('$') && expressions::expression(text).is_ok() => {
                format!("An expression is wrapped: `items: \"${{ {} }}\"`.", text.trim())
            }
            _ => "Write `items: \"${ input.items }\"`, or a list such as `[north, south]`.".to_owned(),
        };
        self.tell(Finding::new(Code::WrongType, place, message).help(help));
    }

    /// The `as` name means nothing else inside.
    fn item_name(&mut self, number: usize, name: &str, place: &Place) {
        let outline: &Outline<'_> = self.outline;
        self.identifier(name, place, Mark::Value);
        if name != "item" && ROOTS.contains(&name) {
            let message =
                format!("an item cannot be called `{name}`: expressions use that for something else");
            let help = "Choose another name, such as `as: item`.";
            self.tell(Finding::new(Code::ReservedName, place, message).help(help));
            return;
        }
        let is_item = |&around: &usize| match &outline.steps[around].task.kind {
            TaskKind::ForEach(each, _) => each.name == name,
            _ => false,
        };
        let around = outline.iterations_around(number).into_iter().find(is_item);
        let meaning = if let Some(around) = around {
            format!("the item of the forEach `{}` around this one", outline.steps[around].task.id)
        } else if outline.by_id.contains_key(name) {
            "the id of a step".to_owned()
        } else if self.names.has_variable(outline, Site::Ended(number), name) {
            "a variable".to_owned()
        } else {
            return;
        };
        let message = format!("an item cannot be called `{name}`: that is {meaning}");
        let help = "Give it a name of its own with `as`, such as `as: line`.";
        self.tell(Finding::new(Code::ShadowedName, place, message).help(help));
    }

    pub(super) fn repeat(&mut self, repeat: &Loop, tasks: &[Task], step: &Place) {
        let place = step.key("loop");
        self.not_empty(tasks.len(), &step.key("tasks"), "a `loop` without steps does nothing");
        if repeat.while_.is_none() && repeat.until.is_none() {
            let finding = Finding::new(Code::MissingField, &place, "a `loop` needs `while` or `until`");
            let help = "Say when it is done: `until: poll.output.done` is asked after each iteration, \
                        `while: variables.rest > 0` before.";
            self.tell(finding.mark(Mark::Key).help(help));
        }
        self.condition(
            repeat.while_.as_deref(),
            &place.key("while"),
            "Remove it; `max` ends the loop anyway.",
        );
        self.condition(repeat.until.as_deref(), &place.key("until"), "A group does its steps once.");
        self.in_range(Some(repeat.max), 1, MOST_ITERATIONS, &place.key("max"));
        self.in_range(Some(repeat.keep), 1, MOST_KEPT, &place.key("keep"));
        self.pauses(repeat, &place);
    }

    fn pauses(&mut self, repeat: &Loop, place: &Place) {
        self.not_zero(repeat.delay, &place.key("delay"));
        self.not_zero(repeat.max_delay, &place.key("maxDelay"));
        let coefficient = repeat.backoff_coefficient;
        if coefficient.is_nan() || coefficient < 1.0 {
            let message = format!("with the coefficient {coefficient} the pauses would shrink");
            self.senseless(&place.key("backoffCoefficient"), message, "Use 1 or more; 2 doubles each pause.");
        }
        match (repeat.delay, repeat.max_delay) {
            (Some(delay), Some(longest)) if longest < delay => {
                let message = format!("`maxDelay` ({longest}) is shorter than `delay` ({delay})");
                self.senseless(&place.key("maxDelay"), message, "Make it longer, or the delay shorter.");
            }
            (None, longest) => {
                let grows = coefficient > 1.0;
                let named = [("maxDelay", longest.is_some()), ("backoffCoefficient", grows)];
                for (field, _) in named.into_iter().filter(|(_, is_set)| *is_set) {
                    let message = format!("without a `delay` there is no pause, and `{field}` has no effect");
                    let finding = Finding::new(Code::UselessPolicy, &place.key(field), message);
                    self.tell(finding.mark(Mark::Key).help("Add `delay: 10s`, or remove it."));
                }
            }
            _ => {}
        }
    }

    fn in_range(&mut self, value: Option<u32>, least: u32, most: u32, place: &Place) {
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            let range =
                if most == u32::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
            let finding = Finding::new(Code::InvalidNumber, place, format!("{value} is outside its range"));
            self.tell(finding.help(format!("Write a whole number of {range}.")));
        }
    }
}
