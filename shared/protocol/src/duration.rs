//! Lengths of time as definitions and configuration write them: `30s`, `1m 30s`, `24h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time in whole milliseconds; in JSON a text such as `1m 30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no duration: {reason}; write a number and a unit, such as 500ms, 30s, 5m, 2h or 1d")]
pub struct InvalidSpan {
    text: String,
    reason: String,
}

/// The longest span a definition or a configuration may name: ten years keeps every sum of times in range.
pub const LONGEST: Span = Span(10 * 366 * 24 * 3600 * 1000);

impl Span {
    /// A span of `milliseconds`.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// A span of `seconds`.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This span `factor` times, at most the longest; none where the factor is not above 0.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        // `as` saturates, and makes 0 of what is no number.
        Self(((self.0 as f64 * factor).round() as u64).min(LONGEST.0))
    }

    /// Whether the span has no length.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Duration::from_millis(span.0)
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = |reason: String| InvalidSpan { text: text.to_owned(), reason };
        let parsed = humantime::parse_duration(text).map_err(|e| invalid(e.to_string()))?;
        if parsed.subsec_nanos() % 1_000_000 != 0 {
            return Err(invalid("it is finer than a millisecond".to_owned()));
        }
        match u64::try_from(parsed.as_millis()) {
            Ok(milliseconds) if milliseconds <= LONGEST.0 => Ok(Self(milliseconds)),
            _ => Err(invalid("it is longer than ten years".to_owned())),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(Duration::from(*self)).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
