//! The description of the `fault` and `heal` steps.
//!
//! Not here: other steps (`steps`).

use super::texts::{ERRNO, ON, POOL, RATE, SECTOR_RANGE};
use super::words::{Key, Map, Value, choice, fields, may, must, or, words};

/// The `fault` step.
pub(super) static FAULT: Map = choice(
    "a `fault` step",
    "What begins to fail. Faults add up until `heal: all`.",
    &[
        may("slab", Value::Map(&SLAB), "Allocations behind a pool fail; its reserve stays."),
        may("io", Value::Map(&IO), "I/O of a ram or null device ends with an error before any data moves."),
    ],
);

/// What the `heal` step takes.
pub(super) const HEAL: Value = words!("all");

static SLAB: Map = fields(
    "a `slab` fault",
    "Allocations behind a pool fail; its reserve stays.",
    &[must("pool", Value::Scalar(&POOL), "The pool, or several with `*`."), FAIL, AT_MOST],
);

static IO: Map = fields(
    "an `io` fault",
    "I/O of a ram or null device ends with an error before any data moves.",
    &[
        must("on", ON, "The ram or null device."),
        or(
            "op",
            "any",
            words!("any", "read", "write", "flush", "discard", "secure-erase", "write-zeroes"),
            "Which bios.",
        ),
        or("sectors", "all", Value::Scalar(&SECTOR_RANGE), "Bios that touch these sectors."),
        FAIL,
        AT_MOST,
        or("errno", "EIO", ERRNO, "The error."),
    ],
);

const FAIL: Key = must("fail", Value::Either(&FAILING), "Which events fail.");

static FAILING: [Value; 2] = [
    Value::Words(&[("always", "every event"), ("any", "the search chooses, within `at_most`")]),
    Value::Map(&WHAT_FAILS),
];

const AT_MOST: Key = or("at_most", "1", Value::Number(1, 1000), "With `fail: any`: how many events may fail.");

static WHAT_FAILS: Map = choice(
    "what fails",
    "Which events fail.",
    &[
        may("rate", Value::Scalar(&RATE), "Each with this probability, decided from the seed."),
        may("nth", Value::OneOrMore(&Value::Number(1, u64::MAX - 1)), "These, counted from 1."),
        may("every", Value::Number(1, u64::MAX), "Every second, third, … event."),
    ],
);
