//! The description of expectations.
//!
//! Not here: what is the same in all cells (`head`).

use super::head::RUNTIME;
use super::texts::{BOUND, ENTRY, FILLED, LOAD_BYTES, LOAD_NUMBER, LOAD_REF, LOAD_TIME, POOL, RELATION, STRENGTH};
use super::words::{Map, Value, fields, may, must};

/// One expectation.
pub(super) static EXPECTATION: Map = fields(
    "an expectation",
    "What must come of the cells that `when` fits, on the runtime that `on` names.",
    &[
        may("when", Value::Selector, "The cells it holds in; all without it."),
        may("on", RUNTIME, "The runtime it holds on; both without it."),
        may("verdict", VERDICT, "How the runs end."),
        may(
            "strength",
            Value::Scalar(&STRENGTH),
            "What a pass on the explorer must be worth. The cell is searched exhaustively, or by `icb` with this bound.",
        ),
        may(
            "lock_order",
            Value::Words(&[("clean", "no circle"), ("circular", "a circle")]),
            "Whether locks are taken in circular order in the schedules of the explorer.",
        ),
        may(
            "cycle",
            Value::OneOrMore(&Value::Scalar(&FILLED)),
            "Names of objects (locks, pools) and tasks that must all take part in the reported cycle.",
        ),
        may("message", Value::Scalar(&FILLED), "A text that the report of the failure must contain."),
        may("entry_order", Value::List(&Value::Scalar(&ENTRY)), "Bios in the order in which they enter drivers."),
        may(
            "peak",
            Value::MapOf(&POOL, &Value::Scalar(&BOUND)),
            "Bounds on the most elements of a pool in use at once.",
        ),
        may("counters", Value::MapOf(&FILLED, &Value::Scalar(&BOUND)), "Bounds on counters."),
        may("relations", Value::OneOrMore(&Value::Scalar(&RELATION)), "Relations between counters."),
        may("loads", Value::List(&Value::Map(&LOAD_BOUND)), "Bounds on what loads came to, where the clock measures."),
    ],
);

static LOAD_BOUND: Map = fields(
    "a bound on a load",
    "What the loads of a name must come to, in all or in a phase; where several have the name, they count together.",
    &[
        must("load", Value::Scalar(&LOAD_REF), "The load, or what it did in the phases of a name."),
        may("iops", NUMBER, "I/Os a second, while one of the loads ran."),
        may("bw_bytes", Value::Scalar(&LOAD_BYTES), "Bytes a second, while one of the loads ran."),
        may("total_ios", NUMBER, "I/Os, without flushes."),
        may("io_bytes", Value::Scalar(&LOAD_BYTES), "Bytes."),
        may("errors", NUMBER, "I/Os that failed."),
        may("clat_ns_mean", TIME, "Mean time from submission to end."),
        may("clat_ns_p50", TIME, "Half of the I/Os took no longer, from submission to end."),
        may("clat_ns_p90", TIME, "90 % of the I/Os took no longer."),
        may("clat_ns_p95", TIME, "95 % of the I/Os took no longer."),
        may("clat_ns_p99", TIME, "99 % of the I/Os took no longer."),
        may("clat_ns_p99_9", TIME, "99.9 % of the I/Os took no longer."),
        may("clat_ns_max", TIME, "The longest time from submission to end."),
        may("lat_ns_mean", TIME, "Mean time from when an I/O was due to its end; of loads with a rate."),
        may("lat_ns_p50", TIME, "Half of the I/Os ended no later than so long after they were due."),
        may("lat_ns_p99", TIME, "99 % of the I/Os ended no later than so long after they were due."),
        may("lat_ns_p99_9", TIME, "99.9 % of the I/Os ended no later than so long after they were due."),
        may("lat_ns_max", TIME, "The longest time from when an I/O was due to its end."),
        may("max_stall", TIME, "The longest time that a job had I/O in flight of which none ended; of a whole load."),
    ],
);

const NUMBER: Value = Value::Scalar(&LOAD_NUMBER);
const TIME: Value = Value::Scalar(&LOAD_TIME);

const VERDICT: Value = Value::Words(&[
    ("pass", "the run ends, the data is right, every step comes out as expected, everything is back at rest"),
    ("fail", "a step does not come out as the scenario says"),
    ("deadlock", "tasks wait for each other"),
    ("hang", "nothing moves, and no cycle is known"),
    ("livelock", "the run reaches `explore.steps`, and does nothing but yield and sleep"),
    ("crash", "the engine hits a BUG"),
    ("corruption", "data read is not data written, or does not lie where the table says"),
    ("leak", "after teardown something is left"),
]);
