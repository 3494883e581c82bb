//! [`Completed`]: the table of a snapshot's exceptions: which chunk of the origin stands where on the COW device.
//!
//! Consecutive chunks that went to consecutive places are one run, of up to 256 chunks (`DM_CHUNK_CONSECUTIVE_BITS`), which
//! grows at its ends and shrinks at them. It is kept in parts of eight chunks, its entries, so that a look-up finds the part
//! that it needs in one line of the cache (`lines`). A chunk that was copied alone takes 12.2 to 16.3 bytes (seven
//! entries in 64 bytes, 56 to 75 % of them taken), one of a long run an eighth of that.
//!
//! What has no room there stands in a tree, one by one: exceptions with a number of more than 32 bits (16 TiB in chunks of
//! 4 KiB), and further ones of the same chunk, which only a damaged store has.
//!
//! Invariants: a run lies within 256 chunks that begin at a multiple of 256, all of one slot; of several exceptions of a
//! chunk the first one counts, then the second, as in the kernel.
//! Differences from the kernel: a flat table in place of linked lists; nothing in the tree makes a run with anything.
//! Not here: locks (`slots`), exceptions that are under way ([`super::pending`]).

use std::collections::BTreeMap;

use super::lines::{At, Entry, Lines};
use crate::sched::Digest;
use crate::sched::digest::{Answer, Content};
use crate::stores::Exception;

/// `DM_CHUNK_CONSECUTIVE_BITS`.
pub const CONSECUTIVE_BITS: u32 = 8;

/// Why a chunk could not be taken out: what the kernel calls corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveError {
    /// It is not there.
    Missing,
    /// It stands in the middle of a run: first and last chunk.
    Middle(u64, u64),
}

/// The completed exceptions of a part of the chunks.
#[derive(Debug, Default)]
pub struct Completed {
    lines: Lines,
    /// Places of the others, by chunk and by how many of the chunk are in front of it.
    tree: BTreeMap<(u64, u64), u64>,
}

impl Content for Completed {
    /// In the order of chunks: where the table keeps an entry depends on what else was there.
    fn digest(&self, into: &mut Digest<'_>) {
        into.word(self.lines.len() as u64);
        let mut entries: Vec<Entry> = self.lines.iter().collect();
        entries.sort_unstable();
        for entry in entries {
            into.word(u64::from(entry.first) << 32 | u64::from(entry.place));
            (u64::from(entry.further), (entry.goes_on[0], entry.goes_on[1])).digest(into);
        }
        into.word(self.tree.len() as u64);
        for ((chunk, _), place) in &self.tree {
            into.word(*chunk);
            into.word(*place);
        }
    }
}

impl Answer for Completed {
    fn digest(&self, into: &mut Digest<'_>) {
        Content::digest(self, into);
    }
}

impl Answer for RemoveError {
    fn digest(&self, into: &mut Digest<'_>) {
        let (first, last) = match *self {
            Self::Missing => (u64::MAX, 0),
            Self::Middle(first, last) => (first, last),
        };
        into.word(first);
        into.word(last);
    }
}

/// Whether two neighbours may be of one run.
const fn is_inside(before: u32, behind: u32) -> bool {
    before >> CONSECUTIVE_BITS == behind >> CONSECUTIVE_BITS
}

impl Completed {
    /// `dm_lookup_exception`: the place of a chunk.
    #[inline]
    pub fn lookup(&self, chunk: u64) -> Option<u64> {
        if let Ok(chunk) = u32::try_from(chunk)
            && let Some(at) = self.lines.find(chunk)
        {
            let entry = self.lines.get(at);
            return Some(u64::from(entry.place + (chunk - entry.first)));
        }
        self.first_in_tree(chunk).map(|(_, place)| place)
    }

    fn first_in_tree(&self, chunk: u64) -> Option<((u64, u64), u64)> {
        if self.tree.is_empty() {
            return None;
        }
        self.tree.range((chunk, 0)..=(chunk, u64::MAX)).next().map(|(key, place)| (*key, *place))
    }

    /// `dm_insert_exception`: joins it to its neighbours where that is possible.
    pub fn insert(&mut self, exception: Exception) {
        let Exception { old_chunk, new_chunk } = exception;
        match (u32::try_from(old_chunk), u32::try_from(new_chunk)) {
            (Ok(chunk), Ok(place)) if self.lookup(old_chunk).is_none() => self.insert_line(chunk, place),
            _ => {
                let others = self.tree.range((old_chunk, 0)..=(old_chunk, u64::MAX));
                let number = others.last().map_or(0, |((_, number), _)| number + 1);
                self.tree.insert((old_chunk, number), new_chunk);
            }
        }
    }

    fn insert_line(&mut self, chunk: u32, place: u32) {
        let mut alone = Entry { first: chunk, place, further: 0, goes_on: [false; 2] };
        if let Some((at, mut run)) = self.run_before(chunk, place) {
            if Lines::are_together(run.first, chunk) {
                run.further += 1;
                return self.lines.set(at, run);
            }
            run.goes_on[1] = true;
            self.lines.set(at, run);
            alone.goes_on[0] = true;
        } else if let Some((at, mut run)) = self.run_behind(chunk, place) {
            if Lines::are_together(run.first, chunk) {
                (run.first, run.place, run.further) = (chunk, place, run.further + 1);
                return self.lines.set(at, run);
            }
            run.goes_on[0] = true;
            self.lines.set(at, run);
            alone.goes_on[1] = true;
        }
        self.lines.insert(alone);
    }

    /// The end of a run that chunk and place come behind.
    fn run_before(&self, chunk: u32, place: u32) -> Option<(At, Entry)> {
        let before = chunk.checked_sub(1).filter(|before| is_inside(*before, chunk))?;
        let at = self.lines.find(before)?;
        let run = self.lines.get(at);
        let is_end = run.last() == before && !run.goes_on[1];
        let place = place.checked_sub(1)?;
        (is_end && run.last_place() == place).then_some((at, run))
    }

    /// The beginning of a run that they come in front of.
    fn run_behind(&self, chunk: u32, place: u32) -> Option<(At, Entry)> {
        let behind = chunk.checked_add(1).filter(|behind| is_inside(chunk, *behind))?;
        let at = self.lines.find(behind)?;
        let run = self.lines.get(at);
        let is_begin = run.first == behind && !run.goes_on[0];
        (is_begin && Some(run.place) == place.checked_add(1)).then_some((at, run))
    }

    /// `__remove_single_exception_chunk`: takes a chunk out. Only the first or the last of a run can be.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub fn remove(&mut self, chunk: u64) -> Result<(), RemoveError> {
        if let Ok(chunk) = u32::try_from(chunk)
            && let Some(at) = self.lines.find(chunk)
        {
            return self.remove_line(chunk, at);
        }
        let (key, _) = self.first_in_tree(chunk).ok_or(RemoveError::Missing)?;
        self.tree.remove(&key);
        Ok(())
    }

    fn remove_line(&mut self, chunk: u32, at: At) -> Result<(), RemoveError> {
        let mut run = self.lines.get(at);
        let is_first = chunk == run.first && !run.goes_on[0];
        let is_last = chunk == run.last() && !run.goes_on[1];
        if !is_first && !is_last {
            let (first, last) = self.extent(run);
            return Err(RemoveError::Middle(first, last));
        }
        if run.further == 0 {
            // What is left of the run begins, or ends, in the next block.
            let next = if run.goes_on[1] { Some((chunk + 1, 0)) } else { run.goes_on[0].then(|| (chunk - 1, 1)) };
            if let Some((next, side)) = next {
                let (at, mut rest) = self.part(next);
                rest.goes_on[side] = false;
                self.lines.set(at, rest);
            }
            self.lines.remove(at);
            return Ok(());
        }
        if is_first {
            (run.first, run.place) = (run.first + 1, run.place + 1);
        }
        run.further -= 1;
        self.lines.set(at, run);
        Ok(())
    }

    /// First and last chunk of the run that an entry is a part of.
    fn extent(&self, part: Entry) -> (u64, u64) {
        let (mut first, mut last) = (part, part);
        while first.goes_on[0] {
            first = self.part(first.first - 1).1;
        }
        while last.goes_on[1] {
            last = self.part(last.last() + 1).1;
        }
        (u64::from(first.first), u64::from(last.last()))
    }

    /// The part of a run that has a chunk.
    fn part(&self, chunk: u32) -> (At, Entry) {
        let at = self.lines.find(chunk).expect("a run that goes on has another part");
        (at, self.lines.get(at))
    }

    /// Runs, and bytes that the table takes up.
    pub fn size(&self) -> (usize, usize) {
        let runs = self.lines.iter().filter(|entry| !entry.goes_on[0]).count();
        // The nodes of a tree are half full at least.
        let leaf = 2 * size_of::<((u64, u64), u64)>();
        (runs + self.tree.len(), self.lines.bytes() + self.tree.len() * leaf)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn exception(old_chunk: u64, new_chunk: u64) -> Exception {
        Exception { old_chunk, new_chunk }
    }

    /// The kernel's lists, in the plainest way: runs in the order of their chunks (first chunk, place, chunks).
    #[derive(Default)]
    struct Model(BTreeMap<u64, (u64, u64)>);

    impl Model {
        fn run(&self, chunk: u64) -> Option<(u64, (u64, u64))> {
            let (first, run) = self.0.range(..=chunk).next_back()?;
            (chunk < first + run.1).then_some((*first, *run))
        }

        fn lookup(&self, chunk: u64) -> Option<u64> {
            self.run(chunk).map(|(first, (place, _))| place + (chunk - first))
        }

        fn insert(&mut self, chunk: u64, new: u64) {
            let is_one = |one: u64, other: u64| one >> CONSECUTIVE_BITS == other >> CONSECUTIVE_BITS;
            if let Some(before) = chunk.checked_sub(1)
                && let Some((first, (place, chunks))) = self.run(before)
                && is_one(before, chunk)
                && place + chunks == new
            {
                self.0.insert(first, (place, chunks + 1));
            } else if let Some((place, chunks)) = self.0.get(&(chunk + 1)).copied()
                && is_one(chunk, chunk + 1)
                && place == new + 1
            {
                self.0.remove(&(chunk + 1));
                self.0.insert(chunk, (new, chunks + 1));
            } else {
                self.0.insert(chunk, (new, 1));
            }
        }

        fn remove(&mut self, chunk: u64) -> Result<(), RemoveError> {
            let (first, (place, chunks)) = self.run(chunk).ok_or(RemoveError::Missing)?;
            if chunk != first && chunk != first + chunks - 1 {
                return Err(RemoveError::Middle(first, first + chunks - 1));
            }
            self.0.remove(&first);
            if chunks > 1 {
                let run = if chunk == first { (first + 1, place + 1) } else { (first, place) };
                self.0.insert(run.0, (run.1, chunks - 1));
            }
            Ok(())
        }
    }

    #[test]
    fn consecutive_chunks_are_one_run() {
        let mut table = Completed::default();
        for chunk in [10, 11, 12, 9, 20] {
            table.insert(exception(chunk, chunk + 100));
        }
        table.insert(exception(13, 5));
        assert_eq!(table.size().0, 3, "9 to 12, 13, 20");
        assert_eq!([9, 12, 13, 20].map(|chunk| table.lookup(chunk)), [Some(109), Some(112), Some(5), Some(120)]);
        assert_eq!(table.remove(11), Err(RemoveError::Middle(9, 12)));
        assert_eq!(table.remove(14), Err(RemoveError::Missing));
        assert_eq!([table.remove(12), table.remove(9)], [Ok(()), Ok(())]);
        assert_eq!([9, 10, 11, 12].map(|chunk| table.lookup(chunk)), [None, Some(110), Some(111), None]);
    }

    #[test]
    fn a_run_has_256_chunks_and_takes_an_entry_for_eight() {
        let mut table = Completed::default();
        (0..1024).for_each(|chunk| table.insert(exception(chunk, chunk + 7)));
        assert_eq!((table.size().0, table.lines.len()), (4, 128));
        assert_eq!(table.remove(600), Err(RemoveError::Middle(512, 767)));
        for chunk in (512..768).rev() {
            assert_eq!(table.remove(chunk), Ok(()), "last first, as a merge does");
        }
        assert_eq!((table.size().0, table.lookup(511), table.lookup(512)), (3, Some(518), None));
    }

    #[test]
    fn of_several_exceptions_of_a_chunk_the_first_one_counts() {
        let mut table = Completed::default();
        [30, 20, 40].into_iter().for_each(|place| table.insert(exception(5, place)));
        for place in [30, 20, 40] {
            assert_eq!((table.lookup(5), table.remove(5)), (Some(place), Ok(())));
        }
        assert_eq!((table.lookup(5), table.remove(5)), (None, Err(RemoveError::Missing)));
    }

    #[test]
    fn a_store_that_has_one_chunk_only_is_loaded_as_fast_as_any_other() {
        let mut table = Completed::default();
        (0..200_000).for_each(|place| table.insert(exception(5, place)));
        assert_eq!((table.size().0, table.lines.len()), (200_000, 1));
    }

    #[test]
    fn numbers_beyond_32_bits_are_kept_one_by_one() {
        const LARGE: u64 = 1 << 40;
        let mut table = Completed::default();
        for (old, new) in [(LARGE, 1), (LARGE + 1, 2), (3, LARGE), (u64::from(u32::MAX), 4), (1 << 32, 5)] {
            table.insert(exception(old, new));
        }
        assert_eq!([LARGE, LARGE + 1, 3].map(|chunk| table.lookup(chunk)), [Some(1), Some(2), Some(LARGE)]);
        assert_eq!((table.size().0, table.lines.len()), (5, 1));
        assert_eq!((table.remove(LARGE + 1), table.lookup(LARGE + 1)), (Ok(()), None));
    }

    proptest! {
        #[test]
        fn a_table_does_what_lists_of_runs_do(
            steps in prop::collection::vec((0..600_u64, 0..4_u64, any::<bool>(), 1..20_u64), 1..200),
        ) {
            let (mut table, mut model) = (Completed::default(), Model::default());
            for (from, shift, insert, chunks) in steps {
                for chunk in from..from + chunks {
                    if !insert {
                        prop_assert_eq!(table.remove(chunk), model.remove(chunk), "{}", chunk);
                    } else if model.lookup(chunk).is_none() {
                        table.insert(exception(chunk, chunk + shift * 1000));
                        model.insert(chunk, chunk + shift * 1000);
                    }
                }
                prop_assert_eq!(table.size().0, model.0.len());
            }
            for chunk in 0..700 {
                prop_assert_eq!(table.lookup(chunk), model.lookup(chunk));
            }
        }

        #[test]
        fn nothing_from_a_damaged_store_panics(
            list in prop::collection::vec((any::<u64>(), any::<u64>(), prop_oneof![Just(0), Just(32), Just(54)]), 0..300),
        ) {
            let mut table = Completed::default();
            for (old, new, shift) in &list {
                table.insert(exception(old >> shift, new >> shift));
                table.insert(exception((old >> shift).wrapping_add(1), (new >> shift).wrapping_add(1)));
            }
            for (old, _, shift) in &list {
                prop_assert!(table.lookup(old >> shift).is_some());
            }
            for (old, _, shift) in &list {
                let _ = table.remove(old >> shift);
            }
        }
    }
}
