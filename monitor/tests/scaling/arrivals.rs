//! Recorded arrivals: the same tasks, with the same lengths, for every rule.

use crate::chance::Chance;

/// A task: when it becomes ready and how long a worker has it, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) ready_ms: i64,
    pub(crate) service_ms: i64,
}

/// A record of arrivals.
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) tasks: Vec<Task>,
    pub(crate) length_ms: i64,
}

const HOUR_S: f64 = 3600.0;

/// Every record: steady, bursts, a day.
pub(crate) fn records() -> [Record; 3] {
    let burst = |now: f64| if now % HOUR_S >= 1200.0 && now % HOUR_S < 1260.0 { 25.0 } else { 0.5 };
    let day = |now: f64| 4.0 * (1.0 - 0.9 * (now / HOUR_S / 24.0 * std::f64::consts::TAU).cos());
    [
        record("steady: 4 a second for 6 h", 6.0, 4.0, |_| 4.0),
        record("bursts: 1,500 within a minute each hour, else 0.5 a second, 6 h", 6.0, 25.0, burst),
        record("a day: from 0.4 to 7.6 a second and back", 24.0, 7.6, day),
    ]
}

/// Arrivals at random with a rate (a second) that is at most `peak`; lengths are lognormal, 5 s in the mean.
fn record(name: &'static str, hours: f64, peak: f64, rate: impl Fn(f64) -> f64) -> Record {
    let (mut chance, mut now, mut tasks) = (Chance(42), 0.0, Vec::new());
    let sigma = 0.8_f64;
    loop {
        now += -chance.uniform().ln() / peak;
        if now >= hours * HOUR_S {
            return Record { name, tasks, length_ms: (hours * HOUR_S * 1000.0) as i64 };
        }
        if chance.uniform() * peak < rate(now) {
            let service = 5000.0 * (sigma * chance.normal() - sigma * sigma / 2.0).exp();
            tasks.push(Task { ready_ms: (now * 1000.0) as i64, service_ms: service as i64 + 1 });
        }
    }
}

impl Record {
    /// Tasks a second over all.
    pub(crate) fn mean_rate(&self) -> f64 {
        self.tasks.len() as f64 * 1000.0 / self.length_ms as f64
    }

    /// Tasks a second in the busiest minute.
    pub(crate) fn peak_rate(&self) -> f64 {
        let mut minutes = vec![0_u32; (self.length_ms / 60_000) as usize + 1];
        self.tasks.iter().for_each(|task| minutes[(task.ready_ms / 60_000) as usize] += 1);
        f64::from(minutes.into_iter().max().unwrap_or_default()) / 60.0
    }
}
