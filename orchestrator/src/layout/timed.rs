//! What an entry of the timers is for.

use chrono::DateTime;
use oarlock_protocol::{RunKey, ScheduleKey, Timestamp};

use super::{Place, Unreadable};

/// What waits for a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timed {
    /// A run under way, which is to be looked at: no place in it waits for an earlier time.
    Run(RunKey),
    /// What is left of a run that has ended: `/` for the run itself, or the memory of it; another place for what it has
    /// kept elsewhere.
    Place(Place),
    /// The statistics of the hour that begins then, which are to be removed.
    Statistics(Timestamp),
    /// A schedule, which is to be looked at.
    Schedule(ScheduleKey),
}

/// Begins what names statistics. No name of a run lacks a `/`.
const STATISTICS: &str = "statistics@";
/// How the entry of a schedule begins: no tenant has a colon.
const SCHEDULE: &str = ":schedule/";

impl Timed {
    /// Reads the text of an entry.
    ///
    /// # Errors
    /// A text that names neither a run nor a place nor statistics nor a schedule.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        if let Some(hour) = text.strip_prefix(STATISTICS).filter(|hour| !hour.contains('/')) {
            let hour =
                DateTime::parse_from_rfc3339(hour).map_err(|error| Unreadable::new("a timer", error))?;
            return Ok(Self::Statistics(hour.to_utc().into()));
        }
        if let Some(key) = text.strip_prefix(SCHEDULE) {
            return ScheduleKey::parse(key)
                .map(Self::Schedule)
                .ok_or_else(|| Unreadable::new("a timer", text));
        }
        match text.split_once('/') {
            Some((tenant, run)) if !run.contains('/') => {
                let run = run.parse().map_err(|_| Unreadable::new("a timer", text))?;
                Ok(Self::Run(RunKey::new(tenant, run)))
            }
            _ => Place::parse(text).map(Self::Place),
        }
    }
}

impl From<Place> for Timed {
    fn from(place: Place) -> Self {
        Self::Place(place)
    }
}

impl std::fmt::Display for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(run) => run.fmt(f),
            Self::Place(place) => place.fmt(f),
            Self::Statistics(hour) => write!(f, "{STATISTICS}{hour}"),
            Self::Schedule(key) => write!(f, "{SCHEDULE}{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::{RunId, TaskPath};

    use super::*;

    #[test]
    fn a_timer_is_read_as_it_was_written() {
        let run = RunKey::new("acme", RunId::keyed("acme", "d", "k"));
        let place = |path| Timed::Place(Place { run: run.clone(), path: TaskPath::from(path) });
        let odd = Timed::Run(RunKey::new("statistics@x", RunId::keyed("acme", "d", "k")));
        let hour = Timed::Statistics(Timestamp::from_millis(1_795_737_600_000));
        assert_eq!(hour.to_string(), "statistics@2026-11-27T00:00:00.000Z");
        let schedule = Timed::Schedule(ScheduleKey::new("acme", "nightly"));
        for timed in [Timed::Run(run.clone()), place("/"), place("/:payloads"), odd, hour, schedule] {
            assert_eq!(Timed::parse(&timed.to_string()).unwrap(), timed);
        }
        for text in [
            "",
            "/",
            "acme",
            "acme/",
            "acme/x",
            "acme/not-a-uuid/",
            "//",
            "statistics@",
            "statistics@now",
            ":schedule/a",
            ":schedule/a/b/c",
        ] {
            assert!(Timed::parse(text).is_err(), "{text}");
        }
    }
}
