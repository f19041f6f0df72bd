//! A text as it reads once what is encoded in it is decoded, and where each byte of that stands in the text itself.
//!
//! So a secret is found however much of it was escaped, in capitals or not. What is no sound escape stays as it is.

/// Bytes, decoded from a text or as they are.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// Where each byte begins in the text, and where the text ends.
    starts: Vec<usize>,
}

impl View {
    /// A text as it is.
    pub(super) fn plain(text: &[u8]) -> Self {
        Self { bytes: text.to_vec(), starts: (0..=text.len()).collect() }
    }

    /// The range in the text that these bytes were decoded from.
    pub(super) fn source(&self, begin: usize, end: usize) -> (usize, usize) {
        let at = |index: usize| self.starts.get(index).copied().unwrap_or_default();
        (at(begin), at(end))
    }

    /// With `%41` as `A`.
    pub(super) fn percent_decoded(&self) -> Self {
        self.decoded(|rest| match rest {
            [b'%', high, low, ..] => {
                let byte = (digit(*high)? << 4) | digit(*low)?;
                Some((vec![u8::try_from(byte).ok()?], 3))
            }
            _ => None,
        })
    }

    /// With `+` as a space, as forms write it.
    pub(super) fn plus_decoded(&self) -> Self {
        self.decoded(|rest| (rest.first() == Some(&b'+')).then(|| (vec![b' '], 1)))
    }

    /// With `\n` and `\u0041` as JSON means them.
    pub(super) fn unescaped(&self) -> Self {
        self.decoded(|rest| {
            let [b'\\', kind, behind @ ..] = rest else { return None };
            let byte = match kind {
                b'"' | b'\\' | b'/' => *kind,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => return unicode(behind).map(|(text, length)| (text, length + 2)),
                _ => return None,
            };
            Some((vec![byte], 2))
        })
    }

    /// Every place where `decode` knows what stands there, and how many bytes that takes, replaced by it.
    fn decoded(&self, decode: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Self {
        let mut view = Self { bytes: Vec::with_capacity(self.bytes.len()), starts: Vec::new() };
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (bytes, length) = decode(rest).unwrap_or_else(|| (rest[..1].to_vec(), 1));
            view.starts.extend(bytes.iter().map(|_| self.source(at, at).0));
            view.bytes.extend(bytes);
            at += length;
        }
        view.starts.extend(self.starts.last());
        view
    }
}

/// The character behind `\u`, in UTF-8, and how many bytes its digits take; a pair of surrogates is one.
fn unicode(behind: &[u8]) -> Option<(Vec<u8>, usize)> {
    let first = four_digits(behind)?;
    let (code, length) = match first {
        0xd800..=0xdbff => {
            let second = behind.get(4..)?.strip_prefix(b"\\u").and_then(four_digits)?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            (0x10000 + ((first - 0xd800) << 10) + low, 10)
        }
        code => (code, 4),
    };
    Some((char::from_u32(code)?.to_string().into_bytes(), length))
}

fn four_digits(text: &[u8]) -> Option<u32> {
    text.get(..4)?.iter().try_fold(0, |number, byte| Some((number << 4) | digit(*byte)?))
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(view: &View) -> String {
        String::from_utf8(view.bytes.clone()).unwrap()
    }

    #[test]
    fn escapes_of_each_kind_are_read() {
        let view = |text: &str| View::plain(text.as_bytes());
        for (encoded, decoded) in
            [("a%2fb%2Fc", "a/b/c"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%C3%A4", "ä")]
        {
            assert_eq!(text(&view(encoded).percent_decoded()), decoded);
        }
        for (encoded, decoded) in [
            (r#"\"\\\/\n"#, "\"\\/\n"),
            (r"\u00e4\ud83d\ude00\u41", "ä😀\\u41"),
            (r"\ud83d x \q \", r"\ud83d x \q \"),
        ] {
            assert_eq!(text(&view(encoded).unescaped()), decoded);
        }
        assert_eq!(text(&view("a+b").plus_decoded()), "a b");
    }

    #[test]
    fn every_byte_knows_where_it_stood() {
        let view = View::plain(br"x\u00e4%41y").unescaped().percent_decoded();
        assert_eq!(text(&view), "xäAy");
        assert_eq!((view.source(1, 3), view.source(3, 4), view.source(0, 5)), ((1, 7), (7, 10), (0, 11)));
    }
}
