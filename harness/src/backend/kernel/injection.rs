//! The kernel's own fault injection (dm-spec §11): `fail_make_request` of single devices, `failslab` of single caches,
//! `fail_page_alloc`; and in a guest whose kernel has none of these, want of memory (`hog`).
//!
//! `times` counts down with each strike, which tells how many there were. Intervals are counted from the kernel's start, so
//! that where the n-th I/O is to be struck, I/Os of no consequence are issued until one is.
//!
//! Invariants: every file that is written is put back through the journal's values, and no other process's allocations fail;
//! what is there is asked of the kernel (`CONFIG_FAULT_INJECTION_DEBUG_FS`), never assumed.
//! Not here: which fault becomes what (`faults`), what stands behind a pool (`pools`), whose allocations fail (`tasks`).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dmlab_scenarios::Fault;
use nix::fcntl::OFlag;

use super::faults::{self, Abilities, Draw};
use super::hog::Hog;
use super::knobs::Knobs;
use super::nodes::{self, Dev};
use super::pools::{self, Behind};
use super::{KernelError, RunningKernel, tasks};
use crate::backend::ring::Aligned;

const DEBUGFS: &str = "/sys/kernel/debug";
/// As good as for ever; unlike `-1`, it is counted down.
const ENDLESS: u32 = i32::MAX as u32;
/// The unit of I/O.
const SECTOR_BYTES: usize = 512;
/// How the journal calls tasks that were told to fail.
pub(super) const TASKS: &str = "tasks";

/// Whether the kernel has this kind of fault, set through debugfs.
pub(super) fn has(kind: &str) -> bool {
    folder(kind).join("probability").exists()
}

fn folder(kind: &str) -> PathBuf {
    Path::new(DEBUGFS).join(kind)
}

/// Why the allocations of a pool cannot be made to fail here, if so.
pub(super) fn slab_unmet(fault: &Fault, can: Abilities) -> Option<String> {
    let Fault::Slab { pool, fault: slab } = fault else { return None };
    match faults::lower_slab(pool, &slab.when, can) {
        Err(why) => Some(why),
        Ok(None) => None,
        Ok(Some(_)) => pools::behind(pool).into_iter().find_map(|behind| match behind {
            Behind::Cache(name) if pools::is_merged(name) => {
                Some(format!("the cache {name} behind {pool} is one with others in this kernel, and cannot fail alone"))
            }
            _ => None,
        }),
    }
}

/// What the kernel was told, and how often it struck.
#[derive(Default)]
pub(super) struct Injected {
    knobs: Knobs,
    told: BTreeMap<&'static str, u32>,
    counted: BTreeMap<String, u64>,
    marked: bool,
    hog: Option<Hog>,
}

impl Injected {
    /// Lets I/O of a device fail as drawn. Where the draw counts, nobody else may issue I/O to it meanwhile.
    pub(super) fn fail_requests(&mut self, kernel: &RunningKernel, dev: Dev, draw: Draw) -> Result<(), KernelError> {
        const KIND: &str = "fail_make_request";
        let marks = nodes::sysfs(dev).join("make-it-fail");
        if draw.interval <= 1 {
            self.tell(kernel, KIND, draw)?;
            return self.knobs.set(kernel, &marks, "1");
        }
        self.tell(kernel, KIND, Draw { times: None, ..draw })?;
        self.knobs.set(kernel, &marks, "1")?;
        align(dev, draw.interval).map_err(|why| KernelError::new(format!("{}: {why}", marks.display())))?;
        self.tell_times(kernel, KIND, draw.times.unwrap_or(ENDLESS))
    }

    /// Lets the allocations fail that stand behind a pool.
    pub(super) fn fail_slab(
        &mut self,
        kernel: &RunningKernel,
        fault: &Fault,
        can: Abilities,
    ) -> Result<(), KernelError> {
        let Fault::Slab { pool, fault } = fault else { return Ok(()) };
        let draw =
            faults::lower_slab(pool, &fault.when, can).map_err(|why| KernelError::new(format!("{pool}: {why}")))?;
        let Some(draw) = draw else {
            if self.hog.is_none() {
                self.hog = Some(Hog::start().map_err(|why| KernelError::new(format!("{pool}: no memory hog: {why}")))?);
            }
            return Ok(());
        };
        self.mark_tasks(kernel)?;
        let behind = pools::behind(pool);
        let caches: Vec<PathBuf> = behind
            .iter()
            .flat_map(|behind| match behind {
                Behind::Cache(name) => pools::folders(name),
                Behind::Pages | Behind::Anything => Vec::new(),
            })
            .collect();
        let has_pages = behind.contains(&Behind::Pages) && can.fail_page_alloc;
        if caches.is_empty() && !has_pages {
            return Err(KernelError::new(format!("{pool}: no cache of this kernel stands behind it")));
        }
        if !caches.is_empty() {
            let failslab = folder("failslab");
            self.knobs.set(kernel, &failslab.join("cache-filter"), "Y")?;
            self.knobs.set(kernel, &failslab.join("task-filter"), "Y")?;
            // Both tries of a mempool: without waiting, and with.
            self.knobs.set(kernel, &failslab.join("ignore-gfp-wait"), "N")?;
            for cache in caches {
                self.knobs.set(kernel, &cache.join("failslab"), "1")?;
            }
            self.tell(kernel, "failslab", draw)?;
        }
        if has_pages {
            let pages = folder("fail_page_alloc");
            // kcopyd takes single pages of any zone and does not wait for them; who waits is spared.
            let values =
                [("task-filter", "Y"), ("ignore-gfp-wait", "Y"), ("ignore-gfp-highmem", "N"), ("min-order", "0")];
            values.iter().try_for_each(|(file, value)| self.knobs.set(kernel, &pages.join(file), value))?;
            self.tell(kernel, "fail_page_alloc", draw)?;
        }
        Ok(())
    }

    fn mark_tasks(&mut self, kernel: &RunningKernel) -> Result<(), KernelError> {
        if self.marked {
            return Ok(());
        }
        kernel.journal.note(TASKS, "make-it-fail")?;
        self.marked = true;
        tasks::mark(true).map_err(KernelError::new)
    }

    fn tell(&mut self, kernel: &RunningKernel, kind: &'static str, draw: Draw) -> Result<(), KernelError> {
        let folder = folder(kind);
        // What is set last lets it begin.
        let values =
            [("verbose", "0".to_owned()), ("interval", draw.interval.max(1).to_string()), ("space", "0".to_owned())];
        values.iter().try_for_each(|(file, value)| self.knobs.set(kernel, &folder.join(file), value))?;
        self.tell_times(kernel, kind, draw.times.unwrap_or(ENDLESS))?;
        self.knobs.set(kernel, &folder.join("probability"), &draw.probability.to_string())
    }

    fn tell_times(&mut self, kernel: &RunningKernel, kind: &'static str, times: u32) -> Result<(), KernelError> {
        self.told.insert(kind, times);
        self.knobs.set(kernel, &folder(kind).join("times"), &times.to_string())
    }

    /// Ends all of it, and counts how often it struck.
    ///
    /// # Errors
    /// What could not be put back.
    pub(super) fn end(&mut self, kernel: &RunningKernel) -> Result<(), KernelError> {
        for (kind, times) in std::mem::take(&mut self.told) {
            let left = fs::read_to_string(folder(kind).join("times")).ok().and_then(|text| text.trim().parse().ok());
            let struck = u64::from(times.saturating_sub(left.unwrap_or(times)));
            *self.counted.entry(kind.to_owned()).or_default() += struck;
        }
        let mut stays = self.knobs.restore(kernel);
        if std::mem::take(&mut self.marked) {
            match tasks::mark(false) {
                Ok(()) => kernel.journal.undone(TASKS, "make-it-fail"),
                Err(why) => stays.push(why),
            }
        }
        if let Some(hog) = self.hog.take() {
            self.counted.extend(hog.end());
        }
        if stays.is_empty() { Ok(()) } else { Err(KernelError::new(stays.join("; "))) }
    }

    /// How often each kind has struck so far, by name, and what a hog has seen.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        self.counted.clone()
    }
}

/// Reads from a device until a read fails, so that the next one to fail is the `interval`-th from here.
fn align(dev: Dev, interval: u32) -> Result<(), String> {
    let file = nodes::open(dev, OFlag::O_DIRECT).map_err(|error| error.to_string())?;
    let mut sector = Aligned::zeroed(SECTOR_BYTES);
    // Opening may have read, and been struck.
    for _ in 0..=u64::from(interval) * 2 {
        match file.read_exact_at(sector.as_mut(), 0) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("no read failed, though every {interval}th should"))
}
