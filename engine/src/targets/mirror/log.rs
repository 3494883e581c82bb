//! [`CoreLog`]: the dirty log in memory (dm-log.c, type `core`): which regions are in sync, and what is to be recovered
//! next.
//!
//! Invariants: `sync_count` is the number of regions in sync; a region that is being recovered is not handed out twice; one
//! whose recovery has failed is handed out again after the next resume only.
//! Not here: the `disk` log and those of user space. With a core log a flush of the log never fails.

use dmlab_units::Sectors;

use crate::dm::args::scan_u32;

/// Whether regions are to be recovered first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    /// If necessary: with a core log, always.
    Default,
    /// The legs are known to be alike.
    Skip,
    /// Whatever was known.
    Force,
}

/// `struct log_c`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CoreLog {
    region_size: u32,
    sync: Sync,
    /// Regions that were not written to since they were last known to be alike on all legs.
    clean_bits: Vec<bool>,
    sync_bits: Vec<bool>,
    recovering_bits: Vec<bool>,
    sync_count: u64,
    /// Where the next look for work begins.
    sync_search: usize,
}

impl CoreLog {
    /// `core_ctr`: `<region size> [sync|nosync]`, for a target of `len`.
    ///
    /// # Errors
    /// What the kernel prints.
    pub(super) fn new(argv: &[&str], len: Sectors) -> Result<Self, String> {
        let (size, sync) = match *argv {
            [size] => (size, Sync::Default),
            [size, "sync"] => (size, Sync::Force),
            [size, "nosync"] => (size, Sync::Skip),
            [_, word] => return Err(format!("unrecognised sync argument to dirty region log: {word}")),
            _ => return Err("wrong number of arguments to dirty region log".to_owned()),
        };
        let region_size =
            scan_u32(size).filter(|&size| size >= 2 && u64::from(size) <= len.0 && size.is_power_of_two());
        let region_size = region_size.ok_or_else(|| format!("invalid region size {size}"))?;
        let regions = len.0.div_ceil(u64::from(region_size));
        if regions > u64::from(u32::MAX) {
            return Err(format!("region count exceeds limit of {}", u32::MAX));
        }
        let (count, in_sync) = (regions as usize, sync == Sync::Skip);
        Ok(Self {
            region_size,
            sync,
            clean_bits: vec![true; count],
            sync_bits: vec![in_sync; count],
            recovering_bits: vec![false; count],
            sync_count: if in_sync { regions } else { 0 },
            sync_search: 0,
        })
    }

    pub(super) const fn region_size(&self) -> Sectors {
        Sectors(self.region_size as u64)
    }

    pub(super) const fn region_count(&self) -> u64 {
        self.sync_bits.len() as u64
    }

    /// `get_sync_count`.
    pub(super) const fn sync_count(&self) -> u64 {
        self.sync_count
    }

    /// `in_sync`.
    pub(super) fn in_sync(&self, region: u64) -> bool {
        self.sync_bits[region as usize]
    }

    /// `mark_region`: it is about to be written to.
    pub(super) fn mark_region(&mut self, region: u64) {
        self.clean_bits[region as usize] = false;
    }

    /// `clear_region`: all legs have what was written.
    pub(super) fn clear_region(&mut self, region: u64) {
        self.clean_bits[region as usize] = true;
    }

    /// `get_resync_work`: the next region that is to be recovered.
    pub(super) fn resync_work(&mut self) -> Option<u64> {
        let wanted = |&region: &usize| !self.sync_bits[region] && !self.recovering_bits[region];
        let found = (self.sync_search..self.sync_bits.len()).find(wanted);
        self.sync_search = found.map_or(self.sync_bits.len(), |region| region + 1);
        let region = found?;
        self.recovering_bits[region] = true;
        Some(region as u64)
    }

    /// `set_region_sync`: its recovery has ended so, or a write to it has failed on some leg. (The kernel counts a region
    /// twice that it is told of twice; nobody tells it twice.)
    pub(super) fn set_region_sync(&mut self, region: u64, in_sync: bool) {
        let region = region as usize;
        self.recovering_bits[region] = false;
        let was = std::mem::replace(&mut self.sync_bits[region], in_sync);
        self.sync_count = self.sync_count + u64::from(in_sync) - u64::from(was);
    }

    /// `resume`.
    pub(super) const fn resume(&mut self) {
        self.sync_search = 0;
    }

    /// What a table line begins with.
    pub(super) fn table(&self) -> String {
        let size = self.region_size;
        match self.sync {
            Sync::Default => format!("core 1 {size}"),
            Sync::Skip => format!("core 2 {size} nosync"),
            Sync::Force => format!("core 2 {size} sync"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_are_refused_in_the_kernels_words() {
        let refused = |argv: &[&str]| CoreLog::new(argv, Sectors(64)).unwrap_err();
        for argv in [&[][..], &["8", "sync", "sync"]] {
            assert_eq!(refused(argv), "wrong number of arguments to dirty region log");
        }
        assert_eq!(refused(&["8", "async"]), "unrecognised sync argument to dirty region log: async");
        for size in ["x", "0", "1", "12", "128", "-8"] {
            assert_eq!(refused(&[size]), format!("invalid region size {size}"));
        }
        let too_many = CoreLog::new(&["2"], Sectors(1 << 34)).unwrap_err();
        assert_eq!(too_many, "region count exceeds limit of 4294967295");
    }

    #[test]
    fn a_table_line_begins_as_it_was_given() {
        for argv in [&["8"][..], &["8", "sync"], &["8", "nosync"]] {
            let log = CoreLog::new(argv, Sectors(60)).unwrap();
            assert_eq!(log.table(), format!("core {} {}", argv.len(), argv.join(" ")));
            assert_eq!(log.region_count(), 8);
            assert_eq!(log.sync_count(), if argv.last() == Some(&"nosync") { 8 } else { 0 });
        }
    }

    #[test]
    fn work_is_handed_out_once_and_after_a_resume_again() {
        let mut log = CoreLog::new(&["8"], Sectors(24)).unwrap();
        assert_eq!([log.resync_work(), log.resync_work()], [Some(0), Some(1)]);
        log.set_region_sync(0, true);
        log.set_region_sync(1, false);
        assert_eq!([log.resync_work(), log.resync_work()], [Some(2), None]);
        log.resume();
        assert_eq!([log.resync_work(), log.resync_work()], [Some(1), None], "2 is still being recovered");
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_the_bits(steps in vec((0..6_u64, 0..4_u8), 0..100)) {
            let mut log = CoreLog::new(&["8"], Sectors(48)).unwrap();
            for (region, step) in steps {
                match step {
                    0 => log.set_region_sync(region, true),
                    1 => log.set_region_sync(region, false),
                    2 => drop(log.resync_work()),
                    _ => log.resume(),
                }
                let in_sync = (0..log.region_count()).filter(|&region| log.in_sync(region)).count() as u64;
                prop_assert_eq!(log.sync_count(), in_sync);
            }
        }
    }
}
