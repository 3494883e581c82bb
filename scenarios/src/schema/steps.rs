//! The description of steps: dmsetup's verbs, bios and patterns, flow.
//!
//! Not here: loads (`load`), faults (`fault`).

use super::fault::{FAULT, HEAL};
use super::load::LOAD;
use super::texts::{AT, DURATION, ON, OUTCOME, PRINTED_LINE, SECTORS, TABLE_LINE, TASK, TRUTH};
use super::words::{Map, Value, choice, fields, may, must, or, words};

/// The kernel counts a bio's bytes in 32 bits.
const BIO_SECTORS: Value = Value::Number(1, (u32::MAX / 512) as u64);

const EXPECT: &str = "What must come of it: `ok`, or the name of an error.";
const DEVICE: &str = "The dm device.";

/// One step.
pub(super) static STEP: Map = choice(
    "a step",
    "A step: a map with one key, the action.",
    &[
        may(
            "create",
            Value::Either(&[ON, Value::Map(&CREATE)]),
            "Create a dm device, load its declared table, resume it.",
        ),
        may("reload", Value::Map(&RELOAD), "Load a table into the inactive slot of a dm device."),
        may("suspend", Value::Either(&[ON, Value::Map(&SUSPEND)]), "Suspend a dm device."),
        may(
            "resume",
            Value::Either(&[ON, Value::Map(&RESUME)]),
            "Resume a dm device; the inactive table becomes live.",
        ),
        may("remove", Value::Either(&[ON, Value::Map(&REMOVE)]), "Remove a dm device."),
        may("status", Value::Map(&STATUS), "The lines of `dmsetup status` must be exactly these."),
        may("table", Value::Map(&TABLE), "The lines of `dmsetup table` must be exactly these."),
        may("submit", Value::Map(&SUBMIT), "Submit one bio and wait for it."),
        may("stamp", Value::Map(&STAMP), "Write sectors that say which device and sector they are."),
        may("verify", Value::Map(&VERIFY), "Read stamped sectors back; anything else is corruption."),
        may("layout", Value::Map(&LAYOUT), "What was stamped on one device must lie at a place of another."),
        may("load", Value::Map(&LOAD), "A load in fio's words."),
        may("fault", Value::Map(&FAULT), "Let allocations or I/O fail from now on, until `heal: all`."),
        may("heal", HEAL, "End all faults."),
        may(
            "parallel",
            Value::MapOf(&TASK, &STEPS),
            "Lists of steps at once, each in a task of that name; ends when all have ended.",
        ),
        may("repeat", Value::Map(&REPEAT), "Do steps several times."),
        may("sleep", Value::Scalar(&DURATION), "Let time pass."),
    ],
);

/// A list of steps, or a single one.
static STEPS: Value = Value::Either(&[Value::Map(&STEP), Value::List(&Value::Map(&STEP))]);

static CREATE: Map = fields(
    "a `create` step",
    "Create a dm device, load its declared table, resume it.",
    &[must("device", ON, DEVICE), or("expect", "ok", OUTCOME, EXPECT)],
);

static RESUME: Map = fields(
    "a `resume` step",
    "Resume a dm device.",
    &[must("device", ON, DEVICE), or("expect", "ok", OUTCOME, EXPECT)],
);

static REMOVE: Map = fields(
    "a `remove` step",
    "Remove a dm device.",
    &[must("device", ON, DEVICE), or("expect", "ok", OUTCOME, EXPECT)],
);

static SUSPEND: Map = fields(
    "a `suspend` step",
    "Suspend a dm device.",
    &[
        must("device", ON, DEVICE),
        or("noflush", "false", TRUTH, "Suspend with DM_NOFLUSH_FLAG."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static RELOAD: Map = fields(
    "a `reload` step",
    "Load a table into the inactive slot.",
    &[
        must("device", ON, DEVICE),
        must("table", Value::OneOrMore(&Value::Scalar(&TABLE_LINE)), "The table."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static STATUS: Map = fields(
    "a `status` step",
    "What `dmsetup status` must print.",
    &[must("of", ON, DEVICE), must("is", Value::OneOrMore(&Value::Scalar(&PRINTED_LINE)), "The lines.")],
);

static TABLE: Map = fields(
    "a `table` step",
    "What `dmsetup table` must print.",
    &[must("of", ON, DEVICE), must("is", Value::OneOrMore(&Value::Scalar(&PRINTED_LINE)), "The lines.")],
);

static SUBMIT: Map = fields(
    "a `submit` step",
    "One bio. A write writes the pattern of `stamp`; a flush has no place.",
    &[
        must("on", ON, "The device."),
        must("op", words!("read", "write", "flush"), "What the bio does."),
        or("at", "0", AT, "The first sector."),
        may("sectors", BIO_SECTORS, "How many sectors; mandatory but for a flush."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static STAMP: Map = fields(
    "a `stamp` step",
    "Write sectors that say which device and sector they are.",
    &[
        must("on", ON, "The device."),
        or("at", "0", AT, "The first sector."),
        must("sectors", SECTORS, "How many sectors."),
    ],
);

static VERIFY: Map = fields(
    "a `verify` step",
    "Read stamped sectors back.",
    &[
        must("on", ON, "The device."),
        or("at", "0", AT, "The first sector."),
        must("sectors", SECTORS, "How many sectors."),
    ],
);

static LAYOUT: Map = fields(
    "a `layout` step",
    "What was stamped on `of` must lie at the place `is`.",
    &[
        must("of", ON, "The device that was stamped."),
        or("at", "0", AT, "The first sector there."),
        must("sectors", SECTORS, "How many sectors."),
        must("is", Value::Map(&PLACE), "Where they must lie."),
    ],
);

static PLACE: Map = fields(
    "the place in a `layout` step",
    "A place on a device.",
    &[must("on", ON, "The device."), or("at", "0", AT, "The first sector.")],
);

static REPEAT: Map = fields(
    "a `repeat` step",
    "Do steps several times.",
    &[
        must("times", Value::Number(1, 1_000_000), "How often."),
        must("do", Value::Either(&[Value::Map(&STEP), Value::List(&Value::Map(&STEP))]), "What."),
    ],
);
