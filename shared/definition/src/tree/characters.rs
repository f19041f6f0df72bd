//! From the characters that the YAML parser counts to bytes of the text.

/// One remembered offset for so many characters: a look-up walks at most this many.
const STRIDE: usize = 64;

/// Byte offsets of every [`STRIDE`]th character.
pub(super) struct Characters<'t> {
    text: &'t str,
    offsets: Vec<usize>,
}

impl<'t> Characters<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, offsets: text.char_indices().step_by(STRIDE).map(|(offset, _)| offset).collect() }
    }

    /// The byte offset of the character at `index`; the end of the text where there is none.
    pub(super) fn byte(&self, index: usize) -> usize {
        let Some(&start) = self.offsets.get(index / STRIDE) else { return self.text.len() };
        let rest = self.text.get(start..).unwrap_or("");
        rest.char_indices().nth(index % STRIDE).map_or(self.text.len(), |(offset, _)| start + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_found_at_its_byte() {
        let text = "aé😀\n".repeat(100);
        let characters = Characters::new(&text);
        for (index, (offset, _)) in text.char_indices().enumerate() {
            assert_eq!(characters.byte(index), offset);
        }
        assert_eq!(characters.byte(400), text.len());
        assert_eq!(characters.byte(9_999), text.len());
    }
}
