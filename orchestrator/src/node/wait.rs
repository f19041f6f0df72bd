//! Waits for the end of a run, whichever node owns it.

use std::time::Duration;

use oarlock_protocol::RunKey;
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::Answer;
use tokio::time::Instant;

use super::{Error, Node};
use crate::partition::Request;

/// A run of another node is looked at this often while its end is waited for: its owner tells the end, but may be gone.
const LOOK: Duration = Duration::from_secs(1);
/// The owner is asked anew this often to tell the end.
const ASK_AGAIN: Duration = Duration::from_secs(20);

impl Node {
    /// Waits until the run has ended, at most this time, and returns it as it is then; none where there is no such run.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn wait(&self, key: &RunKey, time: Duration) -> Result<Option<WorkflowInstance>, Error> {
        if let Ok(ended) = tokio::time::timeout(time, self.ended(key)).await {
            ended?;
        }
        self.get(key).await
    }

    /// Whether the run's partition is owned here: then its end is told here.
    pub fn owns_run(&self, key: &RunKey) -> bool {
        self.owners.are_here(key.run.partition(self.partitions()))
    }

    /// Lets those who wait for the end of a run have it as it is now: they must not hold up a process that ends.
    pub fn end_waits(&self) {
        self.shared.watch.end_waits();
    }

    /// Waits until the run has ended, and returns how; at once where it had. None where there is no such run, or where
    /// waiting was ended by [`Node::end_waits`].
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn ended(&self, key: &RunKey) -> Result<Option<WorkflowStatus>, Error> {
        let mut here = self.shared.watch.end_of(key);
        let partition = key.run.partition(self.partitions());
        loop {
            match self.status(key).await? {
                Some(status) if !status.is_terminal() => {}
                status => return Ok(status),
            }
            if self.owners.are_here(partition) {
                tokio::select! {
                    biased;
                    status = here.status() => return Ok(status),
                    // Lost meanwhile: its end is told elsewhere.
                    () = self.owners.leave(partition) => {}
                }
                continue;
            }
            let mut question = self.owners.asks.question();
            // The broker may be away: then looking has to do.
            let request = Request::Watch(key.clone());
            let asked = self.owners.asks.send(partition, &request, &question);
            let until = Instant::now() + ASK_AGAIN;
            tokio::time::timeout(LOOK, asked).await.ok();
            while Instant::now() < until && !self.owners.are_here(partition) {
                tokio::select! {
                    biased;
                    status = here.status() => return Ok(status),
                    answer = question.answer() => {
                        if !matches!(answer, Some(Answer::Ended { .. })) {
                            // Its owner cannot tell: looking has to do, and not all the time.
                            tokio::time::sleep(LOOK).await;
                        }
                        break;
                    }
                    () = tokio::time::sleep(LOOK) => match self.status(key).await? {
                        Some(status) if !status.is_terminal() => {}
                        status => return Ok(status),
                    },
                }
            }
        }
    }
}
