//! The reference model: what a run must come to, from its workflow and what the handlers do. It knows nothing of the engine.
//!
//! Where only time decides (who is first, what was still stopped) it says so, and its word is a range instead of a value.
//! A wait that may come too late, a time limit, the end of a run that another starts, and attempts that were told to end by commits
//! which the store has lost since, are taken as they were seen.

use std::collections::BTreeMap;

use oarlock_protocol::RunId;
use serde_json::json;

use crate::behaviour::Behaviour;
use crate::flow::{Flow, Kind, Step, Wait, Work};
use crate::mirror::RunView;

/// Whether what waits for a step may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Failed,
}

/// What is foretold of some steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// The status of each place that is certain.
    pub(crate) certain: BTreeMap<String, &'static str>,
    /// How many attempts a task has, at its place.
    pub(crate) attempts: BTreeMap<String, u32>,
    /// What a `forEach` collects, at its place.
    pub(crate) collected: BTreeMap<String, serde_json::Value>,
    /// Places where, with all that is below, only time decides.
    pub(crate) loose: Vec<String>,
    /// What the steps add to `x`, at least and at most.
    pub(crate) least: i64,
    pub(crate) most: i64,
}

/// What is foretold of a run.
pub(crate) struct Foretold {
    /// How it ends, unless it is cancelled or its time is over.
    pub(crate) completes: bool,
    pub(crate) part: Part,
}

/// Foretells one run.
pub(crate) struct Model<'a> {
    pub(crate) seed: u64,
    pub(crate) run: RunId,
    pub(crate) seen: &'a RunView,
    pub(crate) children: &'a dyn Fn(RunId) -> Option<i64>,
    /// Whether the store has lost commits: only then an attempt may have been told to end that is followed by another.
    pub(crate) rolled_back: bool,
}

impl Part {
    fn add(&mut self, other: Part) {
        self.certain.extend(other.certain);
        self.attempts.extend(other.attempts);
        self.collected.extend(other.collected);
        self.loose.extend(other.loose);
        self.least += other.least;
        self.most += other.most;
    }

    /// Only time decides what of it there is.
    fn loosen(self, path: &str) -> Part {
        Part { loose: vec![path.to_owned()], most: self.most, ..Part::default() }
    }

    fn adds(number: i64) -> Part {
        Part { least: number, most: number, ..Part::default() }
    }
}

impl Model<'_> {
    pub(crate) fn foretell(&self, flow: &Flow) -> Foretold {
        let (steps, terminates) = match flow.steps.split_last() {
            Some((Step { kind: Kind::Terminate(well), .. }, before)) => (before, Some(*well)),
            _ => (flow.steps.as_slice(), None),
        };
        let (mut part, end) = self.list(steps, "", false);
        let completes = end == End::Done && terminates != Some(false);
        if let Some(last) = flow.steps.last().filter(|_| terminates.is_some()) {
            part.loose.push(format!("/{}", last.id));
        }
        if !completes {
            part.add(self.list(&flow.on_error, "/:onError", false).0);
        }
        Foretold { completes, part }
    }

    fn list(&self, steps: &[Step], at: &str, parallel: bool) -> (Part, End) {
        let waits_for = |number: usize| match &steps[number].depends {
            Some(depends) => depends.clone(),
            None if parallel => Vec::new(),
            None => (0..number).collect(),
        };
        let mut ends = Vec::with_capacity(steps.len());
        let mut parts = Vec::with_capacity(steps.len());
        for (number, step) in steps.iter().enumerate() {
            let begins = waits_for(number).iter().all(|&before| ends[before] == Some(End::Done));
            let (part, end) = self.step(step, &format!("{at}/{}", step.id));
            parts.push(part);
            ends.push(begins.then_some(end));
        }
        let failed: Vec<usize> =
            (0..steps.len()).filter(|&number| ends[number] == Some(End::Failed)).collect();
        let certain = match failed.as_slice() {
            [] => vec![true; steps.len()],
            [one] => {
                let mut certain = vec![false; steps.len()];
                let mut open = vec![*one];
                while let Some(number) = open.pop() {
                    certain[number] = true;
                    open.extend(waits_for(number));
                }
                certain
            }
            _ => vec![false; steps.len()],
        };
        let mut whole = Part::default();
        for ((part, step), certain) in parts.into_iter().zip(steps).zip(certain) {
            whole.add(if certain { part } else { part.loosen(&format!("{at}/{}", step.id)) });
        }
        (whole, if failed.is_empty() { End::Done } else { End::Failed })
    }

    fn step(&self, step: &Step, path: &str) -> (Part, End) {
        if step.condition == Some(false) {
            let certain = BTreeMap::from([(path.to_owned(), "SKIPPED")]);
            return (Part { certain, ..Part::default() }, End::Done);
        }
        let (mut part, end) = self.kind(step, path);
        if end == End::Failed {
            if step.continues {
                return (part, End::Done);
            }
            if !step.on_error.is_empty() {
                let (handlers, end) = self.list(&step.on_error, &format!("{path}:onError"), false);
                part.add(handlers);
                return (part, end);
            }
        }
        (part, end)
    }

    fn kind(&self, step: &Step, path: &str) -> (Part, End) {
        let (mut part, end) = match &step.kind {
            Kind::Task(work) => self.task(work, path),
            Kind::Set(number) => (Part::adds(*number), End::Done),
            Kind::Terminate(_) => (Part::default(), End::Done),
            Kind::Wait(wait) => return self.wait(wait, path),
            Kind::Group(steps) | Kind::Parallel(steps) => {
                let parallel = matches!(step.kind, Kind::Parallel(_));
                let (part, end) = self.list(steps, path, parallel);
                match step.join {
                    Some((need, _)) if need < steps.len() => (loosen_inside(part, path), end),
                    _ => (part, end),
                }
            }
            Kind::Switch(cases, taken) => match taken.and_then(|taken| cases.get(taken)) {
                Some(case) => self.list(case, path, false),
                None => (Part::default(), End::Done),
            },
            Kind::Each(each, steps) => {
                self.each(each.iterations(), each.tolerate, each.until.is_some(), steps, path)
            }
            Kind::Loop(repeat, steps) => self.repeat(repeat.rounds, steps, path),
            Kind::Child(child) => self.child(child.wait, path),
        };
        if part.loose.first().is_none_or(|loose| loose != path) {
            let status = if end == End::Done { "COMPLETED" } else { "FAILED" };
            part.certain.insert(path.to_owned(), status);
        }
        (part, end)
    }

    fn task(&self, work: &Work, path: &str) -> (Part, End) {
        let behaviour = Behaviour::of(self.seed, self.run, path, work.safe);
        if work.limited {
            let done = self.seen.status(path) != Some("FAILED");
            let part = Part { loose: vec![path.to_owned()], most: behaviour.n, ..Part::default() };
            return (part, if done { End::Done } else { End::Failed });
        }
        let (completes, attempts) =
            behaviour.foretold(work, &|number| self.rolled_back && self.seen.was_told_to_end(path, number));
        let mut part = if completes { Part::adds(behaviour.n) } else { Part::default() };
        part.attempts.insert(path.to_owned(), attempts);
        (part, if completes { End::Done } else { End::Failed })
    }

    fn wait(&self, wait: &Wait, path: &str) -> (Part, End) {
        let certain =
            |status| Part { certain: BTreeMap::from([(path.to_owned(), status)]), ..Part::default() };
        match wait {
            Wait::Time(_) | Wait::Past | Wait::First | Wait::Signal { timeout: false, .. } => {
                (certain("COMPLETED"), End::Done)
            }
            Wait::Never { late } if late.is_empty() => (certain("TIMED_OUT"), End::Failed),
            Wait::Never { late } => {
                let (mut part, end) = self.list(late, &format!("{path}:onTimeout"), false);
                part.add(certain("TIMED_OUT"));
                (part, end)
            }
            Wait::Signal { late, .. } => {
                let (part, _) = self.list(late, &format!("{path}:onTimeout"), false);
                (part.loosen(path), End::Done)
            }
        }
    }

    fn each(
        &self,
        iterations: usize,
        tolerate: usize,
        until: bool,
        steps: &[Step],
        path: &str,
    ) -> (Part, End) {
        let (mut whole, mut failed, mut collected) = (Part::default(), 0, Vec::new());
        for number in 0..iterations {
            let at = format!("{path}[{number}]");
            let (mut part, end) = self.list(steps, &at, false);
            part.certain.insert(at, if end == End::Done { "COMPLETED" } else { "FAILED" });
            failed += usize::from(end == End::Failed);
            collected.push(if end == End::Done { json!(number) } else { json!(null) });
            whole.add(part);
        }
        let end = if failed > tolerate { End::Failed } else { End::Done };
        if until || end == End::Failed {
            return (loosen_inside(whole, path), end);
        }
        whole.collected.insert(path.to_owned(), json!(collected));
        (whole, end)
    }

    fn repeat(&self, rounds: usize, steps: &[Step], path: &str) -> (Part, End) {
        let mut whole = Part::default();
        for number in 0..rounds {
            let (part, end) = self.list(steps, &format!("{path}[{number}]"), false);
            whole.add(part);
            if end == End::Failed {
                return (whole, End::Failed);
            }
        }
        (whole, End::Done)
    }

    /// A run that another starts is looked at by itself; here its end is taken as it was seen.
    fn child(&self, wait: bool, path: &str) -> (Part, End) {
        if self.seen.status(path) == Some("FAILED") {
            return (Part::default(), End::Failed);
        }
        let x = self.seen.child(path).and_then(self.children).filter(|_| wait).unwrap_or(0);
        (Part::adds(x), End::Done)
    }
}

/// What is inside is left to time, the step itself is certain.
fn loosen_inside(part: Part, path: &str) -> Part {
    Part { loose: vec![format!("{path}/"), format!("{path}[")], most: part.most, ..Part::default() }
}
