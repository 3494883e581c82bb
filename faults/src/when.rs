//! [`When`]: which of a numbered stream of events fail.
//!
//! Invariants: pure; events are numbered from 0; `Always` is the only plan that is known never to end by itself.

use dmlab_units::Seed;

/// Which events of a stream fail.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Every event.
    Always,
    /// Each event by itself with this probability, in parts per 10^9.
    Rate {
        /// Parts per 10^9, at most 10^9.
        ppb: u32,
    },
    /// The events with these numbers (from 1, as people count them), sorted.
    Nth(Vec<u64>),
    /// Every n-th event: n, 2n, 3n, …
    Every(u64),
}

impl When {
    /// Whether event number `event` (from 0) fails under `seed`.
    pub fn fails(&self, seed: Seed, event: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Rate { ppb } => seed.chance(event, *ppb),
            Self::Nth(numbers) => numbers.binary_search(&(event + 1)).is_ok(),
            Self::Every(n) => (event + 1).is_multiple_of(*n),
        }
    }

    /// Whether no later event can succeed: then waiting for one is waiting for ever.
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Always | Self::Rate { ppb: 1_000_000_000 } | Self::Every(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(when: &When, events: u64) -> Vec<u64> {
        (0..events).filter(|&event| when.fails(Seed(5), event)).collect()
    }

    #[test]
    fn people_count_from_one() {
        assert_eq!(failing(&When::Nth(vec![1, 4]), 8), [0, 3]);
        assert_eq!(failing(&When::Every(3), 9), [2, 5, 8]);
    }

    #[test]
    fn a_rate_is_drawn_per_event_and_repeatable() {
        let half = When::Rate { ppb: 500_000_000 };
        assert_eq!(failing(&half, 100), failing(&half, 100));
        assert!((30..70).contains(&failing(&half, 100).len()));
        assert!(failing(&When::Rate { ppb: 0 }, 1000).is_empty());
    }

    #[test]
    fn only_plans_without_end_are_permanent() {
        assert!(When::Always.is_permanent());
        assert!(When::Rate { ppb: 1_000_000_000 }.is_permanent());
        assert!(When::Every(1).is_permanent());
        assert!(!When::Rate { ppb: 999_999_999 }.is_permanent());
        assert!(!When::Nth(vec![1]).is_permanent());
    }
}
