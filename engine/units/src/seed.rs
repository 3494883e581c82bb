//! [`Seed`] and [`Rng`]: all chance in dmlab comes from one 64-bit seed, split by name into sub-seeds.
//!
//! Invariants: the generator is frozen (a golden vector pins it), so that a seed written into a report means the
//! same for ever; sub-seeds depend on the seed and the name only, never on the order of asking.
//! Not here: cryptographic strength, distributions beyond the uniform one.

use std::fmt;
use std::str::FromStr;

use crate::ParseUnitError;

/// The one number that decides everything random in a run. Printed and parsed as a decimal number, or as `0x…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The sub-seed of a component, e.g. `seed.derive("load.writers")`.
    pub fn derive(self, name: &str) -> Self {
        Self(name.bytes().fold(mix(self.0 ^ 0x6A09_E667_F3BC_C909), |hash, byte| mix(hash ^ u64::from(byte))))
    }

    /// The sub-seed number `index`, e.g. of the index-th schedule of an exploration.
    pub const fn nth(self, index: u64) -> Self {
        Self(mix(self.0 ^ mix(index.wrapping_add(0x9E37_79B9_7F4A_7C15))))
    }

    /// A generator that starts at this seed.
    pub const fn rng(self) -> Rng {
        Rng(self.0)
    }

    /// Whether event number `event` happens, when `rate_ppb` of 10^9 do. A pure function of its arguments: this is
    /// how fault plans are drawn.
    pub const fn chance(self, event: u64, rate_ppb: u32) -> bool {
        self.nth(event).0 % 1_000_000_000 < rate_ppb as u64
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Seed {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.map(Self).map_err(|_| ParseUnitError { found: text.to_owned(), wanted: "a seed such as 42 or 0x2a" })
    }
}

/// SplitMix64: one 64-bit word of state, a full period, and good enough statistics for schedules and offsets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The next 64 random bits.
    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `0..bound`, uniform to within 2^-64.
    ///
    /// # Panics
    /// When `bound` is 0.
    #[inline]
    pub const fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0);
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }
}

/// SplitMix64's output function (a bijection on 64 bits).
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_frozen() {
        let mut rng = Seed(1234567).rng();
        // The first words of SplitMix64 from this state, as published with the algorithm.
        assert_eq!(
            [rng.next(), rng.next(), rng.next()],
            [6457827717110365317, 3203168211198807973, 9817491932198370423]
        );
    }

    #[test]
    fn sub_seeds_depend_on_the_name_alone() {
        assert_eq!(Seed(7).derive("load"), Seed(7).derive("load"));
        assert_ne!(Seed(7).derive("load"), Seed(7).derive("laod"));
        assert_ne!(Seed(7).derive("load"), Seed(8).derive("load"));
        assert_ne!(Seed(7).nth(0), Seed(7).nth(1));
    }

    #[test]
    fn a_chance_comes_true_about_as_often_as_asked() {
        let hits = (0..100_000).filter(|&event| Seed(3).chance(event, 250_000_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert!((0..1000).all(|event| Seed(3).chance(event, 1_000_000_000)));
        assert!((0..1000).all(|event| !Seed(3).chance(event, 0)));
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut rng = Seed(9).rng();
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[rng.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
    }

    #[test]
    fn seeds_are_read_in_both_bases() {
        assert_eq!("42".parse(), Ok(Seed(42)));
        assert_eq!("0x2a".parse(), Ok(Seed(42)));
        assert!("fortytwo".parse::<Seed>().is_err());
    }
}
