//! Whether a step can have finished when an expression reads it.

use super::order::Order;
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
    /// Nothing makes the reader wait for it: `waiter` (the reader, or a step around it) would have to wait for
    /// `awaited` (the step, or one around it).
    NotAwaited { waiter: usize, awaited: usize },
}

/// Answers the question, and remembers the answer for the last waiting step: expressions of one step come in a row.
pub(super) struct Finished<'o, 'd> {
    outline: &'o Outline<'d>,
    orders: &'o [Order],
    last: Option<(usize, Vec<bool>)>,
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
        if self.last.as_ref().is_none_or(|(last, _)| *last != waiter) {
            self.last = Some((waiter, self.orders[step.list].waits_for(step.position)));
        }
        let position = self.outline.steps[awaited].position;
        let waits =
            self.last.as_ref().is_some_and(|(_, waits)| waits.get(position).copied().unwrap_or(false));
        if waits { Ok(()) } else { Err(Unfinished::NotAwaited { waiter, awaited }) }
    }
}
