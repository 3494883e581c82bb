//! The description of the `load` step: fio's words.
//!
//! Not here: other steps (`steps`).

use super::texts::{BSRANGE, BSSPLIT, DISTRIBUTION, DURATION, ON, OUTCOME, PERCENTILE, SEED, SIZE_VALUE, TASK, TRUTH};
use super::words::{Map, Value, fields, may, must, or, words};

/// No load has more I/Os that anybody counts.
const COUNT: Value = Value::Number(1, 1_000_000_000);
const SPAN: Value = Value::Scalar(&DURATION);

/// The `load` step.
pub(super) static LOAD: Map = fields(
    "a `load` step",
    "A load in fio's words, with fio's meaning and defaults.",
    &[
        may("name", Value::Scalar(&TASK), "What results and expectations call it."),
        must("on", ON, "The device (fio's `filename`)."),
        or("rw", "read", RW, "The pattern."),
        or("rwmixread", "50", Value::Number(0, 100), "Percent of reads in `rw` and `randrw`."),
        or("bs", "4k", SIZE_VALUE, "Block size: whole sectors, at most 64 MiB."),
        may("bsrange", Value::Scalar(&BSRANGE), "Block sizes: any multiple of the smaller, equally often."),
        may("bssplit", Value::Scalar(&BSSPLIT), "Block sizes, each in so many percent of the I/Os."),
        or("iodepth", "1", Value::Number(1, 1024), "I/Os in flight per job."),
        or(
            "iodepth_batch_submit",
            "1",
            Value::Number(1, 1024),
            "Wait until there is room for so many, then submit all.",
        ),
        or("iodepth_batch_complete", "1", Value::Number(1, 1024), "Where there is no room, wait for so many to end."),
        or("numjobs", "1", Value::Number(1, 256), "Jobs, a task each."),
        or("offset", "0", SIZE_VALUE, "Where the range begins."),
        or("offset_increment", "0", SIZE_VALUE, "How much later the range of each further job begins."),
        may("size", SIZE_VALUE, "The size of the range; to the end of the device without it."),
        may("io_size", SIZE_VALUE, "Bytes that each job transfers; one pass over the range without it."),
        may("runtime", SPAN, "Stop after this long. Where the clock does not measure (explored schedules), nothing."),
        or("time_based", "false", TRUTH, "Go on until `runtime` is over, in as many passes as it takes."),
        or("ramp_time", "0", SPAN, "What ends this long after the begin is not in the results."),
        may("rate", SIZE_VALUE, "Bytes a second of each job."),
        may("rate_iops", COUNT, "I/Os a second of each job."),
        or("rate_process", "linear", words!("linear", "poisson"), "How I/Os of `rate_iops` follow each other."),
        or("random_distribution", "random", Value::Scalar(&DISTRIBUTION), "Where random I/Os go."),
        or("norandommap", "false", TRUTH, "Random I/Os may meet a block twice in a pass."),
        may("randseed", Value::Scalar(&SEED), "Seed of the offsets; from the run's seed without it."),
        may("fsync", COUNT, "A flush after so many writes, which have ended by then."),
        may("fdatasync", COUNT, "The same: a block device has no metadata."),
        or(
            "verify",
            "false",
            TRUTH,
            "Each job has a part of the range to itself, checks what it reads against what it wrote, and reads all of it \
             back at the end.",
        ),
        may("verify_backlog", COUNT, "With `verify`: read back after so many writes already."),
        may("thinktime", SPAN, "Pauses, with nothing in flight."),
        or("thinktime_blocks", "1", COUNT, "I/Os between pauses."),
        may("percentile_list", Value::OneOrMore(&Value::Scalar(&PERCENTILE)), "Percentiles in results, at most 20."),
        may("max_stall", SPAN, "It fails if a job has I/O in flight of which none ends for longer than this."),
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
    ("trim", "sequential discards"),
    ("randtrim", "random discards"),
    ("trimwrite", "sequential discards, each followed by a write of the same block"),
]);
