//! The kernel's own fault injection: `fail_make_request` of single devices, `failslab` of single caches (dm-spec §11).
//!
//! Invariants: every file that is written is put back through the journal's values; what is there is asked of the kernel
//! (`CONFIG_FAULT_INJECTION_DEBUG_FS`), never assumed.
//! Not here: which fault becomes what (`faults`).

use std::fs;
use std::path::{Path, PathBuf};

use dmlab_faults::When;
use dmlab_scenarios::Fault;

use super::faults::Draw;
use super::knobs::Knobs;
use super::nodes::{self, Dev};
use super::{KernelError, RunningKernel};

const DEBUGFS: &str = "/sys/kernel/debug";
const SLABS: &str = "/sys/kernel/slab";

/// Pools of the engine and what the caches behind them are called in the kernel.
const CACHES: &[(&str, &str)] = &[
    ("bs", "bio-"),
    ("io_bs", "bio-"),
    ("bio_split", "bio-"),
    ("jobs", "kcopyd_job"),
    ("pending", "dm_snap_pending_exception"),
    ("tracked", "dm_snap_pending_exception"),
];

/// Whether the kernel has this kind of fault, set through debugfs.
pub(super) fn has(kind: &str) -> bool {
    Path::new(DEBUGFS).join(kind).join("probability").exists()
}

/// Lets I/O of a device fail as drawn.
pub(super) fn fail_requests(
    kernel: &RunningKernel,
    knobs: &mut Knobs,
    dev: Dev,
    draw: Draw,
) -> Result<(), KernelError> {
    set(kernel, knobs, "fail_make_request", draw)?;
    knobs.set(kernel, &nodes::sysfs(dev).join("make-it-fail"), "1")
}

/// Why the allocations of a pool cannot be made to fail here, if so.
pub(super) fn slab_unmet(fault: &Fault) -> Option<String> {
    let Fault::Slab { pool, fault } = fault else { return None };
    if !has("failslab") {
        return Some("allocations can fail only in a kernel with failslab, set through debugfs".to_owned());
    }
    if slab_draw(&fault.when).is_none() {
        return Some("which allocation fails cannot be told to a kernel".to_owned());
    }
    caches(pool).is_empty().then(|| format!("no cache of this kernel can be told to fail in place of {pool}"))
}

/// Lets the allocations fail that stand behind a pool of this name.
pub(super) fn fail_slab(kernel: &RunningKernel, knobs: &mut Knobs, fault: &Fault) -> Result<(), KernelError> {
    let Fault::Slab { pool, fault } = fault else { return Ok(()) };
    let draw = slab_draw(&fault.when).ok_or_else(|| KernelError::new(format!("{pool}: no such draw")))?;
    let folder = Path::new(DEBUGFS).join("failslab");
    knobs.set(kernel, &folder.join("cache-filter"), "Y")?;
    // Both tries of a mempool: without waiting, and with.
    knobs.set(kernel, &folder.join("ignore-gfp-wait"), "N")?;
    for cache in caches(pool) {
        knobs.set(kernel, &cache.join("failslab"), "1")?;
    }
    set(kernel, knobs, "failslab", draw)
}

fn slab_draw(when: &When) -> Option<Draw> {
    match when {
        When::Always => Some(Draw { probability: 100, times: None }),
        When::Rate { ppb } => Some(Draw { probability: ppb / 10_000_000, times: None }),
        When::Any { at_most } => Some(Draw { probability: 50, times: Some(*at_most) }),
        When::Nth(_) | When::Every(_) => None,
    }
}

/// The folders of the caches behind a pool such as `t.bs`; `*` stands for all that are known.
fn caches(pool: &str) -> Vec<PathBuf> {
    let kind = pool.rsplit_once('.').map_or(pool, |(_, kind)| kind);
    let names: Vec<&str> =
        CACHES.iter().filter(|(known, _)| kind == "*" || kind == *known).map(|(_, cache)| *cache).collect();
    let Ok(entries) = fs::read_dir(SLABS) else { return Vec::new() };
    let fits = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        names.iter().any(|wanted| name.starts_with(wanted)) && path.join("failslab").exists()
    };
    entries.flatten().map(|entry| entry.path()).filter(fits).collect()
}

fn set(kernel: &RunningKernel, knobs: &mut Knobs, kind: &str, draw: Draw) -> Result<(), KernelError> {
    let folder = Path::new(DEBUGFS).join(kind);
    let times = draw.times.map_or_else(|| "-1".to_owned(), |times| times.to_string());
    // What is set last lets it begin.
    let values = [
        ("verbose", "0".to_owned()),
        ("interval", "1".to_owned()),
        ("space", "0".to_owned()),
        ("times", times),
        ("probability", draw.probability.to_string()),
    ];
    values.iter().try_for_each(|(file, value)| knobs.set(kernel, &folder.join(file), value))
}
