//! The owner of a partition at work: gather, decide, commit, then acknowledge, answer and publish.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oarlock_broker::{Acknowledge, Consumer, Delivery, Health, topology};
use oarlock_engine::map::Map;
use oarlock_engine::{Decider, Event};
use oarlock_protocol::{RunKey, ScheduleKey};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::answer::{Asker, Return};
use super::asides::Asides;
use super::batch::Batch;
use super::effects::Verdict;
use super::hearing::Hearing;
use super::inbox::{self, Incoming};
use super::lease::Lease;
use super::limits::Limits;
use super::permits::Homes;
use super::publisher::Publisher;
use super::removal::Removals;
use super::runs::{self, Runs};
use super::schedules::Loaded;
use super::statistics::Statistics;
use super::timers::Timers;
use super::{Command, Lost, PREFETCH, Shared, Wish};
use crate::admission::Seat;
use crate::books::Kept;
use crate::parked;
use crate::watchdog::Pulse;

/// The most messages, commands or timers of one round: bounds the size of a commit.
pub(super) const ROUND: usize = 256;
/// The most bytes of messages that one commit answers.
const ROUND_BYTES: usize = 32 * 1024 * 1024;
/// Committed messages are acknowledged within this time, many at once: the broker writes each acknowledgement to its disk, between
/// what runs wait for. Those that come again where this process dies change nothing.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(20);
/// Or as soon as there are so many: well below what the broker hands out unacknowledged.
const MOST_UNACKNOWLEDGED: usize = PREFETCH as usize / 4;
/// The pause before a store that does not answer is asked again.
pub(super) const STORE_AGAIN: Duration = Duration::from_millis(200);

/// The owner of a partition.
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: u32,
    pub(super) lease: Lease,
    pub(super) runs: Runs,
    pub(super) timers: Timers,
    pub(super) admission: Seat,
    pub(super) publisher: Publisher,
    pub(super) batch: Batch,
    pub(super) books: Kept,
    pub(super) load_timers_at: Instant,
    pub(super) hearing: Hearing,
    pub(super) flush_at: Option<Instant>,
    unacknowledged: Option<Unacknowledged>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) removals: Removals,
    pub(super) asides: Asides,
    pub(super) statistics: Statistics,
    /// The schedules of the round at hand; none for one that was removed in it.
    pub(super) schedules: Map<ScheduleKey, Option<Loaded>>,
    /// The limits under which something is open or waits here.
    pub(super) limits: Limits,
    /// The limits whose home this partition is.
    pub(super) homes: Homes,
}

/// Messages of the inbox that were taken and are not acknowledged.
struct Unacknowledged {
    /// The last of them.
    tag: u64,
    count: usize,
    /// When they are to be acknowledged.
    due: Instant,
}

impl Owner {
    /// An owner that has done nothing yet.
    pub(super) fn new(
        shared: Arc<Shared>,
        partition: u32,
        lease: Lease,
        hearing: Hearing,
        pulse: Arc<Pulse>,
    ) -> Self {
        let settings = &shared.settings;
        let limits = Limits::new(lease.token.epoch, shared.definitions.partitions());
        Self {
            health: shared.broker.health(),
            pulse,
            admission: Seat::take_place(&shared.admissions, partition),
            publisher: Publisher::new(shared.broker.clone(), settings.delivery_limit),
            books: shared.ledger.begin(partition),
            shared,
            partition,
            lease,
            runs: Runs::default(),
            timers: Timers::default(),
            batch: Batch::default(),
            load_timers_at: Instant::now(),
            hearing,
            flush_at: None,
            unacknowledged: None,
            removals: Removals::default(),
            asides: Asides::default(),
            statistics: Statistics::default(),
            schedules: Map::default(),
            limits,
            homes: Homes::default(),
        }
    }

    /// Works until owning is wished no more, or the partition is lost.
    pub(super) async fn serve(
        &mut self,
        mut inbox: Box<dyn Consumer>,
        commands: &mut mpsc::Receiver<Command>,
        wish: &mut watch::Receiver<Wish>,
    ) -> Result<(), Lost> {
        let acknowledger = inbox.acknowledger();
        while *wish.borrow_and_update() == Wish::Own {
            self.pulse.beat();
            if self.hearing.begins_again(self.broker_takes()) {
                // Loaded again, they are as at a take-over.
                self.runs = Runs::default();
            }
            let wake = self.next_wake();
            let mut command = None;
            tokio::select! {
                // In a fixed order, so that a simulated run can be repeated. None is kept waiting: the first three are bounded by
                // what the others began, and every round looks at commands, timers, health and wish by itself.
                biased;
                (run, reference, read) = self.asides.next() => self.take_again(&run, reference, read).await?,
                (run, removed) = self.removals.next() => self.end_removal(&run, removed),
                results = self.publisher.done() => {
                    let refused = self.publisher.settle(results);
                    self.fail_refused(refused).await?;
                }
                received = inbox.receive(ROUND) => {
                    let deliveries = received.map_err(Lost::Inbox)?;
                    self.hearing.heard(deliveries.len());
                    self.note_taken(&deliveries);
                    self.take_deliveries(deliveries, &*acknowledger).await?;
                }
                Some(first) = commands.recv() => command = Some(first),
                () = self.admission.is_dealt() => {}
                () = tokio::time::sleep_until(wake) => {}
                _ = self.health.changed() => {}
                _ = wish.changed() => {}
            }
            let began = Instant::now();
            let refused = self.publisher.catch_up();
            self.fail_refused(refused).await?;
            self.take_commands(command, commands).await?;
            self.load_timers().await?;
            if self.hearing.is_done() {
                self.fire_timers().await?;
            }
            self.finish_round().await?;
            let now = Instant::now();
            self.acknowledge(&*acknowledger, |taken| taken.count >= MOST_UNACKNOWLEDGED || taken.due <= now)
                .await;
            if Instant::now() >= self.lease.renew_at() {
                self.lease.renew(&self.shared, self.partition).await?;
            }
            self.hearing.round_ended(began);
        }
        self.acknowledge(&*acknowledger, |_| true).await;
        // Closed first: what comes now is for the next owner.
        drop(inbox);
        self.leave().await
    }

    fn next_wake(&self) -> Instant {
        let now = self.shared.clock.now();
        let timer = self.timers.next().map(|at| Instant::now() + Duration::from(at.since(now)));
        let timer = if self.hearing.is_done() { timer } else { self.hearing.ends_at() };
        // What cannot be published now is looked at again when that changes.
        let again = self.publisher.again_at().filter(|_| self.broker_takes() && !self.publisher.is_full());
        let acknowledge =
            self.unacknowledged.as_ref().filter(|_| self.asides.is_empty()).map(|taken| taken.due);
        let token = self.homes.wakes_at().map(|at| Instant::now() + Duration::from(at.since(now)));
        let sweep = self.limits.sweeps_at().into_iter().chain(self.homes.sweeps_at()).min();
        let others = [timer, self.flush_at, again, acknowledge, token, sweep];
        let fixed = self.lease.renew_at().min(self.load_timers_at);
        others.into_iter().flatten().min().map_or(fixed, |at| at.min(fixed))
    }

    fn note_taken(&mut self, deliveries: &[Delivery]) {
        let Some(last) = deliveries.last() else { return };
        let due = Instant::now() + ACKNOWLEDGED_WITHIN;
        let taken = self.unacknowledged.get_or_insert(Unacknowledged { tag: last.tag, count: 0, due });
        taken.tag = last.tag;
        taken.count += deliveries.len();
    }

    /// Acknowledges what was taken, where it is time. All of it is committed or parked by then.
    async fn acknowledge(
        &mut self,
        acknowledger: &dyn Acknowledge,
        is_time: impl Fn(&Unacknowledged) -> bool,
    ) {
        // What was put aside is in no commit: until it is, it must come again where this process dies.
        if self.asides.is_empty()
            && let Some(taken) = self.unacknowledged.take_if(|taken| is_time(taken))
        {
            // Unacknowledged messages come again and change nothing then.
            acknowledger.ack_through(taken.tag).await.ok();
        }
    }

    async fn take_deliveries(
        &mut self,
        deliveries: Vec<Delivery>,
        acknowledger: &dyn Acknowledge,
    ) -> Result<(), Lost> {
        let mut bytes = 0;
        let partitions = self.shared.definitions.partitions();
        let read = |delivery: &Delivery| inbox::read(&delivery.message, self.partition, partitions);
        let incoming: Vec<_> = deliveries.iter().map(read).collect();
        let runs = incoming.iter().flatten().filter_map(Incoming::run);
        self.runs.read_ahead(&self.shared, self.partition, runs).await;
        for (delivery, incoming) in deliveries.into_iter().zip(incoming) {
            bytes += delivery.message.body.len();
            self.take_delivery(&delivery, incoming).await?;
            if bytes > ROUND_BYTES {
                self.finish_round().await?;
                if self.asides.is_empty() {
                    acknowledger.ack_through(delivery.tag).await.ok();
                }
                bytes = 0;
            }
        }
        Ok(())
    }

    async fn take_delivery(
        &mut self,
        delivery: &Delivery,
        incoming: Result<Incoming, String>,
    ) -> Result<(), Lost> {
        match incoming {
            Ok(Incoming::Event(run, event)) => {
                if let Err(reason) = self.decide(&run, event).await? {
                    self.park(delivery, &reason).await?;
                }
            }
            Ok(Incoming::Request(_) | Incoming::Answer(..) | Incoming::Permits(_))
                if !self.may_ask(delivery) =>
            {
                let told = "only orchestrators may ask this of an inbox, and the broker's user who sent it is none; \
                    a start goes to the exchange oarlock.start";
                self.park(delivery, told).await?;
            }
            Ok(Incoming::Request(request)) => {
                let asker = Return::of(&delivery.message).map_or(Asker::Nobody, Asker::Elsewhere);
                if let Some(reason) = self.take_request(request, asker).await? {
                    self.park_refused(delivery, &reason).await?;
                }
            }
            Ok(Incoming::Answer(schedule, run, answer)) => {
                if let Some(reason) = self.take_answer(schedule, run, answer).await? {
                    self.park(delivery, &reason).await?;
                }
            }
            Ok(Incoming::Permits(message)) => self.take_permits(message),
            Err(reason) => self.park(delivery, &reason).await?,
        }
        Ok(())
    }

    /// Whether an orchestrator sent it, as far as the broker tells users apart.
    fn may_ask(&self, delivery: &Delivery) -> bool {
        let orchestrators = self.shared.settings.orchestrators.as_ref();
        orchestrators.is_none_or(|user| delivery.user_id.as_ref() == Some(user))
    }

    /// Puts a message where operators find it. Until the broker has it there the partition waits, and keeps its lease: a message
    /// is never dropped.
    async fn park(&mut self, delivery: &Delivery, reason: &str) -> Result<(), Lost> {
        self.shared.counters.parked_messages.fetch_add(1, Ordering::Relaxed);
        let (broker, inbox) = (self.shared.broker.clone(), topology::inbox(self.partition));
        let user = delivery.user_id.as_deref();
        loop {
            let mut parking = pin!(parked::park(&*broker, &delivery.message, &inbox, user, reason));
            let parked = loop {
                tokio::select! {
                    biased;
                    parked = &mut parking => break parked,
                    () = tokio::time::sleep(STORE_AGAIN) => self.stay_alive().await?,
                }
            };
            match parked {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "a message cannot be parked; trying again"),
            }
            self.stay_alive().await?;
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    /// Shows that the partition gets on, and renews its lease where it is time: for whatever waits within a round.
    pub(super) async fn stay_alive(&mut self) -> Result<(), Lost> {
        self.pulse.beat();
        if Instant::now() >= self.lease.renew_at() {
            self.lease.renew(&self.shared, self.partition).await?;
        }
        Ok(())
    }

    /// Parks a request that is refused, unless an orchestrator asked: whoever asked that one hears of it.
    async fn park_refused(&mut self, delivery: &Delivery, reason: &str) -> Result<(), Lost> {
        if delivery.message.reply_to.as_deref().is_some_and(topology::is_of_orchestrators) {
            return Ok(());
        }
        self.park(delivery, reason).await
    }

    /// Lets the engine decide about one event. The inner error is the reason why the event cannot be understood.
    pub(super) async fn decide(
        &mut self,
        key: &RunKey,
        event: Event,
    ) -> Result<Result<Verdict, String>, Lost> {
        self.asides.begin();
        if self.waits_behind(key, &event) {
            return Ok(Ok(Verdict::Waits));
        }
        let cached = match self.runs.get(&self.shared, self.partition, key).await {
            Ok(Some(cached)) => cached,
            Ok(None) => {
                tracing::debug!(run = %key, "an event of an unknown run is ignored");
                return Ok(Ok(Verdict::NoRun));
            }
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        cached.run.notice_payloads(&event);
        if cached.run.payloads.refers() {
            return self.decide_looking_into(key, event).await.map(Ok);
        }
        let now = self.shared.clock.now();
        let mut decider = Decider::new(&cached.plan, &mut cached.run, &self.shared.settings.engine, now);
        decider.handle(event);
        let effects = decider.finish();
        Ok(Ok(self.take_effects(key, effects)))
    }
}
