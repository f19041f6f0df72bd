//! What shows that every accepted run ended once and as it should: its JSON against the log of all calls.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::super::evidence::time;
use super::super::harness::Execution;
use super::faults::Fault;
use super::follow::Ended;
use super::load::workflow;
use super::workflows::Prompt;

/// What was found.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) tasks: usize,
    pub(super) attempts: usize,
    /// Calls of an attempt beyond its first.
    pub(super) duplicated: usize,
    /// The most calls of one attempt.
    pub(super) most_calls: usize,
    /// What is not as it should be, in sentences.
    pub(super) wrong: Vec<String>,
}

/// The calls of handlers, by attempt.
struct Calls<'a> {
    counts: HashMap<&'a str, usize>,
    keys: HashSet<&'a str>,
    faults: &'a [Fault],
}

/// What the calls say about one run and those that it started.
#[derive(Default)]
struct Counted {
    tasks: usize,
    attempts: usize,
}

/// Judges runs that ended by the log of all calls. Calls of runs in `lost` are nobody's.
pub(super) fn judge(ended: &[Ended], calls: &[Execution], faults: &[Fault], some_are_lost: bool) -> Verdict {
    let mut verdict = Verdict::default();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    calls.iter().for_each(|call| *counts.entry(&call.id).or_default() += 1);
    let keys = calls.iter().map(|call| call.key.as_str()).collect();
    let mut calls = Calls { counts, keys, faults };
    for ended in ended {
        verdict.check_end(ended);
        let mut counted = Counted::default();
        for run in std::iter::once(&ended.run).chain(&ended.children) {
            for task in run["taskInstances"].as_array().into_iter().flatten() {
                verdict.count(task, workflow(ended.n).prompt, &mut calls, &mut counted);
            }
        }
        verdict.check_counts(ended, &counted);
    }
    let strange = !calls.counts.is_empty() || !calls.keys.is_empty();
    if strange && !some_are_lost {
        let (attempts, keys) = (calls.counts.len(), calls.keys.len());
        verdict.wrong.push(format!("{attempts} attempts and {keys} tasks were called, and are of no run"));
    }
    if verdict.duplicated > faults.len() {
        verdict.wrong.push(format!("{} duplicates of {} faults", verdict.duplicated, faults.len()));
    }
    verdict
}

impl Verdict {
    fn check_end(&mut self, ended: &Ended) {
        let (run, workflow) = (&ended.run, workflow(ended.n));
        if run["status"] != workflow.status || run["output"] != workflow.output(ended.n) {
            self.wrong.push(format!("{} {} ended otherwise: {run:#}", workflow.id, ended.n));
        }
    }

    /// Counts the calls of a task and of what undoes it.
    fn count(&mut self, task: &Json, prompt: Prompt, calls: &mut Calls<'_>, counted: &mut Counted) {
        if task["kind"] != "TASK" && task["kind"] != "COMPENSATION" {
            return;
        }
        let mut called = 0;
        for attempt in task["attempts"].as_array().into_iter().flatten() {
            let times = calls.counts.remove(attempt["executionId"].as_str().unwrap_or_default()).unwrap_or(0);
            // One that was told to end may not have begun.
            if times == 0 && prompt != Prompt::CancelAnywhere {
                self.wrong.push(format!("never called: {attempt:#} of {task:#}"));
            }
            let faults = faults_during(attempt, calls.faults);
            if times > 1 + faults {
                self.wrong.push(format!("called {times} times with {faults} faults: {attempt:#}"));
            }
            called += times.min(1);
            self.most_calls = self.most_calls.max(times);
            self.duplicated += times.saturating_sub(1);
        }
        calls.keys.remove(task["id"].as_str().unwrap_or_default());
        counted.attempts += called;
        counted.tasks += called.min(1);
    }

    fn check_counts(&mut self, ended: &Ended, counted: &Counted) {
        let workflow = workflow(ended.n);
        let is_right = match workflow.prompt {
            Prompt::CancelAnywhere => {
                counted.tasks <= workflow.tasks && counted.attempts <= workflow.attempts
            }
            _ => counted.tasks == workflow.tasks && counted.attempts == workflow.attempts,
        };
        if !is_right {
            let Counted { tasks, attempts } = counted;
            self.wrong.push(format!("{tasks} tasks and {attempts} attempts were called: {:#}", ended.run));
        }
        self.tasks += counted.tasks;
        self.attempts += counted.attempts;
    }
}

/// How many faults there were while an attempt was open.
fn faults_during(attempt: &Json, faults: &[Fault]) -> usize {
    let (Some(from), Some(to)) = (time(attempt, "scheduledAt"), time(attempt, "endTime")) else { return 0 };
    faults.iter().filter(|fault| from <= fault.to && to >= fault.from).count()
}
