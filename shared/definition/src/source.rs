//! The text of a definition: lines, columns, and the excerpt that a problem is shown with.

use std::ops::Range;

/// The longest part of a line that an excerpt shows; longer lines are cut around the place.
const EXCERPT_CHARACTERS: usize = 110;

/// A text and where its lines begin.
pub(crate) struct Source<'t> {
    pub(crate) file: &'t str,
    pub(crate) text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Source<'t> {
    /// The text of `file`, without a byte order mark.
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let bytes = text.as_bytes();
        let breaks = (0..bytes.len())
            .filter(|&at| bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n')));
        let line_starts = std::iter::once(0).chain(breaks.map(|at| at + 1)).collect();
        Self { file, text, line_starts }
    }

    /// The line and the column, both from 1, of the byte at `offset`.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_index(offset);
        let before = self.slice(self.line_starts[line]..offset);
        (line + 1, before.chars().count() + 1)
    }

    /// The bytes of the line around `offset`, without its line break.
    pub(crate) fn line_around(&self, offset: usize) -> Range<usize> {
        let line = self.line_index(offset);
        let start = self.line_starts[line];
        let end = self.line_starts.get(line + 1).copied().unwrap_or(self.text.len());
        start..start + self.slice(start..end).trim_end_matches(['\n', '\r']).len()
    }

    /// The text of `range`; empty where the range does not fit.
    pub(crate) fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or("")
    }

    /// The line of `span` and carets under it, as far as it stands on that line.
    pub(crate) fn excerpt(&self, span: Range<usize>) -> String {
        let number = self.line_index(span.start) + 1;
        let line = self.line_around(span.start);
        let start = span.start.min(line.end);
        let is_short = self.slice(line.clone()).chars().nth(EXCERPT_CHARACTERS).is_none();
        let most_before = if is_short { EXCERPT_CHARACTERS } else { EXCERPT_CHARACTERS * 2 / 3 };
        let (before, caret) = shown_before(self.slice(line.start..start), most_before);
        let room = EXCERPT_CHARACTERS.saturating_sub(caret).max(1);
        let after = shown_after(self.slice(start..line.end), room);
        let marked = self.slice(start..span.end.clamp(start, line.end)).chars().take(room).count().max(1);
        let shown = format!("{before}{after}");
        let (gutter, shown) = (" ".repeat(number.to_string().len()), shown.trim_end());
        let blank = if shown.is_empty() { "" } else { " " };
        format!(
            "{gutter} |\n{number} |{blank}{shown}\n{gutter} | {}{}\n",
            " ".repeat(caret),
            "^".repeat(marked)
        )
    }

    fn line_index(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset).saturating_sub(1)
    }
}

/// The part of a line before the place that is shown, and its length in characters: all, or, if that is more than
/// `most`, the last third of an excerpt.
fn shown_before(text: &str, most: usize) -> (String, usize) {
    if text.chars().nth(most).is_none() {
        return (text.chars().map(printable).collect(), text.chars().count());
    }
    let kept = EXCERPT_CHARACTERS / 3;
    let start = text.char_indices().rev().nth(kept - 1).map_or(0, |(offset, _)| offset);
    let part = text.get(start..).unwrap_or("").chars().map(printable);
    (std::iter::once('…').chain(part).collect(), kept + 1)
}

/// The part of a line from the place on that is shown.
fn shown_after(text: &str, room: usize) -> String {
    let mut rest = text.chars();
    let part: String = rest.by_ref().take(room).map(printable).collect();
    if rest.next().is_some() { part + "…" } else { part }
}

/// Control characters become spaces, so that the carets stand right and a terminal is never told anything by a
/// definition.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_every_kind_of_line_break() {
        let source = Source::new("f", "\u{feff}é: 1\r\nb: 2\rc: 3\nd");
        let of = |needle: &str| source.position(source.text.find(needle).unwrap());
        assert_eq!(of("1"), (1, 4));
        assert_eq!(of("2"), (2, 4));
        assert_eq!(of("3"), (3, 4));
        assert_eq!(of("d"), (4, 1));
        assert_eq!(source.position(source.text.len()), (4, 2));
        assert_eq!(source.slice(source.line_around(0)), "é: 1");
    }

    #[test]
    fn an_excerpt_points_at_the_place() {
        let source = Source::new("f", "a: 1\n\tbad: here\n");
        assert_eq!(source.excerpt(6..9), "  |\n2 |  bad: here\n  |  ^^^\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "x".repeat(5_000), "y".repeat(5_000));
        let excerpt = Source::new("f", &text).excerpt(5_000..5_004);
        let lines: Vec<&str> = excerpt.lines().collect();
        let caret = lines[2].find('^').unwrap();
        let shown: String = lines[1].chars().skip(caret).take(4).collect();
        assert_eq!(shown, "HERE");
        assert!(lines[1].chars().count() < 130);
    }
}
