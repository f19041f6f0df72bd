//! How a run ended, and where its time went: queued, running, waiting for retry.

use oarlock_orchestrator::Clock;
use oarlock_protocol::Timestamp;
use oarlock_protocol::instance::{TaskInstance, WorkflowInstance};

use super::table::{self, milliseconds};

/// The run as a table of its tasks, with the sums of their times.
pub(crate) fn text(run: &WorkflowInstance) -> String {
    let mut rows =
        vec![["TASK", "STATUS", "ATTEMPTS", "QUEUED", "RUNNING", "RETRY WAIT"].map(str::to_owned).to_vec()];
    if run.task_instances.iter().any(|task| task.child_id.is_some()) {
        rows[0].push("RUN".to_owned());
    }
    let now = Clock::system().now();
    let mut sum = Times::default();
    for task in &run.task_instances {
        let times = Times::of(task, now);
        sum.add(&times);
        rows.push(row(task, &times));
    }
    let total = ["total".to_owned(), String::new(), String::new()].into_iter().chain(sum.texts());
    rows.push(total.collect());
    let when = match run.end_time {
        Some(end) => format!("after {}", milliseconds(end.since(run.created_at).as_millis())),
        None => format!("since {}", run.created_at),
    };
    let definition = format!("{}@{}", run.workflow_definition_id, run.workflow_definition_version);
    let mut text =
        format!("{}\n\n{definition} {} {when} (run {})", table::text(&rows), run.status.as_str(), run.id);
    if let Some(priority) = run.priority {
        text.push_str(&format!("\npriority {priority}"));
    }
    if let Some(parent) = &run.parent {
        text.push_str(&format!("\nstarted by {} of run {}", parent.task_path, parent.workflow_instance_id));
    }
    if let Some(error) = &run.error {
        text.push_str(&format!("\nerror {}: {}", error.code, error.message));
    }
    text
}

fn row(task: &TaskInstance, times: &Times) -> Vec<String> {
    let mut row = vec![task.execution_context.task_path.to_string(), task.status.as_str().to_owned()];
    if !task.attempts.is_empty() {
        row.push(task.attempts.len().to_string());
        row.extend(times.texts());
    }
    row.extend(task.child_id.map(|child| child.to_string()));
    row
}

#[derive(Default)]
struct Times {
    queued: u64,
    running: u64,
    retry_wait: u64,
}

impl Times {
    /// The times of a task; what is still open counts up to `now`.
    fn of(task: &TaskInstance, now: Timestamp) -> Self {
        let mut times = Self::default();
        let mut ended: Option<Timestamp> = None;
        for attempt in &task.attempts {
            times.retry_wait += ended.map_or(0, |ended| attempt.ready_at.since(ended).as_millis());
            let until = attempt.end_time.unwrap_or(now);
            times.queued += attempt.start_time.unwrap_or(until).since(attempt.ready_at).as_millis();
            times.running += attempt.start_time.map_or(0, |start| until.since(start).as_millis());
            ended = attempt.end_time;
        }
        times
    }

    fn add(&mut self, other: &Times) {
        self.queued += other.queued;
        self.running += other.running;
        self.retry_wait += other.retry_wait;
    }

    fn texts(&self) -> [String; 3] {
        [self.queued, self.running, self.retry_wait].map(milliseconds)
    }
}
