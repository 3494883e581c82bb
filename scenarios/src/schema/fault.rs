//! The description of the `fault` and `heal` steps, and what timed and file devices are like.
//!
//! Not here: other steps (`steps`).

use super::texts::{DURATION, ERRNO, FILLED, ON, POOL, RATE, SECTOR_RANGE, SIZE};
use super::words::{Key, Map, Shape, Value, choice, fields, may, must, or, words};

/// The `fault` step.
pub(super) static FAULT: Map = choice(
    "a `fault` step",
    "What begins to fail. Faults add up until `heal: all`.",
    &[
        may("slab", Value::Map(&SLAB), "Allocations behind a pool fail; its reserve stays."),
        may("io", Value::Map(&IO), "I/O of a leaf device ends with an error, hangs, or is slow."),
    ],
);

/// What the `heal` step takes.
pub(super) const HEAL: Value = words!("all");

static SLAB: Map = fields(
    "a `slab` fault",
    "Allocations behind a pool fail; its reserve stays.",
    &[must("pool", Value::Scalar(&POOL), "The pool, or several with `*`."), FAIL, AT_MOST],
);

static IO: Map = Map {
    what: "an `io` fault",
    about: "I/O of a leaf device ends with an error before any data moves, is held until it is released, or is slow.",
    keys: &[
        must("on", ON, "The leaf device: ram, null, timed or file."),
        or(
            "op",
            "any",
            words!("any", "read", "write", "flush", "discard", "secure-erase", "write-zeroes"),
            "Which bios.",
        ),
        or("sectors", "all", Value::Scalar(&SECTOR_RANGE), "Bios that touch these sectors."),
        may("fail", Value::Either(&FAILING), "Which bios end with an error."),
        may("hang", Value::Either(&FAILING), "Which bios are held until `release` or `heal: all`."),
        may("delay", Value::Either(&FAILING), "Which bios are carried out later."),
        AT_MOST,
        or("errno", "EIO", ERRNO, "With `fail`: the error."),
        may("by", Value::Scalar(&DURATION), "With `delay`: how much later."),
    ],
    shape: Shape::OneOf(&["fail", "hang", "delay"]),
};

/// Where a file device keeps its data.
pub(super) static FILE: Map = fields(
    "a `file` device",
    "Data in a file or on a block device of this machine, through io_uring and past the page cache where possible.",
    &[
        must("size", Value::Scalar(&SIZE), "Its size."),
        may(
            "path",
            Value::Scalar(&FILLED),
            "Where; what exists is left alone unless dmlab made it. Without it, a temporary file.",
        ),
    ],
);

/// What a timed device is like.
pub(super) static TIMED: Map = fields(
    "a `timed` device",
    "A ramdisk whose I/O takes time: `depth` channels before one queue.",
    &[
        must("size", Value::Scalar(&SIZE), "Its size."),
        or("depth", "1", Value::Number(1, 1024), "I/Os that are served at once."),
        or("read", "0", Value::Scalar(&DURATION), "What a read takes beside its bytes."),
        or("write", "0", Value::Scalar(&DURATION), "What a write takes beside its bytes."),
        may("flush", Value::Scalar(&DURATION), "What a flush takes; without it there is no write cache."),
        or("discard", "0", Value::Scalar(&DURATION), "What a discard or write-zeroes takes, whatever its size."),
        may("bandwidth", Value::Scalar(&SIZE), "Bytes in a second when all channels are busy; each has an even share."),
        or(
            "spread",
            "constant",
            Value::Words(&[
                ("constant", "every time is as given"),
                ("uniform", "evenly from 0 to twice of what is given"),
                ("exponential", "exponentially, with what is given as the mean"),
            ]),
            "How times are spread around what is given.",
        ),
    ],
);

const FAIL: Key = must("fail", Value::Either(&FAILING), "Which events fail.");

static FAILING: [Value; 2] = [
    Value::Words(&[("always", "every event"), ("any", "the search chooses, within `at_most`")]),
    Value::Map(&WHAT_FAILS),
];

const AT_MOST: Key = or("at_most", "1", Value::Number(1, 1000), "With `any`: how many events may be struck.");

static WHAT_FAILS: Map = choice(
    "what fails",
    "Which events fail.",
    &[
        may("rate", Value::Scalar(&RATE), "Each with this probability, decided from the seed."),
        may("nth", Value::OneOrMore(&Value::Number(1, u64::MAX - 1)), "These, counted from 1."),
        may("every", Value::Number(1, u64::MAX), "Every second, third, … event."),
    ],
);
