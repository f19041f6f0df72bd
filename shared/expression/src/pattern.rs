//! Regular expressions in linear time and bounded size; used by `matches` only.
//!
//! Matching may cost as much as text length times compiled size, so that product is what is paid for.

use regex::{Regex, RegexBuilder};

use crate::budget::Meter;

/// Sizes a pattern may compile to, tried in order, in bytes; what it takes is the best measure of its cost.
const SIZES_BYTES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Groups within groups; the compiler of patterns recurses this deep.
const DEEPEST_NESTING: u32 = 32;
/// The longest pattern in bytes; one that is longer is no longer read by anybody.
const LONGEST_PATTERN_BYTES: usize = 1024;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    size_bytes: usize,
}

impl Pattern {
    /// Compiles a pattern; fails with the reason.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.len() > LONGEST_PATTERN_BYTES {
            return Err(format!("a pattern is at most {LONGEST_PATTERN_BYTES} bytes long"));
        }
        for size_bytes in SIZES_BYTES {
            match RegexBuilder::new(pattern).size_limit(size_bytes).nest_limit(DEEPEST_NESTING).build() {
                Ok(regex) => return Ok(Self { regex, size_bytes }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    return Err(format!("'{pattern}' is no pattern: {}", last_line(&error.to_string())));
                }
            }
        }
        Err(format!(
            "the pattern '{pattern}' is too large; repeat less, or use [0-9] for \\d and [a-z] for \\w"
        ))
    }

    /// Compiles a pattern that came as a value, and pays for it: about 7 ms for the largest.
    pub(crate) fn compile_paid(pattern: &str, meter: &Meter) -> Result<Self, String> {
        let compiled = Self::compile(pattern)?;
        meter.scan(compiled.size_bytes)?;
        Ok(compiled)
    }

    /// Whether the pattern matches a part of `text`.
    pub(crate) fn is_match(&self, text: &str, meter: &Meter) -> Result<bool, String> {
        meter.scan(text.len().saturating_mul(self.size_bytes / SIZES_BYTES[0]))?;
        Ok(self.regex.is_match(text))
    }
}

/// The reason in the last line of a message that draws the pattern above it.
fn last_line(message: &str) -> &str {
    message.lines().last().map_or(message, |line| line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Limits;

    #[test]
    fn pathological_patterns_are_refused_or_paid_for() {
        let meter = Meter::new(&Limits::default());
        for pattern in [r"\w{100}", "(((((a{100}){100}){100}){100}){100})", &"a".repeat(2000), "a(", r"(a)\1"]
        {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
        let backtracking_bomb = Pattern::compile("(x+x+)+y").unwrap();
        assert_eq!(backtracking_bomb.is_match(&"x".repeat(10_000), &meter), Ok(false));
        let large = Pattern::compile(r"\w{20}").unwrap();
        assert!(large.is_match(&"x ".repeat(100_000), &meter).is_err());
    }

    #[test]
    fn a_reason_is_one_line() {
        let message = Pattern::compile("a(").unwrap_err();
        assert_eq!(message, "'a(' is no pattern: unclosed group");
    }
}
