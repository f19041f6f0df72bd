//! The workers of the world: their answers and signs of life.

use oarlock_protocol::instance::TaskMetrics;
use oarlock_protocol::message::{AttemptAddress, Outcome, ProgressMessage, ResultMessage};
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, Json, TaskPath, WorkerId};

use super::world::World;
use crate::event::Event;

impl World {
    pub(super) fn complete(&mut self, path: &str, output: Json) {
        self.answer(path, Outcome::Completed { output });
    }

    /// Fails the open attempt with an error that may be retried.
    pub(super) fn fail(&mut self, path: &str, code: &str) {
        self.answer(path, Outcome::Failed { error: error(code) });
    }

    pub(super) fn refuse(&mut self, path: &str) {
        self.answer(path, Outcome::Refused);
    }

    /// Answers the open attempt at `path`.
    pub(super) fn answer(&mut self, path: &str, outcome: Outcome) {
        let attempt = self.attempt(path);
        self.answer_attempt(path, attempt, outcome, TaskMetrics::default());
    }

    /// Answers any attempt.
    pub(super) fn answer_attempt(
        &mut self,
        path: &str,
        attempt: ExecutionId,
        outcome: Outcome,
        metrics: TaskMetrics,
    ) {
        let result = ResultMessage {
            format: FORMAT,
            address: self.address(path, attempt),
            worker_id: worker("one"),
            outcome,
            metrics,
            deliveries: 1,
        };
        self.event(Event::Result(Box::new(result)));
    }

    /// A sign of life from worker `one`.
    pub(super) fn progress(&mut self, path: &str, n: u64) {
        let attempt = self.attempt(path);
        let progress = self.sign(path, attempt, "one", n);
        self.event(Event::Progress(Box::new(progress)));
    }

    /// A sign of life, to be sent as it is or changed before.
    pub(super) fn sign(&self, path: &str, attempt: ExecutionId, name: &str, n: u64) -> ProgressMessage {
        ProgressMessage {
            format: FORMAT,
            address: self.address(path, attempt),
            worker_id: worker(name),
            n,
            running_ms: 0,
            deliveries: 1,
            control_queue: Some(name.to_owned()),
            details: Json::Null,
        }
    }

    fn address(&self, path: &str, execution_id: ExecutionId) -> AttemptAddress {
        AttemptAddress { run: self.run.key.clone(), task_path: TaskPath::from(path), execution_id }
    }
}

pub(super) fn error(code: &str) -> ErrorDetails {
    ErrorDetails {
        code: code.to_owned(),
        message: format!("{code} happened"),
        details: Json::Null,
        retryable: true,
    }
}

pub(super) fn worker(name: &str) -> WorkerId {
    WorkerId::from(name.to_owned())
}
