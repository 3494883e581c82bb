//! The description of the steps about power: `power_cut`, `survives`.
//!
//! Not here: the cache of a device (`head`).

use super::steps::STEP;
use super::texts::{AT, ON, SECTORS};
use super::words::{Map, Value, choice, fields, may, must, or};

/// The `power_cut` step.
pub(super) static POWER_CUT: Map = fields(
    "a `power_cut` step",
    "The power of all leaf devices goes while steps are under way. I/O fails from then on; when the steps have ended, \
     every dm device is removed, volatile caches lose what they lose, and the power comes back.",
    &[
        or("at", "any", Value::Either(&MOMENT), "When; at the end of the steps if it has not gone before."),
        or(
            "loses",
            "any",
            Value::Words(&[
                ("any", "the search chooses for each unit which of its contents since the last flush survives"),
                ("all", "everything that was not flushed"),
                ("nothing", "what was written is there"),
            ]),
            "What of volatile caches is lost.",
        ),
        may("during", Value::Either(&[Value::Map(&STEP), Value::List(&Value::Map(&STEP))]), "What is under way."),
    ],
);

static MOMENT: [Value; 2] = [
    Value::Words(&[
        ("any", "in front of any write or flush of a leaf device, as the search chooses"),
        ("end", "when the steps have ended"),
    ]),
    Value::Map(&COUNTED),
];

static COUNTED: Map = choice(
    "when the power goes",
    "When the power goes.",
    &[
        may("nth", Value::Number(1, u64::MAX), "In front of the write or flush of this number, counted from 1."),
        may("within", Value::Number(1, 1_000_000), "In front of one of so many first writes and flushes."),
    ],
);

/// The `survives` step.
pub(super) static SURVIVES: Map = fields(
    "a `survives` step",
    "What was stamped on `of` and made durable, by FUA or by a flush that ended, must be there.",
    &[
        must("of", ON, "The device that was stamped."),
        or("at", "0", AT, "The first sector there."),
        must("sectors", SECTORS, "How many sectors."),
        may("over", ON, "What each other sector must hold, if not that: what was stamped on this device."),
        may("is", Value::Map(&FOUND), "Where it must be found; without it, where it was stamped."),
    ],
);

static FOUND: Map = fields(
    "the place in a `survives` step",
    "A place on a device.",
    &[must("on", ON, "The device."), or("at", "0", AT, "The first sector.")],
);
