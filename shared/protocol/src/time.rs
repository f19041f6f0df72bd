//! Points in time: milliseconds since the epoch inside, RFC 3339 UTC in JSON.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Span;

/// A point in time, in milliseconds since the Unix epoch; in JSON an RFC 3339 text such as `2026-11-23T07:06:42.000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `milliseconds` after the Unix epoch.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The point `span` later; the last representable one where that overflows.
    #[must_use]
    pub fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to here; zero where `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        if !(0..=9999).contains(&time.year()) {
            return f.write_str("9999-12-31T23:59:59.999Z");
        }
        // By hand: a row holds several times, and chrono's general formatter costs ten times as much.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text, 0..4, time.year().unsigned_abs());
        put(&mut text, 5..7, time.month());
        put(&mut text, 8..10, time.day());
        put(&mut text, 11..13, time.hour());
        put(&mut text, 14..16, time.minute());
        put(&mut text, 17..19, time.second());
        put(&mut text, 20..23, time.timestamp_subsec_millis() % 1000);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes `value` in decimal digits into `text[range]`, right-aligned over zeros.
fn put(text: &mut [u8], range: std::ops::Range<usize>, mut value: u32) {
    for digit in text[range].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|e| de::Error::custom(format!("'{text}' is no RFC 3339 time: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, Utc};

    use super::Timestamp;

    #[test]
    fn text_is_what_chrono_writes() {
        for milliseconds in [0, 1, 999, 951_782_400_123, 1_795_417_602_007, -1, -86_400_001] {
            let expected = DateTime::<Utc>::from_timestamp_millis(milliseconds)
                .unwrap()
                .to_rfc3339_opts(SecondsFormat::Millis, true);
            let time = Timestamp::from_millis(milliseconds);
            assert_eq!(time.to_string(), expected);
            assert_eq!(serde_json::from_str::<Timestamp>(&format!("\"{expected}\"")).unwrap(), time);
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_still_a_text() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }
}
