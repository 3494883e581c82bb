//! [`Pace`]: when a job's I/Os are due.
//!
//! Invariant: due times depend on the rate, the seed and what was issued, never on how long I/Os take, so that a device
//! that falls behind is seen to (latency counts from the due time).
//! Not here: waiting until then (`job`).

use dmlab_scenarios::Rate;
use dmlab_units::{Nanos, Rng, Seed};

use super::distribution::unit;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// Due times, one after the other.
pub(super) struct Pace {
    rate: Rate,
    rng: Rng,
    ios: u64,
    bytes: u64,
    /// Of a Poisson process: when the last one was due, in ns.
    last: f64,
}

impl Pace {
    pub(super) fn new(rate: Rate, seed: Seed) -> Self {
        Self { rate, rng: seed.derive("pace").rng(), ios: 0, bytes: 0, last: 0.0 }
    }

    /// When the next I/O is due, counted from the begin of the job; it has so many bytes.
    pub(super) fn due(&mut self, bytes: u64) -> Nanos {
        let even = |count: u64, per_second: u64| u128::from(count) * NANOS_PER_SEC / u128::from(per_second);
        let due = match self.rate {
            Rate::Bytes(rate) => even(self.bytes, rate.0),
            Rate::Ios(rate) => even(self.ios, u64::from(rate)),
            Rate::Poisson(rate) => {
                // Gaps of a Poisson process are exponential.
                self.last -= libm::log(1.0 - unit(&mut self.rng)) * NANOS_PER_SEC as f64 / f64::from(rate);
                self.last as u128
            }
        };
        self.ios += 1;
        self.bytes += bytes;
        Nanos(u64::try_from(due).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use dmlab_units::Bytes;

    use super::*;

    fn dues(rate: Rate, count: usize) -> Vec<u64> {
        let mut pace = Pace::new(rate, Seed(9));
        (0..count).map(|_| pace.due(4096).0).collect()
    }

    #[test]
    fn even_rates_are_exact() {
        assert_eq!(dues(Rate::Ios(1000), 4), [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(dues(Rate::Bytes(Bytes(8192)), 3), [0, 500_000_000, 1_000_000_000]);
        let far = dues(Rate::Ios(3), 3_000_001);
        assert_eq!(far.last(), Some(&1_000_000_000_000_000), "no rounding adds up");
    }

    #[test]
    fn a_poisson_process_has_the_rate_and_exponential_gaps() {
        const COUNT: usize = 100_000;
        let dues = dues(Rate::Poisson(1000), COUNT);
        let mean = *dues.last().unwrap() as f64 / COUNT as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.01, "{mean}");
        let gaps: Vec<f64> = dues.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        // An exponential distribution deviates by its mean, and 1 - 1/e of it lies below the mean.
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((deviation / mean - 1.0).abs() < 0.02, "{deviation}");
        let below = gaps.iter().filter(|gap| **gap < mean).count() as f64 / gaps.len() as f64;
        assert!((below - 0.6321).abs() < 0.01, "{below}");
    }

    #[test]
    fn a_seed_decides_a_poisson_process() {
        assert_eq!(dues(Rate::Poisson(10), 50), dues(Rate::Poisson(10), 50));
        let mut other = Pace::new(Rate::Poisson(10), Seed(10));
        assert_ne!(dues(Rate::Poisson(10), 1)[0], other.due(512).0);
    }
}
