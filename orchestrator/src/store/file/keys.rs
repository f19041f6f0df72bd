//! How the keys of rows are spelled, so that the order of bytes is the order of scores and a range is a scan.
//!
//! Every part of a key but the last tells its length or has a fixed one, so that no key is the beginning of another. The
//! spelling is stored: a change of it needs a new format number.

use std::ops::Bound;

use crate::store::{Key, Range};

/// The beginning of every row of a hash or sorted set.
pub(super) fn prefix(partition: u32, key: &Key) -> Vec<u8> {
    let mut row = Vec::with_capacity(96);
    row.extend(partition.to_be_bytes());
    match key {
        Key::Run(run) => {
            row.push(1);
            push_text(&mut row, &run.tenant);
            row.extend(run.run.as_uuid().as_bytes());
        }
        Key::Timers => row.push(2),
        Key::Outbox => row.push(3),
        Key::Runs { tenant, status } => {
            row.push(5);
            push_text(&mut row, tenant);
            push_text(&mut row, status);
        }
        Key::Definitions => row.push(6),
        Key::Statistics { hour } => {
            row.push(7);
            row.extend(hour.as_millis().to_be_bytes());
        }
        Key::Schedules => row.push(8),
        Key::Pauses => row.push(9),
        Key::Limits => row.push(10),
    }
    row
}

fn push_text(row: &mut Vec<u8>, text: &str) {
    row.extend((text.len() as u64).to_be_bytes());
    row.extend(text.as_bytes());
}

/// Appends the last part of a key.
pub(super) fn with(mut prefix: Vec<u8>, last: &[u8]) -> Vec<u8> {
    prefix.extend(last);
    prefix
}

/// The row of a member in the order of scores.
pub(super) fn place(prefix: &[u8], score: i64, member: &str) -> Vec<u8> {
    with(with(prefix.to_vec(), &ordered(score)), member.as_bytes())
}

/// Bytes that sort as the scores do: the sign bit turned over puts the negative ones first.
fn ordered(score: i64) -> [u8; 8] {
    (score ^ i64::MIN).to_be_bytes()
}

/// Reads member and score of a row that begins with `prefix` bytes of key.
pub(super) fn member_of(row: &[u8], prefix: usize) -> (String, i64) {
    let score = row.get(prefix..prefix + 8).and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
    (tail(row, prefix + 8), score.unwrap_or_default() ^ i64::MIN)
}

/// Reads the last part of a key, which begins at `from`.
pub(super) fn tail(row: &[u8], from: usize) -> String {
    String::from_utf8_lossy(row.get(from..).unwrap_or_default()).into_owned()
}

/// The first row behind all that begin with `prefix`.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Only a prefix of nothing but the greatest byte comes here, and none begins so: partitions are few.
    vec![u8::MAX; prefix.len() + 1]
}

/// The rows from `range.from` to `range.to`, without those before the page.
pub(super) fn bounds(prefix: &[u8], range: &Range) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let first = place(prefix, range.from, "");
    let last = behind(&place(prefix, range.to, ""));
    match &range.after {
        None => (Bound::Included(first), Bound::Excluded(last)),
        Some((score, member)) => {
            let after = place(prefix, *score, member);
            if range.descending {
                let last = last.min(after).max(first.clone());
                (Bound::Included(first), Bound::Excluded(last))
            } else if after < first {
                (Bound::Included(first), Bound::Excluded(last))
            } else {
                let last = last.max(after.clone());
                (Bound::Excluded(after), Bound::Included(last))
            }
        }
    }
}
