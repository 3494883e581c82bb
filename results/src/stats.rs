//! Medians, percentiles, deviations, and how sure one can be that two sets of samples differ.
//!
//! Invariants: order of the samples does not matter to [`median`], [`percentile`] and [`mad`]; the interval of
//! [`ratio_of_medians`] is a pure function of samples, resamples, level and seed, so that a comparison that failed a
//! gate fails it again when it is looked at; samples about which nothing can be said are an error and never a NaN.
//! Not here: which samples to compare, what difference is worth failing for (reports and gates decide).
//!
//! Why medians and a bootstrap: times on a busy machine have a long tail to one side, which moves a mean and breaks
//! the assumptions of a t-test. The bootstrap assumes only that samples are independent. It knows nothing of drift
//! (a machine that warms up), which interleaving the runs takes care of.

use dmlab_units::{Rng, Seed};

/// Resamples that give an interval whose ends are stable to about a hundredth of its width.
pub const BOOTSTRAP_RESAMPLES: u32 = 10_000;

/// With fewer samples than this, not even the range of all samples covers the median with 95 % confidence or close to
/// it (four samples: 87 %, five: 94 %), and an interval would pretend to know what it cannot.
pub const BOOTSTRAP_SAMPLES_MIN: usize = 5;

/// A multiple by which one set of samples differs from another, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioInterval {
    /// Median of the candidate over median of the baseline.
    pub ratio: f64,
    /// Lower end of the confidence interval.
    pub low: f64,
    /// Upper end of the confidence interval.
    pub high: f64,
    /// The confidence, e.g. 0.95.
    pub level: f64,
}

impl RatioInterval {
    /// Whether "no difference" lies outside of the interval.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// Why there is no ratio of medians.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RatioError {
    /// Too few samples on one side.
    #[error("{found} samples are too few for a confidence interval: measure at least {BOOTSTRAP_SAMPLES_MIN} times")]
    TooFew {
        /// How many there were.
        found: usize,
    },
    /// Too few rounds in which both sides were measured.
    #[error("{found} rounds are too few for a confidence interval: measure at least {rounds} rounds", rounds = crate::ROUNDS_MIN)]
    TooFewRounds {
        /// How many there were.
        found: usize,
    },
    /// A sample that is not a number, is infinite or negative, or a zero in the baseline.
    #[error("the sample {found} has no ratio: samples are finite and not negative, and those of the baseline not 0")]
    NoRatio {
        /// The sample.
        found: f64,
    },
}

/// The middle of the samples, or the mean of the middle two. `None` without samples or when one is not finite.
pub fn median(samples: &[f64]) -> Option<f64> {
    percentile(samples, 50.0)
}

/// The value below which `percent` of the samples lie, interpolated between neighbours (Hyndman and Fan's type 7, as R,
/// NumPy and spreadsheets do by default). `None` without samples or when one is not finite.
///
/// # Panics
/// When `percent` is not in 0 to 100.
pub fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    assert!((0.0..=100.0).contains(&percent), "{percent}");
    if samples.is_empty() || !samples.iter().all(|sample| sample.is_finite()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(percentile_of_sorted(&sorted, percent))
}

/// The median distance of the samples from their median: a spread that a few outliers do not move. Not scaled; for
/// samples from a normal distribution it is about 0.6745 standard deviations.
pub fn mad(samples: &[f64]) -> Option<f64> {
    let middle = median(samples)?;
    let distances: Vec<f64> = samples.iter().map(|sample| (sample - middle).abs()).collect();
    median(&distances)
}

/// Median of `candidate` over median of `baseline`, with a percentile-bootstrap confidence interval at `level` from
/// `resamples` resamples ([`BOOTSTRAP_RESAMPLES`] is a good number) drawn with `seed`.
///
/// # Errors
/// When there are too few samples, or samples of which there is no ratio.
///
/// # Panics
/// When `resamples` is 0 or `level` is not between 0 and 1.
pub fn ratio_of_medians(
    baseline: &[f64],
    candidate: &[f64],
    resamples: u32,
    level: f64,
    seed: Seed,
) -> Result<RatioInterval, RatioError> {
    assert!(resamples > 0);
    assert!(level > 0.0 && level < 1.0, "{level}");
    let fewest = baseline.len().min(candidate.len());
    if fewest < BOOTSTRAP_SAMPLES_MIN {
        return Err(RatioError::TooFew { found: fewest });
    }
    // A zero in the baseline would be the denominator of some resample.
    let unfit = |sample: f64, zero_is_fit: bool| !sample.is_finite() || sample < 0.0 || (sample == 0.0 && !zero_is_fit);
    let found = baseline
        .iter()
        .find(|&&sample| unfit(sample, false))
        .or_else(|| candidate.iter().find(|&&sample| unfit(sample, true)));
    if let Some(&found) = found {
        return Err(RatioError::NoRatio { found });
    }

    let sorted = |samples: &[f64]| {
        let mut samples = samples.to_vec();
        samples.sort_unstable_by(f64::total_cmp);
        samples
    };
    // Sorted first, so that the interval too does not depend on the order in which samples were taken.
    let (baseline, candidate) = (sorted(baseline), sorted(candidate));
    let ratio = percentile_of_sorted(&candidate, 50.0) / percentile_of_sorted(&baseline, 50.0);

    // Each side has its own stream: the draws of one do not depend on the size of the other.
    let mut baseline_rng = seed.derive("bootstrap.baseline").rng();
    let mut candidate_rng = seed.derive("bootstrap.candidate").rng();
    let mut drawn = Vec::new();
    let mut ratios: Vec<f64> = (0..resamples)
        .map(|_| {
            let below = resampled_median(&baseline, &mut baseline_rng, &mut drawn);
            resampled_median(&candidate, &mut candidate_rng, &mut drawn) / below
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let tail_percent = (1.0 - level) / 2.0 * 100.0;
    let low = percentile_of_sorted(&ratios, tail_percent);
    let high = percentile_of_sorted(&ratios, 100.0 - tail_percent);
    assert!(low <= high);
    Ok(RatioInterval { ratio, low, high, level })
}

/// The median of as many samples as there are, drawn with replacement.
fn resampled_median(sorted: &[f64], rng: &mut Rng, drawn: &mut Vec<usize>) -> f64 {
    let count = sorted.len();
    drawn.clear();
    drawn.extend((0..count).map(|_| rng.below(count as u64) as usize));
    // The samples are sorted, so ranks stand for them; selecting is linear where sorting is not.
    let (lower, &mut upper_middle, _) = drawn.select_nth_unstable(count / 2);
    if count % 2 == 1 {
        return sorted[upper_middle];
    }
    let lower_middle = *lower.iter().max().expect("an even count above zero has a lower half");
    f64::midpoint(sorted[lower_middle], sorted[upper_middle])
}

fn percentile_of_sorted(sorted: &[f64], percent: f64) -> f64 {
    let rank = percent / 100.0 * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = rank - below as f64;
    // Exact at a sample, and free of the rounding that a * (1 - s) + b * s has between equal samples.
    sorted[below] + (sorted[above] - sorted[below]) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Around `middle`, with a tail to the right, as times have.
    fn times(seed: u64, count: usize, middle: f64) -> Vec<f64> {
        let mut rng = Seed(seed).rng();
        let mut unit = || (rng.below(1 << 53) as f64 + 0.5) / (1_u64 << 53) as f64;
        (0..count).map(|_| middle * (0.9 + 0.1 * -unit().ln() / std::f64::consts::LN_2)).collect()
    }

    #[test]
    fn medians_and_percentiles_of_known_samples() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        // numpy.percentile([15, 20, 35, 40, 50], [0, 5, 30, 40, 95, 100])
        let samples = [50.0, 15.0, 40.0, 20.0, 35.0];
        for (percent, wanted) in [(0.0, 15.0), (5.0, 16.0), (30.0, 23.0), (40.0, 29.0), (95.0, 48.0), (100.0, 50.0)] {
            assert!((percentile(&samples, percent).unwrap() - wanted).abs() < 1e-9, "{percent}");
        }
    }

    #[test]
    fn nothing_is_said_about_no_samples_or_about_nan() {
        assert_eq!(median(&[]), None);
        assert_eq!(mad(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(percentile(&[1.0, f64::INFINITY], 99.0), None);
    }

    #[test]
    fn an_outlier_does_not_move_the_median_deviation() {
        // The example of every textbook: the distances from 2 are 1 1 0 0 2 4 7.
        assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
        assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9e9]), Some(1.0));
        assert_eq!(mad(&[5.0, 5.0, 5.0]), Some(0.0));
    }

    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        // Both sides are drawn around known medians; the true ratio is 1.25.
        let covered = (0..200)
            .filter(|&run| {
                let (baseline, candidate) = (times(run, 25, 100.0), times(1000 + run, 25, 125.0));
                let interval = ratio_of_medians(&baseline, &candidate, 500, 0.95, Seed(run)).unwrap();
                interval.low <= 1.25 && 1.25 <= interval.high
            })
            .count();
        assert!((180..=200).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn a_difference_is_seen_and_equality_is_not_called_one() {
        let baseline = times(1, 30, 100.0);
        let slower = ratio_of_medians(&baseline, &times(2, 30, 150.0), 2000, 0.95, Seed(3)).unwrap();
        assert!(slower.differs() && slower.low > 1.3 && slower.high < 1.7, "{slower:?}");
        let faster = ratio_of_medians(&baseline, &times(2, 30, 50.0), 2000, 0.95, Seed(3)).unwrap();
        assert!(faster.differs() && faster.high < 1.0, "{faster:?}");
        let same = ratio_of_medians(&baseline, &baseline, 2000, 0.95, Seed(3)).unwrap();
        assert!(!same.differs() && same.ratio == 1.0, "{same:?}");
    }

    #[test]
    fn the_interval_is_repeatable_by_its_seed_and_ignores_the_order_of_samples() {
        let (baseline, candidate) = (times(7, 12, 10.0), times(8, 9, 11.0));
        let ask = |baseline: &[f64], seed| ratio_of_medians(baseline, &candidate, 1000, 0.95, Seed(seed)).unwrap();
        let first = ask(&baseline, 42);
        let reversed: Vec<f64> = baseline.iter().rev().copied().collect();
        assert_eq!(first, ask(&baseline, 42));
        assert_eq!(first, ask(&reversed, 42));
        assert_ne!(first, ask(&baseline, 43));
    }

    #[test]
    fn a_golden_interval() {
        let baseline = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0];
        let candidate = [20.0, 21.0, 23.0, 24.0, 26.0, 28.0];
        let interval = ratio_of_medians(&baseline, &candidate, 1000, 0.95, Seed(42)).unwrap();
        let text = format!("{:.6} in {:.6} to {:.6}", interval.ratio, interval.low, interval.high);
        // Pinned: a gate that failed in one version of dmlab must not pass in the next by other luck.
        assert_eq!(text, "1.807692 in 1.464286 to 2.272727");
    }

    #[test]
    fn what_has_no_ratio_is_an_error_that_says_why() {
        let good = [1.0, 2.0, 3.0, 4.0, 5.0];
        let ask = |baseline: &[f64], candidate: &[f64]| ratio_of_medians(baseline, candidate, 10, 0.95, Seed(1));
        assert_eq!(ask(&good, &good[..4]), Err(RatioError::TooFew { found: 4 }));
        assert_eq!(ask(&[], &good), Err(RatioError::TooFew { found: 0 }));
        assert_eq!(ask(&[0.0, 1.0, 1.0, 1.0, 1.0], &good), Err(RatioError::NoRatio { found: 0.0 }));
        assert!(ask(&good, &[f64::NAN, 1.0, 1.0, 1.0, 1.0]).is_err());
        assert!(ask(&good, &[-1.0, 1.0, 1.0, 1.0, 1.0]).is_err());
        // A candidate that came to a standstill is a ratio, and a telling one.
        assert_eq!(ask(&good, &[0.0; 5]).unwrap().ratio, 0.0);
    }
}
