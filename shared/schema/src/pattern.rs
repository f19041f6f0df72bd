//! How much work a `pattern` makes for each byte of a text.

/// A pattern that repeats more than this is refused by the size limit of its compiled form.
const MOST_STATES: u64 = 4_096;

/// About how many states the pattern's automaton has: its length, times what its counted repetitions multiply. The
/// engine looks at each of them for each byte at worst.
pub(crate) fn states(pattern: &str) -> u64 {
    let mut states = pattern.len() as u64 + 1;
    for repetition in pattern.split('{').skip(1) {
        let counts = repetition.split('}').next().unwrap_or_default();
        let most = counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max();
        states = states.saturating_mul(most.unwrap_or(1).max(1));
    }
    states.min(MOST_STATES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_multiply() {
        assert_eq!(states("^[a-z]+$"), 9);
        assert_eq!(states("(a{10}){20}"), 12 * 200);
        assert_eq!(states("a{3,}"), 6 * 3);
        assert_eq!(states("(((a{900}){900}){900}){900}"), MOST_STATES);
        assert_eq!(states("{"), 2);
    }
}
