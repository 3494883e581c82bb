//! [`CostTable`]: what an operation costs on the virtual CPU, so that a virtual clock moves.
//!
//! The model: one CPU; each announced operation and each explicit charge moves the one clock. It says how variants
//! compare in work done, identically on every machine. It does not model caches, contention or several CPUs, and its
//! nanoseconds are nobody's hardware.
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
}

impl Default for CostTable {
    fn default() -> Self {
        Self { lock: Nanos(10), mempool: Nanos(25), work: Nanos(1500), other: Nanos(5) }
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
