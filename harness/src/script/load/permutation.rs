//! [`Permutation`]: the numbers below a bound in an order that a seed decides, one after the other, without a list.
//!
//! Invariant: every number comes exactly once.
//! Not here: what is numbered.

use dmlab_units::Seed;

/// Rounds of the network; three make a permutation look random, one more is cheap.
const ROUNDS: u64 = 4;

/// A Feistel network over the next power of four, walked until it lands below the bound.
pub(super) struct Permutation {
    bound: u64,
    half_bits: u32,
    seed: Seed,
}

impl Permutation {
    /// Of `0..bound`.
    pub(super) fn new(bound: u64, seed: Seed) -> Self {
        let bits = u64::BITS - bound.saturating_sub(1).leading_zeros();
        Self { bound, half_bits: bits.div_ceil(2).max(1), seed }
    }

    /// The number at `place`, both below the bound.
    pub(super) fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.bound);
        let mut number = self.once(place);
        // The network permutes fewer than four times the bound: the walk is short, and comes back to below the bound.
        while number >= self.bound {
            number = self.once(number);
        }
        number
    }

    fn once(&self, number: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (self.seed.nth(right << 2 | round).0 & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_exactly_once() {
        for bound in (1..70).chain([1000, 1024, 4097]) {
            let permutation = Permutation::new(bound, Seed(bound));
            let mut seen: Vec<u64> = (0..bound).map(|place| permutation.at(place)).collect();
            let in_order = seen.is_sorted();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..bound), "{bound}");
            assert!(bound < 10 || !in_order, "{bound}");
        }
    }

    #[test]
    fn another_seed_is_another_order() {
        let order = |seed| (0..100).map(|place| Permutation::new(100, Seed(seed)).at(place)).collect::<Vec<_>>();
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
