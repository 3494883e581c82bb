//! [`Histogram`]: latencies counted in buckets of three significant figures, small enough to keep one per submitter.
//!
//! Invariants: recording never fails and never allocates; a latency of an hour or more counts as an hour; merging
//! gives the same as recording everything in one histogram, in any order, also after a trip through [`Latency`];
//! minimum and maximum are exact, everything else is within a thousandth. All sums are integers, so that the figures
//! are the same on every machine.
//! Not here: clocks, comparison of distributions (`stats`).
//!
//! hdrhistogram does the bucketing. Its own mean, deviation and quantiles are not used: they are computed with floats
//! in the order of its iterators and report the upper edge of a bucket, where fio reports the middle.

use crate::{Latency, Number};

/// Longer latencies are recorded as this: an hour. An I/O that is still out then is a hang, not a latency.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// fio's default percentiles, in thousandths of a percent.
pub const PERCENTILES: [u32; 17] = [
    1_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000, 80_000, 90_000, 95_000, 99_000, 99_500,
    99_900, 99_950, 99_990,
];

// The largest rank must be that of a sample.
const _: () = assert!(PERCENTILES[16] <= 100_000);

const SIGNIFICANT_FIGURES: u8 = 3;

/// Counts of latencies.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: hdrhistogram::Histogram<u64>,
    /// Exact, because a constant latency should read as that constant. `u64::MAX` without samples.
    min: u64,
    /// Exact; 0 without samples.
    max: u64,
}

impl Histogram {
    /// An empty histogram. This is where all of its memory is allocated.
    ///
    /// # Panics
    /// Never: the bounds are constants that hdrhistogram accepts.
    pub fn new() -> Self {
        let buckets = hdrhistogram::Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_FIGURES)
            .expect("an hour at three figures is within hdrhistogram's bounds");
        Self { buckets, min: u64::MAX, max: 0 }
    }

    /// A histogram with these samples (value, count), in any order. Minimum and maximum are those of the values.
    pub fn from_bins(bins: &[(u64, u64)]) -> Self {
        let mut histogram = Self::new();
        for &(value, count) in bins {
            histogram.record_n(value, count);
        }
        histogram
    }

    /// The histogram that a latency was made from.
    pub fn from_latency(latency: &Latency) -> Self {
        let mut histogram = Self::from_bins(&latency.bins);
        // Only outwards: a record that contradicts itself must not give a minimum above the samples.
        if !histogram.is_empty() {
            histogram.min = histogram.min.min(latency.min);
            histogram.max = histogram.max.max(latency.max.min(LATENCY_NS_MAX));
        }
        histogram
    }

    /// Counts one latency.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (value, count) in other.bins() {
            self.record_n(value, count);
        }
        // A bin's value is the middle of its bucket; the exact ends come along separately.
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many samples there are.
    pub fn len(&self) -> u64 {
        self.buckets.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The samples as (value, count), values ascending. The value of a bucket is its middle, as in fio, or the exact
    /// minimum or maximum where that is nearer.
    pub fn bins(&self) -> Vec<(u64, u64)> {
        self.buckets
            .iter_recorded()
            .map(|bucket| {
                let middle = self.buckets.median_equivalent(bucket.value_iterated_to());
                (middle.clamp(self.min, self.max), bucket.count_at_value())
            })
            .collect()
    }

    /// Everything that a record says about these latencies.
    pub fn to_latency(&self) -> Latency {
        self.to_latency_at(&PERCENTILES)
    }

    /// As [`Self::to_latency`], with these percentiles, in thousandths of a percent.
    pub fn to_latency_at(&self, percentiles: &[u32]) -> Latency {
        if self.is_empty() {
            return Latency::default();
        }
        let bins = self.bins();
        let samples = bins.iter().map(|&(_, count)| u128::from(count)).sum::<u128>();
        let (mean, stddev) = moments(&bins, samples);
        let percentile = percentiles.iter().map(|&at| (key(at), value_at(&bins, samples, at))).collect();
        let samples = u64::try_from(samples).unwrap_or(u64::MAX);
        Latency { min: self.min, max: self.max, mean, stddev, samples, percentile, bins }
    }

    #[inline]
    fn record_n(&mut self, ns: u64, count: u64) {
        // Only a damaged record has counts that overflow in sum; hdrhistogram's iterators would panic over them.
        let count = count.min(u64::MAX - self.len());
        if count == 0 {
            return;
        }
        let ns = ns.min(LATENCY_NS_MAX);
        self.buckets.saturating_record_n(ns, count);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// `99.950000` for 99 950 thousandths of a percent: six decimals, as fio prints them.
fn key(thousandths: u32) -> String {
    format!("{}.{:03}000", thousandths / 1000, thousandths % 1000)
}

/// The smallest value such that at least this share of the samples is not above it.
fn value_at(bins: &[(u64, u64)], samples: u128, thousandths: u32) -> u64 {
    let rank = (samples * u128::from(thousandths)).div_ceil(100_000);
    let mut seen = 0;
    for &(value, count) in bins {
        seen += u128::from(count);
        if seen >= rank {
            return value;
        }
    }
    unreachable!("the ranks end at the number of samples")
}

fn moments(bins: &[(u64, u64)], samples: u128) -> (Number, Number) {
    // An hour in ns has 42 bits, so even 2^64 samples sum up within 106 bits.
    let sum: u128 = bins.iter().map(|&(value, count)| u128::from(value) * u128::from(count)).sum();
    let mean = sum as f64 / samples as f64;
    // Around the mean and not from the sum of squares: equal samples must have a deviation of exactly zero.
    let squares: f64 = bins
        .iter()
        .map(|&(value, count)| {
            let distance = value as f64 - mean;
            distance * distance * count as f64
        })
        .sum();
    let finite = |value| Number::new(value).expect("bounded values over a positive count");
    (finite(mean), finite((squares / samples as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use dmlab_units::Seed;

    use super::*;

    fn filled(seed: u64, samples: usize) -> (Histogram, Vec<u64>) {
        let mut rng = Seed(seed).rng();
        // Spread over many orders of magnitude, as latencies under a fault are.
        let values: Vec<u64> = (0..samples).map(|_| rng.below(1 << rng.clone().below(40).max(1))).collect();
        let mut histogram = Histogram::new();
        values.iter().for_each(|&value| histogram.record(value));
        (histogram, values)
    }

    #[test]
    fn the_percentiles_of_one_to_a_thousand_are_known() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|ns| histogram.record(ns));
        let latency = histogram.to_latency();
        // Below 2048 the buckets are one nanosecond wide, so all of this is exact.
        assert_eq!((latency.min, latency.max, latency.samples), (1, 1000, 1000));
        assert_eq!(latency.mean.get(), 500.5);
        assert_eq!(latency.stddev.get(), 288.675);
        let percentiles: Vec<_> = latency.percentile.iter().map(|(key, &value)| (key.as_str(), value)).collect();
        for wanted in
            [("1.000000", 10), ("50.000000", 500), ("99.000000", 990), ("99.900000", 999), ("99.990000", 1000)]
        {
            assert!(percentiles.contains(&wanted), "{wanted:?} in {percentiles:?}");
        }
        assert_eq!(percentiles.len(), 17);
    }

    #[test]
    fn a_constant_latency_reads_as_that_constant() {
        let mut histogram = Histogram::new();
        (0..500).for_each(|_| histogram.record(10_000_001));
        let latency = histogram.to_latency();
        assert_eq!(latency.bins, [(10_000_001, 500)]);
        assert_eq!((latency.mean.get(), latency.stddev.get()), (10_000_001.0, 0.0));
        assert!(latency.percentile.values().all(|&value| value == 10_000_001));
    }

    #[test]
    fn values_are_right_to_a_thousandth() {
        let (histogram, mut values) = filled(1, 20_000);
        values.sort_unstable();
        let latency = histogram.to_latency();
        assert_eq!((latency.min, latency.max), (values[0], values[values.len() - 1]));
        for at in PERCENTILES {
            let rank = (values.len() * at as usize).div_ceil(100_000);
            let (exact, found) = (values[rank - 1] as f64, latency.percentile[&key(at)] as f64);
            assert!((found - exact).abs() <= exact / 1000.0, "{}: {found} is not {exact}", key(at));
        }
        let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
        assert!((latency.mean.get() / mean - 1.0).abs() < 0.001);
    }

    #[test]
    fn an_hour_is_the_longest_latency() {
        let mut histogram = Histogram::new();
        histogram.record(u64::MAX);
        histogram.record(0);
        let latency = histogram.to_latency();
        assert_eq!((latency.min, latency.max, latency.samples), (0, LATENCY_NS_MAX, 2));
        assert_eq!(latency.bins, [(0, 1), (LATENCY_NS_MAX, 1)]);
    }

    #[test]
    fn merging_is_the_same_as_recording_everything_in_one() {
        let ((mut one, values), (other, more)) = (filled(2, 3000), filled(3, 500));
        let mut all = Histogram::new();
        more.iter().chain(&values).for_each(|&value| all.record(value));
        let mut reread = Histogram::from_latency(&other.to_latency());
        reread.merge(&Histogram::from_latency(&one.to_latency()));
        one.merge(&other);
        assert_eq!(one.to_latency(), all.to_latency());
        assert_eq!(reread.to_latency(), all.to_latency());
        assert_eq!(all.len(), 3500);
    }

    #[test]
    fn the_exact_ends_survive_the_trip_through_a_record() {
        let mut histogram = Histogram::new();
        // The first is below the middle of its bucket and the last above it, so that the bins alone do not tell them.
        [9_994_241, 20_000_003, 30_014_007].into_iter().for_each(|ns| histogram.record(ns));
        let latency = histogram.to_latency();
        assert_eq!((latency.min, latency.max), (9_994_241, 30_014_007));
        assert_eq!(Histogram::from_latency(&latency).to_latency(), latency);
    }

    #[test]
    fn bins_hold_all_the_samples() {
        let (histogram, _) = filled(4, 3000);
        let again = Histogram::from_bins(&histogram.bins());
        assert_eq!(again.bins().len(), histogram.bins().len());
        assert_eq!(again.to_latency(), Histogram::from_bins(&again.bins()).to_latency());
        assert!(histogram.bins().is_sorted());
    }

    #[test]
    fn without_samples_there_is_nothing_to_say() {
        assert_eq!(Histogram::new().to_latency(), Latency::default());
        let mut merged = Histogram::new();
        merged.merge(&Histogram::from_latency(&Latency::default()));
        assert!(merged.is_empty());
        assert_eq!(Histogram::from_bins(&[(5, 0)]).to_latency(), Latency::default());
    }

    #[test]
    fn counts_of_a_damaged_record_saturate() {
        let mut histogram = Histogram::from_bins(&[(5, u64::MAX), (7, u64::MAX)]);
        histogram.merge(&histogram.clone());
        assert_eq!(histogram.to_latency().samples, u64::MAX);
        assert_eq!(histogram.to_latency().percentile["50.000000"], 5);
    }

    #[test]
    fn the_keys_are_spelled_as_fio_spells_them() {
        let keys: Vec<_> = PERCENTILES.iter().map(|&at| key(at)).collect();
        assert_eq!(keys[..2], ["1.000000", "5.000000"]);
        assert_eq!(keys[12..], ["99.000000", "99.500000", "99.900000", "99.950000", "99.990000"]);
    }
}
