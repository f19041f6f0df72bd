//! What `top` knows and what is chosen on its screen. Pure: news and keys come in, `draw.rs` shows it.

use std::time::Duration;

use tokio::time::Instant;

use super::answers::{Anomalies, Queue, Queues, Ready, Runs, Workers};
use super::why::Facts;

/// News older than this are told with their age: they are asked for each second.
const FRESH: Duration = Duration::from_secs(3);

/// One kind of news: the last that was heard, and why nothing newer was.
#[derive(Clone, Debug, Default)]
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) heard: Option<Instant>,
    pub(super) problem: Option<String>,
}

impl<T> Part<T> {
    fn hear(&mut self, news: Result<T, String>, now: Instant) {
        match news {
            Ok(value) => (self.value, self.heard, self.problem) = (value, Some(now), None),
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// How old the news are; nothing where they are fresh, or never came.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.heard.map(|heard| now.duration_since(heard)).filter(|age| *age > FRESH)
    }
}

/// What a question was answered.
pub(super) enum News {
    Ready(Result<Ready, String>),
    Queues(Result<Queues, String>),
    Workers(Result<Workers, String>),
    Anomalies(Result<Anomalies, String>),
    Runs(Result<Runs, String>),
    /// What a run waits for.
    Explained(String, Result<String, String>),
}

/// A list on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Queues,
    Workers,
    Runs,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
    Next,
    Enter,
    Back,
    /// Another: the screen may have another size.
    Other,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    None,
    Quit,
    /// What this run waits for.
    Explain(String),
}

/// A run that is explained; the text is not there yet, or is.
#[derive(Clone, Debug)]
pub(super) struct Explained {
    pub(super) run: String,
    pub(super) text: Option<Result<String, String>>,
    pub(super) scrolled: u16,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) server: String,
    pub(super) ready: Part<Ready>,
    pub(super) queues: Part<Queues>,
    pub(super) workers: Part<Workers>,
    pub(super) anomalies: Part<Anomalies>,
    pub(super) runs: Part<Runs>,
    pub(super) pane: Pane,
    /// What is chosen in each list, by its name: rows change their places.
    chosen: [Option<String>; 3],
    pub(super) explained: Option<Explained>,
}

impl State {
    /// Nothing is known yet.
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            ready: Part::default(),
            queues: Part::default(),
            workers: Part::default(),
            anomalies: Part::default(),
            runs: Part::default(),
            pane: Pane::Queues,
            chosen: [None, None, None],
            explained: None,
        }
    }

    /// Takes news in. What failed leaves what was known.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Ready(news) => self.ready.hear(news, now),
            News::Queues(news) => self.queues.hear(news, now),
            News::Workers(news) => self.workers.hear(news, now),
            News::Anomalies(news) => self.anomalies.hear(news, now),
            News::Runs(news) => self.runs.hear(news, now),
            News::Explained(run, text) => {
                // Another may be open by now.
                if let Some(explained) = self.explained.as_mut().filter(|explained| explained.run == run) {
                    explained.text = Some(text);
                }
            }
        }
    }

    /// Takes a key in.
    pub(super) fn press(&mut self, key: Key) -> Action {
        if let Some(explained) = &mut self.explained {
            match key {
                Key::Quit => return Action::Quit,
                Key::Up => explained.scrolled = explained.scrolled.saturating_sub(1),
                Key::Down => explained.scrolled = explained.scrolled.saturating_add(1),
                Key::Back | Key::Enter | Key::Next => self.explained = None,
                Key::Other => {}
            }
            return Action::None;
        }
        match key {
            Key::Quit => return Action::Quit,
            Key::Up => self.choose(|at| at.saturating_sub(1)),
            Key::Down => self.choose(|at| at + 1),
            Key::Next => {
                self.pane = match self.pane {
                    Pane::Queues => Pane::Workers,
                    Pane::Workers => Pane::Runs,
                    Pane::Runs => Pane::Queues,
                }
            }
            Key::Enter if self.pane == Pane::Runs => {
                let run = self.names(Pane::Runs).into_iter().nth(self.chosen(Pane::Runs));
                if let Some(run) = run {
                    self.explained = Some(Explained { run: run.clone(), text: None, scrolled: 0 });
                    return Action::Explain(run);
                }
            }
            Key::Enter | Key::Back | Key::Other => {}
        }
        Action::None
    }

    fn choose(&mut self, step: impl Fn(usize) -> usize) {
        let names = self.names(self.pane);
        let at = step(self.chosen(self.pane)).min(names.len().saturating_sub(1));
        self.chosen[self.pane as usize] = names.into_iter().nth(at);
    }

    /// Which row of a list is chosen: the first where none is, or where that is gone.
    pub(super) fn chosen(&self, pane: Pane) -> usize {
        let Some(chosen) = &self.chosen[pane as usize] else { return 0 };
        self.names(pane).iter().position(|name| name == chosen).unwrap_or(0)
    }

    fn names(&self, pane: Pane) -> Vec<String> {
        match pane {
            Pane::Queues => self.queues.value.queues.iter().map(|queue| queue.queue.clone()).collect(),
            Pane::Workers => self.workers.value.workers.iter().map(|worker| worker.worker.clone()).collect(),
            Pane::Runs => self.runs.value.runs.iter().map(|run| run.id.to_string()).collect(),
        }
    }

    /// The chosen queue, where there is any.
    pub(super) fn queue(&self) -> Option<&Queue> {
        self.queues.value.queues.get(self.chosen(Pane::Queues))
    }

    /// What is known around a queue.
    pub(super) fn facts(&self, queue: &str) -> Facts<'_> {
        let of = |state: &str| self.count(state, Some(queue));
        Facts { broker: &self.ready.value.broker, busy: of("BUSY"), idle: of("IDLE"), silent: of("SILENT") }
    }

    /// How many workers are in this state, of a queue or of all.
    pub(super) fn count(&self, state: &str, queue: Option<&str>) -> usize {
        let workers = self.workers.value.workers.iter().filter(|worker| worker.state == state);
        workers.filter(|worker| queue.is_none_or(|queue| worker.queues.iter().any(|of| of == queue))).count()
    }

    /// What is in the way of news, the first of each kind, with their age.
    pub(super) fn problems(&self, now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        let mut add = |what: &str, problem: &Option<String>, age: Option<Duration>| {
            let age = age.map(|age| format!(", {} s old", age.as_secs()));
            match problem {
                Some(problem) => problems.push(format!("{what}{}: {problem}", age.unwrap_or_default())),
                None if age.is_some() => {
                    problems.push(format!("{what}{}: no answer yet", age.unwrap_or_default()))
                }
                None => {}
            }
        };
        add("health", &self.ready.problem, self.ready.age(now));
        add("queues", &self.queues.problem, self.queues.age(now));
        add("workers", &self.workers.problem, self.workers.age(now));
        add("anomalies", &self.anomalies.problem, self.anomalies.age(now));
        add("runs", &self.runs.problem, self.runs.age(now));
        // One server that is gone is one problem, not five.
        let reason = |problem: &String| problem.split_once(": ").map(|(_, reason)| reason.to_owned());
        if problems.len() == 5 && problems.iter().all(|problem| reason(problem) == reason(&problems[0])) {
            problems.truncate(1);
            problems[0] = problems[0].replacen("health", "all", 1);
        }
        if self.ready.problem.is_none() {
            problems.extend(self.ready.value.problems.iter().cloned());
        }
        let untold = &self.queues.value.untold_partitions;
        if !untold.is_empty() {
            problems
                .push(format!("{} partitions are not counted: no orchestrator tells of them", untold.len()));
        }
        problems
    }
}
