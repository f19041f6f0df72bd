//! How long to wait between attempts to connect. The only user of the crate `backoff`.
//!
//! Called by the supervisor. It knows no connection, and never gives up.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// The first pause: short, since a server that has just closed a connection is mostly there.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest pause: what an operator waits at most after the server is back.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that grow from [`SHORTEST`] to [`LONGEST`], each shortened or lengthened at random by up to a half, so that the
/// clients of a server that comes back do not come all at once.
pub(super) struct Pauses(ExponentialBackoff);

impl Pauses {
    /// Pauses that begin with the shortest.
    pub(super) fn new() -> Self {
        Self(ExponentialBackoff {
            current_interval: SHORTEST,
            initial_interval: SHORTEST,
            max_interval: LONGEST,
            multiplier: 2.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next pause, at most [`LONGEST`].
    pub(super) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST).min(LONGEST)
    }

    /// Begins again with the shortest.
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_again() {
        let mut pauses = Pauses::new();
        assert!(pauses.next() <= SHORTEST * 3 / 2);
        for _ in 0..100 {
            assert!((SHORTEST / 2..=LONGEST).contains(&pauses.next()));
        }
        assert!(pauses.next() >= LONGEST / 2);
        pauses.reset();
        assert!(pauses.next() <= SHORTEST * 3 / 2);
    }
}
