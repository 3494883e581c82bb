//! A memory hog, for guests whose kernels have no fault injection: a process that takes memory until hardly more is free
//! than the kernel keeps for itself, so that allocations which must not wait fail now and then.
//!
//! The hog asks to be the first that the kernel kills for want of memory, which it does as soon as anybody else needs some;
//! then another one begins.
//!
//! Invariants: the hog is a process of its own and ends with the one that started it; it is for guests only, whose memory is
//! nobody else's.
//! Not here: allocations that fail as told (`injection`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// What is taken at once, at least and at most.
const STEP_KIB: std::ops::RangeInclusive<u64> = 128..=8192;
/// Smaller pieces than this are pages of nobody.
const PAGE_BYTES: usize = 4096;
/// Above what the kernel keeps for itself, so much is left: less, and the hog is killed before anybody feels it.
const LEFT_KIB: u64 = 256;
/// Between two looks at what is free.
const LOOK: Duration = Duration::from_millis(5);
/// So long may the first hog take until it has eaten.
const FULL: Duration = Duration::from_secs(60);
/// What a hog says when it is full.
const SAYS: &str = "full";
/// `dmlab`'s command that is one.
const COMMAND: &str = "hog";

/// A hog, and whoever replaces it when it is killed.
pub(super) struct Hog {
    seen: Arc<Seen>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    full: AtomicBool,
    killed: AtomicU64,
    free_kib_min: AtomicU64,
}

impl Hog {
    /// Starts one and waits until memory is short.
    ///
    /// # Errors
    /// It could not be started, or is never full.
    pub(super) fn start() -> Result<Self, String> {
        let seen = Arc::new(Seen { free_kib_min: AtomicU64::new(u64::MAX), ..Seen::default() });
        let child = spawn().map_err(|error| error.to_string())?;
        let shared = Arc::clone(&seen);
        let hog = Self { keeper: Some(thread::spawn(move || keep(child, &shared))), seen };
        let begun = Instant::now();
        while !hog.seen.full.load(Ordering::Relaxed) {
            if begun.elapsed() > FULL {
                return Err(format!("memory is not short after {} s", FULL.as_secs()));
            }
            thread::sleep(LOOK);
        }
        Ok(hog)
    }

    /// Ends it; what was seen, by name.
    pub(super) fn end(self) -> BTreeMap<String, u64> {
        let seen = Arc::clone(&self.seen);
        drop(self);
        BTreeMap::from([
            ("hog.free_kib_min".to_owned(), seen.free_kib_min.load(Ordering::Relaxed)),
            ("hog.killed".to_owned(), seen.killed.load(Ordering::Relaxed)),
        ])
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            // It only keeps a process.
            let _ = keeper.join();
        }
    }
}

fn spawn() -> std::io::Result<Child> {
    Command::new("/proc/self/exe").arg(COMMAND).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

/// Looks after hogs until there are to be none.
fn keep(first: Child, seen: &Arc<Seen>) {
    let mut hog = Some(listened_to(first, seen));
    while !seen.stop.load(Ordering::Relaxed) {
        seen.free_kib_min.fetch_min(free_kib().unwrap_or(u64::MAX), Ordering::Relaxed);
        let is_gone = hog.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
        if is_gone {
            seen.killed.fetch_add(1, Ordering::Relaxed);
            // Where there is no memory for another one, memory is short all the same.
            hog = spawn().ok().map(|child| listened_to(child, seen));
        }
        thread::sleep(LOOK);
    }
    if let Some(mut child) = hog {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Notes when a hog says that it is full.
fn listened_to(mut child: Child, seen: &Arc<Seen>) -> Child {
    if let Some(pipe) = child.stdout.take() {
        let seen = Arc::clone(seen);
        thread::spawn(move || {
            let mut line = String::new();
            if BufReader::new(pipe).read_line(&mut line).is_ok() && line.trim() == SAYS {
                seen.full.store(true, Ordering::Relaxed);
            }
        });
    }
    child
}

/// Takes memory, for ever: what the hidden command `hog` of dmlab does in a guest.
///
/// # Errors
/// It is not started by the first process of a guest, or cannot make itself the first to be killed.
pub fn gorge() -> Result<std::convert::Infallible, String> {
    if nix::unistd::getppid().as_raw() != 1 {
        return Err("this is for the first process of a guest only: it takes all memory".to_owned());
    }
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| errno.to_string())?;
    fs::write("/proc/self/oom_score_adj", "1000").map_err(|error| format!("/proc/self/oom_score_adj: {error}"))?;
    let zones = fs::read_to_string("/proc/zoneinfo").map_err(|error| format!("/proc/zoneinfo: {error}"))?;
    let floor = kept_kib(&zones) + LEFT_KIB;
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    let mut is_full = false;
    loop {
        let free = free_kib().ok_or("/proc/meminfo tells nothing")?;
        if free > floor {
            let step = ((free - floor) / 2).clamp(*STEP_KIB.start(), *STEP_KIB.end()) << 10;
            let mut piece = vec![0_u8; usize::try_from(step).map_err(|error| error.to_string())?];
            // A page that was never written to is not there.
            piece.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
            eaten.push(piece);
            continue;
        }
        if !is_full {
            is_full = true;
            // Whoever does not listen does not wait.
            let _ = writeln!(std::io::stdout(), "{SAYS}");
        }
        thread::sleep(LOOK);
    }
}

/// What the kernel keeps for itself: of each zone the least that is to be free, and what of it is for others than user space.
fn kept_kib(zoneinfo: &str) -> u64 {
    const PAGE_KIB: u64 = 4;
    let of_line = |line: &str| -> u64 {
        let line = line.trim();
        if let Some(pages) = line.strip_prefix("min ") {
            return pages.trim().parse().unwrap_or(0);
        }
        let Some(list) = line.strip_prefix("protection: (") else { return 0 };
        list.trim_end_matches(')').split(',').filter_map(|pages| pages.trim().parse().ok()).max().unwrap_or(0)
    };
    zoneinfo.lines().map(of_line).sum::<u64>() * PAGE_KIB
}

fn free_kib() -> Option<u64> {
    free_of(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn free_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read_and_nobody_but_a_guests_first_process_has_a_hog() {
        assert_eq!(free_of("MemTotal:  100 kB\nMemFree:      71 kB\n"), Some(71));
        assert_eq!(free_of("MemTotal: 100 kB\n"), None);
        let zones = "Node 0, zone      DMA\n  pages free 300\n  min 28\n  low 35\n  protection: (0, 274, 274)\n\
                     Node 0, zone    DMA32\n        min      515\n        protection: (0, 0, 0)\n";
        assert_eq!(kept_kib(zones), (28 + 274 + 515) * 4);
        if nix::unistd::getppid().as_raw() != 1 {
            assert!(gorge().unwrap_err().contains("first process of a guest"));
        }
    }
}
