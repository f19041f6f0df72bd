//! The books, moved by tasks that go from one place to the next.

use oarlock_protocol::RunId;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn run(tenant: &str) -> RunKey {
    RunKey::new(tenant, RunId::keyed(tenant, "d", "k"))
}

fn entry(standing: Standing) -> Entry {
    Entry { queue: "q".into(), standing }
}

/// Moves a task of a tenant through these standings, one after the other.
fn walk(books: &mut Books, tenant: &str, path: &str, standings: &[Option<Standing>]) {
    let mut before = None;
    for standing in standings {
        let now = standing.map(entry);
        books.moves(&run(tenant), &TaskPath::from(path), before.as_ref(), now.as_ref());
        before = now;
    }
}

fn figures(books: &Books) -> Vec<Figures> {
    let mut figures = books.figures(at(100), Span::from_secs(30));
    figures.sort_by(|one, other| one.tenant.cmp(&other.tenant));
    figures
}

#[test]
fn a_task_stands_in_one_place_at_a_time() {
    use Standing::{Due, Published, Ready, Running};
    let way =
        [Some(Ready(at(1))), Some(Published(at(1))), Some(Running), Some(Due(at(9))), Some(Ready(at(9)))];
    let expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]];
    for (steps, expected) in (1..).zip(expected) {
        let mut books = Books::default();
        walk(&mut books, "t", "/a", &way[..steps]);
        let [line] = &figures(&books)[..] else { panic!("one line") };
        assert_eq!([line.ready, line.published, line.running, line.due], expected, "{steps}");
        assert_eq!(line.sums.arrived, if steps == 5 { 2 } else { 1 }, "{steps}");
    }
    let mut books = Books::default();
    walk(&mut books, "t", "/a", &[way[0], way[1], way[2], way[3], way[4], None]);
    let [line] = &figures(&books)[..] else { panic!("one line") };
    assert_eq!((line.ready, line.published, line.running, line.due, line.oldest), (0, 0, 0, 0, None));
}

#[test]
fn the_oldest_is_the_one_that_waits_longest_for_a_worker() {
    let mut books = Books::default();
    walk(&mut books, "t", "/a", &[Some(Standing::Ready(at(50)))]);
    walk(&mut books, "t", "/b", &[Some(Standing::Ready(at(20))), Some(Standing::Published(at(20)))]);
    walk(&mut books, "t", "/c", &[Some(Standing::Ready(at(10))), Some(Standing::Running)]);
    walk(&mut books, "t", "/d", &[Some(Standing::Due(at(129)))]);
    walk(&mut books, "t", "/e", &[Some(Standing::Due(at(131)))]);
    let [line] = &figures(&books)[..] else { panic!("one line") };
    assert_eq!((line.oldest, line.due, line.due_soon), (Some(at(20)), 2, 1));
}

#[test]
fn tenants_beyond_the_lines_are_booked_together() {
    let mut books = Books::default();
    for number in 0..MOST_LINES + 7 {
        walk(&mut books, &format!("t{number}"), "/a", &[Some(Standing::Ready(at(1)))]);
    }
    let figures = figures(&books);
    assert_eq!(figures.len(), MOST_LINES + 1);
    assert_eq!((&*figures[0].tenant, figures[0].ready), (OTHERS, 7));
}

#[test]
fn what_has_happened_stays_counted_when_a_partition_goes() {
    let ledger = Ledger::default();
    let kept = ledger.begin(3);
    walk(&mut kept.open(), "t", "/a", &[Some(Standing::Ready(at(1)))]);
    assert_eq!(ledger.figures(at(2), Span::from_secs(1)), (vec![], vec![]), "not before all is in them");
    kept.shelve();
    let (partitions, figures) = ledger.figures(at(2), Span::from_secs(1));
    assert_eq!((partitions, figures[0].ready, figures[0].sums.arrived), (vec![3], 1, 1));
    drop(kept);
    let (partitions, figures) = ledger.figures(at(2), Span::from_secs(1));
    assert_eq!((partitions, figures[0].ready, figures[0].sums.arrived), (vec![], 0, 1));
}
