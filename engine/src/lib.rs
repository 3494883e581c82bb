//! The small kernel in user space: what bios, pools, locks and device-mapper do, with every historical variant of
//! each algorithm selectable, on two drivers: OS threads, and an explorer that owns every scheduling decision.
//!
//! Reading order, which is also the import order (a module may name only modules above it):
//!
//! * [`variants`]: the catalogue of algorithm axes.
//! * [`sched`]: who runs, when, what time it is; operations are data.
//! * [`sync`]: kernel-shaped primitives, each a pure state machine.
//! * [`block`]: bio, bio_set, splitting and chaining, submission variants, leaf devices.
//! * [`dm`]: tables, mapped devices, split variants, suspend and resume, the typed ioctls.
//! * [`kcopyd`]: copying in the background; [`stores`]: where snapshots keep their exceptions.
//! * [`targets`]: linear, striped, zero, error, delay, flakey, dust, mirror, the snapshot family.
//! * [`machine`]: one instance of all of it; nothing in this crate is global.
//!
//! Invariants: shared mutable state lives only inside engine primitives; no clock, thread, random source or
//! unordered collection outside `sched`; the same choices give the same run.
//! Not here: faults (the harness plugs `dmlab-faults` into the engine's hooks), scenarios, reports.

pub mod block;
pub mod dm;
pub mod kcopyd;
pub mod machine;
pub mod sched;
pub mod stores;
pub mod sync;
pub mod targets;
pub mod variants;
