//! Chance: where every fresh id comes from.
//!
//! It is the operating system's, everywhere but in the simulation, which calls [`seed`] so that a seed makes the same ids
//! again. No decision asks it: the engine names everything after what it belongs to.

use std::cell::Cell;

use uuid::{Builder, Uuid};

thread_local! {
    /// What this thread's ids are made from, where they are to come again.
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on the fresh ids of this thread follow from `seed` alone; from the operating system again where absent.
pub fn seed(seed: Option<u64>) {
    SEEDED.set(seed);
}

/// A fresh id.
pub fn fresh() -> Uuid {
    seeded().unwrap_or_else(Uuid::new_v4)
}

/// A fresh id that sorts by the time it was made.
pub fn fresh_by_time() -> Uuid {
    seeded().unwrap_or_else(Uuid::now_v7)
}

fn seeded() -> Option<Uuid> {
    let seed = SEEDED.get()?;
    SEEDED.set(Some(seed.wrapping_add(2)));
    let half = |at: u64| mix(seed.wrapping_add(at)).to_be_bytes();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(half(0).into_iter().chain(half(1))).for_each(|(byte, made)| *byte = made);
    Some(Builder::from_random_bytes(bytes).into_uuid())
}

/// SplitMix64: neighbouring numbers come out unlike each other.
pub(crate) const fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_ids_again_and_no_two_alike() {
        let made = |from| {
            seed(Some(from));
            let made: Vec<Uuid> = (0..1000).map(|_| fresh()).collect();
            seed(None);
            made
        };
        let ids = made(7);
        assert_eq!(ids, made(7));
        assert!(!made(8).contains(&ids[0]));
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), 1000);
        assert_ne!(fresh(), fresh());
    }
}
