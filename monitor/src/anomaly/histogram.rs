//! What values of a signal usually are: a decaying histogram over their logarithm.
//!
//! It knows the rank of a value among the usual ones, so a burst of outliers moves its median by no more than their
//! number, whatever their size. Fixed memory; no value is kept.

/// Bins for each doubling: one is 15 % wide, much less than any change that is told.
const PER_OCTAVE: f64 = 5.0;
/// 38 doublings above 1: in milliseconds eight years, in bytes 256 GiB. What is larger shares the last.
const BINS: usize = 192;
/// Weights grow instead of being decayed one by one. Above this all are scaled down, long before `f32` would overflow.
const HEAVIEST: f32 = 1e12;

/// Weights of values by size.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    bins: Box<[f32; BINS]>,
    /// The sum of all bins.
    total: f64,
    /// The weight of the newest value.
    unit: f32,
    /// The sum of all weights, in units of the newest: how many values it stands for.
    size: f64,
}

impl Histogram {
    /// One that knows nothing.
    pub(crate) fn new() -> Self {
        Self { bins: Box::new([0.0; BINS]), total: 0.0, unit: 1.0, size: 0.0 }
    }

    /// Adds a value of at least 0; what was there before keeps the share `keep` (0..=1) of its weight.
    pub(crate) fn add(&mut self, value: f64, keep: f64) {
        let keep = if keep.is_nan() { 1.0 } else { keep.clamp(1e-3, 1.0) };
        self.unit /= keep as f32;
        self.size = self.size * keep + 1.0;
        self.bins[bin(value)] += self.unit;
        self.total += f64::from(self.unit);
        if self.unit > HEAVIEST {
            for weight in self.bins.iter_mut() {
                *weight /= self.unit;
            }
            self.total = self.bins.iter().map(|weight| f64::from(*weight)).sum();
            self.unit = 1.0;
        }
    }

    /// How many values it stands for, decayed ones for less.
    pub(crate) fn size(&self) -> f64 {
        self.size
    }

    /// The normal score of a value: the robust z-score that its rank has in a normal distribution, 0 for the median.
    /// Its spread is 1 whatever the shape of what is usual: narrow, skewed, with two modes or a heavy tail.
    pub(crate) fn score(&self, value: f64) -> f64 {
        let at = bin(value);
        let below: f32 = self.bins[..at].iter().sum();
        let own = self.bins[at];
        if self.total <= 0.0 {
            return 0.0;
        }
        // The middle of its bin: so ranks of what is usual are 0.5 in the mean, however few bins it fills.
        let rank = f64::from(below + own / 2.0) / self.total;
        normal_quantile((rank * self.size + 0.5) / (self.size + 1.0))
    }

    /// The value below which half of the weight lies; 0 where nothing is known.
    pub(crate) fn median(&self) -> f64 {
        let half = self.bins.iter().sum::<f32>() / 2.0;
        let mut below = 0.0;
        for (index, weight) in self.bins.iter().enumerate() {
            if *weight > 0.0 && below + weight >= half {
                let share = f64::from((half - below) / weight);
                return if index == 0 { share } else { ((index as f64 - 1.0 + share) / PER_OCTAVE).exp2() };
            }
            below += weight;
        }
        0.0
    }
}

/// The bin of a value: 0 below 1, then one for each step.
fn bin(value: f64) -> usize {
    if value < 1.0 {
        return 0;
    }
    // `as` saturates, and makes 0 of what is no number.
    1 + ((value.log2() * PER_OCTAVE) as usize).min(BINS - 2)
}

/// The z-score below which the share `p` of a normal distribution lies (Abramowitz and Stegun 26.2.23, within 0.0005).
fn normal_quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p).clamp(1e-9, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let z = t - above / below;
    if p < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Histogram {
        let mut histogram = Histogram::new();
        values.into_iter().for_each(|value| histogram.add(value, 1.0));
        histogram
    }

    #[test]
    fn the_median_is_within_a_bin() {
        for usual in [0.0, 1.0, 7.0, 1000.0, 3e6, 1e11] {
            let median = of((0..101).map(|n| usual * (0.5 + f64::from(n) / 100.0))).median();
            assert!((median - usual).abs() <= usual * 0.08 + 1.0, "{usual}: {median}");
        }
        assert_eq!(Histogram::new().median(), 0.0);
    }

    #[test]
    fn outliers_weigh_by_their_number_not_their_size() {
        let calm = of((0..100).map(|n| 900.0 + 2.0 * f64::from(n)));
        let mut burst = calm.clone();
        (0..10).for_each(|_| burst.add(1e12, 1.0));
        assert!((burst.median() / calm.median() - 1.0).abs() < 0.05);
    }

    #[test]
    fn scores_are_normal_whatever_the_shape() {
        for shape in [|x: f64| x, |x: f64| x * x * x, |x: f64| if x < 60.0 { 10.0 } else { 1e6 + x }] {
            let histogram = of((1..=100).map(|n| shape(f64::from(n))));
            let scores: Vec<f64> =
                (1..=100).map(|n| histogram.score(shape(f64::from(n))).clamp(-3.0, 3.0)).collect();
            let mean = scores.iter().sum::<f64>() / 100.0;
            assert!(mean.abs() < 0.1, "{mean}");
        }
        assert_eq!(Histogram::new().score(5.0), 0.0);
        assert!(
            (normal_quantile(0.975) - 1.96).abs() < 0.001 && (normal_quantile(0.025) + 1.96).abs() < 0.001
        );
    }

    #[test]
    fn old_values_lose_their_weight_and_nothing_overflows() {
        let mut histogram = of((0..50).map(|_| 10.0));
        (0..20_000).for_each(|_| histogram.add(1000.0, 0.99));
        assert!((histogram.median() / 1000.0 - 1.0).abs() < 0.15, "{}", histogram.median());
        assert!((histogram.size() - 100.0).abs() < 1.0);
        histogram.add(f64::NAN, 0.0);
        histogram.add(f64::INFINITY, f64::NAN);
        assert!(histogram.median().is_finite());
    }
}
