//! The forms in which a secret may stand in a text, and where they do.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// A shorter value is not hidden: it would stand in half of all texts by chance.
pub(super) const SHORTEST_BYTES: usize = 4;
/// A shorter line of a value of several lines is not hidden alone: it may be `null` or `}`.
const SHORTEST_LINE_BYTES: usize = 8;

/// A text to look for, by Knuth, Morris and Pratt: whatever it is, a look takes time in proportion to what is looked through.
pub(super) struct Form {
    bytes: Vec<u8>,
    /// For each length of a part that fits, the longest shorter one that fits there too.
    shorter: Vec<u32>,
    /// Whether the byte before, and the one behind, holds some bits of the secret too.
    before: bool,
    behind: bool,
}

/// Every form of a value. Escapes are not among them: they are decoded before the look.
pub(super) fn of(value: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let trimmed = value.trim();
    for text in [value, trimmed] {
        if text.len() >= SHORTEST_BYTES && forms.iter().all(|form| form.bytes != text.as_bytes()) {
            forms.push(Form::new(text.as_bytes().to_vec(), false, false));
            forms.extend(base64_forms(text.as_bytes()));
        }
    }
    let lines = trimmed.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE_BYTES);
    if trimmed.contains('\n') {
        forms.extend(lines.map(|line| Form::new(line.as_bytes().to_vec(), false, false)));
    }
    forms
}

/// What base64 makes of the value wherever it stands in a longer text: three ways to fall on its groups of three bytes, in both
/// alphabets.
fn base64_forms(value: &[u8]) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        for offset in 0..3 {
            let mut bytes = vec![0; offset];
            bytes.extend(value);
            let encoded = engine.encode(&bytes).into_bytes();
            // Digits that hold bits of what stands before or behind are not the same everywhere.
            let begin = (offset * 8).div_ceil(6);
            let whole = bytes.len() * 8 / 6;
            let Some(digits) = encoded.get(begin..whole).filter(|digits| digits.len() >= SHORTEST_BYTES)
            else {
                continue;
            };
            if forms.iter().all(|form| form.bytes != digits) {
                forms.push(Form::new(digits.to_vec(), offset > 0, encoded.len() > whole));
            }
        }
    }
    forms
}

impl Form {
    fn new(bytes: Vec<u8>, before: bool, behind: bool) -> Self {
        let mut shorter = vec![0; bytes.len()];
        let mut fits = 0_usize;
        for at in 1..bytes.len() {
            while fits > 0 && bytes[at] != bytes[fits] {
                fits = shorter[fits - 1] as usize;
            }
            fits += usize::from(bytes[at] == bytes[fits]);
            shorter[at] = u32::try_from(fits).unwrap_or(u32::MAX);
        }
        Self { bytes, shorter, before, behind }
    }

    /// How many bytes it has, with those around it that belong to it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + usize::from(self.before) + usize::from(self.behind)
    }

    /// Every place where it stands, also where they overlap: begin and end.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        let length = self.bytes.len();
        let mut fits = 0;
        for (at, byte) in text.iter().enumerate() {
            while fits > 0 && self.bytes.get(fits) != Some(byte) {
                fits = self.shorter[fits - 1] as usize;
            }
            fits += usize::from(self.bytes.get(fits) == Some(byte));
            if fits == length {
                let is_digit = |at: Option<usize>| {
                    at.and_then(|at| text.get(at))
                        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte))
                };
                let begin = at + 1 - length;
                let early = self.before && is_digit(begin.checked_sub(1));
                let late = self.behind && is_digit(Some(at + 1));
                found(begin - usize::from(early), at + 1 + usize::from(late));
                fits = self.shorter[length - 1] as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    fn found(value: &str, text: &str) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        of(value).iter().for_each(|form| form.find(text.as_bytes(), |begin, end| places.push((begin, end))));
        places.sort_unstable();
        places.dedup();
        places
    }

    #[test]
    fn overlapping_places_are_all_found() {
        assert_eq!(found("abab", "xabababx"), [(1, 5), (3, 7)]);
        assert_eq!(found("aaaa", "aaaaaa"), [(0, 4), (1, 5), (2, 6)]);
        assert_eq!(found("abac", "ababac"), [(2, 6)]);
    }

    #[test]
    fn a_short_value_has_no_form() {
        assert!(of("abc").is_empty() && of("").is_empty());
        assert!(!of("abcd").is_empty());
    }

    #[test]
    fn base64_is_found_wherever_the_value_stands_in_it() {
        for before in ["", "a", "ab", "user:"] {
            for behind in ["", "x", "xy", "xyz"] {
                let text = format!("{before}pä?>ß{behind}");
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    assert!(!found("pä?>ß", &encoded).is_empty(), "{text}: {encoded}");
                }
            }
        }
        // "ada:secret" is YWRhOnNlY3JldA==; the digit before the secret's own holds two of its bits.
        let places = found("secret", "YWRhOnNlY3JldA==");
        assert_eq!(places, [(5, 14)], "all digits with a bit of it");
    }

    #[test]
    fn long_lines_of_a_value_are_hidden_alone() {
        let key = "-----BEGIN KEY-----\n  MIIEvQIBADANBg\n}\n-----END KEY-----\n";
        assert_eq!(found(key, "> MIIEvQIBADANBg <"), [(2, 16)]);
        assert!(found(key, "a } b").is_empty());
    }
}
