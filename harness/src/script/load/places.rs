//! [`Places`]: what a job's next I/O is: operation, first unit, how many units.
//!
//! A unit is the smallest block size; all sizes are multiples of it. A pass goes over the range once. Sequential patterns
//! and random ones with a map (all blocks of one size, and equally popular) meet every unit exactly once in a pass; mixed
//! sizes at random offsets, other distributions and `norandommap` draw with repetition.
//!
//! Invariants: an I/O lies within the range; operations and offsets are drawn from generators of their own, so that the
//! share of reads changes no offset.
//! Not here: carrying I/Os out (`job`), when they are due (`pace`).

use std::ops::Range;

use dmlab_scenarios::{BlockSizes, Distribution, IoOp, Load, Rw};
use dmlab_units::{Rng, Seed};

use super::distribution::Popular;
use super::permutation::Permutation;

/// One I/O of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What to do.
    pub op: IoOp,
    /// First unit, counted from the begin of the device.
    pub first: u64,
    /// How many.
    pub units: u64,
}

impl Place {
    pub(super) fn range(self) -> Range<u64> {
        self.first..self.first + self.units
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.first < other.first + other.units && other.first < self.first + self.units
    }
}

/// Where in its range a job is.
enum Walk {
    /// The next unit.
    Sequential(u64),
    /// Blocks of this pass in the order of a permutation, and how many of them are done.
    Mapped { pass: u64, done: u64, order: Permutation },
    /// Drawn.
    Drawn(Popular),
}

/// The I/Os of a job, one after the other.
pub(super) struct Places<'a> {
    load: &'a Load,
    range: Range<u64>,
    seed: Seed,
    offsets: Rng,
    operations: Rng,
    walk: Walk,
    /// Trimmed, and not yet written.
    trimmed: Option<Place>,
}

impl<'a> Places<'a> {
    /// The I/Os of a job on `range` (in units), which has room for the largest block.
    pub(super) fn new(load: &'a Load, range: Range<u64>, seed: Seed) -> Self {
        let unit = load.bs.min().0;
        let blocks = (range.end - range.start) * unit / load.bs.max().0;
        let one_size = matches!(load.bs, BlockSizes::One(_));
        let has_map = one_size && !load.norandommap && load.random_distribution == Distribution::Random;
        let walk = match (load.rw.is_random(), has_map) {
            (false, _) => Walk::Sequential(0),
            (true, true) => Walk::Mapped { pass: 0, done: 0, order: Permutation::new(blocks, seed.nth(0)) },
            (true, false) => {
                let room = range.end - range.start;
                Walk::Drawn(Popular::new(&load.random_distribution, room, seed.derive("popular")))
            }
        };
        let (offsets, operations) = (seed.derive("offsets").rng(), seed.derive("operations").rng());
        Self { load, range, seed, offsets, operations, walk, trimmed: None }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Place {
        if let Some(trimmed) = self.trimmed.take() {
            return Place { op: IoOp::Write, ..trimmed };
        }
        let op = self.operation();
        let (first, units) = self.place();
        let place = Place { op, first: self.range.start + first, units };
        if self.load.rw == Rw::TrimWrite {
            self.trimmed = Some(place);
        }
        place
    }

    fn operation(&mut self) -> IoOp {
        match self.load.rw {
            Rw::Read | Rw::RandRead => IoOp::Read,
            Rw::Write | Rw::RandWrite => IoOp::Write,
            Rw::Trim | Rw::RandTrim | Rw::TrimWrite => IoOp::Discard,
            Rw::ReadWrite | Rw::RandRw => {
                if self.operations.below(100) < u64::from(self.load.rwmixread) {
                    IoOp::Read
                } else {
                    IoOp::Write
                }
            }
        }
    }

    /// Units of the next block.
    fn units(&mut self) -> u64 {
        match &self.load.bs {
            BlockSizes::One(_) => 1,
            BlockSizes::Range(least, most) => 1 + self.offsets.below(most.0 / least.0),
            BlockSizes::Split(shares) => {
                let mut drawn = self.offsets.below(100);
                let found = shares.iter().find(|(_, share)| {
                    let share = u64::from(*share);
                    let hit = drawn < share;
                    drawn = drawn.saturating_sub(share);
                    hit
                });
                let (size, _) = found.expect("checked: shares come to 100");
                size.0 / self.load.bs.min().0
            }
        }
    }

    /// First unit within the range, and how many.
    fn place(&mut self) -> (u64, u64) {
        let room = self.range.end - self.range.start;
        let units = self.units();
        match &mut self.walk {
            Walk::Sequential(next) => {
                let first = *next;
                // What is left at the end of the range is one smaller block.
                let units = units.min(room - first);
                *next = (first + units) % room;
                (first, units)
            }
            Walk::Mapped { pass, done, order } => {
                if *done == room {
                    (*pass, *done) = (*pass + 1, 0);
                    *order = Permutation::new(room, self.seed.nth(*pass));
                }
                *done += 1;
                (order.at(*done - 1), 1)
            }
            Walk::Drawn(popular) => (popular.next(&mut self.offsets).min(room - units), units),
        }
    }
}

#[cfg(test)]
mod tests {
    use dmlab_scenarios::{Action, Document};

    use super::*;

    fn load(words: &str) -> Load {
        let head = "scenario: a\nabout: x\ndevices: { n: { null: 1GiB } }\nsteps:\n";
        let document = Document::parse("x", &format!("{head}  - load: {{ on: n, {words} }}\n")).unwrap();
        let scenario = document.scenario(&document.cells()[0]).unwrap_or_else(|found| panic!("{found}"));
        match scenario.steps.into_iter().next().unwrap().action {
            Action::Run(load) => *load,
            other => panic!("{other:?}"),
        }
    }

    fn all(words: &str, range: Range<u64>, count: usize) -> Vec<Place> {
        let load = load(words);
        let mut places = Places::new(&load, range, Seed(7));
        (0..count).map(|_| places.next()).collect()
    }

    /// How often each unit of the range is met.
    fn met(places: &[Place], range: Range<u64>) -> Vec<u32> {
        let mut met = vec![0; (range.end - range.start) as usize];
        places.iter().flat_map(|place| place.range()).for_each(|unit| met[(unit - range.start) as usize] += 1);
        met
    }

    #[test]
    fn sequential_and_mapped_passes_meet_every_block_exactly_once() {
        for rw in ["read", "write", "rw", "trim", "randread", "randwrite", "randrw", "randtrim"] {
            for passes in 1..=3 {
                let places = all(&format!("rw: {rw}"), 5..105, 100 * passes);
                assert!(met(&places, 5..105).iter().all(|met| *met == passes as u32), "{rw} {passes}");
            }
        }
    }

    #[test]
    fn sequential_passes_of_mixed_sizes_meet_every_unit_exactly_once() {
        for bs in ["bsrange: 4k-64k", "bssplit: 4k/10:8k/60:32k/30"] {
            let (load, mut units, mut places) = (load(&format!("rw: write, {bs}")), 0, Vec::new());
            let mut walk = Places::new(&load, 3..1003, Seed(1));
            while units < 1000 {
                places.push(walk.next());
                units += places.last().unwrap().units;
            }
            assert!(met(&places, 3..1003).iter().all(|met| *met == 1), "{bs}");
            assert!(places.iter().any(|place| place.units > 1) && places.iter().any(|place| place.units == 1));
        }
    }

    #[test]
    fn random_offsets_stay_in_the_range_and_another_pass_has_another_order() {
        for words in ["norandommap: true", "random_distribution: zipf:1.2", "bsrange: 4k-64k"] {
            let places = all(&format!("rw: randwrite, {words}"), 16..116, 5000);
            assert!(places.iter().all(|place| place.first >= 16 && place.range().end <= 116), "{words}");
        }
        let places = all("rw: randwrite", 0..64, 128);
        assert_ne!(places[..64], places[64..]);
        let repeated = met(&all("rw: randwrite, norandommap: true", 0..64, 64), 0..64);
        assert!(repeated.contains(&0) && repeated.iter().any(|met| *met > 1), "drawn with repetition");
    }

    #[test]
    fn shares_of_sizes_and_of_reads_are_as_asked() {
        let places = all("rw: randrw, rwmixread: 70, bssplit: 4k/20:8k/80", 0..1000, 20_000);
        let share = |fits: fn(&&Place) -> bool| places.iter().filter(fits).count() as f64 / 20_000.0;
        assert!((share(|place| place.op == IoOp::Read) - 0.7).abs() < 0.01);
        assert!((share(|place| place.units == 2) - 0.8).abs() < 0.01);
        let all_reads = all("rw: randrw, rwmixread: 100, bssplit: 4k/20:8k/80", 0..1000, 20_000);
        assert!(places.iter().zip(&all_reads).all(|(one, other)| one.range() == other.range()), "offsets are the same");
    }

    #[test]
    fn trimwrite_writes_what_it_has_trimmed() {
        let places = all("rw: trimwrite", 0..4, 8);
        let (trims, writes): (Vec<Place>, Vec<Place>) = places.iter().partition(|place| place.op == IoOp::Discard);
        assert!(trims.iter().map(|place| place.first).eq(0..4) && writes.iter().map(|place| place.first).eq(0..4));
        assert!(places.chunks(2).all(|pair| pair[0].op == IoOp::Discard && pair[1].op == IoOp::Write));
    }
}
