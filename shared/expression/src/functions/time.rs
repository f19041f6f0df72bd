//! Functions over points in time (RFC 3339 text in UTC, or milliseconds since the epoch) and lengths of time.
//!
//! None reads a clock: the present is the scope's `now`.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value as Json;

use super::{Call, Function, Outcome, value_of};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "timestamp",
        signature: "timestamp(time) -> string",
        about: "A point in time as RFC 3339 text in UTC, from such a text with any offset or from milliseconds since the epoch.",
        example: ("timestamp('2031-05-01T12:00:00+02:00')", "\"2031-05-01T10:00:00.000Z\""),
        arguments: (1, 1),
        apply: |call| call.made(written(point(&call, 0)?)),
    },
    Function {
        name: "epochMs",
        signature: "epochMs(time) -> number",
        about: "Milliseconds since 1970-01-01T00:00:00Z.",
        example: ("epochMs('1970-01-01T00:00:01Z')", "1000"),
        arguments: (1, 1),
        apply: |call| value_of(point(&call, 0)?.timestamp_millis()),
    },
    Function {
        name: "formatTime",
        signature: "formatTime(time, pattern) -> string",
        about: "The time in UTC by a pattern of strftime: %Y year, %m month, %d day, %H hour, %M minute, %S second, %j day of the year, %G-W%V week, %a and %b names.",
        example: ("formatTime('2031-05-01T10:00:00Z', '%Y/%m/%d')", "\"2031/05/01\""),
        arguments: (2, 2),
        apply: format_time,
    },
    Function {
        name: "addDuration",
        signature: "addDuration(time, duration) -> string",
        about: "The time that much later; the duration is a text such as '1h 30m', '-1d', or milliseconds.",
        example: ("addDuration('2031-05-01T10:00:00Z', '1h 30m')", "\"2031-05-01T11:30:00.000Z\""),
        arguments: (2, 2),
        apply: add_duration,
    },
    Function {
        name: "durationMs",
        signature: "durationMs(duration) -> number",
        about: "The milliseconds of a duration such as 500ms, 30s, 5m, 2h, 1d or a sum of them.",
        example: ("durationMs('1m 30s')", "90000"),
        arguments: (1, 1),
        apply: |call| value_of(milliseconds(&call, 0)?),
    },
    Function {
        name: "elapsedMs",
        signature: "elapsedMs(from, to) -> number",
        about: "The milliseconds between two points in time; negative where to is the earlier.",
        example: ("elapsedMs('2031-05-01T10:00:00Z', '2031-05-01T10:00:02.5Z')", "2500"),
        arguments: (2, 2),
        apply: |call| value_of(point(&call, 1)?.timestamp_millis() - point(&call, 0)?.timestamp_millis()),
    },
];

/// Longer patterns format no time anybody reads.
const LONGEST_PATTERN_BYTES: usize = 256;

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn point(call: &Call<'_>, index: usize) -> Result<DateTime<Utc>, String> {
    match call.get(index) {
        Json::String(_) => {
            let text = call.text(index)?.trim();
            DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|error| {
                let text: String = text.chars().take(40).collect();
                format!("'{text}' is no time ({error}); write it as 2031-05-01T10:00:00Z")
            })
        }
        Json::Number(_) => {
            let number = call.number(index)?;
            let milliseconds = number.whole().and_then(|whole| i64::try_from(whole).ok());
            milliseconds
                .and_then(DateTime::from_timestamp_millis)
                .ok_or_else(|| format!("{number} is out of range for milliseconds since the epoch"))
        }
        _ => Err(call.wrong(index, "a time as text or milliseconds")),
    }
}

fn format_time(call: Call<'_>) -> Outcome<'_> {
    let (time, pattern) = (point(&call, 0)?, call.text(1)?);
    if pattern.len() > LONGEST_PATTERN_BYTES {
        return Err(format!("a pattern is at most {LONGEST_PATTERN_BYTES} bytes long"));
    }
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    let mut text = String::new();
    if items.contains(&Item::Error) || write!(text, "{}", time.format_with_items(items.iter())).is_err() {
        return Err(format!("'{pattern}' is no pattern; write such as %Y-%m-%d %H:%M:%S"));
    }
    call.made(text)
}

fn add_duration(call: Call<'_>) -> Outcome<'_> {
    let (time, milliseconds) = (point(&call, 0)?, milliseconds(&call, 1)?);
    let later = TimeDelta::try_milliseconds(milliseconds).and_then(|delta| time.checked_add_signed(delta));
    call.made(written(later.ok_or("the sum is out of range")?))
}

fn milliseconds(call: &Call<'_>, index: usize) -> Result<i64, String> {
    let text = match call.get(index) {
        Json::String(_) => call.text(index)?.trim(),
        Json::Number(_) => {
            let number = call.number(index)?;
            let whole = number.whole().and_then(|whole| i64::try_from(whole).ok());
            return whole.ok_or_else(|| format!("{number} is no whole number of milliseconds"));
        }
        _ => return Err(call.wrong(index, "a duration as text or milliseconds")),
    };
    let (sign, length) = text.strip_prefix('-').map_or((1, text), |length| (-1, length));
    let parsed =
        humantime::parse_duration(length).ok().and_then(|length| i64::try_from(length.as_millis()).ok());
    parsed.map(|length| sign * length).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        format!("'{text}' is no duration; write such as 500ms, 30s, 1h 30m or 2d")
    })
}
