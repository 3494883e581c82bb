//! [`Runtime`]: the handle by which objects are made and counted in a run, whichever driver it is.
//!
//! Invariants: object numbers follow the order of creation; a handle outlives nothing (it keeps the run's shared
//! state alive, not the run going).
//! Not here: anything a task does (see [`super::Task`]).

use super::explorer;
use super::op::ObjectId;

/// A run, as objects and tasks know it. Cloning is cheap.
#[derive(Clone)]
pub struct Runtime(pub(super) Driver);

#[derive(Clone)]
pub(super) enum Driver {
    Threads,
    Explorer(explorer::CoreRef),
}

impl Runtime {
    /// The number of a new object that is no state machine (a spinlock section, a ramdisk's pages).
    pub(crate) fn register(&self, label: &'static str, name: &str) -> ObjectId {
        self.register_object(label, name)
    }

    pub(super) fn register_object(&self, label: &'static str, name: &str) -> ObjectId {
        match &self.0 {
            // Nothing on threads asks for an object's number, and a shared counter is not free.
            Driver::Threads => ObjectId::NONE,
            Driver::Explorer(core) => core.register_object(label, name),
        }
    }

    /// Whether every order of operations is a choice of a strategy, so that a run may be one of very many.
    pub const fn is_explorer(&self) -> bool {
        matches!(self.0, Driver::Explorer(_))
    }
}
