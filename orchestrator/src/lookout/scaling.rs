//! How many workers each queue wants: a scaler for each, fed at every look.
//!
//! Every orchestrator reckons for itself, and all answer with what the one that lives longest reckons: so they agree, and one
//! that has just begun, which knows nothing of the last minutes, does not send workers home.

use std::collections::BTreeMap;

use oarlock_monitor::scaling::{Scaler, Settings as Rule};
use oarlock_protocol::{Span, Timestamp};
use serde::Serialize;

use crate::queues::{QueueView, QueuesView, WantedOf};

/// A queue is reckoned no more often: rates move slowly.
const RECKONED_EVERY: Span = Span::from_secs(2);
/// The most queues that are scaled: a few kilobytes each.
const MOST_SCALED: usize = 1_000;

/// How queues are scaled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The rule of every queue that has none of its own.
    pub rule: Rule,
    /// The rules of queues that have one.
    pub of: BTreeMap<String, Rule>,
}

/// How many workers a queue wants, and what that rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// The queue.
    pub queue: String,
    /// So many workers.
    pub wanted: u32,
    /// Why, in one sentence.
    pub text: String,
    /// The fewest that it may be.
    pub min: u32,
    /// The most that it may be.
    pub max: u32,
    /// The queue as it stands; absent where nothing of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<QueueView>,
}

/// The scalers of all queues.
#[derive(Default)]
pub(super) struct Scalers {
    settings: Settings,
    queues: BTreeMap<String, Scaled>,
    last: Option<Timestamp>,
}

struct Scaled {
    scaler: Scaler,
    load: QueueView,
    wanted: WantedOf,
}

impl Scalers {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Reckons anew, where it is time.
    pub(super) fn look(&mut self, view: &QueuesView, now: Timestamp) {
        if self.last.is_some_and(|last| now.since(last) < RECKONED_EVERY) {
            return;
        }
        self.last = Some(now);
        // A queue that is not in the view any more has neither work nor workers.
        let gone: Vec<String> = self.queues.keys().cloned().collect();
        for queue in gone {
            if !view.queues.iter().any(|of| of.queue == queue) {
                let empty = QueueView { queue, ..QueueView::default() };
                self.reckon(&empty, now);
            }
        }
        view.queues.iter().for_each(|queue| self.reckon(queue, now));
    }

    fn reckon(&mut self, view: &QueueView, now: Timestamp) {
        if !self.queues.contains_key(&view.queue) {
            if self.queues.len() >= MOST_SCALED {
                return;
            }
            let wanted = WantedOf { queue: view.queue.clone(), workers: 0, text: String::new() };
            let scaler = Scaler::new(self.rule(&view.queue).clone());
            self.queues.insert(view.queue.clone(), Scaled { scaler, load: view.clone(), wanted });
        }
        if let Some(scaled) = self.queues.get_mut(&view.queue) {
            let wanted = scaled.scaler.decide(&view.load(), now);
            scaled.load = view.clone();
            (scaled.wanted.workers, scaled.wanted.text) = (wanted.workers, wanted.text);
        }
    }

    /// How many workers are wanted of what was told, within the rule of its queue.
    pub(super) fn clamped(&self, told: &WantedOf) -> u32 {
        let rule = self.rule(&told.queue);
        told.workers.clamp(rule.min_workers, rule.max_workers)
    }

    /// What was reckoned last, of every queue.
    pub(super) fn wanted(&self) -> Vec<WantedOf> {
        self.queues.values().map(|scaled| scaled.wanted.clone()).collect()
    }

    /// How many workers a queue wants: what was told of it, else what is reckoned here.
    pub(super) fn scaling(&self, queue: &str, told: Option<WantedOf>) -> Scaling {
        let rule = self.rule(queue);
        let scaled = self.queues.get(queue);
        let (wanted, text) = match told.or_else(|| scaled.map(|scaled| scaled.wanted.clone())) {
            Some(wanted) => (wanted.workers, wanted.text),
            None => {
                (rule.min_workers, "nothing is known of this queue: no task was ever ready in it".to_owned())
            }
        };
        Scaling {
            queue: queue.to_owned(),
            wanted: wanted.clamp(rule.min_workers, rule.max_workers),
            text,
            min: rule.min_workers,
            max: rule.max_workers,
            load: scaled.map(|scaled| scaled.load.clone()),
        }
    }

    fn rule(&self, queue: &str) -> &Rule {
        self.settings.of.get(queue).unwrap_or(&self.settings.rule)
    }
}
