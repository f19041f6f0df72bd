//! What everything in a simulation shares: virtual time, chance, the trace, and what was found to be wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_protocol::{Clock, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::Faults;
use crate::random::{Random, hash};

/// So much of the trace is shown where something is wrong.
const TAIL: usize = 400;
/// Virtual time begins on 1 January 2030.
const EPOCH_MS: i64 = 1_893_456_000_000;

/// A simulated world.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    /// How long a partition stays owned without renewal, in milliseconds.
    pub(crate) lease_ms: u64,
    began: Instant,
    random: Mutex<Random>,
    trace: Mutex<Trace>,
    wrong: Mutex<Option<String>>,
    /// Told when something is wrong.
    pub(crate) alarm: Notify,
    /// Whether faults come no more.
    calm: AtomicBool,
    /// Faults so far.
    pub(crate) struck: AtomicU64,
    /// Times that every process ended at once, and the messages with them.
    pub(crate) power_cuts: AtomicU64,
    /// Times that the store went back.
    pub(crate) rollbacks: AtomicU64,
}

/// What happened: a digest of all of it, and the last lines.
struct Trace {
    digest: u64,
    lines: u64,
    tail: VecDeque<String>,
    keep: usize,
}

impl World {
    /// A world that begins now.
    pub(crate) fn new(seed: u64, whole_trace: bool) -> Arc<Self> {
        let mut random = Random::of(seed, "faults");
        let faults = Faults::draw(&mut random);
        let keep = if whole_trace { usize::MAX } else { TAIL };
        Arc::new(Self {
            seed,
            faults,
            lease_ms: random.between(2_000, 6_000),
            began: Instant::now(),
            random: Mutex::new(random),
            trace: Mutex::new(Trace { digest: 0, lines: 0, tail: VecDeque::new(), keep }),
            wrong: Mutex::default(),
            alarm: Notify::new(),
            calm: AtomicBool::new(false),
            struck: AtomicU64::new(0),
            power_cuts: AtomicU64::new(0),
            rollbacks: AtomicU64::new(0),
        })
    }

    /// Milliseconds since the world began.
    pub(crate) fn age_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The true time.
    pub(crate) fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.age_ms()).unwrap_or(i64::MAX / 2)
    }

    /// A clock that is off by so much.
    pub(crate) fn clock(self: &Arc<Self>, off_ms: i64) -> Clock {
        let world = Arc::clone(self);
        Clock::of(move || Timestamp::from_millis(world.now_ms() + off_ms))
    }

    /// A clock as stores and members use it.
    pub(crate) fn monotonic(self: &Arc<Self>) -> oarlock_orchestrator::store::lease::Clock {
        let world = Arc::clone(self);
        Arc::new(move || world.age_ms())
    }

    pub(crate) fn draw<T>(&self, from: impl FnOnce(&mut Random) -> T) -> T {
        from(&mut lock(&self.random))
    }

    /// How far a new process's clock is off.
    pub(crate) fn draw_skew_ms(&self) -> i64 {
        let most = self.faults.skew_ms;
        self.draw(|random| {
            i64::try_from(random.between(0, 2 * most)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
        })
    }

    /// Whether a fault of this rate strikes now.
    pub(crate) fn strikes(&self, rate: u64) -> bool {
        if rate == 0 || self.is_calm() {
            return false;
        }
        let strikes = self.draw(|random| random.of_ten_thousand(rate));
        if strikes {
            self.struck.fetch_add(1, Ordering::Relaxed);
        }
        strikes
    }

    /// Lets faults wait, or come.
    pub(crate) fn hold_faults(&self, hold: bool) {
        self.calm.store(hold, Ordering::Relaxed);
    }

    /// From now on there are no faults.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.note("-- faults come no more --");
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Notes what happened.
    pub(crate) fn note(&self, what: &str) {
        let mut trace = lock(&self.trace);
        let line = format!("{:>9} {what}", self.age_ms());
        trace.digest = hash(trace.digest, &line);
        trace.lines += 1;
        if trace.tail.len() >= trace.keep {
            trace.tail.pop_front();
        }
        trace.tail.push_back(line);
    }

    /// Something is wrong: the first thing found counts.
    pub(crate) fn is_wrong(&self, sentence: String) {
        self.note(&format!("WRONG: {sentence}"));
        lock(&self.wrong).get_or_insert(sentence);
        self.alarm.notify_one();
    }

    pub(crate) fn check(&self, found: Result<(), String>) {
        if let Err(sentence) = found {
            self.is_wrong(sentence);
        }
    }

    pub(crate) fn found(&self) -> Option<String> {
        lock(&self.wrong).clone()
    }

    /// A number that tells this trace from others, and its last lines.
    pub(crate) fn told(&self) -> (u64, u64, Vec<String>) {
        let trace = lock(&self.trace);
        (trace.digest, trace.lines, trace.tail.iter().cloned().collect())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
