//! The rounds of a measurement: the floor and Oarlock in turn, so that a machine that grows slower is slower for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use oarlock_broker::rabbitmq::floor::{Load, Window};
use oarlock_orchestrator::Node;
use oarlock_orchestrator::store::redis::{Redis, Usage};

use crate::drive::{Driven, Driver};
use crate::fleet::Part;
use crate::floor::Floor;
use crate::part::Ask;
use crate::usage::{Used, Watched};
use crate::{Error, Plan};

/// How often progress of this process's own runs is told.
const PROGRESS: Duration = Duration::from_millis(200);
/// A round to warm up has a share of the runs of another: queues, caches and connections are made then.
const WARM_UP: usize = 4;

/// Who starts the runs.
pub enum Drivers {
    /// Orchestrators in processes of their own, each its share.
    Parts(Vec<Part>),
    /// A node of this process.
    Here(Arc<Node>),
}

/// What is measured, and with what.
pub struct Bench<'a> {
    /// What the runs look like.
    pub plan: Plan,
    /// The bytes of its messages.
    pub load: Load,
    /// How many rounds.
    pub rounds: usize,
    /// What Oarlock is held against.
    pub floor: &'a Floor,
    /// Whose use of processor and memory is told.
    pub watched: Vec<Watched>,
    /// The store, where servers are measured.
    pub store: Option<Arc<Redis>>,
    /// Hears what is done: the name of the stage, how much of how much.
    pub progress: &'a (dyn Fn(&str, usize, usize) + Sync),
}

/// A pair of rounds.
#[derive(Clone, Debug)]
pub struct Round {
    /// How long the floor took for as many tasks; nothing where the runs have none.
    pub floor: Option<Duration>,
    /// What the orchestrators came to.
    pub driven: Vec<Driven>,
}

/// What came of all rounds.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Each pair.
    pub rounds: Vec<Round>,
    /// The best window of the floor.
    pub window: Option<Window>,
    /// What each process used while Oarlock was measured, and its memory at the end.
    pub used: Vec<(String, Used)>,
    /// What the same processes used while the floor was measured: the broker's is of interest.
    pub used_by_floor: Vec<(String, f64)>,
    /// What the store used while Oarlock was measured.
    pub store: Option<Usage>,
}

impl Bench<'_> {
    /// Measures.
    ///
    /// # Errors
    /// A process failed, or a run came to a wrong end.
    pub async fn run(&self, drivers: &mut Drivers) -> Result<Measured, Error> {
        self.drive(drivers, "warming up", (self.plan.workflows / WARM_UP).max(1)).await?;
        let window = match self.plan.executions() {
            0 => None,
            _ => {
                (self.progress)("finding the floor's best window", 0, 1);
                Some(self.floor.best_window(&self.load).await?)
            }
        };
        let mut measured = Measured {
            rounds: Vec::new(),
            window,
            used: self.watched.iter().map(|one| (one.name.clone(), Used::default())).collect(),
            used_by_floor: self.watched.iter().map(|one| (one.name.clone(), 0.0)).collect(),
            store: self.store.as_ref().map(|_| Usage::default()),
        };
        for number in 1..=self.rounds {
            let before = self.used();
            let floor = match window {
                Some(window) => {
                    (self.progress)(&format!("floor, round {number}"), 0, 1);
                    Some(self.floor.measure(&self.load, window).await?)
                }
                None => None,
            };
            let between = self.used();
            let store_before = self.store_usage().await?;
            let stage = format!("oarlock, round {number}");
            let driven = self.drive(drivers, &stage, self.plan.workflows).await?;
            measured.add(&before, &between, &self.used());
            measured.add_store(store_before, self.store_usage().await?);
            measured.rounds.push(Round { floor, driven });
        }
        Ok(measured)
    }

    async fn drive(&self, drivers: &mut Drivers, stage: &str, runs: usize) -> Result<Vec<Driven>, Error> {
        let in_flight = self.plan.in_flight;
        match drivers {
            Drivers::Here(node) => Ok(vec![self.drive_here(node, stage, runs).await?]),
            Drivers::Parts(parts) => {
                let count = parts.len();
                let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                let told = &done;
                let shares = parts.iter_mut().enumerate().map(|(number, part)| async move {
                    let share = |all: usize| all / count + usize::from(number < all % count);
                    let ask =
                        Ask::Drive { plan: self.plan, runs: share(runs), in_flight: share(in_flight).max(1) };
                    let tell = |done: usize| {
                        told[number].store(done, Ordering::Relaxed);
                        let all = told.iter().map(|done| done.load(Ordering::Relaxed)).sum();
                        (self.progress)(stage, all, runs);
                    };
                    part.drive(&ask, tell).await
                });
                try_join_all(shares).await
            }
        }
    }

    async fn drive_here(&self, node: &Arc<Node>, stage: &str, runs: usize) -> Result<Driven, Error> {
        let done = Arc::new(AtomicUsize::new(0));
        let driver = Driver::new(Arc::clone(node), self.plan, Arc::clone(&done)).await?;
        let mut told = tokio::time::interval(PROGRESS);
        let mut driving = std::pin::pin!(driver.drive(runs, self.plan.in_flight));
        loop {
            tokio::select! {
                driven = &mut driving => return driven,
                _ = told.tick() => (self.progress)(stage, done.load(Ordering::Relaxed), runs),
            }
        }
    }

    fn used(&self) -> Vec<Used> {
        self.watched.iter().map(|one| one.used().unwrap_or_default()).collect()
    }

    async fn store_usage(&self) -> Result<Option<Usage>, Error> {
        match &self.store {
            Some(store) => Ok(Some(store.usage().await?)),
            None => Ok(None),
        }
    }
}

impl Measured {
    /// Adds what the processes used in a pair of rounds.
    fn add(&mut self, before: &[Used], between: &[Used], after: &[Used]) {
        let times = before.iter().zip(between).zip(after);
        for (((before, between), after), (used, by_floor)) in
            times.zip(self.used.iter_mut().zip(&mut self.used_by_floor))
        {
            by_floor.1 += between.cpu_seconds - before.cpu_seconds;
            used.1.cpu_seconds += after.cpu_seconds - between.cpu_seconds;
            used.1.peak_bytes = after.peak_bytes;
            used.1.resident_bytes = after.resident_bytes;
        }
    }

    fn add_store(&mut self, before: Option<Usage>, after: Option<Usage>) {
        if let (Some(sum), Some(before), Some(after)) = (&mut self.store, before, after) {
            sum.cpu_seconds += after.cpu_seconds - before.cpu_seconds;
            sum.script_calls += after.script_calls - before.script_calls;
            sum.used_bytes += after.used_bytes.saturating_sub(before.used_bytes);
            sum.peak_bytes = after.peak_bytes;
        }
    }
}
