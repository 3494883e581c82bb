//! [`Lines`]: a flat table of short runs of chunks in which a look-up touches one line of the CPU's cache.
//!
//! A line of 64 bytes has seven entries. The line of an entry follows from its chunk's number without the lowest three
//! bits, its *block*, so that a run that stays within a block is found by each of its chunks; where that line is full, the
//! entry stands in the next one with room, and each line on the way counts it: a look-up goes on only behind a line that
//! something has passed. Lines are numbered in the order of the hash, so that a table that grows is copied from front to
//! back.
//!
//! Invariants: an entry lies within one block; the entries of a line are its first ones, in no order; between an entry and
//! its own line every line counts it as passed; at most three quarters of all places are taken, so that there is always room.
//! Not here: which chunks make a run, numbers beyond 32 bits ([`super::tables`]).

/// Bits of a chunk's number within its block.
const BLOCK_BITS: u32 = 3;
const PER_LINE: usize = 7;
/// Of the places, so many quarters are taken at most.
const FULL_QUARTERS: usize = 3;
/// A line that so many have passed no longer counts, until the table grows.
const PASSED_MAX: u8 = 31;

/// A run of chunks within a block, which may be part of a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Its first chunk.
    pub(super) first: u32,
    /// Where that one went; the others follow.
    pub(super) place: u32,
    /// Chunks after the first.
    pub(super) further: u8,
    /// Whether the run goes on in the block before, and in the block behind.
    pub(super) goes_on: [bool; 2],
}

impl Entry {
    /// Its last chunk.
    pub(super) fn last(self) -> u32 {
        self.first + u32::from(self.further)
    }

    /// Where that one went.
    pub(super) fn last_place(self) -> u32 {
        self.place + u32::from(self.further)
    }

    fn bits(self) -> u8 {
        self.further | u8::from(self.goes_on[0]) << 6 | u8::from(self.goes_on[1]) << 7
    }
}

/// `further` in an entry's bits.
const FURTHER: u8 = (1 << BLOCK_BITS) - 1;

/// Where an entry stands: its line, and the place in it. Good until something is inserted or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(usize, usize);

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line {
    firsts: [u32; PER_LINE],
    places: [u32; PER_LINE],
    bits: [u8; PER_LINE],
    /// How many entries there are, and above them how many have passed.
    state: u8,
}

impl Line {
    const EMPTY: Self = Self { firsts: [0; PER_LINE], places: [0; PER_LINE], bits: [0; PER_LINE], state: 0 };
    const ONE_PASSED: u8 = 1 << 3;

    const fn len(&self) -> usize {
        (self.state & 7) as usize
    }

    const fn passed(&self) -> u8 {
        self.state >> 3
    }

    /// A bit for each entry that has the chunk. Without a branch, so that look-ups can overlap in the CPU.
    #[inline]
    fn hits(&self, chunk: u32) -> u32 {
        let mut hits = 0;
        for place in 0..PER_LINE {
            let within = chunk.wrapping_sub(self.firsts[place]) <= u32::from(self.bits[place] & FURTHER);
            hits |= u32::from(within) << place;
        }
        hits & ((1 << self.len()) - 1)
    }

    const fn entry(&self, place: usize) -> Entry {
        let bits = self.bits[place];
        let goes_on = [bits & 1 << 6 != 0, bits & 1 << 7 != 0];
        Entry { first: self.firsts[place], place: self.places[place], further: bits & FURTHER, goes_on }
    }

    fn put(&mut self, place: usize, entry: Entry) {
        (self.firsts[place], self.places[place], self.bits[place]) = (entry.first, entry.place, entry.bits());
    }
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    entries: usize,
}

impl Lines {
    /// The line that a chunk's entry belongs to, of `count` lines.
    #[inline]
    fn home(chunk: u32, count: usize) -> usize {
        let mut hash = u64::from(chunk >> BLOCK_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (((hash >> 32) * count as u64) >> 32) as usize
    }

    #[inline]
    const fn next(&self, line: usize) -> usize {
        if line + 1 == self.lines.len() { 0 } else { line + 1 }
    }

    /// The entry that has a chunk.
    #[inline]
    pub(super) fn find(&self, chunk: u32) -> Option<At> {
        let count = self.lines.len();
        let mut line = Self::home(chunk, count);
        for _ in 0..count {
            let hits = self.lines[line].hits(chunk);
            if hits != 0 {
                return Some(At(line, hits.trailing_zeros() as usize));
            }
            if self.lines[line].passed() == 0 {
                return None;
            }
            line = self.next(line);
        }
        None
    }

    #[inline]
    pub(super) fn get(&self, At(line, place): At) -> Entry {
        self.lines[line].entry(place)
    }

    /// Changes an entry, which stays in its block.
    pub(super) fn set(&mut self, At(line, place): At, entry: Entry) {
        self.lines[line].put(place, entry);
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        if (self.entries + 1) * 4 > self.lines.len() * PER_LINE * FULL_QUARTERS {
            self.grow();
        }
        self.entries += 1;
        self.put(entry);
    }

    fn put(&mut self, entry: Entry) {
        let mut line = Self::home(entry.first, self.lines.len());
        while self.lines[line].len() == PER_LINE {
            if self.lines[line].passed() < PASSED_MAX {
                self.lines[line].state += Line::ONE_PASSED;
            }
            line = self.next(line);
        }
        let into = &mut self.lines[line];
        into.put(into.len(), entry);
        into.state += 1;
    }

    /// By a third.
    fn grow(&mut self) {
        let count = self.lines.len();
        let old = std::mem::replace(&mut self.lines, vec![Line::EMPTY; count + count / 3 + 1]);
        for line in old {
            (0..line.len()).for_each(|place| self.put(line.entry(place)));
        }
    }

    pub(super) fn remove(&mut self, At(line, place): At) {
        let mut passed = Self::home(self.lines[line].firsts[place], self.lines.len());
        while passed != line {
            if self.lines[passed].passed() < PASSED_MAX {
                self.lines[passed].state -= Line::ONE_PASSED;
            }
            passed = self.next(passed);
        }
        let from = &mut self.lines[line];
        from.put(place, from.entry(from.len() - 1));
        from.state -= 1;
        self.entries -= 1;
    }

    /// Whether two chunks are of one block, so that one entry can have both.
    pub(super) const fn are_together(one: u32, other: u32) -> bool {
        one >> BLOCK_BITS == other >> BLOCK_BITS
    }

    /// All entries, in the order of the table.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.lines.iter().flat_map(|line| (0..line.len()).map(|place| line.entry(place)))
    }

    /// How many entries.
    pub(super) const fn len(&self) -> usize {
        self.entries
    }

    /// Bytes that they take up.
    pub(super) const fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn entry(first: u32, place: u32) -> Entry {
        Entry { first, place, further: 0, goes_on: [false; 2] }
    }

    #[test]
    fn a_line_is_a_line_of_the_cache() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
        assert!(usize::from(FURTHER) < 1 << 6, "the bits of an entry have room for it");
    }

    #[test]
    fn an_entry_is_found_by_each_of_its_chunks_and_by_no_other() {
        let mut lines = Lines::default();
        assert_eq!(lines.find(0), None, "nothing is found in nothing");
        lines.insert(Entry { first: 18, place: 7, further: 3, goes_on: [false, true] });
        let found: Vec<u32> = (0..64).filter(|chunk| lines.find(*chunk).is_some()).collect();
        assert_eq!(found, [18, 19, 20, 21]);
        let at = lines.find(20).unwrap();
        assert_eq!((lines.get(at).place, lines.get(at).last(), lines.get(at).goes_on), (7, 21, [false, true]));
    }

    #[test]
    fn a_table_that_lines_have_overflowed_in_is_found_whole_and_emptied_whole() {
        // A block has eight chunks and a line seven entries: each full block goes into a second line.
        let mut lines = Lines::default();
        (0..4096).for_each(|chunk| lines.insert(entry(chunk, chunk * 2)));
        assert!((0..4096).all(|chunk| lines.find(chunk).is_some_and(|at| lines.get(at).place == chunk * 2)));
        assert!(lines.lines.iter().any(|line| line.passed() > 0), "the test is about lines that something passed");
        for chunk in 0..4096 {
            lines.remove(lines.find(chunk).unwrap());
            assert_eq!(lines.find(chunk), None);
        }
        assert_eq!((lines.len(), lines.iter().count()), (0, 0));
        let is_clean = |line: &Line| line.state == 0 || line.passed() == PASSED_MAX;
        assert!(lines.lines.iter().all(is_clean), "what was passed is uncounted again, where it was counted");
        assert!(lines.lines.iter().any(|line| line.state == 0));
    }

    #[test]
    fn so_many_may_pass_a_line_that_it_no_longer_counts_them() {
        // All of one chunk, which share one line.
        let mut lines = Lines::default();
        (0..2000).for_each(|place| lines.insert(entry(5, place)));
        assert!(lines.lines.iter().any(|line| line.passed() == PASSED_MAX));
        for left in (0..2000).rev() {
            lines.remove(lines.find(5).unwrap());
            assert_eq!(lines.len(), left);
        }
        assert_eq!((lines.find(5), lines.find(6)), (None, None));
    }

    #[test]
    fn a_table_takes_what_it_says_an_entry_takes() {
        let mut lines = Lines::default();
        let mut most = 0;
        for number in 0..100_000_u32 {
            lines.insert(entry(number.wrapping_mul(0x9e37_79b1), number));
            if number > 1000 {
                most = most.max(lines.bytes() * 10 / lines.len());
            }
        }
        assert!((160..166).contains(&most), "12.2 bytes at least, 16.3 at most: {most}");
    }

    proptest! {
        #[test]
        fn a_table_does_what_a_map_does(steps in prop::collection::vec((0..400_u32, any::<bool>()), 1..600)) {
            let (mut lines, mut model) = (Lines::default(), BTreeMap::new());
            for (number, (chunk, insert)) in steps.into_iter().enumerate() {
                match (insert, lines.find(chunk)) {
                    (true, None) => {
                        lines.insert(entry(chunk, number as u32));
                        model.insert(chunk, number as u32);
                    }
                    (false, Some(at)) => {
                        lines.remove(at);
                        model.remove(&chunk);
                    }
                    _ => {}
                }
            }
            let mut all: Vec<(u32, u32)> = lines.iter().map(|entry| (entry.first, entry.place)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
