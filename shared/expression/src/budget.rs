//! The budget of one evaluation: every node, element and produced byte is paid for before it is made.
//!
//! Used by the evaluator and every function; the meter never looks at a clock, so a budget ends the same
//! evaluation at the same place on every machine.

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::Value as Json;

/// How much one evaluation may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes evaluated and elements or text blocks touched; one is well under a microsecond.
    pub steps: u64,
    /// Bytes produced, counted about as their JSON text.
    pub bytes: usize,
    /// Nesting of the expression and of its result.
    pub depth: usize,
}

impl Default for Limits {
    /// Some milliseconds of work; a payload of the default 1 MiB passes four times over; the depth leaves a run
    /// room to nest the value in its own JSON, which readers end at 128.
    fn default() -> Self {
        Self { steps: 100_000, bytes: 4 << 20, depth: 64 }
    }
}

/// Bytes of text that cost one step to look through: about as long as evaluating a node takes.
const TEXT_BLOCK_BYTES: usize = 64;

/// What is left of a budget.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    steps: Cell<u64>,
    bytes: Cell<usize>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limits: *limits, steps: Cell::new(limits.steps), bytes: Cell::new(limits.bytes) }
    }

    /// Fails where an expression nests deeper than the limit.
    pub(crate) fn check_nesting(&self, levels: usize) -> Result<(), String> {
        if levels <= self.limits.depth {
            return Ok(());
        }
        Err(format!("the expression nests deeper than {} levels", self.limits.depth))
    }

    /// Pays for `steps` steps.
    pub(crate) fn work(&self, steps: usize) -> Result<(), String> {
        match self.steps.get().checked_sub(steps as u64) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => {
                // What comes after is not to fit by being smaller.
                self.steps.set(0);
                Err(format!("the evaluation takes more than {} steps", self.limits.steps))
            }
        }
    }

    /// Pays for looking through `bytes` bytes of text.
    pub(crate) fn scan(&self, bytes: usize) -> Result<(), String> {
        self.work(bytes / TEXT_BLOCK_BYTES)
    }

    /// Pays for `bytes` bytes of a value that is about to be made.
    pub(crate) fn produce(&self, bytes: usize) -> Result<(), String> {
        match self.bytes.get().checked_sub(bytes) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => {
                self.bytes.set(0);
                Err(format!("the evaluation produces more than {} bytes", self.limits.bytes))
            }
        }
    }

    /// The value for keeping: a borrowed one is paid for and copied.
    pub(crate) fn own(&self, value: Cow<'_, Json>) -> Result<Json, String> {
        match value {
            Cow::Owned(value) => Ok(value),
            Cow::Borrowed(value) => self.copy(value),
        }
    }

    /// A copy, paid for.
    pub(crate) fn copy(&self, value: &Json) -> Result<Json, String> {
        self.pay(value)?;
        Ok(value.clone())
    }

    /// Pays for a copy of `value`, or for its text.
    pub(crate) fn pay(&self, value: &Json) -> Result<(), String> {
        self.produce(flat_size(value))?;
        match value {
            Json::Array(items) => items.iter().try_for_each(|item| self.pay(item)),
            Json::Object(map) => map.iter().try_for_each(|(key, value)| {
                self.produce(key.len() + 4)?;
                self.pay(value)
            }),
            _ => Ok(()),
        }
    }

    /// Fails where `value`, itself `outer` levels deep in a result, takes the result deeper than the limit: other
    /// JSON readers would refuse what holds it.
    pub(crate) fn check_depth(&self, value: &Json, outer: usize) -> Result<(), String> {
        if nests_within(value, self.limits.depth.saturating_sub(outer)) {
            return Ok(());
        }
        Err(format!("the result nests deeper than {} levels", self.limits.depth))
    }
}

/// The bytes of a value without its children.
pub(crate) fn flat_size(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len() + 3,
        _ => 2,
    }
}

fn nests_within(value: &Json, levels: usize) -> bool {
    match value {
        Json::Array(items) => levels > 0 && items.iter().all(|item| nests_within(item, levels - 1)),
        Json::Object(map) => levels > 0 && map.values().all(|item| nests_within(item, levels - 1)),
        _ => true,
    }
}
