//! Retry storms: attempts fail and are made again, far more than is usual for each one that completes.

use oarlock_protocol::{Span, Timestamp};

use crate::sentence::{span, time_of_day};
use crate::{Evidence, Finding, Key, Kind, Settings, Severity, Subject};

use super::ms;

/// What was retried of a task definition in a window that ends now.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySnapshot {
    /// The task definition.
    pub key: Key,
    /// How long the window is.
    pub window: Span,
    /// Attempts in it that were not the first of their task.
    pub retries: u64,
    /// Attempts in it that completed.
    pub completed: u64,
    /// The usual number of retries for each completed attempt.
    pub usual_ratio: Option<f64>,
}

/// Tells retries that are many, many for each completed attempt, and many times the usual.
pub fn storm(task: &RetrySnapshot, settings: &Settings, now: Timestamp) -> Option<Finding> {
    let ratio = task.retries as f64 / task.completed.max(1) as f64;
    let usual = task.usual_ratio.filter(|usual| usual.is_finite()).unwrap_or_default().max(0.0);
    let allowed = (usual * settings.storm_factor).max(settings.storm_ratio);
    if task.retries < settings.storm_retries || ratio < allowed {
        return None;
    }
    let since = Timestamp::from_millis(
        now.as_millis().saturating_sub(i64::try_from(task.window.as_millis()).unwrap_or(i64::MAX)),
    );
    let completed = if task.completed == 0 { "none".to_owned() } else { task.completed.to_string() };
    Some(Finding {
        kind: Kind::RetryStorm,
        subject: Subject::Task(task.key.clone()),
        since,
        severity: if ratio >= 3.0 * allowed { Severity::Severe } else { Severity::Warning },
        evidence: Evidence {
            baseline: usual,
            current: ratio,
            count: task.retries,
            score: ratio / allowed.max(1e-9),
        },
        text: format!(
            "`{}` was retried {} times within {} (since {}), and {completed} completed; usual are {usual:.1} retries for each",
            task.key.definition,
            task.retries,
            span(ms(task.window)),
            time_of_day(since, now),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(8_100_000);

    fn task(retries: u64, completed: u64, usual_ratio: Option<f64>) -> RetrySnapshot {
        RetrySnapshot {
            key: Key::new("default", "pay"),
            window: Span::from_secs(60),
            retries,
            completed,
            usual_ratio,
        }
    }

    #[test]
    fn a_storm_is_many_by_number_by_ratio_and_by_what_is_usual() {
        let rows = [
            (task(19, 0, None), None),
            (task(20, 0, None), Some(Severity::Severe)),
            (task(20, 40, None), Some(Severity::Warning)),
            (task(20, 41, None), None),
            (task(1000, 10_000, Some(0.01)), None),
            (task(100, 100, Some(0.4)), None),
            (task(121, 100, Some(0.4)), Some(Severity::Warning)),
            (task(100, 100, Some(f64::NAN)), Some(Severity::Warning)),
        ];
        for (task, expected) in rows {
            let found = storm(&task, &Settings::default(), NOW);
            assert_eq!(found.map(|finding| finding.severity), expected, "{task:?}");
        }
    }

    #[test]
    fn it_says_how_many() {
        let text = storm(&task(120, 0, Some(0.1)), &Settings::default(), NOW).unwrap().text;
        let usual = "usual are 0.1 retries for each";
        assert_eq!(
            text,
            format!(
                "`pay` was retried 120 times within 1.0 min (since 02:14 UTC), and none completed; {usual}"
            )
        );
    }
}
