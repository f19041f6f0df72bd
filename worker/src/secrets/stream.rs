//! A stream of bytes without the secrets of its attempt, however it is cut into pieces.
//!
//! The end of what came is held back until so much has come behind it that no secret can begin in it.

use std::sync::Arc;

use super::mask::{HIDDEN, Mask, apart};

/// Bytes on their way through a mask.
#[derive(Debug)]
pub(crate) struct MaskedStream {
    mask: Arc<Mask>,
    held: Vec<u8>,
    /// How many of the held bytes belong to a secret that is shown as hidden already.
    shown: usize,
}

impl MaskedStream {
    pub(crate) fn new(mask: Arc<Mask>) -> Self {
        Self { mask, held: Vec::new(), shown: 0 }
    }

    /// Takes bytes in, and gives those that can be shown.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend(bytes);
        let reach = self.mask.reach();
        // Each look goes through what is held: twice the reach, so that it pays.
        if self.held.len() < 2 * reach { Vec::new() } else { self.show(self.held.len() - reach) }
    }

    /// Gives the rest: the stream has ended.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.show(self.held.len())
    }

    /// Gives the first `count` held bytes. Every secret that begins in them is held whole.
    fn show(&mut self, count: usize) -> Vec<u8> {
        let mut places = self.mask.places(&self.held);
        if self.shown > 0 {
            places.push((0, self.shown));
        }
        let mut text = Vec::with_capacity(count);
        let (mut at, mut beyond) = (0, 0);
        for (begin, end) in apart(places).into_iter().take_while(|(begin, _)| *begin < count) {
            text.extend(self.held.get(at..begin).unwrap_or_default());
            if begin > 0 || self.shown == 0 {
                text.extend(HIDDEN.as_bytes());
            }
            at = end.min(count);
            beyond = end - at;
        }
        text.extend(self.held.get(at..count).unwrap_or_default());
        self.held.drain(..count);
        self.shown = beyond;
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(values: &[&str], text: &[u8], piece: usize) -> String {
        let mask = Arc::new(Mask::new(values.iter().map(|value| (*value).to_owned())));
        let mut stream = MaskedStream::new(mask);
        let mut shown: Vec<u8> = text.chunks(piece).flat_map(|piece| stream.push(piece)).collect();
        shown.extend(stream.finish());
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[test]
    fn a_secret_is_hidden_however_the_stream_is_cut() {
        let text = format!("{}hush{}a%68ush\\u0068ush", "x".repeat(100), "y".repeat(100));
        let expected = format!("{}***{}a***", "x".repeat(100), "y".repeat(100));
        for piece in 1..text.len() {
            assert_eq!(masked(&["hush"], text.as_bytes(), piece), expected, "{piece}");
        }
        assert_eq!(masked(&["hush"], "hush".repeat(1000).as_bytes(), 7), "***");
        assert_eq!(masked(&["ab\ncd"], b"ab\ncd", 1), "***");
        assert_eq!(masked(&["hush"], b"\xffhush\xff", 2), "\u{fffd}***\u{fffd}");
    }

    proptest! {
        #[test]
        fn a_stream_is_shown_as_its_whole_text_is(
            text in "[ab%\\\\60-2]{0,300}", secret in "[ab0-2]{4,6}", piece in 1_usize..40,
        ) {
            let mask = Mask::new([secret.clone()]);
            let whole = super::super::mask::without(text.as_bytes(), &mask.places(text.as_bytes()));
            prop_assert_eq!(masked(&[&secret], text.as_bytes(), piece), String::from_utf8_lossy(&whole));
        }
    }
}
