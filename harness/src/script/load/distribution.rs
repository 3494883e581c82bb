//! [`Popular`]: which block a random I/O goes to, where not all are equally popular.
//!
//! Zipf and Pareto decide how popular a block is, and a permutation which block that is, so that popular blocks lie
//! anywhere (fio hashes the ranks, which lets some blocks collide). A normal distribution is about the middle of the
//! range, zones lie one after the other.
//!
//! Invariants: every number is below the count of blocks; the same seed gives the same numbers on every machine (the
//! functions are libm's in Rust, not the system's).
//! Not here: uniform offsets (`places`), reading the words (the scenario language).

use dmlab_scenarios::Distribution;
use dmlab_units::{Rng, Seed};

use super::permutation::Permutation;

/// Bounds on trying again, where a drawn number is refused; a refusal has a chance of less than a half.
const TRIES_MAX: u32 = 64;

/// A distribution over some blocks.
pub(super) struct Popular {
    blocks: u64,
    kind: Kind,
    scatter: Permutation,
}

enum Kind {
    Uniform,
    Zipf(Zipf),
    /// Exponent of a uniform number.
    Pareto(f64),
    /// Standard deviation in blocks.
    Normal(f64),
    /// Ends of the zones: percent of the I/Os and percent of the blocks, summed up.
    Zoned(Vec<(u64, u64)>),
}

impl Popular {
    pub(super) fn new(distribution: &Distribution, blocks: u64, seed: Seed) -> Self {
        let kind = match distribution {
            Distribution::Random => Kind::Uniform,
            Distribution::Zipf(theta) => Kind::Zipf(Zipf::new(blocks, f64::from(*theta) / 1000.0)),
            Distribution::Pareto(share) => {
                let share = f64::from(*share) / 1000.0;
                Kind::Pareto(libm::log(share) / libm::log(1.0 - share))
            }
            Distribution::Normal(deviation) => Kind::Normal(f64::from(*deviation) / 100_000.0 * blocks as f64),
            Distribution::Zoned(zones) => {
                let mut end = (0, 0);
                let mut sum = |&(ios, size): &(u8, u8)| {
                    end = (end.0 + u64::from(ios), end.1 + u64::from(size));
                    end
                };
                Kind::Zoned(zones.iter().map(&mut sum).collect())
            }
        };
        Self { blocks, kind, scatter: Permutation::new(blocks, seed.derive("scatter")) }
    }

    /// The next block.
    pub(super) fn next(&self, rng: &mut Rng) -> u64 {
        let below = |number: f64| (number as u64).min(self.blocks - 1);
        match &self.kind {
            Kind::Uniform => rng.below(self.blocks),
            Kind::Zipf(zipf) => self.scatter.at(zipf.rank(rng) - 1),
            Kind::Pareto(exponent) => self.scatter.at(below(libm::pow(unit(rng), *exponent) * self.blocks as f64)),
            Kind::Normal(deviation) => {
                let middle = self.blocks as f64 / 2.0;
                let drawn = (0..TRIES_MAX).map(|_| middle + normal(rng) * deviation);
                let inside = |number: &f64| (0.0..self.blocks as f64).contains(number);
                below(drawn.into_iter().find(inside).unwrap_or(middle))
            }
            Kind::Zoned(ends) => {
                let drawn = rng.below(100);
                let zone = ends.iter().position(|(ios, _)| drawn < *ios).unwrap_or(ends.len() - 1);
                let place = |percent: u64| (u128::from(self.blocks) * u128::from(percent) / 100) as u64;
                let (begin, end) = (place(zone.checked_sub(1).map_or(0, |zone| ends[zone].1)), place(ends[zone].1));
                // Of a few blocks, a zone may have none to itself.
                if begin < end { begin + rng.below(end - begin) } else { begin.min(self.blocks - 1) }
            }
        }
    }
}

/// A number from 0 to below 1, of 53 bits.
pub(super) fn unit(rng: &mut Rng) -> f64 {
    (rng.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number of the standard normal distribution: Marsaglia's polar method.
fn normal(rng: &mut Rng) -> f64 {
    for _ in 0..TRIES_MAX {
        let (x, y) = (2.0 * unit(rng) - 1.0, 2.0 * unit(rng) - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * libm::sqrt(-2.0 * libm::log(square) / square);
        }
    }
    0.0
}

/// Ranks from 1, the n-th in proportion to n^-theta, by rejection-inversion (W. Hörmann, G. Derflinger, 1996): no table,
/// whatever the number of blocks.
struct Zipf {
    theta: f64,
    ranks: f64,
    first: f64,
    last: f64,
    accept: f64,
}

impl Zipf {
    fn new(ranks: u64, theta: f64) -> Self {
        let mut zipf = Self { theta, ranks: ranks as f64, first: 0.0, last: 0.0, accept: 0.0 };
        zipf.first = zipf.area(1.5) - 1.0;
        zipf.last = zipf.area(zipf.ranks + 0.5);
        zipf.accept = 2.0 - zipf.of_area(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    fn rank(&self, rng: &mut Rng) -> u64 {
        let mut rank = 1.0;
        for _ in 0..TRIES_MAX {
            let drawn = self.last + unit(rng) * (self.first - self.last);
            let place = self.of_area(drawn);
            rank = libm::floor(place + 0.5).clamp(1.0, self.ranks);
            if rank - place <= self.accept || drawn >= self.area(rank + 0.5) - self.height(rank) {
                break;
            }
        }
        rank as u64
    }

    fn height(&self, x: f64) -> f64 {
        libm::exp(-self.theta * libm::log(x))
    }

    /// The area under `height`, up to a constant.
    fn area(&self, x: f64) -> f64 {
        let log = libm::log(x);
        let exponent = (1.0 - self.theta) * log;
        // (e^y - 1) / y goes to 1 with y, and theta may be 1.
        let factor = if exponent.abs() > 1e-8 { libm::expm1(exponent) / exponent } else { 1.0 + exponent / 2.0 };
        factor * log
    }

    fn of_area(&self, area: f64) -> f64 {
        let product = (area * (1.0 - self.theta)).max(-1.0);
        let factor = if product.abs() > 1e-8 { libm::log1p(product) / product } else { 1.0 - product / 2.0 };
        libm::exp(factor * area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWN: usize = 200_000;

    fn counts(distribution: &Distribution, blocks: u64) -> Vec<u64> {
        let popular = Popular::new(distribution, blocks, Seed(11));
        let mut rng = Seed(5).rng();
        let mut counts = vec![0; blocks as usize];
        (0..DRAWN).for_each(|_| counts[popular.next(&mut rng) as usize] += 1);
        counts
    }

    /// The statistic for counts that were to come in proportion to `shares`.
    fn chi_square(counts: &[u64], shares: &[f64]) -> f64 {
        let (all, total): (f64, f64) = (shares.iter().sum(), counts.iter().sum::<u64>() as f64);
        let term = |(&count, share): (&u64, &f64)| {
            let wanted = total * share / all;
            (count as f64 - wanted).powi(2) / wanted
        };
        counts.iter().zip(shares).map(term).sum()
    }

    /// The value that 1 of 1000 statistics with so many degrees of freedom is above (Wilson and Hilferty).
    fn limit(freedom: f64) -> f64 {
        freedom * (1.0 - 2.0 / (9.0 * freedom) + 3.09 * (2.0 / (9.0 * freedom)).sqrt()).powi(3)
    }

    fn descending(mut counts: Vec<u64>) -> Vec<u64> {
        counts.sort_unstable_by(|one, two| two.cmp(one));
        counts
    }

    #[test]
    fn uniform_blocks_are_equally_popular_and_the_test_can_tell() {
        let counts = counts(&Distribution::Random, 100);
        assert!(chi_square(&counts, &[1.0; 100]) < limit(99.0));
        let slanted: Vec<f64> = (0..100).map(|block| 1.0 + f64::from(block) / 1000.0).collect();
        assert!(chi_square(&counts, &slanted) > limit(99.0), "a slant of a tenth is seen");
    }

    #[test]
    fn zipf_ranks_fall_with_the_power_of_theta() {
        for theta in [500, 990, 1000, 1200, 2500] {
            let zipf = Zipf::new(50, f64::from(theta) / 1000.0);
            let mut rng = Seed(3).rng();
            let mut counts = vec![0_u64; 50];
            (0..DRAWN).for_each(|_| counts[zipf.rank(&mut rng) as usize - 1] += 1);
            let shares = |theta: f64| (1..=50).map(|rank| f64::from(rank).powf(-theta)).collect::<Vec<_>>();
            let theta = f64::from(theta) / 1000.0;
            assert!(chi_square(&counts, &shares(theta)) < limit(49.0), "theta {theta}");
            assert!(chi_square(&counts, &shares(theta + 0.05)) > limit(49.0), "theta {theta}: not another one");
        }
    }

    #[test]
    fn zipf_scatters_popular_blocks_and_loses_none() {
        let counts = counts(&Distribution::Zipf(1200), 64);
        assert!(counts.iter().all(|count| *count > 0));
        assert!(!counts.is_sorted_by(|one, two| one >= two), "popular blocks lie anywhere");
        let shares: Vec<f64> = (1..=64).map(|rank| f64::from(rank).powf(-1.2)).collect();
        assert!(chi_square(&descending(counts), &shares) < 2.0 * limit(63.0), "sorting makes it a little larger");
    }

    #[test]
    fn pareto_gives_the_popular_share_the_rest_of_the_ios() {
        let counts = descending(counts(&Distribution::Pareto(200), 1000));
        let popular: u64 = counts.iter().take(200).sum();
        let share = popular as f64 / DRAWN as f64;
        assert!((0.795..0.805).contains(&share), "{share}");
    }

    #[test]
    fn normal_lies_around_the_middle() {
        let counts = counts(&Distribution::Normal(10_000), 1000);
        let within = |blocks: usize| counts[500 - blocks..500 + blocks].iter().sum::<u64>() as f64 / DRAWN as f64;
        // The shares within one, two and three deviations.
        for (deviations, share) in [(1, 0.6827), (2, 0.9545), (3, 0.9973)] {
            let found = within(deviations * 100);
            assert!((found - share).abs() < 0.005, "{deviations}: {found}");
        }
    }

    #[test]
    fn zones_get_their_shares() {
        let zones = vec![(60, 10), (30, 20), (10, 70)];
        let counts = counts(&Distribution::Zoned(zones), 100);
        let sums = [&counts[..10], &counts[10..30], &counts[30..]].map(|zone| zone.iter().sum::<u64>());
        assert!(chi_square(&sums, &[60.0, 30.0, 10.0]) < limit(2.0), "{sums:?}");
        assert!(chi_square(&counts[..10], &[1.0; 10]) < limit(9.0));
    }

    #[test]
    fn a_few_blocks_are_enough_for_any_of_them() {
        let zones = Distribution::Zoned(vec![(50, 1), (50, 99)]);
        let all = [zones, Distribution::Zipf(10_000), Distribution::Pareto(999), Distribution::Normal(1)];
        for distribution in &all {
            for blocks in [1, 2, 3] {
                let popular = Popular::new(distribution, blocks, Seed(1));
                let mut rng = Seed(2).rng();
                assert!((0..1000).all(|_| popular.next(&mut rng) < blocks), "{distribution:?} of {blocks}");
            }
        }
    }
}
