//! [`Book`]: what stamps must have left on volumes and their snapshots, sector by sector.
//!
//! A snapshot begins with what its volume holds; from then on each has a history of its own. Where a stamp and a snapshot
//! (or two stamps) overlap in time, either order is right: a sector has then several writings that it may hold, until one
//! is known to be the last.
//!
//! Invariants: a writing is forgotten only when another began after it had ended, and ended well; while somebody has a
//! device pinned, nothing about it is forgotten, so that whatever it held at any time since then is known.
//! Not here: I/O (`stamps`), what snapshots do (`volumes`).

use std::collections::BTreeMap;
use std::ops::Range;

use super::pattern::Label;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A stamp, of the first sector that it would have on sector 0 of the device.
    Stamp(Label),
    /// What nobody kept account of.
    Anything,
}

/// A writing and when it was under way.
#[derive(Clone, Copy, Debug)]
struct Writing {
    written: Written,
    began: u64,
    ended: Option<u64>,
    /// Whether it is certain that it took place.
    well: bool,
    /// Whether it may have come too late for a snapshot, or too early for a merge: then it is never certain.
    doubtful: bool,
}

/// A writing that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    began: u64,
}

/// What one device may hold: ranges of sectors by their first, none empty, none overlapping.
#[derive(Clone, Debug, Default)]
struct Image {
    ranges: BTreeMap<u64, (u64, Vec<Writing>)>,
    pins: u32,
}

/// What devices may hold.
#[derive(Debug, Default)]
pub(super) struct Book {
    images: BTreeMap<String, Image>,
    passes: BTreeMap<(String, u32), u64>,
    /// Generations so far, by device: what one flow writes does not depend on how far others are on other devices.
    generations: BTreeMap<String, u64>,
    tick: u64,
}

impl Writing {
    /// Whether it was not over at a time.
    fn is_after(&self, since: u64) -> bool {
        self.ended.is_none_or(|ended| ended >= since)
    }

    fn is_over_before(&self, later: &Self) -> bool {
        later.well && !later.doubtful && later.ended.is_some() && self.ended.is_some_and(|ended| ended < later.began)
    }
}

impl Image {
    /// Makes range borders at both ends of `sectors`, and fills what is between them.
    fn cut(&mut self, sectors: &Range<u64>) {
        for border in [sectors.start, sectors.end] {
            let before = self.ranges.range_mut(..border).next_back();
            if let Some((_, (end, held))) = before
                && *end > border
            {
                let behind = (std::mem::replace(end, border), held.clone());
                self.ranges.insert(border, behind);
            }
        }
        let mut from = sectors.start;
        while from < sectors.end {
            let next = self.ranges.range(from..sectors.end).next().map(|(start, (end, _))| (*start, *end));
            let (gap_end, after) = next.unwrap_or((sectors.end, sectors.end));
            if from < gap_end {
                let blank =
                    Writing { written: Written::Anything, began: 0, ended: Some(0), well: true, doubtful: false };
                self.ranges.insert(from, (gap_end, vec![blank]));
            }
            from = after;
        }
    }

    fn each(&mut self, sectors: &Range<u64>) -> impl Iterator<Item = &mut Vec<Writing>> {
        self.cut(sectors);
        self.ranges.range_mut(sectors.start..sectors.end).map(|(_, (_, held))| held)
    }

    fn forget(&mut self) {
        if self.pins > 0 {
            return;
        }
        for (_, held) in self.ranges.values_mut() {
            let all = held.clone();
            held.retain(|writing| !all.iter().any(|later| writing.is_over_before(later)));
        }
    }
}

impl Book {
    fn image(&mut self, device: &str) -> &mut Image {
        self.images.entry(device.to_owned()).or_default()
    }

    fn tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// A number that no writing of this device before had.
    pub(super) fn generation(&mut self, device: &str) -> u64 {
        let generation = self.generations.entry(device.to_owned()).or_default();
        *generation += 1;
        *generation
    }

    /// How often the flow of this name has come to this line, this time included: whatever other flows do meanwhile.
    pub(super) fn pass(&mut self, flow: &str, line: u32) -> u64 {
        let pass = self.passes.entry((flow.to_owned(), line)).or_default();
        *pass += 1;
        *pass
    }

    /// A writing of `sectors` is about to begin.
    pub(super) fn begin(&mut self, device: &str, sectors: &Range<u64>, written: Written) -> Ticket {
        let began = self.tick();
        let writing = Writing { written, began, ended: None, well: false, doubtful: false };
        self.image(device).each(sectors).for_each(|held| held.push(writing));
        Ticket { began }
    }

    /// It has ended, `well` or not.
    pub(super) fn end(&mut self, device: &str, sectors: &Range<u64>, ticket: Ticket, well: bool) {
        let ended = Some(self.tick());
        let image = self.image(device);
        for held in image.each(sectors) {
            let ours = held.iter_mut().filter(|writing| writing.began == ticket.began);
            ours.for_each(|writing| (writing.ended, writing.well) = (ended, well));
        }
        image.forget();
    }

    /// From here on nothing about `device` is forgotten; gives the time.
    pub(super) fn pin(&mut self, device: &str) -> u64 {
        self.image(device).pins += 1;
        self.tick()
    }

    /// The end of [`Self::pin`].
    pub(super) fn unpin(&mut self, device: &str) {
        let image = self.image(device);
        image.pins = image.pins.saturating_sub(1);
        image.forget();
    }

    /// `snapshot` begins with what `volume` may hold, or may have held since it was pinned at `since`.
    pub(super) fn copy(&mut self, volume: &str, snapshot: &str, since: u64) {
        let now = self.tick();
        let mut image = self.image(volume).clone();
        image.pins = 0;
        for writing in image.ranges.values_mut().flat_map(|(_, held)| held).filter(|writing| writing.is_after(since)) {
            // It is in the snapshot by now or never: what is written to the snapshot later comes after it.
            (writing.doubtful, writing.ended) = (true, writing.ended.or(Some(now)));
        }
        self.images.insert(snapshot.to_owned(), image);
    }

    /// `volume`, pinned at `since`, holds from now on what `snapshot` holds, but for what was written since.
    pub(super) fn merge(&mut self, snapshot: &str, volume: &str, since: u64) {
        let mut merged = self.images.remove(snapshot).unwrap_or_default();
        let old = std::mem::take(self.image(volume));
        for (start, (end, held)) in &old.ranges {
            let later = held.iter().filter(|writing| writing.is_after(since));
            let later: Vec<Writing> = later.map(|writing| Writing { doubtful: true, ..*writing }).collect();
            if !later.is_empty() {
                merged.each(&(*start..*end)).for_each(|held| held.extend(&later));
            }
        }
        merged.pins = old.pins;
        self.images.insert(volume.to_owned(), merged);
    }

    /// There is no such device any more.
    pub(super) fn remove(&mut self, device: &str) {
        self.images.remove(device);
    }

    /// The ranges within `sectors` of which it is known what they may hold, and that.
    pub(super) fn known(&mut self, device: &str, sectors: &Range<u64>) -> Vec<(Range<u64>, Vec<Label>)> {
        let image = self.image(device);
        image.cut(sectors);
        let ranges = image.ranges.range(sectors.start..sectors.end);
        let labels = |held: &[Writing]| {
            let label = |writing: &Writing| match writing.written {
                Written::Stamp(label) => Some(label),
                Written::Anything => None,
            };
            held.iter().map(label).collect::<Option<Vec<_>>>()
        };
        ranges.filter_map(|(start, (end, held))| Some((*start..*end, labels(held)?))).collect()
    }

    /// From the first to behind the last sector that was ever written.
    pub(super) fn extent(&mut self, device: &str) -> Range<u64> {
        let ranges = &self.image(device).ranges;
        let end = ranges.last_key_value().map_or(0, |(_, (end, _))| *end);
        ranges.first_key_value().map_or(0, |(start, _)| *start)..end
    }
}

#[cfg(test)]
mod tests {
    use dmlab_units::{Sectors, Seed};

    use super::*;

    fn stamp(generation: u64) -> Written {
        Written::Stamp(Label::new(Seed(1), "vol", Sectors::ZERO, generation))
    }

    fn write(book: &mut Book, device: &str, sectors: Range<u64>, generation: u64) {
        let ticket = book.begin(device, &sectors, stamp(generation));
        book.end(device, &sectors, ticket, true);
    }

    /// Generations that each known range may hold.
    fn held(book: &mut Book, device: &str) -> Vec<(Range<u64>, Vec<u64>)> {
        let known = book.known(device, &(0..100));
        known
            .into_iter()
            .map(|(range, labels)| (range, labels.iter().map(|label| label.generation).collect()))
            .collect()
    }

    #[test]
    fn a_snapshot_and_its_volume_part_ways() {
        let mut book = Book::default();
        write(&mut book, "vol", 0..16, 1);
        let since = book.pin("vol");
        book.copy("vol", "snap", since);
        book.unpin("vol");
        write(&mut book, "vol", 4..8, 2);
        write(&mut book, "snap", 12..20, 3);
        assert_eq!(held(&mut book, "vol"), [(0..4, vec![1]), (4..8, vec![2]), (8..16, vec![1])]);
        assert_eq!(held(&mut book, "snap"), [(0..12, vec![1]), (12..16, vec![3]), (16..20, vec![3])]);
        let (snap, nobody) = (book.extent("snap"), book.extent("nobody"));
        assert_eq!((snap, nobody), (0..100, 0..0), "looking cuts, and a cut remembers that nothing is known");
    }

    #[test]
    fn what_is_written_while_a_snapshot_is_taken_may_be_in_it_or_not() {
        let mut book = Book::default();
        write(&mut book, "vol", 0..8, 1);
        let since = book.pin("vol");
        write(&mut book, "vol", 0..4, 2);
        let ticket = book.begin("vol", &(4..8), stamp(3));
        book.copy("vol", "snap", since);
        book.unpin("vol");
        book.end("vol", &(4..8), ticket, true);
        // Whatever else is written later, neither becomes more certain.
        write(&mut book, "snap", 50..60, 4);
        assert_eq!(held(&mut book, "snap"), [(0..4, vec![1, 2]), (4..8, vec![1, 3]), (50..60, vec![4])]);
        write(&mut book, "snap", 0..8, 5);
        assert_eq!(held(&mut book, "snap")[..2], [(0..4, vec![5]), (4..8, vec![5])]);
        assert_eq!(held(&mut book, "vol"), [(0..4, vec![2]), (4..8, vec![3])]);
    }

    #[test]
    fn of_two_stamps_at_once_either_may_be_the_last() {
        let mut book = Book::default();
        let one = book.begin("vol", &(0..8), stamp(1));
        let two = book.begin("vol", &(0..8), stamp(2));
        book.end("vol", &(0..8), one, true);
        book.end("vol", &(0..8), two, true);
        assert_eq!(held(&mut book, "vol"), [(0..8, vec![1, 2])]);
        write(&mut book, "vol", 0..8, 3);
        assert_eq!(held(&mut book, "vol"), [(0..8, vec![3])]);
    }

    #[test]
    fn after_a_stamp_that_failed_the_old_may_still_be_there() {
        let mut book = Book::default();
        write(&mut book, "vol", 0..8, 1);
        let ticket = book.begin("vol", &(0..8), stamp(2));
        book.end("vol", &(0..8), ticket, false);
        assert_eq!(held(&mut book, "vol"), [(0..8, vec![1, 2])]);
        let ticket = book.begin("vol", &(0..4), Written::Anything);
        book.end("vol", &(0..4), ticket, true);
        assert_eq!(held(&mut book, "vol"), [(4..8, vec![1, 2])], "nothing is known of what nobody kept account of");
    }

    #[test]
    fn a_merge_brings_back_what_the_snapshot_holds() {
        let mut book = Book::default();
        write(&mut book, "vol", 0..8, 1);
        book.copy("vol", "snap", 100);
        write(&mut book, "vol", 0..8, 2);
        write(&mut book, "snap", 4..8, 3);
        let since = book.pin("vol");
        let ticket = book.begin("vol", &(0..2), stamp(4));
        book.merge("snap", "vol", since);
        book.unpin("vol");
        assert_eq!(held(&mut book, "vol"), [(0..2, vec![1, 4]), (2..4, vec![1]), (4..8, vec![3])]);
        book.end("vol", &(0..2), ticket, true);
        assert_eq!(held(&mut book, "vol"), [(0..2, vec![1, 4]), (2..4, vec![1]), (4..8, vec![3])]);
    }
}
