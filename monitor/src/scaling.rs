//! How many workers a queue wants, from what it holds and what it does. A pure rule with a small state for each queue.
//!
//! The steady part is Little's law with the square-root rule: arrivals a second times seconds of service is the mean number
//! of busy slots, and as many more as its root times a factor keep waits short. On top comes what drains the backlog within
//! the target. Up at once; down only to the most that was wanted within the stabilization window, so that one reading of a
//! broker that answers 0 changes nothing; never below what is busy.

use std::collections::VecDeque;

use oarlock_protocol::{Span, Timestamp};
use serde::Serialize;

use crate::sentence::{plural, span};

/// The most figures kept of the stabilization window: one a second for an hour. Where there are more, the oldest go.
const MOST_KEPT: usize = 3600;

/// How a queue is scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The fewest workers; 0 lets it scale to none.
    pub min_workers: u32,
    /// The most workers.
    pub max_workers: u32,
    /// Tasks that a worker does at once.
    pub slots_per_worker: u32,
    /// Within this time what waits should be begun.
    pub drain: Span,
    /// Tasks that are due later count where they are due within this time; the time that a worker needs to start fits.
    pub horizon: Span,
    /// The factor of the square-root rule, in standard deviations of the number of busy slots: 1 keeps most tasks from
    /// waiting, 0 makes steady work wait.
    pub spare: f64,
    /// Over which time rates are averaged.
    pub average: Span,
    /// Down only to the most that was wanted within this time.
    pub stabilization: Span,
    /// The share (0..1) of the workers below which a step down is not worth it.
    pub smallest_step_down: f64,
    /// How long there must have been no work before the last worker goes.
    pub quiet: Span,
    /// How long a task takes where that is not known yet.
    pub service_guess: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_workers: 0,
            max_workers: 100,
            slots_per_worker: 4,
            drain: Span::from_secs(30),
            horizon: Span::from_secs(30),
            spare: 1.0,
            average: Span::from_secs(60),
            stabilization: Span::from_secs(180),
            smallest_step_down: 0.1,
            quiet: Span::from_secs(300),
            service_guess: Span::from_secs(1),
        }
    }
}

/// What is known of a queue at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Tasks that are ready and not published.
    pub ready: u64,
    /// Tasks in the broker's queue that no worker has.
    pub published: u64,
    /// Tasks that workers have.
    pub in_flight: u64,
    /// Delayed tasks that become ready within [`Settings::horizon`].
    pub due: u64,
    /// How long the oldest task that no worker has waits.
    pub oldest_wait: Span,
    /// Tasks that became ready, a second, since the last reading or over a short window.
    pub arrivals_per_second: f64,
    /// Attempts that closed, a second, over the same.
    pub completions_per_second: f64,
    /// The mean time that a worker has a task, where it is known.
    pub service: Option<Span>,
    /// Workers that are there or were asked for.
    pub workers: u32,
    /// Tasks that one of them does at once, where they say so; else [`Settings::slots_per_worker`] counts.
    pub slots_per_worker: Option<u32>,
}

/// How many workers a queue wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// So many.
    pub workers: u32,
    /// Why, in one sentence.
    pub text: String,
}

/// The state of a queue: what was wanted lately, and averages.
#[derive(Clone, Debug)]
pub struct Scaler {
    settings: Settings,
    /// What was wanted, and when: falling from the front, so the front is the most of the window.
    lately: VecDeque<(Timestamp, u32)>,
    last: Option<Timestamp>,
    last_work: Option<Timestamp>,
    arrivals: f64,
    completions: f64,
}

impl Scaler {
    /// One that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            lately: VecDeque::new(),
            last: None,
            last_work: None,
            arrivals: 0.0,
            completions: 0.0,
        }
    }

    /// Takes a reading and tells how many workers are wanted. Called every few seconds.
    pub fn decide(&mut self, load: &Load, now: Timestamp) -> Wanted {
        self.average(load, now);
        let waiting = load.ready.saturating_add(load.published).saturating_add(load.due);
        if waiting > 0 || load.in_flight > 0 || self.last_work.is_none() {
            self.last_work = Some(now);
        }
        let slots = f64::from(load.slots_per_worker.unwrap_or(self.settings.slots_per_worker).max(1));
        let service = self.service_seconds(load);
        let steady_slots = self.arrivals * service;
        let spare = self.settings.spare.max(0.0) * steady_slots.sqrt();
        let drain_slots = waiting as f64 * service / self.time_left(load);
        let least = u32::from(waiting > 0 || load.in_flight > 0);
        // `as` saturates.
        let mut target = ((steady_slots + spare + drain_slots) / slots).ceil() as u32;
        if self.is_quiet(now) {
            // Averages never fall to nothing, and what was wanted before the quiet time is over.
            target = 0;
            self.lately.clear();
        }
        let target = self.bounded(target.max(least));
        self.remember(target, now);

        let busy = (load.in_flight as f64 / slots).ceil() as u32;
        let most_lately =
            self.lately.front().map_or(target, |(_, wanted)| *wanted).max(busy.min(load.workers));
        let workers = self.step(load.workers, target, most_lately, now);
        let text = self.why(load, workers, target, busy, waiting, service);
        Wanted { workers, text }
    }

    /// Up at once; down to the most of the window, where that is worth a step; to none after a quiet time.
    fn step(&self, workers: u32, target: u32, most_lately: u32, now: Timestamp) -> u32 {
        if target >= workers {
            return target;
        }
        let fewer = self.bounded(most_lately);
        let step = workers.saturating_sub(fewer);
        if f64::from(step) < f64::from(workers) * self.settings.smallest_step_down {
            return self.bounded(workers);
        }
        if fewer == 0 && !self.is_quiet(now) { self.bounded(1) } else { fewer }
    }

    /// Whether there was no work for long.
    fn is_quiet(&self, now: Timestamp) -> bool {
        self.last_work.is_some_and(|last| now.since(last) >= self.settings.quiet)
    }

    /// Exponential averages of the rates.
    fn average(&mut self, load: &Load, now: Timestamp) {
        let rate = |rate: f64| if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        let passed = self.last.map(|last| now.since(last).as_millis() as f64);
        let over = (self.settings.average.as_millis() as f64).max(1.0);
        let share = passed.map_or(1.0, |passed| 1.0 - (-passed / over).exp());
        self.arrivals += share * (rate(load.arrivals_per_second) - self.arrivals);
        self.completions += share * (rate(load.completions_per_second) - self.completions);
        self.last = Some(now);
    }

    /// How long a worker has a task: as told, or by Little's law, or a guess.
    fn service_seconds(&self, load: &Load) -> f64 {
        let seconds = |span: Span| span.as_millis() as f64 / 1000.0;
        match load.service {
            Some(service) => seconds(service),
            None if self.completions > 0.0 && load.in_flight > 0 => load.in_flight as f64 / self.completions,
            None => seconds(self.settings.service_guess),
        }
    }

    /// In how many seconds the backlog should be gone: the less, the longer the oldest waits already.
    fn time_left(&self, load: &Load) -> f64 {
        let drain = (self.settings.drain.as_millis() as f64 / 1000.0).max(1.0);
        (drain - load.oldest_wait.as_millis() as f64 / 1000.0).clamp(drain / 4.0, drain)
    }

    fn bounded(&self, workers: u32) -> u32 {
        workers.min(self.settings.max_workers).max(self.settings.min_workers)
    }

    /// Keeps what was wanted within the window, without what something later and greater covers.
    fn remember(&mut self, target: u32, now: Timestamp) {
        while self.lately.back().is_some_and(|(_, wanted)| *wanted <= target) {
            self.lately.pop_back();
        }
        self.lately.push_back((now, target));
        let window = self.settings.stabilization;
        while self.lately.len() > MOST_KEPT
            || self.lately.front().is_some_and(|(then, _)| now.since(*then) > window)
        {
            self.lately.pop_front();
        }
    }

    fn why(&self, load: &Load, workers: u32, target: u32, busy: u32, waiting: u64, service: f64) -> String {
        let does = match workers.cmp(&load.workers) {
            std::cmp::Ordering::Greater => {
                format!("{} instead of {}", plural(workers.into(), "worker"), load.workers)
            }
            std::cmp::Ordering::Less => {
                format!("only {} instead of {}", plural(workers.into(), "worker"), load.workers)
            }
            std::cmp::Ordering::Equal => format!("{} as now", plural(workers.into(), "worker")),
        };
        let work = format!(
            "{:.1} tasks come a second and take {} each, {} wait",
            self.arrivals,
            span(service * 1000.0),
            waiting
        );
        let limit = if workers > target && workers == busy {
            ", and so many are busy"
        } else if workers > target && workers == self.settings.min_workers {
            ", the fewest allowed"
        } else if workers > target {
            ", and so many were wanted lately"
        } else if workers == self.settings.max_workers {
            ", the most allowed"
        } else {
            ""
        };
        format!("{does}: {work}{limit}")
    }
}

#[cfg(test)]
mod tests;
