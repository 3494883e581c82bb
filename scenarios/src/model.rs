//! The checked scenario: what a YAML file means once every mistake has been ruled out, for one cell of its matrix.
//!
//! Invariants: every device name used in `steps` and `expect` is declared in `devices`; every table line's device
//! tokens are still the scenario's own names (`$name`), each backend puts its own `major:minor` there; sizes are in
//! range; nothing here is optional that the interpreter would have to guess.
//! Not here: how it was written (see `check`), what a variant axis may be (the engine's catalogue; the harness checks
//! it), and what the run's verdict is (the harness).

use std::collections::BTreeMap;
use std::fmt;

use dmlab_faults::{IoFault, SlabFault};
use dmlab_units::{Bytes, Nanos, Sectors, Seed};

/// A checked scenario, with the values of one matrix cell put in.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scenario {
    /// Path-like name, e.g. `bio/split-head-or-remainder`; the file is `<id>.yaml`.
    pub id: String,
    /// One or two sentences: what this shows, and which commits it comes from.
    pub about: String,
    /// Commits that brought or mended what is tested.
    pub commits: Vec<String>,
    /// Words to select scenarios by.
    pub tags: Vec<String>,
    /// Where this scenario means something.
    pub runs: Vec<Runtime>,
    /// How the explorer searches.
    pub explore: Explore,
    /// Operations after which one run is given up as `step limit`.
    pub steps_max: u64,
    /// No progress for this long is a hang (threads, kernel).
    pub deadline: Nanos,
    /// Module parameters set before the first device is made, e.g. `reserved_bio_based_ios: 1`.
    pub params: BTreeMap<String, u64>,
    /// Devices in order of declaration; each names only devices before it.
    pub devices: Vec<Device>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must come of it; an expectation without `when` holds for every cell.
    pub expect: Vec<Expectation>,
}

/// Where a scenario can run on the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// One OS thread, all tasks as coroutines, every order of operations a choice of the search.
    Explorer,
    /// OS threads; wall clock.
    Threads,
}

/// How the explorer searches the schedules of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explore {
    /// Schedules that a sampling strategy tries before it says `not found`.
    pub schedules: u64,
    /// Which schedules come next.
    pub strategy: Strategy,
    /// With [`Strategy::Icb`]: preemptions up to which is searched; `None` goes on until no bound cuts anything off.
    pub bound: Option<u32>,
    /// When timers may fire.
    pub timers: Timers,
    /// Memory that the cache of known states may take.
    pub cache: Bytes,
    /// Schedules after which an exhaustive search is given up.
    pub runs: u64,
}

/// What decides which schedule is tried next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Several sampling strategies in turn.
    #[default]
    Portfolio,
    /// Every choice at random.
    Random,
    /// Probabilistic concurrency testing: random priorities, which change at a few points.
    Pct,
    /// Partial order sampling.
    Pos,
    /// Uniform random walk.
    Urw,
    /// Every schedule that differs.
    Exhaustive,
    /// Iterative context bounding: every schedule with few preemptions, then with more.
    Icb,
}

impl Strategy {
    /// All of them, in the order in which help lists them.
    pub const ALL: [Self; 7] =
        [Self::Portfolio, Self::Random, Self::Pct, Self::Pos, Self::Urw, Self::Exhaustive, Self::Icb];

    /// The spelling in scenarios, on the command line and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portfolio => "portfolio",
            Self::Random => "random",
            Self::Pct => "pct",
            Self::Pos => "pos",
            Self::Urw => "urw",
            Self::Exhaustive => "exhaustive",
            Self::Icb => "icb",
        }
    }

    /// Whether it can come to an end, and so prove something; all others sample.
    pub const fn can_prove(self) -> bool {
        matches!(self, Self::Exhaustive | Self::Icb)
    }
}

/// When the timers of an explored run may fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timers {
    /// In order, when no task can run.
    #[default]
    WhenIdle,
    /// At any time at or after they were set: one more choice of the search.
    Any,
}

/// What an exploration that finds nothing is to be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Every schedule passes.
    Proved,
    /// Every schedule with at most so many preemptions passes.
    ProvedUpTo(u32),
}

impl Strength {
    /// The one of the two that implies the other.
    #[must_use]
    pub fn stronger(self, other: Self) -> Self {
        match (self, other) {
            (Self::ProvedUpTo(one), Self::ProvedUpTo(two)) => Self::ProvedUpTo(one.max(two)),
            (Self::Proved, _) | (_, Self::Proved) => Self::Proved,
        }
    }
}

/// As scenarios write it.
impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved => f.write_str("proved"),
            Self::ProvedUpTo(1) => f.write_str("proved up to 1 preemption"),
            Self::ProvedUpTo(preemptions) => write!(f, "proved up to {preemptions} preemptions"),
        }
    }
}

/// One device of a scenario.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// Its name in the scenario.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
}

/// What a device is made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A ramdisk (kernel: brd) of this size.
    Ram(Bytes),
    /// Completes everything at once and keeps no data (kernel: null_blk) of this size.
    Null(Bytes),
    /// A stacking driver above `below` that lets one bio through at a time, as md's single-flush rule and the
    /// raid1 barrier did (dm-spec §2.5).
    Barrier {
        /// The device below.
        below: String,
    },
    /// A dm device.
    Dm {
        /// The table, one target a line, in dmsetup's own syntax; `$name` stands for a device of the scenario and
        /// `$below` for the next lower level.
        table: Vec<String>,
        /// With `levels`: the device that the lowest level stands on.
        over: Option<String>,
        /// How many such devices to stack; 1 is the device alone. The others are called `<name>.1`, `<name>.2`, …
        /// from the lowest up, the topmost bears the plain name.
        levels: u32,
    },
}

/// A step and where it stands in the file.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Line in the scenario file, from 1; reports name it.
    pub line: u32,
    /// What to do.
    pub action: Action,
}

/// What a step does. A dm device that no `Create` step names is created before the first step.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Create, load and resume a dm device: `dmsetup create`.
    Create {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// Load a table into the inactive slot: `dmsetup load`.
    Load {
        /// The device.
        device: String,
        /// The table, as in [`DeviceKind::Dm`].
        table: Vec<String>,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup suspend [--noflush]`.
    Suspend {
        /// The device.
        device: String,
        /// Hold I/O back instead of waiting for it.
        noflush: bool,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup resume`: takes an inactive table if there is one.
    Resume {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup remove`.
    Remove {
        /// The device.
        device: String,
        /// What must come of it.
        outcome: Outcome,
    },
    /// `dmsetup status` must print exactly this.
    Status {
        /// The device.
        device: String,
        /// The lines, e.g. `0 16 linear `; `$name` as in tables.
        lines: Vec<String>,
    },
    /// `dmsetup table` must print exactly this.
    Table {
        /// The device.
        device: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// One bio, waited for.
    Submit(Submit),
    /// A load in fio's words.
    Run(Load),
    /// Write a pattern that says of each sector which device and sector it was written to.
    Stamp(Extent),
    /// Read a pattern back: every sector of `of` must hold what was stamped.
    Verify(Extent),
    /// A stamped extent of `of` must lie, byte for byte, at `on` below it.
    Layout {
        /// Where it was stamped.
        of: Extent,
        /// Which device it must be found on.
        on: String,
        /// From which sector of that device.
        at: Sectors,
    },
    /// Begin to fail allocations or I/O.
    Fault(Fault),
    /// End all faults.
    Heal,
    /// Several lists of steps at once, each in a task of that name; the step ends when all have ended.
    Parallel(Vec<(String, Vec<Step>)>),
    /// The same steps several times.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
    /// Let time pass.
    Sleep(Nanos),
}

/// What a control step must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Success.
    Ok,
    /// This error.
    Errno(Errno),
}

/// The error numbers that scenarios may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, clippy::upper_case_acronyms)]
pub enum Errno {
    EPERM,
    ENOENT,
    ENXIO,
    EIO,
    ENOMEM,
    EBUSY,
    EEXIST,
    ENODEV,
    EINVAL,
    ENOSPC,
    EOPNOTSUPP,
    EAGAIN,
}

/// The operation of one bio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoOp {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Empty flush.
    Flush,
}

/// A range of sectors of a device.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Extent {
    /// The device.
    pub device: String,
    /// First sector.
    pub at: Sectors,
    /// How many.
    pub sectors: Sectors,
}

/// One bio.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Submit {
    /// What to do.
    pub op: IoOp,
    /// Where (no sectors for a flush).
    pub extent: Extent,
    /// What must come of it.
    pub outcome: Outcome,
}

/// A load in fio's words.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// The device (fio: `filename`).
    pub on: String,
    /// Pattern.
    pub rw: Rw,
    /// Percent of reads in `rw`/`randrw`.
    pub rwmixread: u8,
    /// Block size, a multiple of 512.
    pub bs: Bytes,
    /// I/Os each job keeps in flight.
    pub iodepth: u32,
    /// Jobs at once, each with its own task.
    pub numjobs: u32,
    /// First byte of the range (fio: `offset`).
    pub offset: Bytes,
    /// Length of the range; `None` is to the end of the device.
    pub size: Option<Bytes>,
    /// Bytes each job transfers; `None` is one pass over its range.
    pub io_size: Option<Bytes>,
    /// Stop after this long.
    pub runtime: Option<Nanos>,
    /// Check what is read against what was written, whole blocks.
    pub verify: bool,
    /// Seed of the offsets; `None` is drawn from the run's seed.
    pub randseed: Option<Seed>,
    /// How many I/Os may fail: `Ok` none, `Errno` every failure must be this one and at least one must happen.
    pub outcome: Outcome,
}

/// fio's `rw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Rw {
    Read,
    Write,
    RandRead,
    RandWrite,
    ReadWrite,
    RandRw,
}

/// A fault to begin.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Allocations behind a pool fail (the reserve stays).
    Slab {
        /// `<device>.<pool>`, e.g. `t.bs`, `t.io_bs`, `t.bio_split`; `*` in either part stands for all.
        pool: String,
        /// When.
        fault: SlabFault,
    },
    /// I/O fails in a device.
    Io {
        /// The device (not a dm device).
        device: String,
        /// When and how.
        fault: IoFault,
        /// With what.
        errno: Errno,
    },
}

/// What must come of a cell.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Expectation {
    /// Line in the scenario file.
    pub line: u32,
    /// Holds only on this runtime.
    pub on: Option<Runtime>,
    /// The verdict; `None` leaves it to other expectations.
    pub verdict: Option<Verdict>,
    /// What a pass on the explorer must be worth; the search is chosen such that it can be.
    pub strength: Option<Strength>,
    /// In which order locks are taken, over all explored schedules; `None` leaves it to the verdict: where a pass is
    /// expected, the order must be clean.
    pub lock_order: Option<LockOrder>,
    /// Names (of locks, pools or tasks) that must all stand in the reported wait-for cycle.
    pub cycle: Vec<String>,
    /// Text that the report of the failure must contain.
    pub message: Option<String>,
    /// Order in which bios enter drivers, e.g. `t 0+16`, exactly (dm-spec §2.4); empty is no expectation.
    pub entry_order: Vec<String>,
    /// Bounds on the peak of elements in use, by pool name as in [`Fault::Slab`].
    pub peak: Vec<(String, Bound)>,
    /// Bounds on counters, by name as the harness documents them.
    pub counters: Vec<(String, Bound)>,
}

/// A verdict that a scenario can expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Verdict {
    Pass,
    Fail,
    Deadlock,
    Hang,
    Livelock,
    Crash,
    Corruption,
    Leak,
}

/// In which order a cell takes its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockOrder {
    /// One order: no two tasks can block each other by it.
    Clean,
    /// In circles: what the kernel's lockdep reports.
    Circular,
}

/// A comparison with a number, written `<= 2`, `>= 1`, `== 0`, `< 5`, `> 5` or `!= 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bound {
    /// How to compare.
    pub relation: Relation,
    /// With what.
    pub value: u64,
}

/// How a [`Bound`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Relation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
    Not,
}

impl Bound {
    /// Whether `measured` is within the bound.
    pub const fn holds(self, measured: u64) -> bool {
        match self.relation {
            Relation::Less => measured < self.value,
            Relation::AtMost => measured <= self.value,
            Relation::Equal => measured == self.value,
            Relation::AtLeast => measured >= self.value,
            Relation::More => measured > self.value,
            Relation::Not => measured != self.value,
        }
    }
}
