//! "Did you mean …?": the known name nearest to a wrong one.

/// Longer names are not compared: the cost grows with the square of the length.
const LONGEST: usize = 64;
/// More candidates are not looked at, so that a file of mistakes stays quick to report.
const MOST_CANDIDATES: usize = 1_000;

/// The candidate that `name` is most likely a misspelling of.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    if wanted.is_empty() || wanted.len() > LONGEST {
        return None;
    }
    let measured = candidates.into_iter().take(MOST_CANDIDATES).filter(|candidate| !candidate.is_empty());
    measured
        .map(|candidate| (distance_to(&wanted, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(wanted.len().max(candidate.chars().count())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many edits still count as a slip: a third of the name, and one in short names of at least three.
fn tolerance(length: usize) -> usize {
    if length < 3 { 0 } else { (length / 3).max(1) }
}

/// Differences of case and of word separators cost nothing.
fn distance_to(wanted: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.to_lowercase().chars().take(LONGEST + 1).collect();
    let bare =
        |text: &[char]| text.iter().filter(|c| !matches!(c, '_' | '-')).copied().collect::<Vec<char>>();
    if bare(wanted) == bare(&candidate) { 0 } else { edits(wanted, &candidate).max(1) }
}

/// Insertions, deletions, replacements and swaps of neighbours (the optimal string alignment distance).
fn edits(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(l != r);
            let mut best = replaced.min(last[column + 1] + 1).min(this[column] + 1);
            let swapped = row > 0 && column > 0 && *l == right[column - 1] && left[row - 1] == *r;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            this.push(best);
        }
        before = std::mem::replace(&mut last, this);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_found_and_other_words_are_not() {
        let names = ["total", "customer", "dependsOn", "id"];
        let rows = [
            ("totl", Some("total")),
            ("toatl", Some("total")),
            ("depends_on", Some("dependsOn")),
            ("DEPENDSON", Some("dependsOn")),
            ("banana", None),
            ("ie", None),
            ("", None),
        ];
        for (name, expected) in rows {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }
}
