//! The name somebody probably meant.

/// More slips than this, and it is another word.
const MOST_SLIPS: usize = 2;

/// The known name that is nearest to `name`, if one is near.
pub(super) fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips = |candidate: &str| slips(name, candidate);
    known.iter().copied().min_by_key(|candidate| slips(candidate)).filter(|best| slips(best) <= MOST_SLIPS)
}

/// How many letters must be put in, left out or changed to make one of the other.
fn slips(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = changed.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let known = ["slots", "exec", "http"];
        for (typed, meant) in [("slot", "slots"), ("slotz", "slots"), ("exce", "exec"), ("htttp", "http")] {
            assert_eq!(near(typed, &known), Some(meant));
        }
        assert_eq!(near("colour", &known), None);
        assert_eq!(slips("kitten", "sitting"), 3);
        assert_eq!(slips("", "abc"), 3);
    }
}
