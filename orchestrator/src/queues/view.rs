//! The queues of the fleet as they are shown: the books of all orchestrators together, beside what the broker counts.

use std::collections::BTreeMap;

use oarlock_monitor::scaling::Load;
use oarlock_protocol::{Span, Timestamp};
use serde::Serialize;

use super::Queues;
use super::rates::Rates;
use crate::books::Figures;

/// Workers of each queue, by the beats heard.
pub(crate) type Workers = BTreeMap<String, WorkersOf>;
/// How many messages the broker has ready in each queue, where it could be asked.
pub(crate) type Depths = BTreeMap<String, u64>;

/// The workers that listen to a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkersOf {
    /// How many.
    pub(crate) workers: u32,
    /// How many tasks they can do at once.
    pub(crate) slots: u64,
}

/// Every queue that has work, workers, or had work lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuesView {
    /// The queues, those with the most work that waits first.
    pub queues: Vec<QueueView>,
    /// Partitions whose books no orchestrator tells: what stands in them is not counted here.
    pub untold_partitions: Vec<u32>,
}

/// A task queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// Its name.
    pub queue: String,
    /// What waits: ready + published + in flight + due.
    pub backlog: u64,
    /// Tasks that wait for admission.
    pub ready: u64,
    /// Of these, those that a pause or a limit holds back.
    pub held_back: u64,
    /// Attempts in the broker's queue that no worker has.
    pub published: u64,
    /// Attempts that workers have.
    pub in_flight: u64,
    /// Tasks that wait for their next attempt.
    pub due: u64,
    /// Of these, those that are due within half a minute.
    pub due_soon: u64,
    /// How long the oldest waits that no worker is known to have, in milliseconds; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_wait_ms: Option<u64>,
    /// Tasks that became ready, a second, lately.
    pub arrivals_per_second: f64,
    /// Attempts that closed, a second, lately.
    pub completions_per_second: f64,
    /// Attempts that failed, a second, lately.
    pub failures_per_second: f64,
    /// Closed attempts that were not the first of their task, a second, lately.
    pub retries_per_second: f64,
    /// How long a worker has an attempt, in the mean, in milliseconds; absent where none closed lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_ms: Option<u64>,
    /// How long an attempt waits for a worker, in the mean, in milliseconds; absent where none closed lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Attempts that failed, since the orchestrators that live began.
    pub failed: u64,
    /// Attempts that completed, since the orchestrators that live began.
    pub completed: u64,
    /// When an attempt closed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_closed: Option<Timestamp>,
    /// Workers that are heard.
    pub workers: u32,
    /// How many tasks these can do at once.
    pub slots: u64,
    /// Messages that the broker has ready; absent where it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_ready: Option<u64>,
    /// How the broker's count differs from the books, in words; absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
    /// The work by tenant, those with the most work that waits first.
    pub tenants: Vec<TenantView>,
}

/// The work of one tenant in a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantView {
    /// Whose; `*` stands for many with little.
    pub tenant: String,
    /// Tasks that wait for admission.
    pub ready: u64,
    /// Attempts that were published and have not closed: those that workers have are among them.
    pub open: u64,
    /// Tasks that wait for their next attempt.
    pub due: u64,
    /// How long the oldest waits that no worker is known to have, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_wait_ms: Option<u64>,
}

impl Queues {
    /// The queues as they stand, of `partitions` partitions in all; of one tenant alone where that is named.
    pub(crate) fn view(
        &self,
        now: Timestamp,
        partitions: u32,
        workers: &Workers,
        depths: &Depths,
        tenant: Option<&str>,
    ) -> QueuesView {
        let mut lines: BTreeMap<&str, BTreeMap<&str, Figures>> = BTreeMap::new();
        let mut rates: BTreeMap<&str, Rates> = BTreeMap::new();
        let mut held_back: BTreeMap<&str, u64> = BTreeMap::new();
        for heard in self.heard.values() {
            for line in &heard.report.lines {
                // Ages count by the clock of who told them.
                let oldest = line.oldest.map(|oldest| shifted(oldest, heard.report.at, heard.at));
                let mut told = Figures { oldest, ..line.clone() };
                let last = &mut told.sums.last_closed;
                *last = last.map(|last| shifted(last, heard.report.at, heard.at));
                lines.entry(&line.queue).or_default().entry(&line.tenant).or_default().add(&told);
            }
            for (queue, of) in &heard.rates {
                rates.entry(queue.as_str()).or_default().add(of);
            }
        }
        for (queue, held) in self.heard.values().flat_map(|heard| &heard.report.held_back) {
            *held_back.entry(queue).or_default() += held;
        }
        for queue in workers.keys() {
            lines.entry(queue.as_str()).or_default();
        }
        let none = Rates::default();
        let mut queues: Vec<QueueView> = lines
            .into_iter()
            .map(|(queue, tenants)| {
                let workers = workers.get(queue).copied().unwrap_or_default();
                let rates = rates.get(queue).unwrap_or(&none);
                let view = one(queue, &tenants, rates, workers, depths.get(queue).copied(), now, tenant);
                // Books and admission are read one after the other.
                let held_back = held_back.get(queue).copied().unwrap_or(0).min(view.ready);
                QueueView { held_back, ..view }
            })
            .collect();
        queues
            .sort_by(|one, other| other.backlog.cmp(&one.backlog).then_with(|| one.queue.cmp(&other.queue)));
        QueuesView { queues, untold_partitions: self.untold(partitions) }
    }
}

/// A time of another clock, told at `told` of that and heard at `heard` of this one.
fn shifted(time: Timestamp, told: Timestamp, heard: Timestamp) -> Timestamp {
    let age = i64::try_from(told.since(time).as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(heard.as_millis().saturating_sub(age))
}

fn one(
    queue: &str,
    tenants: &BTreeMap<&str, Figures>,
    rates: &Rates,
    workers: WorkersOf,
    depth: Option<u64>,
    now: Timestamp,
    tenant: Option<&str>,
) -> QueueView {
    let mut all = Figures::default();
    tenants.values().for_each(|figures| all.add(figures));
    let open = all.published + all.running;
    // Short tasks tell nothing before they are answered: the broker knows how many nobody has taken.
    let published = depth.map_or(all.published, |depth| depth.min(all.published));
    let in_flight = open - published;
    let age = |since: Option<Timestamp>| since.map(|since| now.since(since).as_millis());
    let mut shown: Vec<TenantView> = tenants
        .iter()
        .filter(|(name, _)| tenant.is_none_or(|tenant| tenant == **name))
        .map(|(name, figures)| TenantView {
            tenant: (*name).to_owned(),
            ready: figures.ready,
            open: figures.published + figures.running,
            due: figures.due,
            oldest_wait_ms: age(figures.oldest),
        })
        .filter(|view| view.ready + view.open + view.due > 0)
        .collect();
    shown.sort_by_key(|view| std::cmp::Reverse(view.ready + view.open + view.due));
    QueueView {
        queue: queue.to_owned(),
        backlog: all.ready + open + all.due,
        ready: all.ready,
        held_back: 0,
        published,
        in_flight,
        due: all.due,
        due_soon: all.due_soon,
        oldest_wait_ms: age(all.oldest),
        arrivals_per_second: rounded(rates.arrivals),
        completions_per_second: rounded(rates.completions),
        failures_per_second: rounded(rates.failures),
        retries_per_second: rounded(rates.retries),
        service_ms: rates.service().map(|span| span.as_millis()),
        wait_ms: rates.waited().map(|span| span.as_millis()),
        failed: all.sums.failed,
        completed: all.sums.completed,
        last_closed: all.sums.last_closed,
        workers: workers.workers,
        slots: workers.slots,
        broker_ready: depth,
        difference: depth.and_then(|depth| difference(open, depth)),
        tenants: shown,
    }
}

/// The broker can have no more than was published and is open: what is beyond belongs to attempts that have closed (cancelled
/// while they waited), or to nobody.
fn difference(open: u64, depth: u64) -> Option<String> {
    // Between the two counts a second may pass.
    let surplus = depth.saturating_sub(open);
    (surplus > open / 10 + 20).then(|| {
        format!(
            "the broker has {surplus} messages more than are open: cancelled tasks, which workers will skip"
        )
    })
}

fn rounded(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

impl QueueView {
    /// Tasks that a worker could have and none has.
    pub(crate) fn for_workers(&self) -> u64 {
        self.ready - self.held_back + self.published
    }

    /// What the scaling rule needs to know of it. What is held back is no work for workers; where it is the
    /// greater part, pauses and limits set the pace, not the number of workers: what else waits is counted for itself.
    pub(crate) fn load(&self) -> Load {
        let is_held = self.held_back > 0 && self.for_workers() == 0;
        let is_paced = self.held_back > self.for_workers();
        let arrivals = self.arrivals_per_second;
        Load {
            ready: self.ready - self.held_back,
            published: self.published,
            in_flight: self.in_flight,
            due: self.due_soon,
            oldest_wait: Span::from_millis(self.oldest_wait_ms.filter(|_| !is_held).unwrap_or(0)),
            arrivals_per_second: if is_paced { arrivals.min(self.completions_per_second) } else { arrivals },
            completions_per_second: self.completions_per_second,
            service: self.service_ms.map(Span::from_millis),
            workers: self.workers,
            slots_per_worker: self
                .slots
                .checked_div(self.workers.into())
                .and_then(|slots| u32::try_from(slots).ok()),
        }
    }
}
