//! [`When`]: which of a numbered stream of events fail.
//!
//! Invariants: pure; events are numbered from 0; a plan that leaves the choice open ([`When::Any`]) never lets more
//! events fail than its budget, whoever chooses.
//! Not here: a search's choices for open plans (the harness, by [`When::open`]).

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
    /// Any of the events, as whoever searches chooses, but no more than the budget. Where nobody searches, each event is
    /// drawn from the seed, one in two, until the budget is used.
    Any {
        /// The budget: so many fail at most.
        at_most: u32,
    },
}

/// One in two, in parts per 10^9.
const HALF: u32 = 500_000_000;

impl When {
    /// Whether event number `event` (from 0) fails under `seed`.
    pub fn fails(&self, seed: Seed, event: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Rate { ppb } => seed.chance(event, *ppb),
            Self::Nth(numbers) => numbers.binary_search(&(event + 1)).is_ok(),
            Self::Every(n) => (event + 1).is_multiple_of(*n),
            Self::Any { at_most } => seed.chance(event, HALF) && !is_used_up(*at_most, seed, event),
        }
    }

    /// The budget of a plan that leaves open which events fail; `None` where the plan itself decides.
    pub const fn open(&self) -> Option<u32> {
        match self {
            Self::Any { at_most } => Some(*at_most),
            Self::Always | Self::Rate { .. } | Self::Nth(_) | Self::Every(_) => None,
        }
    }

    /// Whether no later event can succeed: then waiting for one is waiting for ever.
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Always | Self::Rate { ppb: 1_000_000_000 } | Self::Every(1))
    }
}

/// Whether the draws before `event` have used the budget. Half of the draws hit, so about twice the budget is looked at,
/// however many events there are.
fn is_used_up(at_most: u32, seed: Seed, event: u64) -> bool {
    let earlier = (0..event).filter(|&earlier| seed.chance(earlier, HALF));
    earlier.take(at_most as usize).count() == at_most as usize
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
        assert!(!When::Any { at_most: u32::MAX }.is_permanent());
    }

    #[test]
    fn an_open_plan_draws_until_its_budget_is_used_and_no_further() {
        let drawn = failing(&When::Rate { ppb: HALF }, 1000);
        for at_most in [0, 1, 2, 7, 100] {
            let found = failing(&When::Any { at_most }, 1000);
            assert_eq!(found, drawn[..at_most as usize], "the same draws as half of all, the first {at_most} of them");
        }
        let firsts: Vec<bool> = (0..100).map(|seed| When::Any { at_most: 1 }.fails(Seed(seed), 0)).collect();
        assert!(firsts.contains(&true) && firsts.contains(&false), "the seed decides");
    }

    #[test]
    fn only_an_open_plan_leaves_the_choice_to_a_search() {
        assert_eq!(When::Any { at_most: 3 }.open(), Some(3));
        for decided in [When::Always, When::Rate { ppb: 1 }, When::Nth(vec![1]), When::Every(2)] {
            assert_eq!(decided.open(), None, "{decided:?}");
        }
    }
}
