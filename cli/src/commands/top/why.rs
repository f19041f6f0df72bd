//! Says why a queue waits, in one sentence. Pure.

use super::answers::{Queue, short};

/// What is known around a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts<'a> {
    /// What `/readyz` says of the broker; empty where it is not known.
    pub(super) broker: &'a str,
    /// Its workers, by their state.
    pub(super) busy: usize,
    pub(super) idle: usize,
    pub(super) silent: usize,
}

/// Why what is in the queue waits: the first thing that would have to change.
pub(super) fn why(queue: &Queue, facts: &Facts<'_>) -> String {
    let Queue { queue: name, ready, published, in_flight, due, workers, slots, .. } = queue;
    let waiting = ready + published;
    let tasks =
        |count: u64| if count == 1 { "1 task waits".to_owned() } else { format!("{count} tasks wait") };
    if waiting == 0 {
        return match (due, in_flight) {
            (0, 0) => format!("{name}: nothing waits."),
            (0, _) => format!("{name}: nothing waits; workers have {in_flight}."),
            _ => format!(
                "{name}: {due} of its tasks are delayed until their next attempt; nothing else waits."
            ),
        };
    }
    let waits = format!("{name}: {}", tasks(waiting));
    if let Some((_, reason)) = facts.broker.split_once(": ") {
        let does = if facts.broker.starts_with("DOWN") { "is away" } else { "takes no messages" };
        return format!("{waits}, because the broker {does}: {reason}.");
    }
    let wanted = match queue.wanted {
        Some(wanted) if wanted > *workers => format!("; {wanted} workers are wanted"),
        _ => String::new(),
    };
    let heard = facts.busy + facts.idle;
    if heard == 0 && facts.silent > 0 {
        return format!(
            "{waits}, because its workers are silent ({}): are they alive?{wanted}",
            facts.silent
        );
    }
    if heard == 0 && *workers == 0 {
        return format!(
            "{waits}, because no worker takes tasks from it{wanted}: begin one with `oarlock worker`."
        );
    }
    if *slots > 0 && in_flight >= slots {
        let gone = gone(waiting, queue.completions_per_second);
        return format!("{waits}, because all {slots} slots of its workers are busy{wanted}{gone}.");
    }
    if *published == 0 {
        return format!(
            "{waits} for admission though slots are free: others of the same tenant or queue are before them, or the window of the queue is full{wanted}."
        );
    }
    let gone = gone(waiting, queue.completions_per_second);
    format!(
        "{waits} and {} are on their way to workers with free slots{wanted}{gone}.",
        published.min(&waiting)
    )
}

/// When what waits is begun at this pace.
fn gone(waiting: u64, per_second: f64) -> String {
    if per_second < 0.01 {
        return "; none ended lately".to_owned();
    }
    let ms = (waiting as f64 / per_second * 1_000.0) as u64;
    format!("; at this pace the last is begun in {}", short(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ready: u64, published: u64, in_flight: u64, workers: u32) -> Queue {
        Queue {
            queue: "mail".to_owned(),
            ready,
            published,
            in_flight,
            workers,
            slots: u64::from(workers) * 4,
            completions_per_second: 2.0,
            ..Queue::default()
        }
    }

    fn facts(busy: usize, idle: usize, silent: usize) -> Facts<'static> {
        Facts { broker: "READY", busy, idle, silent }
    }

    #[test]
    fn nothing_waits_where_only_workers_have_tasks_or_later_ones_are_due() {
        assert_eq!(why(&queue(0, 0, 0, 0), &facts(0, 0, 0)), "mail: nothing waits.");
        assert_eq!(why(&queue(0, 0, 3, 1), &facts(1, 0, 0)), "mail: nothing waits; workers have 3.");
        let delayed = Queue { due: 2, ..queue(0, 0, 0, 1) };
        assert!(
            why(&delayed, &facts(0, 1, 0)).contains("2 of its tasks are delayed until their next attempt")
        );
    }

    #[test]
    fn the_broker_comes_first_then_workers_then_slots_then_limits() {
        let rows = [
            (
                Facts { broker: "BLOCKED: memory", ..facts(0, 0, 0) },
                queue(5, 0, 0, 0),
                "the broker takes no messages: memory",
            ),
            (
                Facts { broker: "DOWN: refused", ..facts(0, 0, 0) },
                queue(5, 0, 0, 0),
                "the broker is away: refused",
            ),
            (facts(0, 0, 0), queue(4, 1, 0, 0), "5 tasks wait, because no worker takes tasks from it"),
            (facts(0, 0, 2), queue(4, 1, 0, 2), "its workers are silent (2)"),
            (
                facts(2, 0, 0),
                queue(4, 2, 8, 2),
                "all 8 slots of its workers are busy; at this pace the last is begun in 3s",
            ),
            (facts(1, 1, 0), queue(4, 0, 3, 2), "for admission though slots are free"),
            (facts(1, 1, 0), queue(0, 1, 3, 2), "1 task waits and 1 are on their way"),
        ];
        for (facts, queue, expected) in rows {
            let said = why(&queue, &facts);
            assert!(said.contains(expected), "'{expected}' is not in: {said}");
        }
    }

    #[test]
    fn more_workers_that_are_wanted_are_told() {
        let wanted = Queue { wanted: Some(5), ..queue(9, 9, 8, 2) };
        assert!(why(&wanted, &facts(2, 0, 0)).contains("; 5 workers are wanted"));
        let enough = Queue { wanted: Some(2), ..wanted };
        assert!(!why(&enough, &facts(2, 0, 0)).contains("wanted"));
    }
}
