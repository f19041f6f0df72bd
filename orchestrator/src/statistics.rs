//! What attempts and runs took, as numbers: for each hour one series of each task definition and of each workflow.
//!
//! Pure: [`distribution`] counts values in buckets, [`series`] is what is known of one definition and how it is stored,
//! [`summary`] what is told of it. The owner of a partition keeps and writes them (`partition/statistics.rs`), any node reads
//! those of all partitions and puts them together (`node/statistics.rs`).

pub mod distribution;
pub mod series;
pub mod summary;

use oarlock_protocol::{Span, Timestamp};

/// Series are of whole hours: few enough to be read within moments, and what a day was like is still seen.
pub const HOUR: Span = Span::from_secs(3_600);

/// The beginning of the hour in which a time lies.
pub fn hour_of(time: Timestamp) -> Timestamp {
    let hour = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(time.as_millis().rem_euclid(hour)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_begins_where_its_times_say() {
        for (time, begins) in [(0, 0), (1, 0), (3_599_999, 0), (3_600_000, 3_600_000), (-1, -3_600_000)] {
            assert_eq!(hour_of(Timestamp::from_millis(time)), Timestamp::from_millis(begins));
        }
    }
}
