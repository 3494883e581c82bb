//! [`Nanos`]: durations, and instants as durations since the start of a run.
//!
//! Invariant: integer nanoseconds everywhere; text carries its unit (a bare number is refused, unless it is 0).

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;
use std::time::Duration;

use crate::{ParseUnitError, number_and_suffix};

/// A duration in nanoseconds, or an instant as the duration since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

const WANTED: &str = "a duration such as 500ns, 20us, 10ms, 5s or 2m";
const UNITS: [(&str, u64); 5] =
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000)];

impl Nanos {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// `count` milliseconds.
    pub const fn millis(count: u64) -> Self {
        Self(count * 1_000_000)
    }

    /// `count` seconds.
    pub const fn secs(count: u64) -> Self {
        Self(count * 1_000_000_000)
    }

    /// The same in seconds, for rates and reports.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `self - other`, or zero when `other` is later.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(nanos: Nanos) -> Self {
        Self::from_nanos(nanos.0)
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Nanos {
    /// The largest unit that is exact: `90s` and not `90000000000ns`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            UNITS[..4].iter().rev().find(|(_, factor)| self.0.is_multiple_of(*factor)).unwrap_or(&UNITS[0]);
        f.pad(&format!("{}{unit}", self.0 / factor))
    }
}

impl serde::Serialize for Nanos {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Nanos {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError { found: text.to_owned(), wanted: WANTED };
        let (number, suffix) = number_and_suffix(text).ok_or_else(error)?;
        if number == 0 && suffix.is_empty() {
            return Ok(Self::ZERO);
        }
        let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == suffix).ok_or_else(error)?;
        number.checked_mul(*factor).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!("10ms".parse(), Ok(Nanos::millis(10)));
        assert_eq!("0".parse(), Ok(Nanos::ZERO));
        assert!("10".parse::<Nanos>().is_err());
        assert!("1h".parse::<Nanos>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(nanos: u64) {
            prop_assert_eq!(Nanos(nanos).to_string().parse(), Ok(Nanos(nanos)));
        }
    }
}
