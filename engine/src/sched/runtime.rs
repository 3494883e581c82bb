//! [`Runtime`]: the handle by which objects are made and counted in a run, whichever driver it is.
//!
//! Invariants: object numbers follow the order of creation; a handle outlives nothing (it keeps the run's shared
//! state alive, not the run going).
//! Not here: anything a task does (see [`super::Task`]).

use super::digest::Lanes;
use super::explorer::{self, LockClass, Registered};
use super::object::Mode;
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
    /// Any run on threads.
    pub(super) const THREADS: Self = Self(Driver::Threads);

    /// The number of a new object that is no state machine (a spinlock section, a ramdisk's pages).
    pub(crate) fn register(&self, label: &'static str, name: &str) -> ObjectId {
        match &self.0 {
            // Nothing on threads asks for an object's number, and a shared counter is not free.
            Driver::Threads => ObjectId::NONE,
            Driver::Explorer(core) => core.register_plain(label, name),
        }
    }

    pub(super) fn register_object(&self, label: &'static str, name: &str, is_lock: bool) -> Registered {
        match &self.0 {
            Driver::Threads => Registered { id: ObjectId::NONE, name: name.into(), class: LockClass::NONE },
            Driver::Explorer(core) => core.register_object(label, name, is_lock),
        }
    }

    /// Tells an exhaustive search that the running task looks at ([`Mode::Shared`]) or changes ([`Mode::Exclusive`])
    /// something shared without an operation of its own.
    #[inline]
    pub(crate) fn touches(&self, object: ObjectId, mode: Mode) {
        if let Driver::Explorer(core) = &self.0 {
            core.track(|tracker, task| tracker.touched(task, object, mode));
        }
    }

    /// Tells an exhaustive search that the running task has learnt `word`.
    #[inline]
    pub(crate) fn learns(&self, word: u64) {
        if let Driver::Explorer(core) = &self.0 {
            core.track(|tracker, task| tracker.learnt(task, word));
        }
    }

    /// Tells an exhaustive search that `object` now holds `value`.
    #[inline]
    pub(crate) fn shows(&self, object: ObjectId, value: u64) {
        if let Driver::Explorer(core) = &self.0 {
            let mut state = Lanes::of(0);
            state.word(value);
            core.track(|tracker, _| tracker.shows(object, state));
        }
    }

    /// Whether every order of operations is a choice of a strategy, so that a run may be one of very many.
    pub const fn is_explorer(&self) -> bool {
        matches!(self.0, Driver::Explorer(_))
    }
}
