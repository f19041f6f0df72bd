//! A simulated fleet: tasks wait in one queue, workers start slowly, those that are sent away end what they have.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::arrivals::{Record, Task};
use crate::chance::Chance;
use crate::rules::{Rule, View};

/// Tasks that a worker does at once.
pub(crate) const SLOTS: u32 = 4;
/// How often a rule is asked.
const LOOK_MS: i64 = 15_000;

/// What came of it.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) mean_wait_s: f64,
    pub(crate) p99_wait_s: f64,
    pub(crate) worker_hours: f64,
}

/// What happens next, by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Done(usize),
    Up(usize),
    Ready(usize),
    Look,
}

/// A worker; it costs from when it was asked for.
struct Worker {
    asked_ms: i64,
    is_up: bool,
    is_leaving: bool,
    gone_ms: Option<i64>,
    busy: u32,
}

struct Fleet<'a> {
    record: &'a Record,
    now: i64,
    events: BinaryHeap<Reverse<(i64, Event)>>,
    workers: Vec<Worker>,
    waiting: VecDeque<usize>,
    waits_ms: Vec<i64>,
    in_flight: u64,
    /// Since the last look.
    arrived: u64,
    done: u64,
    /// Lengths of the latest tasks that are done.
    lengths_ms: VecDeque<i64>,
    chance: Chance,
}

/// Lets a rule run a fleet through a record. It begins with as many workers as the rule says first, and these are up.
pub(crate) fn play(record: &Record, rule: &mut dyn Rule) -> Outcome {
    let mut fleet = Fleet {
        record,
        now: 0,
        events: BinaryHeap::new(),
        workers: Vec::new(),
        waiting: VecDeque::new(),
        waits_ms: Vec::new(),
        in_flight: 0,
        arrived: 0,
        done: 0,
        lengths_ms: VecDeque::new(),
        chance: Chance(7),
    };
    fleet.events.extend(
        record.tasks.iter().enumerate().map(|(index, task)| Reverse((task.ready_ms, Event::Ready(index)))),
    );
    fleet.scale(rule.wanted(&fleet.view()));
    fleet.workers.iter_mut().for_each(|worker| worker.is_up = true);
    fleet.events.push(Reverse((LOOK_MS, Event::Look)));
    while let Some(Reverse((now, event))) = fleet.events.pop() {
        fleet.now = now;
        fleet.happens(event, rule);
        fleet.begin();
    }
    fleet.outcome()
}

impl Fleet<'_> {
    fn happens(&mut self, event: Event, rule: &mut dyn Rule) {
        match event {
            Event::Ready(index) => {
                self.waiting.push_back(index);
                self.arrived += 1;
            }
            Event::Up(worker) => self.workers[worker].is_up = true,
            Event::Done(worker) => {
                self.workers[worker].busy -= 1;
                self.in_flight -= 1;
                self.done += 1;
                self.leave(worker);
            }
            Event::Look => {
                self.scale(rule.wanted(&self.view()));
                (self.arrived, self.done) = (0, 0);
                if self.now < self.record.length_ms || !self.waiting.is_empty() || self.in_flight > 0 {
                    self.events.push(Reverse((self.now + LOOK_MS, Event::Look)));
                }
            }
        }
    }

    fn view(&self) -> View {
        let seconds = LOOK_MS as f64 / 1000.0;
        let lengths = self.lengths_ms.iter().sum::<i64>() / self.lengths_ms.len().max(1) as i64;
        let oldest = self.waiting.front().map_or(self.now, |index| self.record.tasks[*index].ready_ms);
        View {
            now_ms: self.now,
            ready: self.waiting.len() as u64,
            in_flight: self.in_flight,
            oldest_wait_ms: self.now - oldest,
            arrivals_per_second: self.arrived as f64 / seconds,
            completions_per_second: self.done as f64 / seconds,
            service_ms: (!self.lengths_ms.is_empty()).then_some(lengths),
            workers: self.workers.iter().filter(|worker| !worker.is_leaving).count() as u32,
        }
    }

    /// Asks for workers, or sends the least busy away.
    fn scale(&mut self, wanted: u32) {
        let mut staying: Vec<usize> =
            (0..self.workers.len()).filter(|index| !self.workers[*index].is_leaving).collect();
        for _ in staying.len()..wanted as usize {
            let up = self.now + 10_000 + (30_000.0 * self.chance.uniform()) as i64;
            self.events.push(Reverse((up, Event::Up(self.workers.len()))));
            let (is_up, is_leaving, gone_ms, busy) = (false, false, None, 0);
            self.workers.push(Worker { asked_ms: self.now, is_up, is_leaving, gone_ms, busy });
        }
        staying.sort_by_key(|index| (self.workers[*index].is_up, self.workers[*index].busy));
        for index in staying.iter().take(staying.len().saturating_sub(wanted as usize)) {
            self.workers[*index].is_leaving = true;
            self.leave(*index);
        }
    }

    fn leave(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.is_leaving && worker.busy == 0 {
            worker.gone_ms = Some(self.now);
        }
    }

    /// Gives waiting tasks to free slots, the least busy worker first.
    fn begin(&mut self) {
        while !self.waiting.is_empty() {
            let free = |worker: &Worker| worker.is_up && !worker.is_leaving && worker.busy < SLOTS;
            let workers = self.workers.iter_mut().enumerate().filter(|(_, worker)| free(worker));
            let Some((index, worker)) = workers.min_by_key(|(_, worker)| worker.busy) else { return };
            let Some(task) = self.waiting.pop_front() else { return };
            let Task { ready_ms, service_ms } = self.record.tasks[task];
            worker.busy += 1;
            self.in_flight += 1;
            self.waits_ms.push(self.now - ready_ms);
            self.events.push(Reverse((self.now + service_ms, Event::Done(index))));
            self.lengths_ms.push_back(service_ms);
            if self.lengths_ms.len() > 200 {
                self.lengths_ms.pop_front();
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        self.waits_ms.sort_unstable();
        let count = self.waits_ms.len();
        let hours = |worker: &Worker| (worker.gone_ms.unwrap_or(self.now) - worker.asked_ms) as f64 / 3.6e6;
        assert_eq!(count, self.record.tasks.len(), "every task was done");
        Outcome {
            mean_wait_s: self.waits_ms.iter().sum::<i64>() as f64 / count as f64 / 1000.0,
            p99_wait_s: self.waits_ms[count * 99 / 100] as f64 / 1000.0,
            worker_hours: self.workers.iter().map(hours).sum(),
        }
    }
}
