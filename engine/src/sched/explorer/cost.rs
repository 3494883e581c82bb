//! [`CostTable`]: what an operation costs on the virtual CPU, so that a virtual clock moves.
//!
//! The model: one CPU; each announced operation and each explicit charge moves the one clock. It says how variants
//! compare in work done, identically on every machine. It does not model caches, contention, several CPUs or how long a
//! sleeper takes to wake.
//!
//! Where the default comes from: the costs of one machine on threads, by `cargo bench -p dmlab --bench block --
//! --calibrate`; ARCHITECTURE, "What it costs", has the rows, the machine and how far each is off.
//!
//! Invariants: integer costs; no cost depends on anything but the kind of operation and the bytes moved.

use dmlab_units::Nanos;

use super::super::op::{OpClass, OpKind};

/// Costs of operations on the virtual CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostTable {
    /// An uncontended acquisition or release: one atomic read-modify-write and its bookkeeping.
    pub lock: Nanos,
    /// An allocation from, or a free to, a pool.
    pub mempool: Nanos,
    /// Queueing a work item or waking a worker: a context switch on the way.
    pub work: Nanos,
    /// Any other operation.
    pub other: Nanos,
    /// A bio that is taken from its set, and one that is submitted: what is done for it beside operations.
    pub bio: Nanos,
}

impl Default for CostTable {
    fn default() -> Self {
        Self { lock: Nanos(9), mempool: Nanos(15), work: Nanos(1800), other: Nanos(30), bio: Nanos(59) }
    }
}

impl CostTable {
    /// What `kind` costs.
    pub const fn of(&self, kind: OpKind) -> Nanos {
        match kind {
            OpKind::MempoolAlloc | OpKind::MempoolFree => self.mempool,
            OpKind::QueueWork | OpKind::WorkerThread => self.work,
            _ => match kind.class() {
                OpClass::Acquire | OpClass::Release => self.lock,
                OpClass::Access | OpClass::Local => self.other,
            },
        }
    }
}
