//! Whether a step can have finished when an expression reads it.

use super::order::{Awaited, Order};
use super::outline::{Outline, Role};

/// Why a step cannot have finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// It is the reading step itself.
    Itself,
    /// The reading step stands inside it.
    Around,
    /// It stands inside the reading step.
    Inside,
    /// It stands in another case of the same switch, of which only one is taken.
    OtherCase,
    /// It stands in error handlers, which run only after the reader.
    Handler,
    /// `later` (the step, or one around it) waits for `waiter` (the reader, or one around it).
    Later { waiter: usize, later: usize },
    /// Nothing makes `waiter` (the reader, or one around it) wait for `awaited` (the step, or one around it).
    NotAwaited { waiter: usize, awaited: usize },
}

/// Answers the question, and remembers the answer for the last waiting step: expressions of one step come in a row.
pub(super) struct Finished<'o, 'd> {
    outline: &'o Outline<'d>,
    orders: &'o [Order],
    last: Option<(usize, Awaited)>,
}

impl<'o, 'd> Finished<'o, 'd> {
    pub(super) fn new(outline: &'o Outline<'d>, orders: &'o [Order]) -> Self {
        Self { outline, orders, last: None }
    }

    /// Whether `read` can have finished when the workflow ends well.
    pub(super) fn at_end(&self, read: usize) -> Result<(), Unfinished> {
        match self.outline.chain(read).first() {
            Some((list, _)) if self.outline.lists[*list].role == Role::OnError => Err(Unfinished::Handler),
            _ => Ok(()),
        }
    }

    /// Whether `read` can have finished when `reader` begins.
    pub(super) fn before(&mut self, reader: usize, read: usize) -> Result<(), Unfinished> {
        if reader == read {
            return Err(Unfinished::Itself);
        }
        let (ours, theirs) = (self.outline.chain(reader), self.outline.chain(read));
        let shared = ours.iter().zip(&theirs).take_while(|(our, their)| our == their).count();
        match (ours.get(shared), theirs.get(shared)) {
            (Some((list, _)), None) => self.is_handler(*list).then_some(()).ok_or(Unfinished::Around),
            (None, _) => Err(Unfinished::Inside),
            (Some((list, waiter)), Some((other, awaited))) if list == other => self.awaits(*waiter, *awaited),
            (Some((list, _)), Some((other, _))) => self.in_other_list(*list, *other),
        }
    }

    /// Two lists of the same step, or the two of the workflow.
    fn in_other_list(&self, ours: usize, theirs: usize) -> Result<(), Unfinished> {
        match (self.is_handler(ours), self.is_handler(theirs)) {
            (true, _) => Ok(()),
            (false, true) => Err(Unfinished::Handler),
            (false, false) => Err(Unfinished::OtherCase),
        }
    }

    fn is_handler(&self, list: usize) -> bool {
        self.outline.lists[list].role == Role::OnError
    }

    fn awaits(&mut self, waiter: usize, awaited: usize) -> Result<(), Unfinished> {
        let step = &self.outline.steps[waiter];
        let order = &self.orders[step.list];
        if self.last.as_ref().is_none_or(|(last, _)| *last != waiter) {
            self.last = Some((waiter, order.waits_for(step.position)));
        }
        let position = self.outline.steps[awaited].position;
        let waits = self.last.as_ref().is_some_and(|(_, waits)| waits.contains(position));
        if waits {
            Ok(())
        } else if order.waits_for(position).contains(step.position) {
            Err(Unfinished::Later { waiter, later: awaited })
        } else {
            Err(Unfinished::NotAwaited { waiter, awaited })
        }
    }
}

impl Unfinished {
    /// The message and the help, where an expression reads the step `read`; `is_over_output` where it looks at the
    /// output of its own step.
    pub(super) fn told(&self, outline: &Outline<'_>, read: usize, is_over_output: bool) -> (String, String) {
        let id = |step: usize| outline.steps[step].task.id.as_str();
        let name = id(read);
        match self {
            Self::Itself if is_over_output => (
                format!("`{name}` is this step itself"),
                "Its own output is `taskOutput` here, its input `taskInput`.".to_owned(),
            ),
            Self::Itself => (
                format!("`{name}` is this step itself, and has not begun yet"),
                "Read a step that comes before.".to_owned(),
            ),
            Self::Around => (
                format!("this step is a part of `{name}`, which cannot have finished yet"),
                "Read a step that comes before.".to_owned(),
            ),
            Self::Inside => (
                format!("`{name}` is a part of this step, and has not begun yet"),
                "Move the expression to a step behind this one.".to_owned(),
            ),
            Self::OtherCase => (
                format!("`{name}` is in another case of the same switch, of which only one is taken"),
                "Set a variable in each case, and read that.".to_owned(),
            ),
            Self::Handler => (
                format!("`{name}` handles an error, and runs only after this"),
                "Read it in a later step, or in the same `onError`.".to_owned(),
            ),
            Self::Later { waiter, later } => (
                format!("`{}` begins only after `{}`{}", id(*later), id(*waiter), within(id(*later), name)),
                format!("Move the expression to a step behind `{}`, or that step up.", id(*later)),
            ),
            Self::NotAwaited { waiter, awaited } => (
                format!(
                    "`{}` does not wait for `{}`{}",
                    id(*waiter),
                    id(*awaited),
                    within(id(*awaited), name)
                ),
                format!(
                    "Add `{}` to the `dependsOn` of `{}`, or read another step.",
                    id(*awaited),
                    id(*waiter)
                ),
            ),
        }
    }
}

/// Says that the step which is read stands in another.
fn within(around: &str, name: &str) -> String {
    if around == name { String::new() } else { format!(", in which `{name}` is") }
}
