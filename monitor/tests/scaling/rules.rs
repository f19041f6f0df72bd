//! The rules that are compared.

use std::collections::VecDeque;

use oarlock_monitor::scaling::{Load, Scaler, Settings};
use oarlock_protocol::{Span, Timestamp};

use crate::arrivals::Record;
use crate::fleet::SLOTS;

/// What a rule sees of a queue.
pub(crate) struct View {
    pub(crate) now_ms: i64,
    pub(crate) ready: u64,
    pub(crate) in_flight: u64,
    pub(crate) oldest_wait_ms: i64,
    pub(crate) arrivals_per_second: f64,
    pub(crate) completions_per_second: f64,
    pub(crate) service_ms: Option<i64>,
    pub(crate) workers: u32,
}

/// Says how many workers there should be; asked every 15 s.
pub(crate) trait Rule {
    fn wanted(&mut self, view: &View) -> u32;
}

/// The rule under test, with its defaults.
pub(crate) struct Ours(pub(crate) Scaler);

/// Always as many.
pub(crate) struct Fixed(pub(crate) u32);

/// What counts as the depth of a queue.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Depth {
    /// Ready messages: what KEDA reads over AMQP.
    Ready,
    /// Ready and unacknowledged ones: what it reads over HTTP.
    All,
}

/// KEDA's queue length with its default windows: one worker for so many messages (20 by default), asked for by the autoscaler of Kubernetes (every
/// 15 s, within 10 % nothing; at most double or 4 more at a time; down to the most of the last 300 s), from none as soon as
/// there is a message, to none 300 s after the last.
pub(crate) struct PerDepth {
    depth: Depth,
    target: f64,
    lately: VecDeque<(i64, u32)>,
    last_active_ms: i64,
}

const WINDOW_MS: i64 = 300_000;

impl Ours {
    pub(crate) fn new() -> Self {
        Self(Scaler::new(Settings { slots_per_worker: SLOTS, ..Settings::default() }))
    }
}

impl Rule for Ours {
    fn wanted(&mut self, view: &View) -> u32 {
        let span = |ms: i64| Span::from_millis(u64::try_from(ms).unwrap_or_default());
        let load = Load {
            published: view.ready,
            in_flight: view.in_flight,
            oldest_wait: span(view.oldest_wait_ms),
            arrivals_per_second: view.arrivals_per_second,
            completions_per_second: view.completions_per_second,
            service: view.service_ms.map(span),
            workers: view.workers,
            ..Load::default()
        };
        self.0.decide(&load, Timestamp::from_millis(view.now_ms)).workers
    }
}

impl Fixed {
    /// As many as are busy for four fifths of the time at `rate` tasks a second of 5 s.
    pub(crate) fn for_rate(rate: f64) -> Self {
        Self((rate * 5.0 / f64::from(SLOTS) / 0.8).ceil() as u32)
    }

    pub(crate) fn for_mean(record: &Record) -> Self {
        Self::for_rate(record.mean_rate())
    }

    pub(crate) fn for_peak(record: &Record) -> Self {
        Self::for_rate(record.peak_rate())
    }
}

impl Rule for Fixed {
    fn wanted(&mut self, _: &View) -> u32 {
        self.0
    }
}

impl PerDepth {
    pub(crate) fn of(depth: Depth, target: f64) -> Self {
        Self { depth, target, lately: VecDeque::new(), last_active_ms: i64::MIN / 2 }
    }
}

impl Rule for PerDepth {
    fn wanted(&mut self, view: &View) -> u32 {
        let depth = if self.depth == Depth::All { view.ready + view.in_flight } else { view.ready };
        if depth > 0 {
            self.last_active_ms = view.now_ms;
        }
        let is_active = view.now_ms - self.last_active_ms < WINDOW_MS;
        if !is_active || view.workers == 0 {
            self.lately.clear();
            return u32::from(is_active);
        }
        let ratio = depth as f64 / (self.target * f64::from(view.workers));
        let desired = if (ratio - 1.0).abs() <= 0.1 {
            view.workers
        } else {
            (depth as f64 / self.target).ceil() as u32
        };
        let desired = desired.clamp(1, 100);
        self.lately.push_back((view.now_ms, desired));
        while self.lately.front().is_some_and(|(then, _)| view.now_ms - then > WINDOW_MS) {
            self.lately.pop_front();
        }
        let most_lately = self.lately.iter().map(|(_, desired)| *desired).max().unwrap_or(desired);
        if desired >= view.workers {
            desired.min((view.workers * 2).max(view.workers + 4))
        } else {
            most_lately.min(view.workers)
        }
    }
}
