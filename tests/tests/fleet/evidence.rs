//! What shows that runs were executed as they should be: their JSON against the log of their executions.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::harness::Execution;
use oarlock_protocol::Timestamp;

/// When an owner was killed or stopped. An attempt that was open then may run twice: whoever owns it next cannot know whether
/// it was published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disturbance {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Disturbance {
    /// Does it, and notes when.
    pub(crate) fn by(disturb: impl FnOnce()) -> Self {
        let from = now();
        disturb();
        Self { from, to: now() }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) runs: usize,
    pub(crate) executions: usize,
    /// Attempts that were executed more than once.
    pub(crate) repeated: usize,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { runs, executions, repeated } = self;
        write!(f, "{runs} runs, {executions} executions, {repeated} attempts executed again")
    }
}

/// The time by the system's clock, which the orchestrators of this machine share.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// Checks that each run of two tasks ended COMPLETED once: one attempt a task, the right output, no retry; that every execution
/// belongs to one of these attempts; and that only attempts which were open at a disturbance ran again, `most` times together.
#[track_caller]
pub(crate) fn assert_once(
    runs: &[(usize, Json)],
    executions: &[Execution],
    disturbances: &[Disturbance],
    most: usize,
) -> Found {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    executions.iter().for_each(|execution| *counts.entry(&execution.id).or_default() += 1);
    let mut found = Found { runs: runs.len(), executions: executions.len(), repeated: 0 };
    for (n, run) in runs {
        assert_eq!(run["status"], "COMPLETED", "{run:#}");
        assert_eq!(run["output"]["n"], n + 1, "{run:#}");
        let metrics = &run["metrics"];
        let (completed, attempts) = (&metrics["completedTasks"], &metrics["attempts"]);
        assert!(*completed == 2 && *attempts == 2 && metrics["retries"] == 0, "{run:#}");
        for task in run["taskInstances"].as_array().unwrap() {
            let [attempt] = &task["attempts"].as_array().unwrap()[..] else { panic!("{task:#}") };
            let times = counts.remove(attempt["executionId"].as_str().unwrap()).unwrap_or(0);
            assert!(times >= 1 && times <= most, "executed {times} times: {task:#}");
            if times > 1 {
                found.repeated += 1;
                assert!(was_disturbed(attempt, disturbances), "ran {times} times, undisturbed: {task:#}");
            }
        }
    }
    assert!(counts.is_empty(), "executed, and of no run that was accepted: {counts:?}");
    found
}

fn was_disturbed(attempt: &Json, disturbances: &[Disturbance]) -> bool {
    let (from, to) = (time(attempt, "scheduledAt").unwrap(), time(attempt, "endTime").unwrap());
    disturbances.iter().any(|disturbance| from <= disturbance.to && to >= disturbance.from)
}

/// A time in the JSON of a run; nothing where it has not come.
pub(crate) fn time(of: &Json, name: &str) -> Option<Timestamp> {
    serde_json::from_value(of[name].clone()).ok()
}
