//! Findings as an operator reads them at night: one plain sentence, figures of two digits, times of the day in UTC.

use oarlock_protocol::{Span, Timestamp};

use crate::{Ending, Evidence, Key, Kind};

/// `` `payment.charge` takes 3.1 s since 02:14 UTC, three times its usual 1.0 s (40 attempts) ``.
pub(crate) fn unusual(key: &Key, kind: Kind, evidence: Evidence, since: Timestamp, now: Timestamp) -> String {
    let Evidence { baseline, current, count, .. } = evidence;
    let (since, count) = (time_of_day(since, now), plural(count, "attempt"));
    let (value, usual) = (quantity(kind, current), quantity(kind, baseline));
    let subject = subject(key);
    if kind == Kind::FailureRatio {
        return format!(
            "{subject} fails in {value} of its attempts since {since}, usually in {usual} ({count})"
        );
    }
    format!(
        "{subject} {} since {since}, {} its usual {usual} ({count})",
        does(kind, &value),
        times(current / baseline)
    )
}

/// `` `payment.charge` takes 1.0 s again, after 48 min ``.
pub(crate) fn ended(key: &Key, kind: Kind, evidence: Evidence, ending: Ending, lasted: Span) -> String {
    let value = quantity(kind, evidence.current);
    let (subject, lasted) = (subject(key), span(lasted.as_millis() as f64));
    let does = match kind {
        Kind::FailureRatio => format!("fails in {value} of its attempts"),
        _ => does(kind, &value),
    };
    match ending {
        Ending::AsUsual => format!("{subject} {does}: as usual again, after {lasted}"),
        Ending::NewUsual => format!("{subject} {does} for {lasted}: that is its usual now"),
        Ending::Quiet => format!("{subject} {does}, and no attempt has come since: not watched any more"),
    }
}

/// The task, and whose it is where that is not the usual tenant.
fn subject(key: &Key) -> String {
    if &*key.tenant == "default" {
        format!("`{}`", key.definition)
    } else {
        format!("`{}` of `{}`", key.definition, key.tenant)
    }
}

fn does(kind: Kind, value: &str) -> String {
    match kind {
        Kind::QueueTime => format!("waits {value} in its queue"),
        Kind::Memory => format!("takes {value} of memory"),
        Kind::InputSize => format!("gets inputs of {value}"),
        Kind::OutputSize => format!("gives outputs of {value}"),
        _ => format!("takes {value}"),
    }
}

fn quantity(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Memory | Kind::InputSize | Kind::OutputSize => bytes(value),
        Kind::FailureRatio => percent(value),
        _ => span(value),
    }
}

/// A length of time, given in milliseconds: `350 ms`, `3.1 s`, `48 min`, `5.5 h`, `3 d`.
pub(crate) fn span(ms: f64) -> String {
    scaled(ms, &[(1.0, "ms"), (1000.0, "s"), (60e3, "min"), (3600e3, "h"), (86_400e3, "d")])
}

fn bytes(value: f64) -> String {
    let kibi = 1024.0_f64;
    scaled(value, &[(1.0, "B"), (kibi, "KiB"), (kibi.powi(2), "MiB"), (kibi.powi(3), "GiB")])
}

/// In the largest unit of which it is at least one: below ten with one digit behind the point, but for the smallest.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = units.iter().rev().find(|(size, _)| value >= size * 0.9995);
    let (size, unit) = fits.or(units.first()).copied().unwrap_or((1.0, ""));
    let shown = value / size;
    if shown < 9.95 && size > 1.0 { format!("{shown:.1} {unit}") } else { format!("{shown:.0} {unit}") }
}

pub(crate) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// `three times`, `2.4 times`, `half`, `a third of`.
pub(crate) fn times(ratio: f64) -> String {
    const TIMES: [&str; 9] = [
        "twice",
        "three times",
        "four times",
        "five times",
        "six times",
        "seven times",
        "eight times",
        "nine times",
        "ten times",
    ];
    const PARTS: [&str; 3] = ["half", "a third of", "a quarter of"];
    let near = |ratio: f64| ((ratio - ratio.round()).abs() <= 0.08 * ratio).then_some(ratio.round() as usize);
    if !ratio.is_finite() {
        return "up from".to_owned();
    }
    if ratio >= 1.0 {
        let word = near(ratio).and_then(|whole| TIMES.get(whole.checked_sub(2)?));
        return match word {
            Some(word) => (*word).to_owned(),
            None if ratio < 10.0 => format!("{ratio:.1} times"),
            None => format!("{ratio:.0} times"),
        };
    }
    let word = near(1.0 / ratio).and_then(|whole| PARTS.get(whole.checked_sub(2)?));
    word.map_or_else(|| format!("{} of", percent(ratio)), |word| (*word).to_owned())
}

/// `02:14 UTC`; with the day where that is not the same 24 hours.
pub(crate) fn time_of_day(time: Timestamp, now: Timestamp) -> String {
    let text = time.to_string();
    let clock = text.get(11..16).unwrap_or_default();
    if now.since(time) < Span::from_secs(24 * 3600) {
        format!("{clock} UTC")
    } else {
        format!("{} {clock} UTC", text.get(..10).unwrap_or_default())
    }
}

pub(crate) fn plural(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: Timestamp = Timestamp::from_millis(8_040_000);

    fn evidence(baseline: f64, current: f64) -> Evidence {
        Evidence { baseline, current, count: 40, score: 10.0 }
    }

    #[test]
    fn a_sentence_tells_all_there_is() {
        let key = Key::new("default", "payment.charge");
        let now = NIGHT.after(Span::from_secs(600));
        let rows = [
            (Kind::Duration, 1000.0, 3100.0, "takes 3.1 s since 02:14 UTC, three times its usual 1.0 s"),
            (Kind::Duration, 1000.0, 480.0, "takes 480 ms since 02:14 UTC, half its usual 1.0 s"),
            (
                Kind::QueueTime,
                0.0,
                90e3,
                "waits 1.5 min in its queue since 02:14 UTC, up from its usual 0 ms",
            ),
            (
                Kind::Memory,
                3.0e8,
                7.2e8,
                "takes 687 MiB of memory since 02:14 UTC, 2.4 times its usual 286 MiB",
            ),
            (
                Kind::InputSize,
                2048.0,
                2e4,
                "gets inputs of 20 KiB since 02:14 UTC, ten times its usual 2.0 KiB",
            ),
            (
                Kind::FailureRatio,
                0.01,
                0.4,
                "fails in 40 % of its attempts since 02:14 UTC, usually in 1.0 %",
            ),
        ];
        for (kind, baseline, current, expected) in rows {
            let text = unusual(&key, kind, evidence(baseline, current), NIGHT, now);
            assert_eq!(text, format!("`payment.charge` {expected} (40 attempts)"));
        }
    }

    #[test]
    fn an_end_tells_how_and_whose_it_is_where_that_matters() {
        let key = Key::new("acme", "a");
        let rows = [
            (Ending::AsUsual, "`a` of `acme` takes 1.1 s: as usual again, after 48 min"),
            (Ending::NewUsual, "`a` of `acme` takes 1.1 s for 48 min: that is its usual now"),
            (Ending::Quiet, "`a` of `acme` takes 1.1 s, and no attempt has come since: not watched any more"),
        ];
        for (ending, expected) in rows {
            let lasted = Span::from_secs(48 * 60);
            assert_eq!(ended(&key, Kind::Duration, evidence(1000.0, 1100.0), ending, lasted), expected);
        }
    }

    #[test]
    fn figures_and_times_are_plain() {
        assert_eq!([0.0, 999.0, 9949.0, 86_400e3 * 3.0].map(span), ["0 ms", "999 ms", "9.9 s", "3.0 d"]);
        assert_eq!(
            [0.25, 0.34, 0.1, 1.5, 25.3].map(times),
            ["a quarter of", "a third of", "10 % of", "1.5 times", "25 times"]
        );
        let later = NIGHT.after(Span::from_secs(90_000));
        assert_eq!(time_of_day(NIGHT, later), "1970-01-01 02:14 UTC");
        assert_eq!(plural(1, "attempt"), "1 attempt");
    }
}
