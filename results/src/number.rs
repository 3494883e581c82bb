//! [`Number`]: a float that JSON can carry.
//!
//! Invariants: finite, never `-0.0`, and rounded to a thousandth, which is finer than anything that is measured here
//! and keeps noise digits out of records that are compared byte by byte.
//! Not here: formatting for people (`human`).
//!
//! Why a type: serde_json writes NaN and infinity as `null`, without an error, and the record can then not be read
//! again. With this type the one place that divides has to say what it means.

use serde::{Deserialize, Deserializer, Serialize};

/// A finite number with at most three decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Number(f64);

/// From here on a float has no thousandths left to round, and multiplying by a thousand might overflow.
const ROUNDED_BELOW: f64 = (1_u64 << 52) as f64;

impl Number {
    /// Nothing, or a rate over no time.
    pub const ZERO: Self = Self(0.0);

    /// `value` rounded to a thousandth, or `None` when it is not finite.
    pub fn new(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let rounded = if value.abs() < ROUNDED_BELOW { (value * 1000.0).round() / 1000.0 } else { value };
        // Adding positive zero turns -0.0, which JSON would print with its sign, into 0.0.
        Some(Self(rounded + 0.0))
    }

    /// `amount` per second over `elapsed_ns` nanoseconds; zero when no time has passed.
    pub fn per_second(amount: u64, elapsed_ns: u64) -> Self {
        if elapsed_ns == 0 {
            return Self::ZERO;
        }
        Self::new(amount as f64 * 1e9 / elapsed_ns as f64).expect("64-bit integers over a positive one are finite")
    }

    /// The float itself.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| serde::de::Error::custom("a number that is not finite"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Number::new(value), None);
        }
        assert!(serde_json::from_str::<Number>("1e999").is_err());
        assert!(serde_json::from_str::<Number>("null").is_err());
    }

    #[test]
    fn thousandths_are_kept_and_finer_digits_dropped() {
        assert_eq!(Number::new(0.1 + 0.2).unwrap().get(), 0.3);
        assert_eq!(Number::new(12.345_678).unwrap().get(), 12.346);
        assert_eq!(Number::new(1e300).unwrap().get(), 1e300);
        assert_eq!(serde_json::to_string(&Number::new(-0.000_01).unwrap()).unwrap(), "0.0");
    }

    #[test]
    fn a_rate_over_no_time_is_zero() {
        assert_eq!(Number::per_second(5, 0), Number::ZERO);
        assert_eq!(Number::per_second(0, 0), Number::ZERO);
        assert_eq!(Number::per_second(500, 250_000_000).get(), 2000.0);
        assert!(Number::per_second(u64::MAX, 1).get().is_finite());
    }

    #[test]
    fn a_number_reads_back_as_written() {
        let mut rng = dmlab_units::Seed(5).rng();
        for _ in 0..10_000 {
            let number = Number::new(rng.next() as f64 / rng.below(1 << 40).max(1) as f64).unwrap();
            let text = serde_json::to_string(&number).unwrap();
            assert_eq!(serde_json::from_str::<Number>(&text).unwrap(), number, "{text}");
        }
    }
}
