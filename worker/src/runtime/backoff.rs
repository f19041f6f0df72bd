//! Growing delays between tries: the wait for a broker or a queue that is not there.

use std::time::Duration;

/// Short enough that a queue declared a moment later is found at once.
const FIRST: Duration = Duration::from_millis(20);
/// Long enough to spare a broker in trouble, short enough that nobody waits for a worker when it is back.
const LONGEST: Duration = Duration::from_secs(5);

/// The delay after a number of failures in a row: doubles from 20 ms to 5 s.
pub(super) fn delay(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_stays_bounded() {
        let delays: Vec<u128> = [1, 2, 3, 9, 100, u32::MAX].map(|n| delay(n).as_millis()).into();
        assert_eq!(delays, [20, 40, 80, 5000, 5000, 5000]);
    }
}
