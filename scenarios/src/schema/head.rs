//! The description of a scenario's top level: head, parameters, search, devices.
//!
//! Not here: steps (`steps`), expectations (`expect`).

use super::expect::EXPECTATION;
use super::fault::{FILE, TIMED};
use super::steps::STEP;
use super::texts::{
    COMMIT, DEVICE_NAME, DURATION, FILLED, ID, KERNEL_BOUND, MODULE, REFERENCE, SIZE, TABLE_LINE, TAG, TARGET, TRUTH,
};
use super::words::{Map, Shape, Value, fields, may, must, or};

const BILLION: u64 = 1_000_000_000;

/// A runtime.
pub(super) const RUNTIME: Value = Value::Words(&[
    ("explorer", "all tasks on one OS thread, each order a choice of the search"),
    ("threads", "OS threads and the wall clock"),
]);

/// The top level.
pub(super) static SCENARIO: Map = fields(
    "a scenario",
    "A dmlab scenario: devices, what happens on them, and what must come of it.",
    &[
        must("scenario", Value::Scalar(&ID), "Its name. In the catalogue: the path without `.yaml`."),
        must(
            "about",
            Value::Scalar(&FILLED),
            "What it shows, in one or two sentences, and which commits it comes from.",
        ),
        may("commits", Value::OneOrMore(&Value::Scalar(&COMMIT)), "Commits that brought or mended what is tested."),
        may("tags", Value::OneOrMore(&Value::Scalar(&TAG)), "Words to select scenarios by (`dmlab run --tag`)."),
        or("runs", "[explorer, threads]", Value::OneOrMore(&RUNTIME), "Where it means something."),
        or(
            "deadline",
            "2s",
            Value::Scalar(&DURATION),
            "On threads: no progress for this long, while no timer runs, is a hang.",
        ),
        may(
            "as_of",
            Value::Scalar(&FILLED),
            "The kernel whose algorithms are run where no axis says otherwise, e.g. `4.9`.",
        ),
        may("budget", Value::Map(&BUDGET), "How much time a cell may take; a cell that takes more is not met."),
        may(
            "requires",
            Value::Map(&REQUIRES),
            "What there must be for a cell to be run; else it is skipped, and says why.",
        ),
        may(
            "variants",
            Value::Axes,
            "The matrix: axes and their values. Every combination is a cell, a scenario of its own. An axis is one of the \
             engine's, or a parameter of this scenario, used as `${axis}`.",
        ),
        may("exclude", Value::List(&Value::Selector), "Partial cells that are left out of the matrix."),
        may("params", Value::Map(&PARAMS), "Module parameters, set before the first device is made."),
        may("explore", Value::Map(&EXPLORE), "How the explorer searches the schedules of a cell."),
        must(
            "devices",
            Value::MapOf(&DEVICE_NAME, &Value::Map(&DEVICE)),
            "What it stands on: names, and what each device is made of. A device stands on earlier ones.",
        ),
        must("steps", Value::List(&Value::Map(&STEP)), "What happens, in order."),
        may("expect", Value::List(&Value::Map(&EXPECTATION)), "What must come of it. Without a verdict: a pass."),
    ],
);

static BUDGET: Map = fields(
    "`budget`",
    "How much time a cell may take.",
    &[
        may(
            "wall",
            Value::Scalar(&DURATION),
            "All of it, on the clock of the run; on the explorer the search, in real time.",
        ),
        may(
            "per_step",
            Value::Scalar(&DURATION),
            "Each step that holds no others, on the clock of the run; nothing in explored schedules.",
        ),
    ],
);

static REQUIRES: Map = fields(
    "`requires`",
    "What there must be for a cell to be run.",
    &[
        may("targets", Value::OneOrMore(&Value::Scalar(&TARGET)), "Target types."),
        may(
            "kernel",
            Value::OneOrMore(&Value::Scalar(&KERNEL_BOUND)),
            "Bounds on the kernel, all of which must hold: on the engine, on the one whose algorithms are run (`as_of`).",
        ),
        may("module", Value::OneOrMore(&Value::Scalar(&MODULE)), "Modules of a real kernel; the engine needs none."),
        or("root", "false", TRUTH, "Whether a real kernel must be driven as root; the engine needs no root."),
    ],
);

static PARAMS: Map = fields(
    "module parameters",
    "Module parameters.",
    &[
        may(
            "reserved_bio_based_ios",
            Value::Number(0, 1024),
            "Elements that each pool of a table keeps in reserve; 0 is the kernel's default of 16.",
        ),
        may(
            "kcopyd_subjob_size_kb",
            Value::Number(0, 1024),
            "KiB that kcopyd copies in one piece; 0 is the default of the axis `kcopyd_subjob`.",
        ),
        may(
            "snapshot_cow_threshold",
            Value::Number(0, u32::MAX as u64),
            "Chunks that a snapshot copies at once; what 0 means depends on the axis `cow_throttle`.",
        ),
        may("snapshot_copy_throttle", Value::Number(0, 100), "Percent of the time that snapshots may spend on copies."),
    ],
);

static EXPLORE: Map = fields(
    "`explore`",
    "How the explorer searches.",
    &[
        or("schedules", "1000", Value::Number(1, BILLION), "Schedules that a sampling strategy tries."),
        or("steps", "20000", Value::Number(1, BILLION), "Operations after which one run is given up (`step-limit`)."),
        or("strategy", "portfolio", STRATEGY, "Which schedule comes next."),
        may(
            "bound",
            Value::Number(0, 1000),
            "With `strategy: icb` only: search up to so many preemptions; without it until no bound cuts anything off.",
        ),
        or(
            "timers",
            "when-idle",
            Value::Words(&[
                ("when-idle", "in order, when no task can run"),
                ("any", "at any time at or after they were set, as one more choice of the search"),
            ]),
            "When timers fire.",
        ),
        or(
            "cache",
            "256MiB",
            Value::Scalar(&SIZE),
            "Memory that the cache of known states may take, 1MiB to 1TiB. A search that fills it proves nothing.",
        ),
        or("runs", "1000000", Value::Number(1, BILLION), "Schedules after which an exhaustive search is given up."),
    ],
);

const STRATEGY: Value = Value::Words(&[
    ("portfolio", "several of the sampling strategies in turn"),
    ("random", "every choice at random"),
    ("pct", "random priorities, which change at a few points"),
    ("pos", "partial order sampling"),
    ("urw", "uniform random walk"),
    ("exhaustive", "every schedule that differs; ends with `proved`, or with the schedule that fails"),
    ("icb", "every schedule with no preemption, then with one, and so on"),
]);

const DRIVER: Value = Value::Words(&[
    ("brd", "a ramdisk, which takes bios"),
    ("loop", "a file in memory as a disk, which takes requests"),
    ("null_blk", "null_blk with memory behind it, which takes requests"),
    ("scsi_debug", "a SCSI disk in memory, which takes requests"),
]);

static DEVICE: Map = Map {
    what: "a device",
    about: "A device: one of ram, null, timed, file, barrier and dm.",
    keys: &[
        may("ram", Value::Scalar(&SIZE), "A ramdisk of this size; sectors never written read as zeros."),
        may("null", Value::Scalar(&SIZE), "Ends every bio at once and keeps nothing."),
        may("timed", Value::Map(&TIMED), "A ramdisk whose I/O takes time."),
        may("file", Value::Map(&FILE), "A file or block device of this machine; for threads only."),
        may(
            "barrier",
            Value::Scalar(&REFERENCE),
            "A stacking driver that lets one bio through at a time, on top of this device.",
        ),
        may("dm", Value::OneOrMore(&Value::Scalar(&TABLE_LINE)), "A dm device with this table."),
        may("over", Value::Scalar(&REFERENCE), "What the lowest level stands on; `$below` in the table stands for it."),
        or("levels", "1", Value::Number(1, 64), "So many such devices, stacked on `over`."),
        or(
            "volatile_cache",
            "false",
            TRUTH,
            "Of a ram or timed device: what was written and not flushed may be lost in a power cut.",
        ),
        or(
            "atomic",
            "512",
            Value::Scalar(&SIZE),
            "With a volatile cache: what is written back as a whole, 512 bytes to 4 KiB.",
        ),
        or("driver", "brd", DRIVER, "Of a ram device: which of a kernel's drivers it is; the engine has one for all."),
    ],
    shape: Shape::OneOf(&["ram", "null", "timed", "file", "barrier", "dm"]),
};
