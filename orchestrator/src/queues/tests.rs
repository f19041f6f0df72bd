//! The queues of the fleet, from reports of several orchestrators.

use super::view::WorkersOf;
use super::*;
use crate::members::Member;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn line(queue: &str, tenant: &str, ready: u64, published: u64) -> Figures {
    Figures { queue: queue.into(), tenant: tenant.into(), ready, published, ..Figures::default() }
}

fn report(node: &str, told: i64, lines: Vec<Figures>) -> Report {
    let member = Member { id: node.into(), name: node.into() };
    Report::new(member, at(0), at(told), vec![u32::from(node == "b")], lines)
}

fn queues(view: &QueuesView) -> Vec<(&str, u64, u64, u64)> {
    view.queues.iter().map(|q| (q.queue.as_str(), q.ready, q.published, q.in_flight)).collect()
}

#[test]
fn the_books_of_all_orchestrators_make_one_view() {
    let mut known = Queues::default();
    known.hear(report("a", 10, vec![line("q", "t", 5, 3), line("r", "t", 1, 0)]), at(10));
    known.hear(report("b", 10, vec![line("q", "u", 100, 0)]), at(10));
    let depths = Depths::from([("q".to_owned(), 1)]);
    let workers = Workers::from([("idle".to_owned(), WorkersOf { workers: 2, slots: 8 })]);
    let view = known.view(at(10), 3, &workers, &depths, None);
    assert_eq!(queues(&view), [("q", 105, 1, 2), ("r", 1, 0, 0), ("idle", 0, 0, 0)]);
    assert_eq!(view.untold_partitions, [2]);
    assert_eq!(view.queues[0].tenants[0].tenant, "u", "the one with the most work comes first");
    let of_one = known.view(at(10), 3, &workers, &depths, Some("t"));
    assert_eq!(of_one.queues[0].tenants.len(), 1);
    assert_eq!(of_one.queues[0].backlog, 108, "the queue is shared by all");
}

#[test]
fn who_is_not_heard_tells_nothing_and_an_older_report_counts_for_nothing() {
    let mut known = Queues::default();
    known.hear(report("a", 10, vec![line("q", "t", 5, 0)]), at(10));
    known.hear(report("a", 9, vec![line("q", "t", 7, 0)]), at(10));
    known.tick(at(15));
    assert_eq!(queues(&known.view(at(15), 1, &Workers::new(), &Depths::new(), None)), [("q", 5, 0, 0)]);
    known.tick(at(16));
    let view = known.view(at(16), 1, &Workers::new(), &Depths::new(), None);
    assert_eq!((view.queues.len(), view.untold_partitions), (0, vec![0]));
}

#[test]
fn rates_follow_what_happens_and_ages_count_by_the_clock_of_who_tells() {
    let mut known = Queues::default();
    for second in 0..120_u64 {
        let sums = Sums {
            arrived: second * 20,
            completed: second * 8,
            failed: second * 2,
            service_ms: second * 500,
            ..Sums::default()
        };
        // Its clock is an hour behind.
        let told = second as i64 - 3600;
        let lines = vec![Figures { oldest: Some(at(told - 7)), sums, ..line("q", "t", 1, 0) }];
        known.hear(report("a", told, lines), at(second as i64));
    }
    let view = known.view(at(119), 1, &Workers::new(), &Depths::new(), None);
    let queue = &view.queues[0];
    assert!((queue.arrivals_per_second - 20.0).abs() < 0.1, "{queue:?}");
    assert!(
        (queue.completions_per_second - 10.0).abs() < 0.1 && (queue.failures_per_second - 2.0).abs() < 0.1
    );
    assert_eq!((queue.service_ms, queue.oldest_wait_ms), (Some(50), Some(7000)));
}

#[test]
fn what_the_broker_counts_beyond_what_is_open_is_told() {
    let mut known = Queues::default();
    known.hear(report("a", 10, vec![line("q", "t", 0, 5)]), at(10));
    let told = |depth| {
        let depths = Depths::from([("q".to_owned(), depth)]);
        known.view(at(10), 1, &Workers::new(), &depths, None).queues[0].difference.clone()
    };
    assert_eq!((told(5), told(25)), (None, None));
    assert!(told(26).unwrap().contains("21 messages more"));
}

#[test]
fn it_is_known_since_when_there_is_work_and_the_eldest_decides() {
    let mut known = Queues::default();
    known.hear(report("a", 10, vec![line("q", "t", 5, 0)]), at(10));
    known.tick(at(10));
    known.hear(report("a", 12, vec![line("q", "t", 0, 1)]), at(12));
    known.tick(at(12));
    assert_eq!(known.waiting_since("q"), Some(at(10)));
    known.hear(report("a", 13, vec![line("q", "t", 0, 0)]), at(13));
    known.tick(at(13));
    assert_eq!(known.waiting_since("q"), None);
    let elder = Report { began: at(-5), ..report("z", 13, vec![line("q", "t", 1, 0)]) };
    known.hear(elder, at(13));
    assert_eq!((known.wanted().unwrap().0, known.with_work("q")), ("z", 1));
}

#[test]
fn what_is_held_back_is_ready_but_waits_for_no_worker() {
    let mut known = Queues::default();
    let held = |queue: &str, count| [(queue.to_owned(), count)].into();
    known.hear(report("a", 10, vec![line("q", "t", 5, 0)]).holding_back(held("q", 5)), at(10));
    known.hear(report("b", 10, vec![line("q", "t", 2, 0)]).holding_back(held("q", 2)), at(10));
    known.tick(at(10));
    let queue = |known: &Queues| {
        let view = known.view(at(12), 1, &Workers::new(), &Depths::new(), None);
        (view.queues[0].ready, view.queues[0].held_back, view.queues[0].for_workers())
    };
    assert_eq!((queue(&known), known.waiting_since("q")), ((7, 7, 0), None));
    known.hear(report("b", 12, vec![line("q", "t", 3, 1)]).holding_back(held("q", 2)), at(12));
    known.tick(at(12));
    assert_eq!((queue(&known), known.waiting_since("q")), ((8, 7, 2), Some(at(12))));
    // Admission was asked after the books.
    known.hear(report("a", 13, vec![line("q", "t", 0, 0)]).holding_back(held("q", 5)), at(13));
    assert_eq!(queue(&known), (3, 3, 1));
}

#[test]
fn what_is_held_back_wants_no_worker() {
    let view = QueueView {
        ready: 500,
        held_back: 500,
        in_flight: 2,
        oldest_wait_ms: Some(600_000),
        arrivals_per_second: 20.0,
        completions_per_second: 1.5,
        ..QueueView::default()
    };
    let load = view.load();
    assert_eq!((load.ready, load.in_flight, load.oldest_wait), (0, 2, Span::from_millis(0)));
    assert!((load.arrivals_per_second - 1.5).abs() < 1e-9, "{load:?}");
    // What else waits there is counted.
    let load = QueueView { ready: 600, published: 3, ..view.clone() }.load();
    assert_eq!((load.ready, load.published, load.oldest_wait), (100, 3, Span::from_secs(600)));
    let free = QueueView { held_back: 0, ..view };
    assert!((free.load().arrivals_per_second - 20.0).abs() < 1e-9);
}
