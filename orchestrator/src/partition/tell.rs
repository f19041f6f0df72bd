//! What a run is told from outside: signals, completions of tasks, operations. Each is checked here, decided by the engine,
//! and answered after the commit: RECORDED, or REFUSED with what to change.

use oarlock_engine::{Event, mapping};
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::error::LONGEST_CODE;
use oarlock_protocol::message::{Answer, CompleteMessage, Completion, OperationMessage, SignalMessage};
use oarlock_protocol::{ErrorDetails, Json, RunKey, TaskPath, name};

use super::Lost;
use super::answer::{self, INVALID_REQUEST};
use super::effects::Verdict;
use super::owner::Owner;

/// The longest path of a task, in bytes: a hundred of the longest names, far beyond what a definition may nest.
const LONGEST_PATH: usize = 100 * name::LONGEST;

impl Owner {
    pub(super) async fn signal(&mut self, signal: SignalMessage) -> Result<Answer, Lost> {
        if let Err(refused) = check_signal(&signal, self.shared.settings.engine.payload_bytes) {
            return Ok(refused);
        }
        let SignalMessage { run, signal_id, name, payload, .. } = signal;
        self.tell_run(&run, Event::Signal { id: signal_id, name, payload }).await
    }

    pub(super) async fn complete(&mut self, complete: CompleteMessage) -> Result<Answer, Lost> {
        if let Err(refused) = check_completion(&complete, self.shared.settings.engine.payload_bytes) {
            return Ok(refused);
        }
        let CompleteMessage { run, task_path: path, execution_id, completion, requested_by, .. } = complete;
        // However long its texts are: an error must be storable.
        let completion = match completion {
            Completion::Failed { error } => Completion::Failed { error: error.bounded() },
            Completion::Completed { output } => Completion::Completed { output },
        };
        let place = path.clone();
        let answer = self.tell_run(&run, Event::Complete { path, execution_id, completion }).await?;
        if is_new(&answer) {
            let trace_id = self.trace_id(&run).map(tracing::field::display);
            tracing::info!(run = %run, trace_id, path = %place, requested_by, "a task was ended from outside");
        }
        Ok(answer)
    }

    pub(super) async fn operate(&mut self, message: OperationMessage) -> Result<Answer, Lost> {
        let OperationMessage { run, operation, requested_by, .. } = message;
        let answer = self.tell_run(&run, Event::Operation(operation)).await?;
        if is_new(&answer) {
            let trace_id = self.trace_id(&run).map(tracing::field::display);
            tracing::info!(run = %run, trace_id, ?operation, requested_by, "an operator changed a run");
        }
        Ok(answer)
    }

    async fn tell_run(&mut self, run: &RunKey, event: Event) -> Result<Answer, Lost> {
        Ok(match self.decide(run, event).await? {
            // Whoever took the request keeps it for later, and this from whoever asked.
            Ok(Verdict::Changed | Verdict::Waits) => Answer::Recorded { existing: false },
            Ok(Verdict::Stale) => {
                // Memory may know what the store has lost.
                self.batch.confirms = true;
                Answer::Recorded { existing: true }
            }
            Ok(Verdict::Rejected(error)) => Answer::Refused { error },
            Ok(Verdict::NoRun) => answer::no_run(run),
            Err(reason) => answer::refused(answer::UNUSABLE, reason),
        })
    }
}

fn is_new(answer: &Answer) -> bool {
    matches!(answer, Answer::Recorded { existing: false })
}

fn check_signal(signal: &SignalMessage, payload_bytes: usize) -> Result<(), Answer> {
    check_text(&signal.name, "a signal's `name`")?;
    check_text(&signal.signal_id, "a signal's `id`")?;
    check_value(&signal.payload, "a signal's `payload`", payload_bytes)
}

fn check_completion(complete: &CompleteMessage, payload_bytes: usize) -> Result<(), Answer> {
    check_path(&complete.task_path)?;
    match &complete.completion {
        Completion::Completed { output } => check_value(output, "the task's `output`", payload_bytes),
        Completion::Failed { error: ErrorDetails { code, .. } } => {
            if code.is_empty() || code.len() > LONGEST_CODE || code.contains(char::is_whitespace) {
                let told = format!(
                    "an error's `code` is a name without spaces, such as CARD_DECLINED, of 1 to {LONGEST_CODE} bytes"
                );
                return Err(answer::refused(INVALID_REQUEST, told));
            }
            Ok(())
        }
    }
}

/// Names of signals come out of definitions, where they may be any text; ids are the sender's.
fn check_text(text: &str, what: &str) -> Result<(), Answer> {
    if text.is_empty() || text.len() > name::LONGEST || text.contains(char::is_control) {
        let told = format!("{what} has 1 to {} bytes and no control characters", name::LONGEST);
        return Err(answer::refused(INVALID_REQUEST, told));
    }
    Ok(())
}

fn check_path(path: &TaskPath) -> Result<(), Answer> {
    let text = path.as_str();
    if path.is_root() || !text.starts_with('/') || text.len() > LONGEST_PATH {
        let told = "`taskPath` is the place of a task, such as /charge or /fulfil/ship[2]; \
            `oarlock get` and `oarlock explain` print it";
        return Err(answer::refused(INVALID_REQUEST, told));
    }
    Ok(())
}

fn check_value(value: &Json, what: &str, payload_bytes: usize) -> Result<(), Answer> {
    if !nests_within(value, DEEPEST) {
        return Err(answer::refused(INVALID_REQUEST, mapping::too_deep(what)));
    }
    if mapping::size(value) > payload_bytes {
        return Err(Answer::Refused { error: mapping::too_large(what, payload_bytes) });
    }
    Ok(())
}
