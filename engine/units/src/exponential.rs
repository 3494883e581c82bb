//! [`Rng::exponential`]: draws that have no memory, for service times and arrivals.
//!
//! Invariant: integers only, so that a seed gives the same draws on every machine; no logarithm of the platform's
//! library, whose last digits differ.

use crate::Rng;

/// ln 2, in parts of 2^32.
const LN_2: u64 = 2_977_044_472;
/// Digits behind the point of the logarithm.
const FRACTION_BITS: u32 = 32;

impl Rng {
    /// A draw from the exponential distribution with this mean, rounded down; at most 64 ln 2 (some 44) times the mean.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let natural = (u128::from(minus_log2(self.next())) * u128::from(LN_2)) >> FRACTION_BITS;
        u64::try_from((u128::from(mean) * natural) >> FRACTION_BITS).unwrap_or(u64::MAX)
    }
}

/// `-log2((word + 1) / 2^64)`, in parts of 2^32.
fn minus_log2(word: u64) -> u64 {
    let x = u128::from(word) + 1;
    let whole = x.ilog2();
    // From 1 to below 2, in parts of 2^63; squaring it doubles the logarithm, whose next digit is then before the point.
    let mut mantissa = (x << 63) >> whole;
    let mut log = u64::from(whole);
    for _ in 0..FRACTION_BITS {
        mantissa = (mantissa * mantissa) >> 63;
        let digit = mantissa >> 64;
        mantissa >>= digit;
        log = log << 1 | digit as u64;
    }
    (64 << FRACTION_BITS) - log
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn the_logarithm_is_that_of_floating_point_to_nine_digits() {
        for word in [0, 1, 2, 1000, u64::MAX / 3, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let exact = 64.0 - (word as f64 + 1.0).log2();
            let found = minus_log2(word) as f64 / f64::from(FRACTION_BITS).exp2();
            assert!((found - exact).abs() < 1e-9, "{word}: {found} {exact}");
        }
    }

    #[test]
    fn the_mean_and_the_spread_are_those_of_the_distribution() {
        let draws: Vec<u64> = (0..100_000).map(|n| Seed(4).nth(n).rng().exponential(1_000_000)).collect();
        let mean = draws.iter().sum::<u64>() / 100_000;
        assert!((990_000..1_010_000).contains(&mean), "{mean}");
        // One in e outlives the mean, and one in e² twice of it.
        let beyond = |time| draws.iter().filter(|&&draw| draw > time).count();
        assert!((36_288..37_288).contains(&beyond(1_000_000)), "{}", beyond(1_000_000));
        assert!((13_033..14_033).contains(&beyond(2_000_000)), "{}", beyond(2_000_000));
    }

    #[test]
    fn the_draws_are_frozen() {
        let draws: Vec<u64> = (0..4).map(|n| Seed(1).nth(n).rng().exponential(100_000)).collect();
        assert_eq!(draws, [64_902, 202_927, 126_696, 187_124]);
    }

    #[test]
    fn no_mean_is_no_time_and_no_draw_overflows() {
        assert_eq!(Seed(1).rng().exponential(0), 0);
        assert!((0..1000).all(|n| Seed(2).nth(n).rng().exponential(u64::MAX) > 0));
    }
}
