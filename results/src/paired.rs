//! [`ratio_of_rounds`]: how much faster a candidate is than a baseline that was measured beside it in every round.
//!
//! Rounds are pairs: what slows a whole round down (another program, a warm machine, a change of frequency) is in both
//! of its figures and not in their ratio. So the ratio is taken within each round, and the interval is about the median
//! of these ratios. Its ends are two of the ratios themselves, chosen so that the median of all rounds there could be
//! lies outside with at most 5 % probability, whatever the distribution: each ratio lies above it or below like a coin
//! falls (Thompson 1936, the sign test turned round). Nothing is drawn at random, so there is no seed.
//!
//! Invariants: a pure function of the rounds, in any order; what has no ratio is an error and never a NaN.
//! Not here: rounds that depend on each other. A drift that goes on through the rounds is taken care of by who
//! interleaves and turns the order round; nothing can mend figures that were taken one block after the other.

use crate::{RatioError, RatioInterval, median};

/// With fewer rounds not even all of them together are sure to 95 %.
pub const ROUNDS_MIN: usize = 6;
/// More rounds than anybody has time for.
pub const ROUNDS_MAX: usize = 1000;
/// The least confidence of an interval.
const LEVEL: f64 = 0.95;

/// The ratio `candidate / baseline` of each round, its median over all rounds, and the interval that holds the true
/// median with at least 95 % confidence. The level of the result is the confidence that the number of rounds gives.
///
/// # Errors
/// When there are fewer than [`ROUNDS_MIN`] rounds, or a figure that has no ratio.
///
/// # Panics
/// When the two sides have not the same number of rounds, or more than [`ROUNDS_MAX`].
pub fn ratio_of_rounds(baseline: &[f64], candidate: &[f64]) -> Result<RatioInterval, RatioError> {
    assert_eq!(baseline.len(), candidate.len(), "rounds are pairs");
    assert!(baseline.len() <= ROUNDS_MAX);
    if baseline.len() < ROUNDS_MIN {
        return Err(RatioError::TooFewRounds { found: baseline.len() });
    }
    let unfit = |sample: &&f64, zero: bool| !sample.is_finite() || **sample < 0.0 || (**sample == 0.0 && !zero);
    let found = baseline.iter().find(|s| unfit(s, false)).or_else(|| candidate.iter().find(|s| unfit(s, true)));
    if let Some(&found) = found {
        return Err(RatioError::NoRatio { found });
    }
    let mut ratios: Vec<f64> =
        candidate.iter().zip(baseline).map(|(candidate, baseline)| candidate / baseline).collect();
    if let Some(&found) = ratios.iter().find(|ratio| !ratio.is_finite()) {
        return Err(RatioError::NoRatio { found });
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let (outside, level) = outside(ratios.len());
    let ratio = median(&ratios).expect("there are rounds, and all ratios are finite");
    Ok(RatioInterval { ratio, low: ratios[outside], high: ratios[ratios.len() - 1 - outside], level })
}

/// How many of `rounds` sorted ratios may be left out at each end, and the confidence of what is left.
fn outside(rounds: usize) -> (usize, f64) {
    // How likely at most `left_out` of the coins show heads, summed from none up.
    let mut chance = 0.5_f64.powi(rounds as i32);
    let mut at_most = chance;
    let mut left_out = 0;
    loop {
        let next = chance * (rounds - left_out) as f64 / (left_out + 1) as f64;
        if 2.0 * (at_most + next) > 1.0 - LEVEL {
            return (left_out, 1.0 - 2.0 * at_most);
        }
        chance = next;
        at_most += next;
        left_out += 1;
    }
}

#[cfg(test)]
mod tests {
    use dmlab_units::{Rng, Seed};

    use super::*;

    fn unit(rng: &mut Rng) -> f64 {
        (rng.below(1 << 53) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A figure around `middle` with a long tail to the right.
    fn sample(rng: &mut Rng, middle: f64) -> f64 {
        middle * (0.9 + 0.1 * -unit(rng).ln() / std::f64::consts::LN_2)
    }

    /// Rounds on a machine whose speed wanders by a factor of two, `truth` apart.
    fn rounds(seed: u64, count: usize, truth: f64) -> (Vec<f64>, Vec<f64>) {
        let mut rng = Seed(seed).rng();
        (0..count)
            .map(|_| {
                let speed = 100.0 * (1.0 + unit(&mut rng));
                (sample(&mut rng, speed), sample(&mut rng, speed * truth))
            })
            .unzip()
    }

    fn covered(runs: u64, truth: f64, asked: f64) -> usize {
        (0..runs)
            .filter(|&run| {
                let (baseline, candidate) = rounds(run, 12, truth);
                let interval = ratio_of_rounds(&baseline, &candidate).unwrap();
                interval.low <= asked && asked <= interval.high
            })
            .count()
    }

    #[test]
    fn the_interval_covers_the_truth_at_least_as_often_as_it_says() {
        // Both tails are alike, so that the median of the ratios is the ratio of the medians. 96.1 % of 2000 is 1922.
        let found = covered(2000, 1.25, 1.25);
        assert!((1890..=1960).contains(&found), "{found} of 2000");
    }

    #[test]
    fn the_interval_does_not_cover_what_is_not_true() {
        let found = covered(2000, 1.5, 1.0);
        assert!(found < 20, "{found} of 2000 cover a ratio that is not there");
    }

    #[test]
    fn figures_taken_one_block_after_the_other_on_a_drifting_machine_do_not_cover_the_truth() {
        // The same machine gets slower by a third while it measures; there is no difference between the two.
        let drifting = |interleaved: bool| {
            (0..200)
                .filter(|&run| {
                    let mut rng = Seed(run).rng();
                    let mut speed = |moment: usize| sample(&mut rng, 100.0 * (1.0 - moment as f64 / 72.0));
                    let (mut baseline, mut candidate) = (Vec::new(), Vec::new());
                    for round in 0..12 {
                        // Turned round in every second round, as `dmlab compare` does.
                        let turned = usize::from(round % 2 == 1);
                        let (a, b) = if interleaved {
                            (2 * round + turned, 2 * round + 1 - turned)
                        } else {
                            (round, 12 + round)
                        };
                        baseline.push(speed(a));
                        candidate.push(speed(b));
                    }
                    let interval = ratio_of_rounds(&baseline, &candidate).unwrap();
                    interval.low <= 1.0 && 1.0 <= interval.high
                })
                .count()
        };
        assert!(drifting(true) >= 185, "{}", drifting(true));
        assert!(drifting(false) <= 100, "{}", drifting(false));
    }

    #[test]
    fn what_slows_a_whole_round_down_is_not_in_the_interval() {
        let (baseline, candidate) = rounds(1, 20, 2.0);
        let paired = ratio_of_rounds(&baseline, &candidate).unwrap();
        let alone = crate::ratio_of_medians(&baseline, &candidate, 2000, LEVEL, Seed(1)).unwrap();
        assert!(paired.high - paired.low < alone.high - alone.low, "{paired:?} {alone:?}");
    }

    #[test]
    fn the_ends_are_those_of_the_tables_of_the_sign_test() {
        // Conover, Practical Nonparametric Statistics: the widest pair of ranks with at least 95 %.
        for (rounds, left_out, percent) in [(6, 0, 96.9), (8, 0, 99.2), (9, 1, 96.1), (12, 2, 96.1), (20, 5, 95.9)] {
            let (found, level) = outside(rounds);
            assert_eq!((found, (level * 1000.0).round() / 10.0), (left_out, percent), "{rounds} rounds");
        }
        for rounds in ROUNDS_MIN..=ROUNDS_MAX {
            let (left_out, level) = outside(rounds);
            assert!(2 * left_out < rounds && (LEVEL..1.0).contains(&level), "{rounds}: {left_out} {level}");
        }
    }

    #[test]
    fn the_order_of_rounds_makes_no_difference() {
        let (baseline, candidate) = rounds(3, 9, 1.1);
        let reversed = |side: &[f64]| side.iter().rev().copied().collect::<Vec<f64>>();
        assert_eq!(
            ratio_of_rounds(&baseline, &candidate),
            ratio_of_rounds(&reversed(&baseline), &reversed(&candidate))
        );
    }

    #[test]
    fn what_has_no_ratio_is_an_error_that_says_why() {
        let good = [1.0; 6];
        assert_eq!(ratio_of_rounds(&good[..5], &good[..5]), Err(RatioError::TooFewRounds { found: 5 }));
        let mut zero = good;
        zero[2] = 0.0;
        assert_eq!(ratio_of_rounds(&zero, &good), Err(RatioError::NoRatio { found: 0.0 }));
        assert_eq!(ratio_of_rounds(&good, &[0.0; 6]).unwrap().ratio, 0.0);
        assert!(ratio_of_rounds(&good, &[f64::NAN; 6]).is_err() && ratio_of_rounds(&good, &[-1.0; 6]).is_err());
        assert!(ratio_of_rounds(&[1e-300; 6], &[1e300; 6]).is_err());
    }
}
