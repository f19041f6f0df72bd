//! The open findings of snapshots: makes beginnings and ends of what the rules say again at each look.

use std::collections::BTreeMap;

use oarlock_protocol::Timestamp;

use crate::{Change, Ending, Finding, Kind, Settings, Subject};

/// What is open, by kind and subject.
#[derive(Debug)]
pub struct Board {
    settings: Settings,
    open: BTreeMap<(Kind, Subject), Place>,
    unplaced: u64,
}

/// An open finding.
#[derive(Debug)]
struct Place {
    finding: Finding,
    last_seen: Timestamp,
}

impl Board {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        Self { settings, open: BTreeMap::new(), unplaced: 0 }
    }

    /// Takes all that the rules say at `now`, and tells what that changes. A finding that is known keeps its beginning;
    /// one that is gone ends after [`Settings::calm`], so that one good look does not end it.
    pub fn look(&mut self, findings: impl IntoIterator<Item = Finding>, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        self.unplaced = 0;
        for mut finding in findings {
            let key = (finding.kind, finding.subject.clone());
            if let Some(place) = self.open.get_mut(&key) {
                finding.since = finding.since.min(place.finding.since);
                *place = Place { finding, last_seen: now };
            } else if self.open.len() < self.settings.open {
                changes.push(Change::Began(finding.clone()));
                self.open.insert(key, Place { finding, last_seen: now });
            } else {
                self.unplaced += 1;
            }
        }
        let calm = self.settings.calm;
        let gone = |place: &Place| place.last_seen < now && now.since(place.last_seen) >= calm;
        let over: Vec<(Kind, Subject)> =
            self.open.iter().filter(|(_, place)| gone(place)).map(|(key, _)| key.clone()).collect();
        for key in over {
            changes.extend(self.open.remove(&key).map(|place| ended(place.finding)));
        }
        changes
    }

    /// Every open finding, by kind and subject.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.open.values().map(|place| &place.finding)
    }

    /// How many findings of the last look had no place.
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }
}

fn ended(mut finding: Finding) -> Change {
    finding.text = format!("no longer: {}", finding.text);
    Change::Ended { finding, ending: Ending::AsUsual }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::Span;

    use super::*;
    use crate::{Evidence, Severity};

    fn finding(queue: &str, since: u64) -> Finding {
        Finding {
            kind: Kind::StalledQueue,
            subject: Subject::Queue { name: queue.into() },
            since: at(since),
            severity: Severity::Warning,
            evidence: Evidence { baseline: 1.0, current: 2.0, count: 3, score: 4.0 },
            text: format!("{queue} stands still"),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).after(Span::from_secs(seconds))
    }

    #[test]
    fn a_finding_begins_once_and_ends_when_it_was_gone_for_long_enough() {
        let mut board = Board::new(Settings::default());
        assert!(matches!(board.look([finding("a", 1)], at(10))[..], [Change::Began(_)]));
        assert_eq!(board.look([finding("a", 5)], at(20)), []);
        assert_eq!(board.findings().next().unwrap().since, at(1));
        assert_eq!(board.look([], at(79)), []);
        assert_eq!(board.look([finding("a", 70)], at(79)), [], "it had not ended");
        let [Change::Ended { finding, ending }] = &board.look([], at(139))[..] else {
            panic!("it has ended")
        };
        assert_eq!((&*finding.text, *ending), ("no longer: a stands still", Ending::AsUsual));
        assert_eq!(board.findings().count(), 0);
    }

    #[test]
    fn it_holds_so_many_and_counts_the_rest() {
        let mut board = Board::new(Settings { open: 3, ..Settings::default() });
        let many = || (0..10).map(|number| finding(&format!("q{number}"), 0));
        assert_eq!(board.look(many(), at(1)).len(), 3);
        assert_eq!((board.findings().count(), board.unplaced()), (3, 7));
        assert_eq!(board.look(many(), at(2)), []);
        assert_eq!(board.unplaced(), 7);
    }
}
