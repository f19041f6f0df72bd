//! Stalled queues: there is work, there are workers, and nothing is completed.

use oarlock_protocol::{Span, Timestamp};

use super::{ms, score};
use crate::sentence::{plural, span};
use crate::{Evidence, Finding, Kind, Settings, Severity, Subject};

/// A task queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSnapshot {
    /// Its name.
    pub queue: String,
    /// Tasks that no worker has yet: those that wait for admission, and those that were published.
    pub ready: u64,
    /// Since when there is a ready task, without a break.
    pub ready_since: Option<Timestamp>,
    /// Workers that listen to it and whose beat is there.
    pub workers: u64,
    /// Since when there is one, without a break.
    pub workers_since: Option<Timestamp>,
    /// When one of its attempts closed last.
    pub last_closed: Option<Timestamp>,
    /// The usual time between two closed attempts while there is work.
    pub usual_gap: Option<Span>,
    /// How long an attempt usually takes; better a long one than the median.
    pub usual_duration: Option<Span>,
}

/// Tells a queue that completes nothing for much longer than is usual, though there are work and workers.
pub fn stalled(queue: &QueueSnapshot, settings: &Settings, now: Timestamp) -> Option<Finding> {
    if queue.ready == 0 || queue.workers == 0 {
        return None;
    }
    let since = queue.ready_since?.max(queue.workers_since?).max(queue.last_closed.unwrap_or_default());
    let usual = ms(queue.usual_gap.unwrap_or_default()).max(ms(queue.usual_duration.unwrap_or_default()));
    let allowed = (usual * settings.queue_still_factor).max(ms(settings.queue_still));
    let still = ms(now.since(since));
    if still < allowed {
        return None;
    }
    let usual_text = if usual > 0.0 {
        format!("usually in {}", span(usual))
    } else {
        "how long is usual is not known".to_owned()
    };
    Some(Finding {
        kind: Kind::StalledQueue,
        subject: Subject::Queue { name: queue.queue.clone() },
        since,
        severity: if still >= 3.0 * allowed { Severity::Severe } else { Severity::Warning },
        evidence: Evidence {
            baseline: usual,
            current: still,
            count: queue.ready,
            score: score(still, allowed),
        },
        text: format!(
            "queue `{}` has completed nothing for {} ({usual_text}), though {} and {} are there",
            queue.queue,
            span(still),
            plural(queue.ready, "ready task"),
            plural(queue.workers, "worker"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).after(Span::from_secs(seconds))
    }

    fn queue() -> QueueSnapshot {
        QueueSnapshot {
            queue: "mail".into(),
            ready: 41,
            ready_since: Some(at(0)),
            workers: 3,
            workers_since: Some(at(0)),
            last_closed: Some(at(0)),
            usual_gap: Some(Span::from_secs(2)),
            usual_duration: Some(Span::from_secs(6)),
        }
    }

    #[test]
    fn a_queue_is_stalled_where_work_and_workers_are_there() {
        let none = None::<Timestamp>;
        let rows = [
            (queue(), 119, None),
            (queue(), 120, Some(Severity::Warning)),
            (queue(), 360, Some(Severity::Severe)),
            (QueueSnapshot { ready: 0, ..queue() }, 9999, None),
            (QueueSnapshot { workers: 0, ..queue() }, 9999, None),
            (QueueSnapshot { ready_since: Some(at(100)), ..queue() }, 219, None),
            (QueueSnapshot { workers_since: Some(at(100)), ..queue() }, 219, None),
            (QueueSnapshot { last_closed: none, ..queue() }, 130, Some(Severity::Warning)),
            (QueueSnapshot { usual_duration: Some(Span::from_secs(3600)), ..queue() }, 35_000, None),
            (
                QueueSnapshot { usual_duration: Some(Span::from_secs(3600)), ..queue() },
                36_000,
                Some(Severity::Warning),
            ),
        ];
        for (queue, seconds, expected) in rows {
            let found = stalled(&queue, &Settings::default(), at(seconds));
            assert_eq!(found.map(|finding| finding.severity), expected, "{queue:?} {seconds}");
        }
    }

    #[test]
    fn it_says_what_there_is() {
        let text = stalled(&queue(), &Settings::default(), at(180)).unwrap().text;
        let there = "though 41 ready tasks and 3 workers are there";
        assert_eq!(
            text,
            format!("queue `mail` has completed nothing for 3.0 min (usually in 6.0 s), {there}")
        );
    }
}
