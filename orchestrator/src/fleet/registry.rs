//! Who lives: workers by their beats, judged by this node's clock at their arrival. Pure: times come in.
//!
//! The fleet hears beats into it and asks it. It is bounded, whatever it is told.

use std::collections::BTreeMap;

use oarlock_monitor::Kind;
use oarlock_monitor::rules::{self, WorkerSnapshot};
use oarlock_protocol::error::cut;
use oarlock_protocol::message::BeatMessage;
use oarlock_protocol::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::queues::WorkersOf;

/// The most workers that are known at once: with a kilobyte or two each some megabytes, and ten times a large fleet.
const MOST_WORKERS: usize = 10_000;
/// The most names of queues, and of tasks, that are kept of a worker: as many as a beat may have.
const MOST_NAMES: usize = 100;
/// The most queues whose workers are counted.
const MOST_QUEUES: usize = 1_000;
/// The longest text that is kept, in bytes: as long as AMQP lets a name be.
const LONGEST_TEXT: usize = 255;
/// Beats are told more often or more seldom by nobody: else a worker could be missed at once, or never.
const BEATS_MS: std::ops::RangeInclusive<u64> = 100..=60_000;

/// A worker, as this node knows it. Its times are by this node's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerEntry {
    /// Its id: another one at every start.
    pub worker: String,
    /// The machine it runs on, as it says.
    pub host: String,
    /// Its program and version, as it says.
    pub version: String,
    /// The tasks it has handlers for.
    pub tasks: Vec<String>,
    /// The queues it takes tasks from.
    pub queues: Vec<String>,
    /// How many attempts it can have at once.
    pub slots: u32,
    /// How many it has.
    pub open: u32,
    /// When it was started.
    pub since: Timestamp,
    /// When it was last heard.
    pub last_beat: Timestamp,
    /// When it last began or ended an attempt; none where it never did.
    pub last_active: Option<Timestamp>,
    /// How many attempts it has answered COMPLETED since it was started.
    pub completed: u64,
    /// How many it has answered FAILED since then.
    pub failed: u64,
    /// What it does.
    pub state: WorkerState,
    /// What is wrong with it: a sentence each.
    pub marks: Vec<String>,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkerState {
    /// It has attempts.
    Busy,
    /// It has none.
    Idle,
    /// Its beats stay away.
    Silent,
}

/// The workers that are known.
#[derive(Default)]
pub(super) struct Registry(BTreeMap<String, Known>);

/// The last beat of a worker, and its times by this node's clock.
struct Known {
    beat: BeatMessage,
    heard: Timestamp,
    since: Timestamp,
    last_active: Option<Timestamp>,
}

impl Registry {
    /// Takes a beat in.
    ///
    /// # Errors
    /// The reason why it cannot be: it names no worker, or there is no room for another one.
    pub(super) fn hear(
        &mut self,
        beat: BeatMessage,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), String> {
        let id = beat.worker_id.as_str().to_owned();
        if id.is_empty() || id.len() > LONGEST_TEXT {
            return Err(format!("the id of a worker has 1 to {LONGEST_TEXT} bytes"));
        }
        if beat.leaving {
            self.0.remove(&id);
            return Ok(());
        }
        if self.0.len() >= MOST_WORKERS && !self.0.contains_key(&id) {
            self.forget(settings, now);
            if self.0.len() >= MOST_WORKERS {
                return Err(format!("{MOST_WORKERS} workers are known already"));
            }
        }
        let mut known = Known::new(bounded(beat), now);
        if let Some(before) = self.0.get(&id) {
            // Each beat takes a while to come; the fastest tells best.
            known.since = known.since.min(before.since);
        }
        self.0.insert(id, known);
        Ok(())
    }

    /// Forgets who was silent for long.
    pub(super) fn forget(&mut self, settings: &Settings, now: Timestamp) {
        self.0.retain(|_, known| !known.is_gone(settings, now));
    }

    /// How many workers take tasks from each queue, and with how many slots; who is silent takes none.
    pub(super) fn by_queue(&self, settings: &Settings, now: Timestamp) -> BTreeMap<String, WorkersOf> {
        let mut queues: BTreeMap<String, WorkersOf> = BTreeMap::new();
        for known in self.0.values().filter(|known| !known.is_silent(settings, now)) {
            for queue in &known.beat.queues {
                if queues.len() >= MOST_QUEUES && !queues.contains_key(queue) {
                    continue;
                }
                let of = queues.entry(queue.clone()).or_default();
                of.workers += 1;
                of.slots += u64::from(known.beat.slots);
            }
        }
        queues
    }

    /// Everybody who is known, as the rules see them.
    pub(super) fn snapshots(
        &self,
        ready_of: impl Fn(&str) -> Option<(u64, Timestamp)>,
    ) -> Vec<WorkerSnapshot> {
        self.0.values().map(|known| known.snapshot(&ready_of)).collect()
    }

    /// Everybody who is not forgotten, judged now. `ready_of` tells how many tasks wait in a queue, and since when.
    pub(super) fn entries(
        &self,
        settings: &Settings,
        now: Timestamp,
        ready_of: impl Fn(&str) -> Option<(u64, Timestamp)>,
    ) -> Vec<WorkerEntry> {
        let lives = self.0.values().filter(|known| !known.is_gone(settings, now));
        lives.map(|known| known.entry(settings, now, &ready_of)).collect()
    }
}

impl Known {
    fn new(beat: BeatMessage, now: Timestamp) -> Self {
        // Its clock may be off: only how long ago something was by it, when it beat, is believed.
        let here = |then: Timestamp| before(now, beat.sent_at.since(then));
        let (since, last_active) = (here(beat.started_at), beat.last_active.map(here));
        Self { beat, heard: now, since, last_active }
    }

    fn interval(&self) -> Span {
        Span::from_millis(self.beat.beat_ms)
    }

    /// Whether it is to be forgotten: it was shown as silent for long enough.
    fn is_gone(&self, settings: &Settings, now: Timestamp) -> bool {
        now >= self.silent_from(settings).after(settings.kept)
    }

    fn is_silent(&self, settings: &Settings, now: Timestamp) -> bool {
        now >= self.silent_from(settings)
    }

    fn silent_from(&self, settings: &Settings) -> Timestamp {
        self.heard.after(self.interval().times(settings.rules.beats_missed))
    }

    fn snapshot(&self, ready_of: impl Fn(&str) -> Option<(u64, Timestamp)>) -> WorkerSnapshot {
        let beat = &self.beat;
        let deep: Vec<(u64, Timestamp)> = beat.queues.iter().filter_map(|queue| ready_of(queue)).collect();
        WorkerSnapshot {
            worker: beat.worker_id.to_string(),
            last_beat: self.heard,
            beat_interval: self.interval(),
            last_active: self.last_active.unwrap_or(self.since),
            in_flight: beat.open,
            slots: beat.slots,
            ready: deep.iter().fold(0, |sum, (ready, _)| sum.saturating_add(*ready)),
            ready_since: deep.iter().map(|(_, since)| *since).min(),
        }
    }

    fn entry(
        &self,
        settings: &Settings,
        now: Timestamp,
        ready_of: impl Fn(&str) -> Option<(u64, Timestamp)>,
    ) -> WorkerEntry {
        let beat = &self.beat;
        let snapshot = self.snapshot(ready_of);
        let finding = rules::silent(&snapshot, &settings.rules, now);
        let is_silent = finding.as_ref().is_some_and(|finding| finding.kind == Kind::SilentWorker);
        let state = match beat.open {
            _ if is_silent => WorkerState::Silent,
            0 => WorkerState::Idle,
            _ => WorkerState::Busy,
        };
        WorkerEntry {
            worker: snapshot.worker,
            host: beat.host.clone(),
            version: beat.version.clone(),
            tasks: beat.tasks.clone(),
            queues: beat.queues.clone(),
            slots: beat.slots,
            open: beat.open,
            since: self.since,
            last_beat: self.heard,
            last_active: self.last_active,
            completed: beat.completed,
            failed: beat.failed,
            state,
            marks: finding.into_iter().map(|finding| finding.text).collect(),
        }
    }
}

/// The beat with no more than is kept of it.
fn bounded(mut beat: BeatMessage) -> BeatMessage {
    beat.beat_ms = beat.beat_ms.clamp(*BEATS_MS.start(), *BEATS_MS.end());
    for text in [&mut beat.host, &mut beat.version] {
        cut(text, LONGEST_TEXT);
    }
    for names in [&mut beat.queues, &mut beat.tasks] {
        names.truncate(MOST_NAMES);
        names.iter_mut().for_each(|name| cut(name, LONGEST_TEXT));
        names.sort_unstable();
        names.dedup();
    }
    beat
}

fn before(time: Timestamp, span: Span) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(span))
}

#[cfg(test)]
mod tests;
