//! Looks over the whole fleet: tells the others each second what stands where here, takes in what they tell, and keeps what
//! follows from it: the queues as they stand, and how many workers each wants.
//!
//! Every node looks, so that each can answer whatever it is asked. All of it is in memory and told anew each second; nothing
//! here is ever written, and no run waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Announcement, Broker, Error as BrokerError, Health, Message, topology};
use oarlock_monitor::Finding;
use oarlock_monitor::rules::WorkerSnapshot;
use oarlock_protocol::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::admission::Slots;
use crate::anomalies::handling::{Handler, Pauses};
use crate::anomalies::{Anomalies, Since};
use crate::members::Member;
use crate::partition::Shared;
use crate::queues::{Depths, Queues, QueuesView, Report, Workers};

mod patrol;
mod scaling;

pub use patrol::overdue;

use scaling::Scalers;
pub use scaling::{Scaling, Settings as ScalingSettings};

/// The type of the message that a report is.
pub(crate) const REPORT: &str = "oarlock.report";
/// The topic on which reports are announced.
const TOPIC: &str = "report";
/// The broker is asked for its own count of a queue no more often.
const DEPTHS_EVERY: Duration = Duration::from_secs(5);
/// How long counting may take: a look goes on without.
const DEPTHS_WITHIN: Duration = Duration::from_secs(2);
/// The most queues that are counted at one look: a few milliseconds each.
const MOST_COUNTED: usize = 200;
/// A report whose form is larger is none of ours, in bytes.
const LARGEST_REPORT: usize = 4 * 1024 * 1024;

/// What a node knows of the fleet.
pub(crate) struct Lookout {
    shared: Arc<Shared>,
    me: Member,
    began: Timestamp,
    crew: Arc<dyn Crew>,
    anomalies: Arc<Anomalies>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: Queues,
    depths: Depths,
    scalers: Scalers,
    /// Since when queues have workers.
    manned: Since,
}

/// The workers of the fleet, as far as they are heard.
pub(crate) trait Crew: Send + Sync + 'static {
    /// How many there are, by queue.
    fn by_queue(&self) -> Workers;

    /// Each of them, as the rules see it; `ready` tells of a queue how many of its tasks a worker could have and none has, and since
    /// when there are any.
    fn snapshots(&self, ready: &dyn Fn(&str) -> Option<(u64, Timestamp)>) -> Vec<WorkerSnapshot>;
}

impl Lookout {
    /// One that has heard nothing yet.
    pub(crate) fn new(
        shared: Arc<Shared>,
        me: Member,
        crew: Arc<dyn Crew>,
        anomalies: Arc<Anomalies>,
    ) -> Arc<Self> {
        let began = shared.clock.now();
        let scalers = Scalers::new(shared.settings.scaling.clone());
        let state = Mutex::new(State { scalers, ..State::default() });
        Arc::new(Self { shared, me, began, crew, anomalies, state })
    }

    /// Whether it looks for what is unusual.
    pub(crate) fn watches_anomalies(&self) -> bool {
        self.anomalies.is_enabled()
    }

    /// Who handles what is found.
    pub(crate) fn handler(&self, pauses: Arc<dyn Pauses>) -> Handler {
        let shared = &self.shared;
        Handler {
            settings: shared.settings.anomalies.clone(),
            broker: shared.broker.clone(),
            pauses,
            begun: shared.begun.clone(),
            node: self.me.name.clone(),
        }
    }

    /// Looks until it is aborted.
    pub(crate) async fn look_for_ever(self: Arc<Self>) {
        let mut ticks = interval(self.shared.settings.look.into());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted = None::<Instant>;
        loop {
            ticks.tick().await;
            let report = self.look();
            if let Ok(body) = serde_json::to_vec(&report) {
                self.tell(body.into()).await;
            }
            if counted.is_none_or(|at| at.elapsed() >= DEPTHS_EVERY) {
                counted = Some(Instant::now());
                self.count().await;
            }
        }
    }

    /// Takes in what stands here, and makes the report of it.
    fn look(&self) -> Report {
        let now = self.shared.clock.now();
        let horizon = self.shared.settings.scaling.rule.horizon;
        let (partitions, figures) = self.shared.ledger.figures(now, horizon);
        let report = Report::new(self.me.clone(), self.began, now, partitions, figures)
            .holding_back(self.shared.admissions.held_back());
        let workers = self.crew.by_queue();
        let mut state = self.state();
        let State { queues, depths, scalers, .. } = &mut *state;
        queues.hear(report.clone(), now);
        queues.tick(now);
        let view = queues.view(now, 0, &workers, depths, None);
        let slots = view.queues.iter().filter(|queue| queue.workers > 0).map(|queue| {
            let demanders = queues.with_work(&queue.queue);
            (queue.queue.clone(), Slots { slots: Some(queue.slots), demanders })
        });
        self.shared.admissions.know_slots(slots.collect());
        scalers.look(&view, now);
        let report = report.concluding(scalers.wanted(), self.anomalies.findings());
        // Its own word counts as that of the others does.
        queues.conclude(&report);
        report
    }

    /// Announces the report. It may be lost: the next one says all of it again.
    async fn tell(&self, body: bytes::Bytes) {
        let message = Message { body, kind: REPORT.to_owned(), ..Message::default() };
        let announcement =
            Announcement { exchange: topology::FLEET.to_owned(), topic: TOPIC.to_owned(), message };
        if let Err(error) = self.shared.broker.announce(vec![announcement]).await {
            tracing::debug!(%error, "the other orchestrators do not hear of this one now");
        }
    }

    /// Takes in what another orchestrator tells.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub(crate) fn hear(&self, body: &[u8]) -> Result<(), String> {
        if body.len() > LARGEST_REPORT {
            return Err(format!("a report has {LARGEST_REPORT} bytes at most"));
        }
        let report: Report = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if report.member.id != self.me.id {
            self.state().queues.hear(report, self.shared.clock.now());
        }
        Ok(())
    }

    /// Asks the broker how many messages it has in the queues that have work.
    async fn count(&self) {
        let busy: Vec<String> = {
            let view = self.view_of(None);
            let has_work = view.queues.into_iter().filter(|queue| queue.backlog > 0);
            has_work.map(|queue| queue.queue).take(MOST_COUNTED).collect()
        };
        let depths = count(&*self.shared.broker, busy).await;
        self.state().depths = depths;
    }

    /// The queues as they stand, counted now; of one tenant alone where that is named.
    pub(crate) async fn queues(&self, tenant: Option<&str>) -> QueuesView {
        self.count().await;
        self.view_of(tenant)
    }

    fn view_of(&self, tenant: Option<&str>) -> QueuesView {
        let partitions = self.shared.definitions.partitions();
        let workers = self.crew.by_queue();
        let state = self.state();
        state.queues.view(self.shared.clock.now(), partitions, &workers, &state.depths, tenant)
    }

    /// What is unusual, as all orchestrators see it.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.anomalies.findings();
        findings.extend(self.state().queues.findings(&self.me.id));
        findings
    }

    /// How many tasks of a queue a worker could have and none has, and since when there are any.
    pub(crate) fn ready_of(&self, queue: &str) -> Option<(u64, Timestamp)> {
        let state = self.state();
        let since = state.queues.waiting_since(queue)?;
        let view = state.queues.view(self.shared.clock.now(), 0, &Workers::new(), &state.depths, None);
        let of = view.queues.iter().find(|of| of.queue == queue)?;
        Some((of.for_workers(), since)).filter(|(ready, _)| *ready > 0)
    }

    /// What this node alone finds unusual, and how many changes of that nobody could handle.
    pub(crate) fn own_findings(&self) -> (Vec<Finding>, u64) {
        (self.anomalies.findings(), self.anomalies.unhandled())
    }

    /// How many workers each queue wants, and how many are heard.
    pub(crate) fn staff(&self) -> (Vec<(String, u32)>, Workers) {
        let state = self.state();
        let told = state.queues.wanted().map_or_else(|| state.scalers.wanted(), |(_, told)| told.to_vec());
        let wanted = told.iter().map(|of| (of.queue.clone(), state.scalers.clamped(of))).collect();
        (wanted, self.crew.by_queue())
    }

    /// How many workers a queue wants.
    pub(crate) fn scaling(&self, queue: &str) -> Scaling {
        let state = self.state();
        let told =
            state.queues.wanted().and_then(|(_, wanted)| wanted.iter().find(|of| of.queue == queue).cloned());
        state.scalers.scaling(queue, told)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves figures for people, which the next look makes anew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the broker counts; nothing of what it does not answer for in time.
async fn count(broker: &dyn Broker, queues: Vec<String>) -> Depths {
    let mut depths = Depths::new();
    if matches!(*broker.health().borrow(), Health::Down(_)) {
        return depths;
    }
    let counting = async {
        for queue in queues {
            match broker.depth(&topology::tasks(&queue)).await {
                Ok(depth) => drop(depths.insert(queue, depth)),
                Err(BrokerError::NoQueue(_)) => {}
                Err(_) => return,
            }
        }
    };
    tokio::time::timeout(DEPTHS_WITHIN, counting).await.ok();
    depths
}
