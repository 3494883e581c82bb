//! The description of the steps about snapshots, and of `each`.
//!
//! Not here: other steps (`steps`).

use super::steps::{EXPECT, STEP};
use super::texts::{COW, DURATION, ON, OUTCOME, SNAPSHOTS, TASK, TRUTH};
use super::words::{Map, Value, fields, must, or, words};

const NUMBER: Value = Value::Number(0, 1_000_000);
const NAMES: Value = Value::OneOrMore(&Value::Scalar(&SNAPSHOTS));

pub(super) static SNAPSHOT: Map = fields(
    "a `snapshot` step",
    "Take snapshots of a volume at one point in time, as LVM does.",
    &[
        must("of", ON, "The volume: a dm device that is no snapshot."),
        must("as", NAMES, "The snapshots; later steps call them so."),
        or(
            "cow",
            "auto",
            Value::Scalar(&COW),
            "Where copies go to: a ramdisk with room for all, or of a size; a device.",
        ),
        or("store", "P", words!("P", "PO", "N"), "The exception store, as in table lines."),
        or("chunk", "8", Value::Number(0, u32::MAX as u64), "The chunk size in sectors; 0 is the store's own."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

pub(super) const DROP: Value =
    Value::Either(&[Value::Scalar(&SNAPSHOTS), Value::List(&Value::Scalar(&SNAPSHOTS)), Value::Map(&DROP_MAP)]);

static DROP_MAP: Map = fields(
    "a `drop` step",
    "Remove snapshots, one after another; with the last one, the volume has its own table again.",
    &[must("snapshot", NAMES, "Which."), or("expect", "ok", OUTCOME, EXPECT)],
);

pub(super) const MERGE: Value = Value::Either(&[Value::Scalar(&SNAPSHOTS), Value::Map(&MERGE_MAP)]);

static MERGE_MAP: Map = fields(
    "a `merge` step",
    "Merge a snapshot into its volume, and wait until that is done.",
    &[
        must("snapshot", Value::Scalar(&SNAPSHOTS), "Which."),
        or("within", "10s", Value::Scalar(&DURATION), "It fails after this long."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

pub(super) static EACH: Map = fields(
    "an `each` step",
    "The same steps for each of several numbers, which is `${name}` in them.",
    &[
        must("name", Value::Scalar(&TASK), "What the number is called in the steps."),
        or("from", "1", NUMBER, "The first number."),
        must("to", NUMBER, "The last number, or one that is not reached."),
        or("by", "1", Value::Number(1, 1_000_000), "From one number to the next."),
        or("at_once", "false", TRUTH, "Each in a task of its own, called by name and number."),
        must("do", Value::Either(&[Value::Map(&STEP), Value::List(&Value::Map(&STEP))]), "What."),
    ],
);
