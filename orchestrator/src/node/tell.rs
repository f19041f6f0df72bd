//! Tells a run something from outside, whichever node owns it: signals, completions of tasks, operations.

use oarlock_engine::run::Stage;
use oarlock_protocol::message::{Answer, CompleteMessage, OperationMessage, SignalMessage};
use oarlock_protocol::{ExecutionId, RunKey};

use super::{Error, Node, unexpected};
use crate::partition::{Request, answer};

/// How often a task is asked to end that is tried again meanwhile: once more is rare, twice more is a task without pause.
const TRIES: usize = 3;

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
        if complete.execution_id.is_some() {
            return self.ask_to_complete(complete).await;
        }
        // An answer may be lost, and the same be asked again: by then the attempt is closed. Named by its id it counts as
        // recorded before, and not as a task that somebody else has ended.
        let mut named = self.latest_attempt(&complete).await?;
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let asked =
                self.ask_to_complete(CompleteMessage { execution_id: named, ..complete.clone() }).await;
            let Err(Error::Refused(error)) = &asked else { return asked };
            if error.code != answer::CONFLICT || tries == 0 {
                return asked;
            }
            let latest = self.latest_attempt(&complete).await?;
            if latest.is_none() || latest == named {
                return asked;
            }
            named = latest;
        }
    }

    /// The latest attempt of a task that has not ended.
    async fn latest_attempt(&self, complete: &CompleteMessage) -> Result<Option<ExecutionId>, Error> {
        let Some((run, _)) = self.load(&complete.run).await? else { return Ok(None) };
        let work = run.rows.get(&complete.task_path).and_then(|row| row.work());
        let work = work.filter(|work| work.stage != Stage::Closed);
        Ok(work.and_then(|work| Some(work.attempts.last()?.execution_id)))
    }

    async fn ask_to_complete(&self, complete: CompleteMessage) -> Result<bool, Error> {
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
