//! A distribution of values in buckets that grow with the values: bounded in size, merged without loss, quantiles within a
//! stated relative error.
//!
//! Pure. It is an exponential histogram. A bucket begins at a quarter of an octave, which puts a quantile within 9.1 % of the
//! exact one. Where more than [`MOST_BUCKETS`] are in use, every two become one, and the error is that of half an octave (18.9 %), and so on:
//! this needs values that fill more than twelve octaves, as from 1 ms to 4 s. What two of them count together is what one
//! would have counted.
//!
//! Stored as a list of numbers, for people with a command line: `[0,26,3,5,6,2,-2,4]` is the coarseness, sum, least and greatest
//! value, the first bucket, and how many values lie in it and in those that follow; `-2` stands for two that are empty.

use serde::de::Error;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most buckets in use: bounds what is written with each commit. Times of one task rarely fill so many.
pub const MOST_BUCKETS: usize = 48;
/// Two octaves a bucket: all numbers fit into 33 of them.
const COARSEST: u8 = 3;
/// Where the second, third and fourth quarter of an octave begin, as 2^63 times 2^(1/4), 2^(2/4) and 2^(3/4), rounded up.
const QUARTERS: [u64; 3] =
    [10_968_499_650_544_839_024, 13_043_817_825_332_782_213, 15_511_800_964_685_064_949];
/// The greatest value, and the greatest sum, so that each is a number that any reader of JSON takes.
const GREATEST: u64 = i64::MAX as u64;
/// The bucket of zeros. Those of 1 and more have the numbers from 0.
const ZEROS: i64 = -1;
/// The last bucket at the finest, which holds [`GREATEST`].
const LAST: i64 = 251;

/// How many values were how large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How often every two buckets became one.
    coarse: u8,
    sum: u64,
    least: u64,
    greatest: u64,
    /// Those in use, with the number of their values, in order.
    buckets: Vec<(i64, u64)>,
}

impl Distribution {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        let value = value.min(GREATEST);
        self.note(value, value, value);
        self.add(finest(value) >> self.coarse, 1);
        while self.buckets.len() > MOST_BUCKETS && self.coarse < COARSEST {
            self.coarsen(self.coarse + 1);
        }
    }

    /// Takes in what another one has counted. The result is as coarse as the coarser of both, and may have more than
    /// [`MOST_BUCKETS`]: it is to be read, not stored.
    pub fn merge(&mut self, other: &Distribution) {
        if other.is_empty() {
            return;
        }
        self.note(other.sum, other.least, other.greatest);
        self.coarsen(self.coarse.max(other.coarse));
        for &(bucket, count) in &other.buckets {
            self.add(bucket >> (self.coarse - other.coarse), count);
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The mean, exact as long as the sum is below 2^63; 0 of nothing.
    pub fn mean(&self) -> f64 {
        if self.is_empty() { 0.0 } else { self.sum as f64 / self.count() as f64 }
    }

    /// The least value, exact.
    pub fn least(&self) -> u64 {
        self.least
    }

    /// The greatest value, exact.
    pub fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The value that the part `share` of all values is not above, within [`Distribution::relative_error`]; 0 of nothing.
    pub fn quantile(&self, share: f64) -> f64 {
        let count = self.count();
        // `as` saturates, and makes 0 of what is no number.
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0_u64;
        for &(bucket, count) in &self.buckets {
            below = below.saturating_add(count);
            if below >= rank {
                let (first, last) = self.bounds(bucket);
                let middle = (first as f64).sqrt() * (last as f64).sqrt();
                return middle.clamp(self.least as f64, self.greatest as f64);
            }
        }
        0.0
    }

    /// How far from the exact one a quantile may be, as a part of it.
    pub fn relative_error(&self) -> f64 {
        // From the middle to either end is half of the bucket.
        (f64::from(1_u32 << self.coarse) / 8.0).exp2() - 1.0
    }

    fn note(&mut self, sum: u64, least: u64, greatest: u64) {
        self.least = if self.is_empty() { least } else { self.least.min(least) };
        self.greatest = self.greatest.max(greatest);
        self.sum = self.sum.saturating_add(sum).min(GREATEST);
    }

    fn add(&mut self, bucket: i64, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => {
                if let Some((_, standing)) = self.buckets.get_mut(at) {
                    *standing = standing.saturating_add(count).min(GREATEST);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }

    fn coarsen(&mut self, coarse: u8) {
        let shift = coarse - self.coarse;
        self.coarse = coarse;
        if shift > 0 {
            for (bucket, count) in std::mem::take(&mut self.buckets) {
                self.add(bucket >> shift, count);
            }
        }
    }

    /// The least and the greatest value of a bucket.
    fn bounds(&self, bucket: i64) -> (u64, u64) {
        if bucket < 0 {
            return (0, 0);
        }
        (first_of(bucket << self.coarse), first_of((bucket + 1) << self.coarse).saturating_sub(1))
    }
}

/// The bucket of a value at the finest. Shifted right it is the bucket at a coarser one, and that of zeros stays itself.
fn finest(value: u64) -> i64 {
    let Some(octave) = value.checked_ilog2() else { return ZEROS };
    let within = value << (63 - octave);
    i64::from(octave) * 4 + QUARTERS.iter().filter(|quarter| within >= **quarter).map(|_| 1).sum::<i64>()
}

/// The least value of a bucket at the finest.
fn first_of(bucket: i64) -> u64 {
    let (octave, quarter) = (bucket.div_euclid(4), bucket.rem_euclid(4));
    let Some(shift) = u32::try_from(octave).ok().and_then(|octave| 63_u32.checked_sub(octave)) else {
        return u64::MAX;
    };
    let begin =
        usize::try_from(quarter - 1).ok().and_then(|at| QUARTERS.get(at)).map_or(1 << 63, |begin| *begin);
    (begin >> shift) + u64::from(begin & ((1 << shift) - 1) > 0)
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let Some((first, _)) = self.buckets.first() else { return list.end() };
        for number in [u64::from(self.coarse), self.sum, self.least, self.greatest] {
            list.serialize_element(&number)?;
        }
        list.serialize_element(first)?;
        let mut next = *first;
        for (bucket, count) in &self.buckets {
            if *bucket > next {
                list.serialize_element(&(next - bucket))?;
            }
            list.serialize_element(count)?;
            next = bucket + 1;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let numbers = Vec::<i64>::deserialize(deserializer)?;
        if numbers.is_empty() {
            return Ok(Self::default());
        }
        read(&numbers).ok_or_else(|| D::Error::custom(format!("{numbers:?} is no distribution")))
    }
}

fn read(numbers: &[i64]) -> Option<Distribution> {
    let [coarse, sum, least, greatest, first, counts @ ..] = numbers else { return None };
    let coarse = u8::try_from(*coarse).ok().filter(|coarse| *coarse <= COARSEST)?;
    let mut next = *first;
    let mut buckets = Vec::with_capacity(counts.len());
    for number in counts {
        if !(ZEROS..=LAST).contains(&next) {
            return None;
        }
        match u64::try_from(*number) {
            Ok(0) => return None,
            Ok(count) => {
                buckets.push((next, count));
                next += 1;
            }
            Err(_) => next = next.checked_sub(*number)?,
        }
    }
    let [sum, least, greatest] = [sum, least, greatest].map(|number| u64::try_from(*number).ok());
    let read = Distribution { coarse, sum: sum?, least: least?, greatest: greatest?, buckets };
    (!read.is_empty() && read.least <= read.greatest).then_some(read)
}

#[cfg(test)]
mod tests;
