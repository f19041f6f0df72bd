//! Cases of admission: windows, turns, hands.

use oarlock_protocol::{RunId, TaskInstanceId};

use super::*;

fn ticket(tenant: &str, name: &str) -> Ticket {
    Ticket { run: RunKey::new(tenant, RunId::keyed(tenant, "d", "k")), path: TaskPath::from(name) }
}

fn offered(tenant: &str, name: &str) -> Offered {
    let (task, workflow) = (name.trim_end_matches(char::is_numeric).into(), "w".into());
    Offered { ticket: ticket(tenant, name), task, workflow }
}

fn attempt(name: &str) -> ExecutionId {
    ExecutionId::of(TaskInstanceId::of(RunId::keyed("t", "d", "k"), name), 1)
}

fn admission(window: usize, weights: &[(&str, u32)], partitions: u32) -> Admission {
    let weights = weights.iter().map(|(tenant, weight)| ((*tenant).to_owned(), *weight)).collect();
    let mut admission = Admission::new(window, weights);
    (0..partitions).for_each(|partition| admission.takes(partition, true));
    admission
}

/// Takes everything out of the hand of a partition, and opens it.
fn take_all(admission: &mut Admission, partition: u32) -> Vec<String> {
    let mut out = Vec::new();
    while let Some((queue, ticket)) = admission.take(partition) {
        admission.opened(partition, &queue, attempt(ticket.path.as_str()));
        admission.settle(partition);
        out.push(ticket.path.to_string());
    }
    out
}

/// Deals, and lets the only partition take all.
fn let_out(admission: &mut Admission) -> Vec<String> {
    admission.deal();
    take_all(admission, 0)
}

#[test]
fn the_window_bounds_what_is_open() {
    let mut admission = admission(2, &[], 1);
    for name in ["/a", "/b", "/c", "/d"] {
        admission.offer(0, "q", 4, offered("t", name));
    }
    assert_eq!(let_out(&mut admission), ["/a", "/b"]);
    admission.closed(0, "q", attempt("/a"));
    admission.closed(0, "q", attempt("/a"));
    assert_eq!(let_out(&mut admission), ["/c"], "closing twice frees one place");
    let standing = admission.standing("q").unwrap();
    assert_eq!(standing, Standing { waiting: 1, out: 2, window: 2, closed: 1 });
    admission.offer(0, "other", 4, offered("t", "/x"));
    assert_eq!(let_out(&mut admission), ["/x"], "a full queue holds up no other");
    admission.set_window("q", 3);
    assert_eq!(let_out(&mut admission), ["/d"]);
}

#[test]
fn pain_25_tenants_take_turns_by_weight() {
    let mut admission = admission(100, &[("big", 2)], 1);
    for n in 0..4 {
        admission.offer(0, "q", 4, offered("big", &format!("/b{n}")));
    }
    for n in 0..3 {
        admission.offer(0, "q", 4, offered("small", &format!("/s{n}")));
    }
    assert_eq!(let_out(&mut admission), ["/b0", "/b1", "/s0", "/b2", "/b3", "/s1", "/s2"]);
}

#[test]
fn pain_25_the_tenants_of_all_partitions_take_turns_together() {
    let mut admission = admission(4, &[], 3);
    for n in 0..6 {
        admission.offer(n % 2, "q", 4, offered("big", &format!("/b{n}")));
    }
    assert_eq!(admission.deal(), BTreeSet::from([0, 1]));
    assert_eq!(take_all(&mut admission, 0), ["/b0", "/b2"]);
    assert_eq!(take_all(&mut admission, 1), ["/b1", "/b3"]);
    admission.offer(2, "q", 4, offered("small", "/s"));
    assert!(admission.deal().is_empty(), "the window is that of all of them");
    admission.closed(0, "q", attempt("/b0"));
    admission.closed(1, "q", attempt("/b1"));
    assert_eq!(admission.deal(), BTreeSet::from([0, 2]), "each gets its turn, whoever has closed");
    assert_eq!(
        (take_all(&mut admission, 0), take_all(&mut admission, 2)),
        (vec!["/b4".into()], vec!["/s".into()])
    );
}

#[test]
fn the_greater_priority_of_a_tenant_goes_first_in_all_partitions() {
    let mut admission = admission(100, &[], 2);
    for (partition, name, priority) in [(0, "/low", 1), (0, "/mid", 4), (1, "/high", 9), (0, "/mid2", 4)] {
        admission.offer(partition, "q", priority, offered("t", name));
    }
    admission.set_window("q", 1);
    assert_eq!(admission.deal(), BTreeSet::from([1]));
    assert_eq!(take_all(&mut admission, 1), ["/high"]);
    admission.set_window("q", 100);
    assert_eq!(let_out(&mut admission), ["/mid", "/mid2", "/low"]);
}

#[test]
fn an_offer_made_twice_counts_once_and_a_withdrawn_one_not_at_all() {
    let mut admission = admission(100, &[], 1);
    for name in ["/a", "/a", "/b", "/c"] {
        admission.offer(0, "q", 4, offered("t", name));
    }
    admission.withdraw(0, "q", &ticket("t", "/b"));
    admission.withdraw(0, "q", &ticket("t", "/unknown"));
    admission.deal();
    admission.offer(0, "q", 4, offered("t", "/a"));
    admission.withdraw(0, "q", &ticket("t", "/c"));
    assert_eq!(take_all(&mut admission, 0), ["/a"], "also when it is in a hand");
    assert_eq!(admission.standing("q").unwrap(), Standing { waiting: 0, out: 1, window: 100, closed: 0 });
}

#[test]
fn a_task_that_is_not_opened_gives_its_place_back() {
    let mut admission = admission(1, &[], 1);
    admission.offer(0, "q", 4, offered("t", "/stale"));
    admission.offer(0, "q", 4, offered("t", "/next"));
    admission.deal();
    let (_, stale) = admission.take(0).unwrap();
    assert_eq!(stale.path.as_str(), "/stale");
    assert!(admission.deal().is_empty(), "it may still be opened");
    admission.settle(0);
    assert_eq!(let_out(&mut admission), ["/next"]);
}

#[test]
fn a_partition_that_takes_nothing_keeps_nobody_waiting() {
    let mut admission = admission(2, &[], 2);
    for (partition, name) in [(0, "/a"), (0, "/b"), (1, "/c"), (1, "/d")] {
        admission.offer(partition, "q", 4, offered("t", name));
    }
    admission.deal();
    admission.look();
    assert!(admission.deal().is_empty(), "it may be about to take them");
    admission.look();
    assert_eq!(admission.deal(), BTreeSet::from([1]), "it stands still");
    assert_eq!(take_all(&mut admission, 1), ["/c", "/d"]);
    admission.takes(0, true);
    admission.closed(1, "q", attempt("/c"));
    assert_eq!(let_out(&mut admission), ["/a"], "it goes on where it stood");
    admission.takes(0, false);
    admission.closed(1, "q", attempt("/d"));
    assert!(admission.deal().is_empty(), "it says that it takes nothing");
}

#[test]
fn everything_of_a_partition_that_is_lost_leaves_at_once() {
    let mut admission = admission(3, &[], 2);
    for (partition, name) in [(0, "/open"), (0, "/hand"), (1, "/c"), (0, "/ready"), (1, "/d"), (1, "/e")] {
        admission.offer(partition, "q", 4, offered("t", name));
    }
    admission.set_window("q", 1);
    assert_eq!(let_out(&mut admission), ["/open"]);
    admission.set_window("q", 2);
    admission.deal();
    admission.set_window("q", 3);
    admission.deal();
    admission.take(0).unwrap();
    admission.set_window("q", 2);
    admission.leave(0);
    assert_eq!(admission.deal(), BTreeSet::from([1]));
    assert_eq!(take_all(&mut admission, 1), ["/c", "/d"]);
    assert_eq!(admission.standing("q").unwrap(), Standing { waiting: 1, out: 2, window: 2, closed: 0 });
    // Its next owner may be this node again.
    admission.takes(0, true);
    admission.offer(0, "q", 4, offered("t", "/hand"));
    admission.set_window("q", 9);
    assert_eq!(admission.deal(), BTreeSet::from([0, 1]));
    assert_eq!(take_all(&mut admission, 0), ["/hand"]);
}

#[test]
fn a_queue_without_tasks_is_forgotten_after_some_time() {
    let mut admission = admission(3, &[], 1);
    admission.offer(0, "q", 4, offered("t", "/a"));
    assert_eq!(let_out(&mut admission), ["/a"]);
    (0..2 * FORGOTTEN_AFTER).for_each(|_| admission.look());
    assert_eq!(admission.queues().count(), 1);
    admission.closed(0, "q", attempt("/a"));
    (0..FORGOTTEN_AFTER).for_each(|_| admission.look());
    assert_eq!(admission.queues().count(), 0);
}

fn held_back(admission: &Admission) -> Vec<(&str, usize)> {
    let mut held: Vec<_> = admission.held_back().map(|(queue, held)| (&**queue, held)).collect();
    held.sort_unstable();
    held
}

fn task(name: &str) -> PauseSubject {
    PauseSubject::Task { tenant_id: "t".to_owned(), task: name.to_owned() }
}

#[test]
fn a_paused_definition_holds_up_nothing_else_and_comes_back_to_its_place() {
    let mut admission = admission(2, &[], 1);
    for name in ["/a1", "/a2", "/b1", "/a3", "/b2", "/b3"] {
        admission.offer(0, "q", 4, offered("t", name));
    }
    admission.offer(0, "q", 4, offered("other", "/a9"));
    admission.pause(&BTreeSet::from([task("/a")]));
    assert_eq!(let_out(&mut admission), ["/b1", "/a9"], "it is another tenant's definition of that name");
    assert_eq!(held_back(&admission), [("q", 2)], "nothing was asked of those behind the window");
    admission.withdraw(0, "q", &ticket("t", "/a2"));
    admission.closed(0, "q", attempt("/b1"));
    admission.pause(&BTreeSet::new());
    assert_eq!(let_out(&mut admission), ["/a1"]);
    admission.set_window("q", 9);
    assert_eq!(let_out(&mut admission), ["/a3", "/b2", "/b3"]);
    let workflow = PauseSubject::Workflow { tenant_id: "t".to_owned(), workflow: "w".to_owned() };
    admission.pause(&BTreeSet::from([workflow]));
    admission.offer(0, "q", 4, offered("t", "/b4"));
    assert!(let_out(&mut admission).is_empty());
    admission.leave(0);
    admission.pause(&BTreeSet::new());
    admission.takes(0, true);
    assert!(let_out(&mut admission).is_empty(), "who is lost leaves nothing behind");
}

#[test]
fn a_paused_queue_lets_nothing_out_also_of_what_was_dealt() {
    let mut admission = admission(9, &[], 1);
    admission.offer(0, "q", 4, offered("t", "/a"));
    admission.deal();
    let queue = |name: &str| PauseSubject::Queue { queue: name.to_owned() };
    admission.pause(&BTreeSet::from([queue("q"), queue("later")]));
    admission.offer(0, "later", 4, offered("t", "/b"));
    admission.offer(0, "x", 4, offered("t", "/c"));
    assert_eq!(let_out(&mut admission), ["/c"]);
    assert_eq!(held_back(&admission), [("later", 1), ("q", 1)]);
    admission.pause(&BTreeSet::from([queue("later")]));
    assert_eq!(let_out(&mut admission), ["/a"]);
    assert_eq!(held_back(&admission), [("later", 1)]);
}

#[test]
fn a_task_without_a_permit_waits_aside_and_comes_back_to_its_place() {
    let mut admission = admission(1, &[], 1);
    for name in ["/a1", "/a2", "/b1", "/a3"] {
        admission.offer(0, "q", 4, offered("t", name));
    }
    let line: Arc<str> = "limit".into();
    let hold = |admission: &mut Admission| {
        admission.deal();
        let taken = admission.take(0).map(|(_, ticket)| ticket.path.to_string());
        admission.hold(0, &line);
        taken
    };
    assert_eq!(hold(&mut admission).as_deref(), Some("/a1"));
    assert_eq!(hold(&mut admission).as_deref(), Some("/a2"));
    let held = |admission: &Admission, partition| admission.lines(partition).get("limit").copied();
    let without_place =
        |admission: &Admission, path| admission.without_place([ticket("t", path)].iter()).len();
    assert_eq!((held(&admission, 0), held(&admission, 1)), (Some(2), None));
    assert_eq!([without_place(&admission, "/a1"), without_place(&admission, "/b1")], [1, 0]);
    assert_eq!(let_out(&mut admission), ["/b1"], "their places in the window are free");
    assert_eq!(admission.standing("q").unwrap().waiting, 3);
    assert_eq!(held_back(&admission), [("q", 2)]);
    admission.closed(0, "q", attempt("/b1"));
    assert_eq!(admission.let_back(0, "limit", 1), [ticket("t", "/a1")]);
    assert_eq!(without_place(&admission, "/a1"), 0);
    assert_eq!(let_out(&mut admission), ["/a1"], "before what came later");
    admission.closed(0, "q", attempt("/a1"));
    admission.withdraw(0, "q", &ticket("t", "/a2"));
    assert!(admission.let_back(0, "limit", 9).is_empty(), "it was withdrawn");
    assert_eq!(held(&admission, 0), None, "nor is its line kept");
    assert_eq!(hold(&mut admission).as_deref(), Some("/a3"));
    admission.pause(&BTreeSet::from([task("/a")]));
    assert_eq!(held(&admission, 0), None, "a pause holds it back now");
    assert!(let_out(&mut admission).is_empty());
    assert_eq!(without_place(&admission, "/a3"), 1);
    admission.pause(&BTreeSet::new());
    assert_eq!(hold(&mut admission).as_deref(), Some("/a3"));
    admission.leave(0);
    admission.takes(0, true);
    assert!(admission.let_back(0, "limit", 9).is_empty());
    assert!(let_out(&mut admission).is_empty(), "who is lost leaves nothing behind");
    assert_eq!(admission.standing("q").unwrap().waiting, 0);
}
