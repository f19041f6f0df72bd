//! A process of the fleet, as its surroundings see it: it may crash between any two effects, stand still, or be slow.
//!
//! A crashed process is cut off: each of its calls waits for ever, until its supervisor drops it.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{World, lock, ms};

/// Longer than anyone waits.
const CUT_OFF_S: u64 = 1_000_000;

/// One start of an orchestrator or a worker.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) world: Arc<World>,
    /// How often it crashes, in ten thousand steps.
    crash: u64,
    dead: AtomicBool,
    died: Notify,
    stalls_until: Mutex<Instant>,
    pub(crate) store_away_until: Mutex<Instant>,
    pub(crate) broker_away_until: Mutex<Instant>,
}

impl Process {
    pub(crate) fn new(name: String, world: &Arc<World>, crash: u64) -> Arc<Self> {
        let now = || Mutex::new(Instant::now());
        Arc::new(Self {
            name,
            world: Arc::clone(world),
            crash,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            stalls_until: now(),
            store_away_until: now(),
            broker_away_until: now(),
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Ends it: nothing it does reaches anyone any more.
    pub(crate) fn kill(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            self.world.note(&format!("{} dies", self.name));
            self.died.notify_waiters();
        }
    }

    /// Returns when it is dead.
    pub(crate) async fn dead(&self) {
        let mut died = pin!(self.died.notified());
        died.as_mut().enable();
        if !self.is_dead() {
            died.await;
        }
    }

    /// Between two effects: here it may crash, stand still, or be overtaken.
    pub(crate) async fn step(&self, what: &str) {
        self.stand_still().await;
        let (world, faults) = (&self.world, &self.world.faults);
        if !self.is_dead() && world.strikes(self.crash) {
            world.note(&format!("{} crashes at {what}", self.name));
            self.kill();
        }
        self.stand_still().await;
        if world.strikes(faults.stall) {
            self.stall(what);
        } else if world.strikes(faults.delay) {
            let span = world.draw(|random| random.between(1, faults.longest_delay_ms.max(1)));
            sleep(ms(span)).await;
        }
        self.stand_still().await;
    }

    /// Every call of it stands still for longer than its lease.
    pub(crate) fn stall(&self, what: &str) {
        let world = &self.world;
        let span = world.draw(|random| random.between(world.lease_ms, 3 * world.lease_ms));
        world.note(&format!("{} stands still for {span} ms at {what}", self.name));
        *lock(&self.stalls_until) = Instant::now() + ms(span);
    }

    /// Waits while it stands still, for ever where it is dead.
    pub(crate) async fn stand_still(&self) {
        loop {
            if self.is_dead() {
                sleep(ms(CUT_OFF_S * 1_000)).await;
            }
            let until = *lock(&self.stalls_until);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Whether a place is away from it for a while: it may begin to be now.
    pub(crate) fn is_away(&self, until: &Mutex<Instant>, rate: u64, place: &str) -> bool {
        let mut until = lock(until);
        if *until <= Instant::now() && self.world.strikes(rate) {
            let span = self.world.draw(|random| random.between(500, 2 * self.world.lease_ms));
            self.world.note(&format!("the {place} is away from {} for {span} ms", self.name));
            *until = Instant::now() + ms(span);
        }
        *until > Instant::now()
    }
}
