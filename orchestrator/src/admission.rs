//! What stands between the partitions of a node and its task queues: who of all of them goes next, and how many are out.
//!
//! Each owner has a [`Seat`]. The rule is the engine's; here it is shared among the owners, wakes those whose turn has
//! come, and learns from workers and broker how large the window of each queue is to be. No owner ever waits for the
//! broker because of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Broker, Health, topology};
use oarlock_engine::admission::{Admission, Offered, Standing, Ticket};
use oarlock_engine::map::Map;
use oarlock_engine::window::{Reading, Window};
use oarlock_protocol::ExecutionId;
use oarlock_protocol::message::PauseSubject;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::settings::Settings;

/// The pause between two looks at the queues in which tasks wait, while a window grows.
const LOOK_SOON: Duration = Duration::from_millis(200);
/// The most queues whose length is asked for at one look: each is a question to the broker.
const MOST_ASKED: usize = 100;
/// How long the broker may take to answer all of them.
const ANSWER: Duration = Duration::from_secs(2);

/// The admission of a node.
pub(crate) struct Admissions {
    rule: Mutex<Admission>,
    /// Wakes the owner of each partition.
    wakes: Vec<Notify>,
    /// The workers of each queue, as far as they are known.
    slots: Mutex<Map<String, Slots>>,
    window: usize,
    /// The pause between two looks at the queues in which tasks wait.
    look: Duration,
}

/// The workers of a queue, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots {
    /// How many slots they have together; none where no worker is known.
    pub(crate) slots: Option<u64>,
    /// How many nodes have work for them.
    pub(crate) demanders: u64,
}

/// The place of a partition's owner at it. Dropping it takes everything of the partition out.
pub(crate) struct Seat {
    admissions: Arc<Admissions>,
    partition: u32,
}

impl Admissions {
    pub(crate) fn new(partitions: u32, settings: &Settings) -> Self {
        let weights = settings.tenant_weights.clone();
        Self {
            rule: Mutex::new(Admission::new(Window::new(settings.window).size(), weights)),
            wakes: (0..partitions).map(|_| Notify::new()).collect(),
            slots: Mutex::default(),
            window: settings.window,
            look: settings.look.into(),
        }
    }

    /// Takes in what is known of the workers of all queues.
    pub(crate) fn know_slots(&self, slots: Map<String, Slots>) {
        *lock(&self.slots) = slots;
    }

    /// What stands where in a queue at this node, where it has any.
    pub(crate) fn standing(&self, queue: &str) -> Option<Standing> {
        lock(&self.rule).standing(queue)
    }

    /// How many tasks of each queue a pause or a limit holds back at this node, where it does.
    pub(crate) fn held_back(&self) -> BTreeMap<String, u64> {
        let rule = lock(&self.rule);
        rule.held_back().map(|(queue, held)| (queue.to_string(), held as u64)).collect()
    }

    /// Holds back what these name, and nothing else.
    pub(crate) fn pause(&self, subjects: &BTreeSet<PauseSubject>) {
        lock(&self.rule).pause(subjects);
        self.deal();
    }

    /// Lets go out what may, by the owners to whom it belongs.
    fn deal(&self) {
        self.deal_beside(None);
    }

    /// The same, where one of the owners is at it and need not be woken.
    fn deal_beside(&self, awake: Option<u32>) {
        let dealt = lock(&self.rule).deal();
        let asleep = dealt.iter().filter(|partition| Some(**partition) != awake);
        asleep.filter_map(|partition| self.wakes.get(*partition as usize)).for_each(Notify::notify_one);
    }

    /// Looks from time to time at the queues in which tasks wait, and fits their windows.
    pub(crate) async fn tend_for_ever(self: Arc<Self>, broker: Arc<dyn Broker>) {
        let mut known = Map::default();
        let mut pause = self.look;
        let mut looks = 0_usize;
        loop {
            tokio::time::sleep(pause).await;
            looks = looks.wrapping_add(1);
            let grows = self.look(&*broker, &mut known, looks).await;
            pause = if grows { LOOK_SOON } else { self.look };
        }
    }

    /// Whether a window grows, and another look is wanted soon.
    async fn look(&self, broker: &dyn Broker, known: &mut Map<Arc<str>, Fitted>, looks: usize) -> bool {
        let standings: Vec<(Arc<str>, Standing)> = {
            let mut rule = lock(&self.rule);
            rule.look();
            rule.queues().map(|(queue, standing)| (queue.clone(), standing)).collect()
        };
        known.retain(|queue, _| standings.iter().any(|(name, _)| name == queue));
        let mut waiting: Vec<Arc<str>> =
            standings.iter().filter(|(_, at)| at.waiting > 0).map(|(queue, _)| queue.clone()).collect();
        if waiting.len() > MOST_ASKED {
            // Another part of them each time.
            let at = looks.wrapping_mul(MOST_ASKED) % waiting.len();
            waiting.rotate_left(at);
            waiting.truncate(MOST_ASKED);
        }
        let depths = depths(broker, waiting).await;
        let mut grows = false;
        for (queue, at) in standings {
            let Slots { slots, demanders } = lock(&self.slots).get(&*queue).copied().unwrap_or_default();
            let fitted = known.entry(queue.clone()).or_insert_with(|| Fitted::new(self.window, at.closed));
            let closed_per_s = fitted.rate(at.closed);
            let depth = depths.get(&queue).copied();
            let reading = Reading { slots, demanders, closed_per_s, waiting: at.waiting, out: at.out, depth };
            grows |= fitted.window.read(&reading);
            if fitted.window.size() != at.window {
                lock(&self.rule).set_window(&queue, fitted.window.size());
            }
        }
        self.deal();
        grows
    }
}

/// What is known of a queue since it was looked at first.
struct Fitted {
    window: Window,
    closed: u64,
    at: Instant,
    closed_per_s: f64,
}

impl Fitted {
    fn new(most: usize, closed: u64) -> Self {
        Self { window: Window::new(most), closed, at: Instant::now(), closed_per_s: 0.0 }
    }

    /// How many attempts close a second; the latest look counts as much as all before it.
    fn rate(&mut self, closed: u64) -> f64 {
        let (now, before) = (Instant::now(), std::mem::replace(&mut self.closed, closed));
        let seconds = (now - std::mem::replace(&mut self.at, now)).as_secs_f64();
        if seconds > 0.0 {
            let latest = closed.saturating_sub(before) as f64 / seconds;
            self.closed_per_s = f64::midpoint(self.closed_per_s, latest);
        }
        self.closed_per_s
    }
}

/// How many messages wait in these queues, as far as the broker tells.
async fn depths(broker: &dyn Broker, queues: Vec<Arc<str>>) -> Map<Arc<str>, u64> {
    let mut depths = Map::default();
    if *broker.health().borrow() == Health::Ready {
        let ask = async {
            for queue in queues {
                // A queue that is not there yet has nothing to tell.
                if let Ok(depth) = broker.depth(&topology::tasks(&queue)).await {
                    depths.insert(queue, depth);
                }
            }
        };
        tokio::time::timeout(ANSWER, ask).await.ok();
    }
    depths
}

impl Seat {
    /// Takes the place of a partition, which offers what is ready and takes nothing yet.
    pub(crate) fn take_place(admissions: &Arc<Admissions>, partition: u32) -> Self {
        Self { admissions: admissions.clone(), partition }
    }

    pub(crate) fn offer(&self, queue: &str, priority: u8, offered: Offered) {
        self.rule().offer(self.partition, queue, priority, offered);
    }

    pub(crate) fn withdraw(&self, queue: &str, ticket: &Ticket) {
        self.rule().withdraw(self.partition, queue, ticket);
    }

    pub(crate) fn opened(&self, queue: &str, attempt: ExecutionId) {
        self.rule().opened(self.partition, queue, attempt);
    }

    pub(crate) fn closed(&self, queue: &str, attempt: ExecutionId) {
        self.rule().closed(self.partition, queue, attempt);
    }

    /// Tells whether this partition lets tasks out now, and deals: what has become free may be another's turn.
    pub(crate) fn takes(&self, takes: bool) {
        self.rule().takes(self.partition, takes);
        self.admissions.deal_beside(Some(self.partition));
    }

    /// The next task whose turn it is; to be settled when it is decided.
    pub(crate) fn take(&self) -> Option<Ticket> {
        self.rule().take(self.partition).map(|(_, ticket)| ticket)
    }

    /// What was taken waits for permits, in this line.
    pub(crate) fn hold(&self, line: &Arc<str>) {
        self.rule().hold(self.partition, line);
    }

    /// Deals what has become free.
    pub(crate) fn deal(&self) {
        self.admissions.deal();
    }

    /// Lets the first of a line come back; those that came.
    pub(crate) fn let_back(&self, line: &str, most: usize) -> Vec<Ticket> {
        self.rule().let_back(self.partition, line, most)
    }

    /// How many tasks of this partition wait in each line.
    pub(crate) fn lines(&self) -> HashMap<Arc<str>, usize> {
        self.rule().lines(self.partition)
    }

    /// Which of these have no place any more from which their turn can come.
    pub(crate) fn without_place<'t>(&self, tickets: impl Iterator<Item = &'t Ticket>) -> Vec<Ticket> {
        self.rule().without_place(tickets)
    }

    /// What was taken is decided.
    pub(crate) fn settle(&self) {
        self.rule().settle(self.partition);
    }

    /// Returns when this partition was dealt something.
    pub(crate) async fn is_dealt(&self) {
        match self.admissions.wakes.get(self.partition as usize) {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Wakes this partition where it has not taken all.
    pub(crate) fn wake_for_the_rest(&self) {
        if self.rule().has(self.partition)
            && let Some(wake) = self.admissions.wakes.get(self.partition as usize)
        {
            wake.notify_one();
        }
    }

    fn rule(&self) -> MutexGuard<'_, Admission> {
        lock(&self.admissions.rule)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.rule().leave(self.partition);
        self.admissions.deal();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the partition that had it; what it held is taken out with its seat.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
