//! Numbers by chance, the same for the same seed.

use std::time::Duration;

pub(super) struct Chance(u64);

impl Chance {
    /// Those of a seed; `part` keeps apart what draws at the same time.
    pub(super) fn of(seed: u64, part: u64) -> Self {
        // Neighbours would begin alike, and zero would stay zero.
        Self((seed.wrapping_mul(31).wrapping_add(part)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `most`.
    pub(super) fn below(&mut self, most: usize) -> usize {
        // The generator of George Marsaglia, with 64 bits.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    /// Whether something happens that does once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn time(&mut self, (from, to): Range) -> Duration {
        Duration::from_millis(from + self.below(usize::try_from(to - from).unwrap()) as u64)
    }

    /// So many different numbers below `most`.
    pub(super) fn several(&mut self, count: usize, most: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..most).collect();
        (0..count).map(|_| left.swap_remove(self.below(left.len()))).collect()
    }
}

/// From and to, in milliseconds.
pub(super) type Range = (u64, u64);
