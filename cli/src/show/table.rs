//! Columns of text.

/// The rows with their columns aligned; the first row is the heading.
pub(crate) fn text(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The first line of a text.
pub(crate) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The first line of a text, at most `most` characters of it.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let line = first_line(text);
    if line.chars().count() <= most {
        return line.to_owned();
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A time in milliseconds, for people: `0 ms`, `1.24 s`, `3 m 20 s`.
pub(crate) fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.2} s", ms as f64 / 1_000.0),
        _ => format!("{} m {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["A".to_owned(), "LONG".to_owned()], vec!["bbb".to_owned(), "c".to_owned()]];
        assert_eq!(text(&rows), "A    LONG\nbbb  c");
    }

    #[test]
    fn long_texts_are_shortened_and_times_are_readable() {
        assert_eq!(shorten("abcdef\nsecond", 4), "abc…");
        assert_eq!(shorten("abc", 4), "abc");
        assert_eq!([0, 999, 1_240, 200_000].map(milliseconds), ["0 ms", "999 ms", "1.24 s", "3 m 20 s"]);
    }
}
