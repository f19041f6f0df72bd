//! Silent workers: the beat is missing, or it beats and does nothing though there is work.

use oarlock_protocol::{Span, Timestamp};

use super::{ms, score};
use crate::sentence::{plural, span};
use crate::{Evidence, Finding, Kind, Settings, Severity, Subject};

/// A worker that has not said that it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSnapshot {
    /// Its id.
    pub worker: String,
    /// When it beat last.
    pub last_beat: Timestamp,
    /// How often it beats.
    pub beat_interval: Span,
    /// When it last began or ended an attempt; when it came, where it never did.
    pub last_active: Timestamp,
    /// Attempts that it has.
    pub in_flight: u32,
    /// How many it can have at once.
    pub slots: u32,
    /// Ready tasks in the queues that it listens to.
    pub ready: u64,
    /// Since when there are any, without a break.
    pub ready_since: Option<Timestamp>,
}

/// Tells a worker whose beat is missing, or which has free slots and takes nothing from a deep queue. One that is busy
/// with long attempts is neither.
pub fn silent(worker: &WorkerSnapshot, settings: &Settings, now: Timestamp) -> Option<Finding> {
    missing(worker, settings, now).or_else(|| idle(worker, settings, now))
}

fn missing(worker: &WorkerSnapshot, settings: &Settings, now: Timestamp) -> Option<Finding> {
    let interval = ms(worker.beat_interval).max(1.0);
    let since = ms(now.since(worker.last_beat));
    if since < interval * settings.beats_missed {
        return None;
    }
    let lost = u64::from(worker.in_flight);
    let carries = if lost > 0 { format!(", and has {}", plural(lost, "attempt")) } else { String::new() };
    let text = format!(
        "worker `{}` was last heard {} ago, though it beats every {}{carries}",
        worker.worker,
        span(since),
        span(interval)
    );
    let severity = if lost > 0 { Severity::Severe } else { Severity::Warning };
    let evidence =
        Evidence { baseline: interval, current: since, count: lost, score: score(since, interval) };
    Some(finding(Kind::SilentWorker, worker, worker.last_beat, severity, evidence, text))
}

fn idle(worker: &WorkerSnapshot, settings: &Settings, now: Timestamp) -> Option<Finding> {
    let since = worker.last_active.max(worker.ready_since?);
    let (idle, allowed) = (ms(now.since(since)), ms(settings.worker_idle));
    let deep = worker.ready as f64 >= settings.deep_per_slot * f64::from(worker.slots.max(1));
    if worker.in_flight > 0 || !deep || idle < allowed {
        return None;
    }
    let text = format!(
        "worker `{}` beats but has done nothing for {}, though {} in its queue",
        worker.worker,
        span(idle),
        if worker.ready == 1 { "1 task is".to_owned() } else { format!("{} tasks are", worker.ready) },
    );
    let severity = if idle >= 5.0 * allowed { Severity::Severe } else { Severity::Warning };
    let evidence =
        Evidence { baseline: allowed, current: idle, count: worker.ready, score: score(idle, allowed) };
    Some(finding(Kind::IdleWorker, worker, since, severity, evidence, text))
}

fn finding(
    kind: Kind,
    worker: &WorkerSnapshot,
    since: Timestamp,
    severity: Severity,
    evidence: Evidence,
    text: String,
) -> Finding {
    Finding { kind, subject: Subject::Worker { id: worker.worker.clone() }, since, severity, evidence, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).after(Span::from_secs(seconds))
    }

    fn worker() -> WorkerSnapshot {
        WorkerSnapshot {
            worker: "w1".into(),
            last_beat: at(1000),
            beat_interval: Span::from_secs(5),
            last_active: at(1000),
            in_flight: 0,
            slots: 4,
            ready: 0,
            ready_since: None,
        }
    }

    #[test]
    fn a_worker_is_silent_without_beats_or_without_deeds() {
        let deep = WorkerSnapshot { ready: 8, ready_since: Some(at(900)), last_beat: at(1120), ..worker() };
        let rows = [
            (worker(), 1014, None),
            (worker(), 1015, Some((Kind::SilentWorker, Severity::Warning))),
            (WorkerSnapshot { in_flight: 1, ..worker() }, 1015, Some((Kind::SilentWorker, Severity::Severe))),
            (deep.clone(), 1119, None),
            (deep.clone(), 1120, Some((Kind::IdleWorker, Severity::Warning))),
            (WorkerSnapshot { in_flight: 1, ..deep.clone() }, 1120, None),
            (WorkerSnapshot { ready: 7, ..deep.clone() }, 1120, None),
            (WorkerSnapshot { ready_since: Some(at(1100)), ..deep.clone() }, 1120, None),
        ];
        for (worker, seconds, expected) in rows {
            let found = silent(&worker, &Settings::default(), at(seconds));
            let found = found.map(|finding| (finding.kind, finding.severity));
            assert_eq!(found, expected, "{worker:?} {seconds}");
        }
    }

    #[test]
    fn it_says_what_it_has() {
        let text = |worker| silent(&worker, &Settings::default(), at(1600)).unwrap().text;
        let lost = WorkerSnapshot { in_flight: 2, ..worker() };
        assert_eq!(
            text(lost),
            "worker `w1` was last heard 10 min ago, though it beats every 5.0 s, and has 2 attempts"
        );
        let idle = WorkerSnapshot { ready: 30, ready_since: Some(at(900)), last_beat: at(1599), ..worker() };
        assert_eq!(
            text(idle),
            "worker `w1` beats but has done nothing for 10 min, though 30 tasks are in its queue"
        );
    }
}
