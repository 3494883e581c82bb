//! The checked scenario: what a YAML file means once every mistake has been ruled out, for one cell of its matrix.
//!
//! Reading order: [`Scenario`], then its parts: `device`, `step` with `admin`, `flow`, `printed`, `outcome`,
//! `io`, `load`, `snapshot`, `fault` and `power`, `expect` with `load_bound`, `explore`.
//!
//! Invariants: every device name used in `steps` and `expect` is declared in `devices`; every table line's device
//! tokens are still the scenario's own names (`$name`), each backend puts its own `major:minor` there; sizes are in
//! range; nothing here is optional that the interpreter would have to guess.
//! Not here: how it was written (see `check`), what a variant axis may be (the engine's catalogue; the harness checks
//! it), and what the run's verdict is (the harness).

mod admin;
mod budget;
mod device;
mod expect;
mod explore;
mod fault;
mod flow;
mod io;
mod load;
mod load_bound;
mod outcome;
mod power;
mod printed;
mod requires;
mod scenario;
mod snapshot;
mod step;

pub use admin::{Admin, Verb};
pub use budget::{Budget, Comparison, Term};
pub use device::{Device, DeviceKind, Driver, FileDevice, Spread, Timed};
pub use expect::{Bound, Expectation, LockOrder, Relation, Verdict};
pub use explore::{Explore, Strategy, Strength, Timers};
pub use fault::Fault;
pub use flow::{Condition, MustBlock, Repeat, Wait};
pub use io::{Extent, IoFlag, IoOp, Pass, Stomp, Submit};
pub use load::{BlockSizes, Distribution, Load, Rate, Rw, Think};
pub use load_bound::{Amount, Figure, FigureBound, FigureUnit, LoadBound, LoadRef, Statistic};
pub use outcome::{Errno, Outcome};
pub use power::{CutAt, Loses, PowerCut, Survives, VolatileCache};
pub use printed::{Field, Pattern, Printed, Wanted};
pub use requires::{KernelBound, Requires};
pub use scenario::{Runtime, Scenario};
pub use snapshot::{Cow, DropSnapshots, MergeSnapshot, SnapshotOf, Store, TakeSnapshot};
pub use step::{Action, Step, SuspendHow};
