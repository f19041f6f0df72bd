//! Points in time: milliseconds since the epoch inside, RFC 3339 UTC in JSON.

use std::fmt;

use chrono::{DateTime, Utc};
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
        self.with_text(|text| f.write_str(text))
    }
}

/// The milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// Calls `use_text` with the RFC 3339 text. Made by hand: a row holds ten times, and a general formatter takes most
    /// of the time that writing a row takes.
    fn with_text<R>(self, use_text: impl FnOnce(&str) -> R) -> R {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let Some(year) = u32::try_from(year).ok().filter(|year| *year <= 9999) else {
            return use_text("9999-12-31T23:59:59.999Z");
        };
        let ms = self.0.rem_euclid(DAY_MS) as u32;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text, 0..4, year);
        put(&mut text, 5..7, month);
        put(&mut text, 8..10, day);
        put(&mut text, 11..13, ms / 3_600_000);
        put(&mut text, 14..16, ms / 60_000 % 60);
        put(&mut text, 17..19, ms / 1000 % 60);
        put(&mut text, 20..23, ms % 1000);
        use_text(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. The count begins in March, so that
/// the leap day is the last of its year, and goes by eras of 400 years, which all have as many days.
fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u32, day as u32)
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
        self.with_text(|text| serializer.serialize_str(text))
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
        let days = (-700_000..2_900_000).step_by(37).map(|day: i64| day * 86_400_000 + day * 7);
        let known = [0, 1, 999, 951_782_400_123, 1_795_417_602_007, -1, -86_400_001];
        for milliseconds in known.into_iter().chain(days) {
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
