//! The description of expectations.
//!
//! Not here: what is the same in all cells (`head`).

use super::head::RUNTIME;
use super::texts::{BOUND, ENTRY, FILLED, POOL, RELATION, STRENGTH};
use super::words::{Map, Value, fields, may};

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
    ],
);

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
