//! What is measured: the shape of the runs, how many, how large.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The most tasks of one run: what a definition may hold.
const MOST_TASKS: usize = 100_000;
/// The largest payload: what a message takes by default.
const LARGEST_PAYLOAD: usize = 900 * 1024;

/// What the runs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Tasks one after the other, each with the output of the one before.
    Chain,
    /// A `forEach`: all tasks at once.
    Fanout,
    /// One task, then all but two at once, then one.
    Diamond,
    /// A chain of which each task fails once and is tried again.
    Retry,
    /// Runs without tasks: what a start and an end cost.
    Start,
    /// Runs that wait for a signal: what waiting costs.
    Wait,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What the runs look like.
    pub shape: Shape,
    /// How many runs a round has, over all orchestrators.
    pub workflows: usize,
    /// How many tasks a run has.
    pub tasks: usize,
    /// How many runs are under way at once.
    pub in_flight: usize,
    /// The bytes of data that each task is given and gives back.
    pub payload: usize,
}

impl Plan {
    /// Checks that it can be carried out.
    ///
    /// # Errors
    /// What to change.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::Plan(text));
        let least = if self.shape == Shape::Diamond { 3 } else { 1 };
        if !(least..=MOST_TASKS).contains(&self.tasks) {
            return wrong(format!("--tasks is {}; this shape has {least} to {MOST_TASKS}", self.tasks));
        }
        if self.workflows == 0 || self.in_flight == 0 {
            return wrong("--workflows and --in-flight are at least 1".to_owned());
        }
        if self.payload > LARGEST_PAYLOAD {
            return wrong(format!("--payload is {}; at most {LARGEST_PAYLOAD} bytes", self.payload));
        }
        Ok(())
    }

    /// How many executions a run takes.
    pub fn executions(&self) -> usize {
        match self.shape {
            Shape::Chain | Shape::Fanout | Shape::Diamond => self.tasks,
            Shape::Retry => 2 * self.tasks,
            Shape::Start | Shape::Wait => 0,
        }
    }

    /// How many tasks are under way at once.
    pub fn tasks_in_flight(&self) -> usize {
        let runs = self.in_flight.min(self.workflows);
        match self.shape {
            Shape::Fanout => runs * self.tasks,
            Shape::Diamond => runs * (self.tasks - 2),
            Shape::Chain | Shape::Retry | Shape::Start | Shape::Wait => runs,
        }
    }
}
