//! How much time a cell may take, and a sum of counters: two small things that scenarios bound.
//!
//! Not here: measuring (the harness).

use std::fmt;

use dmlab_units::Nanos;

use super::Relation;

/// How much time a cell may take; what is not said may take any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// All of it: on the clock of the run; of explored cells the search, in real time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall: Option<Nanos>,
    /// Each step that holds no others, on the clock of the run; nothing where the clock does not measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_step: Option<Nanos>,
}

impl Budget {
    /// Whether any time will do.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Two sums of counters and how they compare, written `punted_bios <= 2 * pool_waits + 1`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// What is compared.
    pub left: Vec<Term>,
    /// How.
    pub relation: Relation,
    /// With what.
    pub right: Vec<Term>,
}

/// A part of a sum: a number, a counter, or a multiple of one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Term {
    /// How often.
    pub factor: u64,
    /// Which counter; `None` is a number of its own.
    pub counter: Option<String>,
}

impl Comparison {
    /// The counters that it names, as often as it does.
    pub fn counters(&self) -> impl Iterator<Item = &str> {
        self.left.iter().chain(&self.right).filter_map(|term| term.counter.as_deref())
    }

    /// The two sums, with the counters' values from `value`; `None` if one has none. A sum beyond 128 bits is cut there.
    pub fn sums(&self, value: impl Fn(&str) -> Option<u64>) -> Option<(u128, u128)> {
        let sum = |terms: &[Term]| {
            terms.iter().try_fold(0_u128, |sum, term| {
                let times = term.counter.as_deref().map_or(Some(1), &value)?;
                Some(sum.saturating_add(u128::from(term.factor) * u128::from(times)))
            })
        };
        Some((sum(&self.left)?, sum(&self.right)?))
    }
}

/// As scenarios write it.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |terms: &[Term]| {
            let texts = terms.iter().map(|Term { factor, counter }| match (factor, counter) {
                (factor, None) => factor.to_string(),
                (1, Some(counter)) => counter.clone(),
                (factor, Some(counter)) => format!("{factor} * {counter}"),
            });
            texts.collect::<Vec<_>>().join(" + ")
        };
        write!(f, "{} {} {}", sum(&self.left), self.relation.sign(), sum(&self.right))
    }
}
