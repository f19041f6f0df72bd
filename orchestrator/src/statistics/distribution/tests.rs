//! The distribution against exact quantiles, and its stored form.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn of(values: &[u64]) -> Distribution {
    let mut distribution = Distribution::default();
    values.iter().for_each(|value| distribution.record(*value));
    distribution
}

fn exact(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
    sorted[rank - 1]
}

fn check_quantiles(values: &[u64], distribution: &Distribution) {
    for share in [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
        let (told, exact) = (distribution.quantile(share), exact(values, share) as f64);
        let off = (told - exact).abs();
        let most = exact * distribution.relative_error() + 1e-9;
        assert!(off <= most, "{share}: {told} instead of {exact}, {distribution:?}");
    }
}

/// Values as tasks have them: within some octaves, here and there a zero.
fn narrow() -> impl Strategy<Value = Vec<u64>> {
    (0_u32..40).prop_flat_map(|octave| {
        vec(prop_oneof![1 => Just(0), 9 => (1_u64 << octave)..(1 << (octave + 11))], 1..400)
    })
}

/// Values of any size, as likely small as large.
fn wide() -> impl Strategy<Value = Vec<u64>> {
    vec((any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift), 1..600)
}

proptest! {
    #[test]
    fn quantiles_of_times_as_tasks_have_them_are_within_a_tenth(values in narrow()) {
        let distribution = of(&values);
        prop_assert!(distribution.relative_error() < 0.091);
        check_quantiles(&values, &distribution);
    }

    #[test]
    fn quantiles_of_anything_are_within_the_error_that_is_told(values in wide()) {
        let clamped: Vec<u64> = values.iter().map(|value| (*value).min(GREATEST)).collect();
        check_quantiles(&clamped, &of(&values));
    }

    #[test]
    fn count_mean_least_and_greatest_are_exact(values in narrow()) {
        let distribution = of(&values);
        let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
        prop_assert!((distribution.mean() - mean).abs() <= mean * 1e-12);
        prop_assert_eq!(distribution.count(), values.len() as u64);
        prop_assert_eq!(Some(distribution.least()), values.iter().min().copied());
        prop_assert_eq!(Some(distribution.greatest()), values.iter().max().copied());
    }

    #[test]
    fn two_that_are_merged_are_as_one_that_counted_all(one in wide(), other in wide()) {
        let both = of(&[one.clone(), other.clone()].concat());
        let [mut merged, mut turned] = [of(&one), of(&other)];
        let (first, second) = (merged.clone(), turned.clone());
        merged.merge(&second);
        turned.merge(&first);
        prop_assert_eq!(&merged, &turned);
        prop_assert_eq!((merged.count(), merged.sum, merged.least, merged.greatest), (both.count(), both.sum, both.least, both.greatest));
        merged.coarsen(both.coarse.max(merged.coarse));
        prop_assert_eq!(merged, both);
    }

    #[test]
    fn what_is_stored_is_read(values in wide()) {
        let distribution = of(&values);
        let text = serde_json::to_string(&distribution).unwrap();
        prop_assert_eq!(serde_json::from_str::<Distribution>(&text).unwrap(), distribution);
    }

    #[test]
    fn a_list_that_is_none_is_refused_and_harms_nothing(numbers in vec(-300_i64..300, 0..12)) {
        if let Some(read) = read(&numbers) {
            prop_assert!(read.count() > 0);
            prop_assert!(read.quantile(0.5) >= read.least() as f64);
        }
    }
}

#[test]
fn buckets_begin_where_they_say() {
    for bucket in 0..=LAST {
        let first = first_of(bucket);
        // Small numbers skip buckets: no whole number lies in them.
        assert!(finest(first) >= bucket && (first == 1 || finest(first - 1) < bucket), "{bucket}: {first}");
    }
    assert_eq!((finest(0), finest(1), finest(GREATEST)), (ZEROS, 0, LAST));
    assert_eq!((first_of(LAST + 1), first_of(256)), (1 << 63, u64::MAX));
}

#[test]
fn the_stored_form_is_one_that_people_can_read() {
    let distribution = of(&[3, 3, 5, 5, 5, 5, 21, 12]);
    assert_eq!(serde_json::to_string(&distribution).unwrap(), "[0,59,3,21,6,2,-2,4,-4,1,-2,1]");
    assert_eq!(serde_json::to_string(&of(&[0, 0, 9])).unwrap(), "[0,9,0,9,-1,2,-12,1]");
    assert_eq!(serde_json::to_string(&Distribution::default()).unwrap(), "[]");
}

#[test]
fn lists_that_are_no_distribution_are_refused() {
    for text in [
        "[1]",
        "[0,1,1,1,0]",
        "[9,1,1,1,0,1]",
        "[0,1,1,1,0,0]",
        "[0,1,2,1,0,1]",
        "[0,1,1,1,300,1]",
        "[0,1,1,1,0,-9223372036854775808,1]",
    ] {
        assert!(serde_json::from_str::<Distribution>(text).is_err(), "{text}");
    }
}

#[test]
fn the_widest_stays_small() {
    let mut distribution = Distribution::default();
    for value in 0..100_000_u64 {
        distribution.record(u64::MAX >> (value % 64));
    }
    let text = serde_json::to_string(&distribution).unwrap();
    assert!(distribution.buckets.len() <= MOST_BUCKETS, "{distribution:?}");
    assert!(text.len() <= 300, "{} bytes: {text}", text.len());
}
