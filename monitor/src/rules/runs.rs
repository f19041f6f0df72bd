//! Stuck runs: nothing has moved for longer than the run's own limits explain.

use oarlock_protocol::{Span, Timestamp};

use super::{ms, score};
use crate::sentence::{span, time_of_day};
use crate::{Evidence, Finding, Kind, Settings, Severity, Subject};

/// A run that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSnapshot {
    /// Whose it is.
    pub tenant: String,
    /// Its id.
    pub run: String,
    /// Where it stands: the path of an open task, where there is one.
    pub place: Option<String>,
    /// When anything of it last changed.
    pub last_moved: Timestamp,
    /// What moves it next.
    pub moved_by: MovedBy,
}

/// What moves a run next, if nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedBy {
    /// A limit or a delay of its own: a timeout, a retry, a wait that ends.
    Time(Timestamp),
    /// Somebody, and no limit is set: it is paused, or waits for a signal.
    Somebody,
    /// Nothing that is known. It should have gone on at once.
    Nothing,
}

/// Tells a run that stands still beyond what moves it: it was forgotten, and will not go on by itself.
pub fn stuck(run: &RunSnapshot, settings: &Settings, now: Timestamp) -> Option<Finding> {
    let due = match run.moved_by {
        MovedBy::Time(due) => due.max(run.last_moved),
        MovedBy::Nothing => run.last_moved,
        MovedBy::Somebody => return None,
    };
    let overdue = now.since(due);
    if overdue < settings.run_grace {
        return None;
    }
    let still = now.since(run.last_moved);
    let allowed = Span::from_millis(still.as_millis().saturating_sub(overdue.as_millis()));
    let place = run.place.as_ref().map(|place| format!(" at `{place}`")).unwrap_or_default();
    let why = match run.moved_by {
        MovedBy::Time(due) => format!("its own limit should have moved it at {}", time_of_day(due, now)),
        MovedBy::Somebody | MovedBy::Nothing => "nothing is known that it waits for".to_owned(),
    };
    Some(Finding {
        kind: Kind::StuckRun,
        subject: Subject::Run { tenant: run.tenant.clone(), id: run.run.clone() },
        since: due,
        severity: if overdue >= settings.run_grace.times(6.0) { Severity::Severe } else { Severity::Warning },
        evidence: Evidence {
            baseline: ms(allowed),
            current: ms(still),
            count: 1,
            score: score(ms(overdue), ms(settings.run_grace)),
        },
        text: format!("run `{}` has not moved{place} for {}: {why}", run.run, span(ms(still))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(moved_by: MovedBy) -> RunSnapshot {
        let place = Some("/fulfil/ship[2]".to_owned());
        let last_moved = Timestamp::from_millis(0);
        RunSnapshot { tenant: "acme".into(), run: "r1".into(), place, last_moved, moved_by }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).after(Span::from_secs(seconds))
    }

    #[test]
    fn a_run_is_stuck_where_its_own_limits_do_not_explain_it() {
        let rows = [
            (MovedBy::Nothing, 299, None),
            (MovedBy::Nothing, 300, Some(Severity::Warning)),
            (MovedBy::Nothing, 1800, Some(Severity::Severe)),
            (MovedBy::Time(at(86_400)), 86_400 + 299, None),
            (MovedBy::Time(at(86_400)), 86_400 + 300, Some(Severity::Warning)),
            (MovedBy::Time(at(0)), 300, Some(Severity::Warning)),
            (MovedBy::Somebody, 1_000_000, None),
        ];
        for (moved_by, seconds, expected) in rows {
            let found = stuck(&run(moved_by), &Settings::default(), at(seconds));
            assert_eq!(found.map(|finding| finding.severity), expected, "{moved_by:?} {seconds}");
        }
    }

    #[test]
    fn it_tells_where_and_why() {
        let settings = Settings::default();
        let text = |moved_by| stuck(&run(moved_by), &settings, at(600)).unwrap().text;
        let still = "run `r1` has not moved at `/fulfil/ship[2]` for 10 min";
        assert_eq!(text(MovedBy::Nothing), format!("{still}: nothing is known that it waits for"));
        let due = text(MovedBy::Time(at(60)));
        assert_eq!(due, format!("{still}: its own limit should have moved it at 00:01 UTC"));
    }
}
