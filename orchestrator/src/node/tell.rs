//! Tells a run something from outside, whichever node owns it: signals, completions of tasks, operations.

use oarlock_protocol::RunKey;
use oarlock_protocol::message::{Answer, CompleteMessage, OperationMessage, SignalMessage};

use super::{Error, Node, unexpected};
use crate::partition::Request;

impl Node {
    /// Tells a run something; whether the same signal had been told before.
    ///
    /// # Errors
    /// NOT_FOUND where there is no such run, CONFLICT where it has ended or can take no more, SCHEMA_VIOLATION where the
    /// payload does not fit what waits for it; the store or the owner of the run does not answer.
    pub async fn signal(&self, signal: SignalMessage) -> Result<bool, Error> {
        let run = signal.run.clone();
        self.record(&run, Request::Signal(Box::new(signal))).await
    }

    /// Ends a task from outside; whether the same had ended it before.
    ///
    /// # Errors
    /// NOT_FOUND where there is no such run or task, CONFLICT where nothing is open there; as [`Node::signal`].
    pub async fn complete(&self, complete: CompleteMessage) -> Result<bool, Error> {
        let run = complete.run.clone();
        self.record(&run, Request::Complete(Box::new(complete))).await
    }

    /// Pauses, resumes or retries a run; whether it was so before.
    ///
    /// # Errors
    /// NOT_FOUND where there is no such run, CONFLICT where it cannot be done as the run stands; as [`Node::signal`].
    pub async fn operate(&self, operation: OperationMessage) -> Result<bool, Error> {
        let run = operation.run.clone();
        self.record(&run, Request::Operation(operation)).await
    }

    async fn record(&self, run: &RunKey, request: Request) -> Result<bool, Error> {
        let partition = run.run.partition(self.partitions());
        match self.request(partition, request).await? {
            Answer::Recorded { existing } => Ok(existing),
            other => Err(unexpected(partition, other)),
        }
    }
}
