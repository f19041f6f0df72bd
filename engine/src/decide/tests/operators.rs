//! The operators and producers of the world: what they tell a run, and what they look at.

use oarlock_protocol::message::{Completion, Operation};
use oarlock_protocol::{Json, TaskPath};

use super::world::World;
use crate::event::Event;
use crate::task_message;

impl World {
    pub(super) fn signal(&mut self, id: &str, name: &str, payload: Json) {
        self.event(Event::Signal { id: id.to_owned(), name: name.to_owned(), payload });
    }

    pub(super) fn operate(&mut self, operation: Operation) {
        self.event(Event::Operation(operation));
    }

    /// Ends a task from outside, whichever attempt of it is the latest.
    pub(super) fn end(&mut self, path: &str, completion: Completion) {
        self.event(Event::Complete { path: TaskPath::from(path), execution_id: None, completion });
    }

    /// The message of the open attempt at `path`.
    pub(super) fn message(&self, path: &str) -> Json {
        let path = TaskPath::from(path);
        let message = task_message::build(&self.plan, &self.run, &path, &self.settings).unwrap();
        serde_json::to_value(message).unwrap()
    }

    /// What the task at `path` is given.
    pub(super) fn input(&self, path: &str) -> Json {
        self.message(path)["input"].clone()
    }
}
