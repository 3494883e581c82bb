//! The kernel backend: a scenario on the device-mapper of the running kernel, as root.
//!
//! Reading order: `session` ([`RunningKernel`]: what there is, opened once), `modules`, `dm` over `wire` and `sys`
//! (the ioctls), `leaves` (the devices below), `knobs` (values of sysfs, put back), `actor` and `io` (the seam's operations
//! on OS threads), `stage` (one performance, watched), `faults`, `shims` and `injection` with `pools`, `tasks` and `hog`
//! (faults as what a kernel has in their place), `vitals` (who does what since when, for detectors), `samples` (the most
//! that was seen of memory and of I/O in flight), `senses` (the detectors), `teardown` and `journal` (nothing is left
//! behind), `can` (what a scenario may ask of a kernel).
//!
//! Invariants: whatever is made bears the run's name or stands in its journal before it is used, and nothing else is ever
//! touched; what a kernel cannot be asked for is a skip with the reason.
//! Not here: verdicts ([`crate::judge`]), guests.

mod actor;
mod can;
mod dm;
mod faults;
mod hog;
mod injection;
mod io;
mod journal;
mod knobs;
mod leaves;
pub mod modules;
mod nodes;
mod pools;
mod samples;
mod senses;
mod session;
mod shims;
mod stage;
mod sys;
mod tasks;
mod teardown;
mod vitals;
mod wire;

pub use can::unmet;
pub use dm::{DevInfo, DmControl, Named, SuspendHow, Which};
pub use hog::gorge;
pub use journal::{Cleanup, Left, cleanup};
pub use session::{RunningKernel, as_of as release_of};
pub use stage::{Detector, Ending, Watch, perform};
pub use vitals::{Flow, Vitals};

/// Why something could not be done to the running kernel, in words: where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KernelError(String);

impl KernelError {
    fn new(text: String) -> Self {
        Self(text)
    }
}
