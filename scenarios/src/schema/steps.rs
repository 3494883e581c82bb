//! The description of steps: dmsetup's verbs, bios and patterns, flow.
//!
//! Not here: loads (`load`), faults (`fault`), snapshots (`snapshot`).

use super::fault::{FAULT, HEAL};
use super::load::LOAD;
use super::power::{POWER_CUT, SURVIVES};
use super::snapshot::{DROP, EACH, MERGE, SNAPSHOT};
use super::texts::{
    AFTER, AT, DURATION, FIELD, FILLED, ON, OUTCOME, PATTERN, PRINTED_LINE, REFERENCE, SECTORS, TABLE_LINE, TASK,
    TRUTH, WORD,
};
use super::words::{Key, Map, Shape, Value, choice, fields, may, must, or, words};

/// The kernel counts a bio's bytes in 32 bits.
const BIO_SECTORS: Value = Value::Number(1, (u32::MAX / 512) as u64);

pub(super) const EXPECT: &str = "What must come of it: `ok`, an error, `refused` (any error), or either.";
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
        may("snapshot", Value::Map(&SNAPSHOT), "Take snapshots of a volume, as LVM does."),
        may("drop", DROP, "Remove snapshots."),
        may("merge", MERGE, "Merge a snapshot into its volume."),
        may("clear", Value::Either(&[ON, Value::Map(&CLEAR)]), "Drop the inactive table of a dm device."),
        may("rename", Value::Map(&RENAME), "Give a dm device another name."),
        may("set_uuid", Value::Map(&SET_UUID), "Give a dm device a uuid."),
        may("message", Value::Map(&MESSAGE), "Send a message to a target, or to the core (`@...`)."),
        may("wait_event", Value::Map(&WAIT_EVENT), "Wait until a dm device has had another event."),
        may("events", Value::Map(&EVENTS), "The number of a dm device's last event."),
        may("deps", Value::Map(&DEPS), "What `dmsetup deps` must print."),
        may("status", Value::Map(&STATUS), "What `dmsetup status` must print."),
        may("table", Value::Map(&TABLE), "What `dmsetup table` must print."),
        may("submit", Value::Map(&SUBMIT), "Submit one bio and wait for it."),
        may("stamp", Value::Map(&STAMP), "Write sectors that say which device and sector they are."),
        may(
            "verify",
            Value::Either(&[ON, Value::Map(&VERIFY)]),
            "Read stamped sectors back, of a device or a range of it; anything else is corruption.",
        ),
        may("layout", Value::Map(&LAYOUT), "What was stamped on one device must lie at a place of another."),
        may("load", Value::Map(&LOAD), "A load in fio's words."),
        may("mount", Value::Map(&MOUNT), "A file system lives on a dm device from now on."),
        may("unmount", Value::Either(&[ON, Value::Map(&UNMOUNT)]), "No file system lives on a dm device any more."),
        may("fault", Value::Map(&FAULT), "Let allocations or I/O fail from now on, until `heal: all`."),
        may("heal", HEAL, "End all faults, and release what they hold."),
        may("release", ON, "Let the I/O go on that this leaf device holds."),
        may("unplug", ON, "Remove this leaf device from under its users, for good."),
        may("power_cut", Value::Map(&POWER_CUT), "The power goes, every dm device with it, and comes back."),
        may("survives", Value::Map(&SURVIVES), "What was made durable must have survived a power cut."),
        may(
            "parallel",
            Value::MapOf(&TASK, &STEPS),
            "Lists of steps at once, each in a task of that name; ends when all have ended.",
        ),
        may(
            "background",
            Value::MapOf(&TASK, &STEPS),
            "Lists of steps beside what follows in this list, each in a task of that name; joined at the end of the list.",
        ),
        may(
            "join",
            Value::OneOrMore(&Value::Scalar(&TASK)),
            "Wait until these background tasks of this list have ended; `all` for all that are under way.",
        ),
        may("each", Value::Map(&EACH), "Do steps for each of several numbers."),
        may("repeat", Value::Map(&REPEAT), "Do steps several times."),
        may("wait", Value::Map(&WAIT), "Look again and again until something has come true."),
        may("must_block", Value::Map(&MUST_BLOCK), "Steps that must take their time."),
        may("phase", Value::Scalar(&TASK), "From here on, I/Os of loads belong to the phase of this name."),
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
    &[
        must("device", ON, DEVICE),
        or("noflush", "false", TRUTH, "With DM_NOFLUSH_FLAG, if it suspends for a new table."),
        or("nolockfs", "false", TRUTH, "With DM_SKIP_LOCKFS_FLAG, if it suspends for a new table."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static REMOVE: Map = fields(
    "a `remove` step",
    "Remove a dm device.",
    &[
        must("device", ON, DEVICE),
        or("deferred", "false", TRUTH, "When it is open: once it is closed."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static CLEAR: Map = fields(
    "a `clear` step",
    "Drop the inactive table of a dm device.",
    &[must("device", ON, DEVICE), or("expect", "ok", OUTCOME, EXPECT)],
);

static RENAME: Map = fields(
    "a `rename` step",
    "Give a dm device another name.",
    &[
        must("device", ON, DEVICE),
        must("to", ON, "The name: that of a declared dm device that no step creates."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static SET_UUID: Map = fields(
    "a `set_uuid` step",
    "Give a dm device a uuid.",
    &[
        must("device", ON, DEVICE),
        must("uuid", Value::Scalar(&FILLED), "The uuid."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static MESSAGE: Map = fields(
    "a `message` step",
    "Send a message to a target, or to the core.",
    &[
        must("to", ON, DEVICE),
        or("sector", "0", AT, "To the target with this sector."),
        must("text", Value::Scalar(&FILLED), "The message, in words."),
        may("reply", Value::Scalar(&FILLED), "What must be answered."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static WAIT_EVENT: Map = fields(
    "a `wait_event` step",
    "Wait until the number of the device's last event is another.",
    &[
        must("on", ON, DEVICE),
        or("after", "current", Value::Scalar(&AFTER), "Than this number, or than now."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static EVENTS: Map = fields(
    "an `events` step",
    "The number of the device's last event.",
    &[
        must("of", ON, DEVICE),
        must("is", Value::Number(0, u32::MAX as u64), "The number."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static DEPS: Map = fields(
    "a `deps` step",
    "The devices that a table stands on.",
    &[
        must("of", ON, DEVICE),
        must(
            "is",
            Value::OneOrMore(&Value::Scalar(&REFERENCE)),
            "The devices, the one that the table names last first.",
        ),
        or("inactive", "false", TRUTH, "Of the inactive table."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static MOUNT: Map = fields(
    "a `mount` step",
    "A file system lives on a dm device from now on, and writes stamped sectors whenever it is frozen.",
    &[
        must("on", ON, "The dm device."),
        or("at", "0", AT, "The first sector that it writes."),
        must("sectors", SECTORS, "How many sectors it writes."),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static UNMOUNT: Map = fields(
    "an `unmount` step",
    "No file system lives on a dm device any more.",
    &[must("device", ON, DEVICE), or("expect", "ok", OUTCOME, EXPECT)],
);

static SUSPEND: Map = fields(
    "a `suspend` step",
    "Suspend a dm device.",
    &[
        must("device", ON, DEVICE),
        or("noflush", "false", TRUTH, "Suspend with DM_NOFLUSH_FLAG."),
        or("nolockfs", "false", TRUTH, "Suspend with DM_SKIP_LOCKFS_FLAG: what is mounted is not frozen."),
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

const FORMS: Shape = Shape::OneOf(&["is", "matches", "fields", "expect"]);
static PRINTS: [Key; 7] = [
    must("of", ON, DEVICE),
    may("is", Value::OneOrMore(&Value::Scalar(&PRINTED_LINE)), "The lines, exactly."),
    may(
        "matches",
        Value::OneOrMore(&Value::Scalar(&PATTERN)),
        "As many lines as patterns, each with a place that its pattern fits.",
    ),
    may("fields", Value::MapOf(&WORD, &Value::Scalar(&FIELD)), "Words of one line, counted from 1."),
    or("line", "1", Value::Number(1, 1_000_000), "Which line `fields` are words of, from 1."),
    or("inactive", "false", TRUTH, "Of the inactive table."),
    may("expect", OUTCOME, "Asking must fail with this error."),
];

static STATUS: Map =
    Map { what: "a `status` step", about: "What `dmsetup status` must print.", keys: &PRINTS, shape: FORMS };

static TABLE: Map =
    Map { what: "a `table` step", about: "What `dmsetup table` must print.", keys: &PRINTS, shape: FORMS };

static WAIT_STATUS: Map =
    Map { what: "the `status` waited for", about: "What `dmsetup status` prints.", keys: &PRINTS, shape: FORMS };

static WAIT_TABLE: Map =
    Map { what: "the `table` waited for", about: "What `dmsetup table` prints.", keys: &PRINTS, shape: FORMS };

static WAIT: Map = Map {
    what: "a `wait` step",
    about: "Looks again and again until what it waits for is printed, or its time is up.",
    keys: &[
        may("status", Value::Map(&WAIT_STATUS), "What `dmsetup status` prints in the end."),
        may("table", Value::Map(&WAIT_TABLE), "What `dmsetup table` prints in the end."),
        must("within", Value::Scalar(&DURATION), "It fails after this long."),
        or("every", "1ms", Value::Scalar(&DURATION), "Time between looks."),
    ],
    shape: Shape::OneOf(&["status", "table"]),
};

static MUST_BLOCK: Map = fields(
    "a `must_block` step",
    "Steps that must take their time, on the clock of the run.",
    &[
        may("min", Value::Scalar(&DURATION), "At least this long."),
        may("max", Value::Scalar(&DURATION), "At most this long."),
        must("do", Value::Either(&[Value::Map(&STEP), Value::List(&Value::Map(&STEP))]), "What."),
    ],
);

static SUBMIT: Map = fields(
    "a `submit` step",
    "One bio. A write writes the pattern of `stamp`; a flush has no place.",
    &[
        must("on", ON, "The device."),
        must("op", words!("read", "write", "flush", "discard", "secure-erase", "write-zeroes"), "What the bio does."),
        or("at", "0", AT, "The first sector."),
        may("sectors", BIO_SECTORS, "How many sectors; mandatory but for a flush."),
        may(
            "flags",
            Value::OneOrMore(&words!("fua", "preflush", "sync", "rahead", "nowait", "swap")),
            "The kernel's REQ_* modifiers.",
        ),
        or("expect", "ok", OUTCOME, EXPECT),
    ],
);

static STAMP: Map = Map {
    what: "a `stamp` step",
    about: "Write sectors that say which device and sector they are: a range, or blocks here and there.",
    keys: &[
        must("on", ON, "The device."),
        or("at", "0", AT, "The first sector."),
        may("sectors", SECTORS, "How many sectors."),
        may("percent", Value::Number(1, 100), "So much of the device, in blocks that the seed chooses."),
        or("block", "8", Value::Number(1, 2048), "Sectors of such a block."),
        or("expect", "ok", OUTCOME, "What it must end in; the first error ends it."),
    ],
    shape: Shape::OneOf(&["sectors", "percent"]),
};

static VERIFY: Map = fields(
    "a `verify` step",
    "Read stamped sectors back.",
    &[
        must("on", ON, "The device."),
        or("at", "0", AT, "The first sector."),
        must("sectors", SECTORS, "How many sectors."),
        or("expect", "ok", OUTCOME, "What it must end in; the first error ends it."),
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
        may("times", Value::Number(1, 1_000_000), "How often; at most, with `for`."),
        may("for", Value::Scalar(&DURATION), "No pass begins later than this after the first."),
        may(
            "every",
            Value::Scalar(&DURATION),
            "How long after the last one was due a pass is due; at once without it.",
        ),
        or("jitter", "0", Value::Scalar(&DURATION), "Each pass begins up to so much later than due, from the seed."),
        must("do", Value::Either(&[Value::Map(&STEP), Value::List(&Value::Map(&STEP))]), "What."),
    ],
);
