//! The description of the `load` step: fio's words.
//!
//! Not here: other steps (`steps`).

use super::texts::{DURATION, ON, OUTCOME, SEED, SIZE_VALUE, TRUTH};
use super::words::{Map, Value, fields, may, must, or};

/// The `load` step.
pub(super) static LOAD: Map = fields(
    "a `load` step",
    "A load in fio's words, with fio's meaning and defaults.",
    &[
        must("on", ON, "The device (fio's `filename`)."),
        or("rw", "read", RW, "The pattern."),
        or("bs", "4k", SIZE_VALUE, "Block size: whole sectors, at most 64 MiB."),
        or("iodepth", "1", Value::Number(1, 1024), "I/Os in flight per job."),
        or("numjobs", "1", Value::Number(1, 256), "Jobs, a task each."),
        or("offset", "0", SIZE_VALUE, "Where the range begins."),
        may("size", SIZE_VALUE, "The size of the range; to the end of the device without it."),
        may("io_size", SIZE_VALUE, "Bytes that each job transfers; one pass over the range without it."),
        may(
            "runtime",
            Value::Scalar(&DURATION),
            "Stop after this long; without `io_size`, go round until then. Where the clock does not measure (explored \
             schedules), one pass.",
        ),
        or(
            "verify",
            "false",
            TRUTH,
            "Each job has a part of the range to itself, checks what it reads against what it wrote, and reads all of it \
             back at the end.",
        ),
        or("rwmixread", "50", Value::Number(0, 100), "Percent of reads in `rw` and `randrw`."),
        may("randseed", Value::Scalar(&SEED), "Seed of the offsets; from the run's seed without it."),
        or(
            "expect",
            "ok",
            OUTCOME,
            "`ok`: no I/O may fail. An error: at least one must fail, and all that fail with this.",
        ),
    ],
);

const RW: Value = Value::Words(&[
    ("read", "sequential reads"),
    ("write", "sequential writes"),
    ("randread", "random reads"),
    ("randwrite", "random writes"),
    ("rw", "sequential reads and writes"),
    ("readwrite", "as `rw`"),
    ("randrw", "random reads and writes"),
]);
