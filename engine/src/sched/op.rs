//! [`Op`]: an operation that a task announces before it is carried out.
//!
//! Invariants: an operation names everything that a strategy, a trace or an independence relation may ask: kind,
//! object, argument, source location; it carries no reference into the running program, so it can be kept and
//! compared across runs.
//! Not here: what an operation does (the state machine of its object).

use std::fmt;
use std::panic::Location;

/// A task, numbered in the order of spawning within a run; 0 is the root task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

impl TaskId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A primitive, numbered in the order of creation within a run; 0 is "no object".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

impl ObjectId {
    /// What operations without an object name.
    pub const NONE: Self = Self(0);
}

/// An announced operation.
#[derive(Clone, Copy)]
pub struct Op {
    /// What.
    pub kind: OpKind,
    /// On what.
    pub object: ObjectId,
    /// With what: an amount, a sector range, a number of options; see the primitive.
    pub arg: u64,
    /// Who asked, in the source.
    pub at: &'static Location<'static>,
}

impl Op {
    /// Whether `self` and `other` are the same operation as far as a replay can tell (the source location is left
    /// out: it moves with every edit).
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.object == other.object && self.arg == other.arg
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(#{}, {})", self.kind.name(), self.object.0, self.arg)
    }
}

/// Packs a range of sectors into the argument of [`OpKind::IoRead`] and [`OpKind::IoWrite`].
pub const fn pack_range(start: u64, sectors: u64) -> u64 {
    start << 24 | (sectors & 0xFF_FFFF)
}

/// The range in such an argument: first sector and number of sectors.
pub const fn unpack_range(arg: u64) -> (u64, u64) {
    (arg >> 24, arg & 0xFF_FFFF)
}

/// How an operation relates to others on the same object; what partial-order reduction starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpClass {
    /// May have to wait; order against other acquisitions matters.
    Acquire,
    /// Gives something back and never waits.
    Release,
    /// Reads or changes the object's data and never waits.
    Access,
    /// Touches no object.
    Local,
}

macro_rules! op_kinds {
    ($($(#[$doc:meta])* $Kind:ident $name:literal $class:ident,)+) => {
        /// Every kind of operation that the engine's primitives know, under the kernel's name for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OpKind { $($(#[$doc])* $Kind,)+ }

        impl OpKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$Kind,)+];

            /// The kernel function that this operation stands for.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Kind => $name,)+ }
            }

            /// How it relates to other operations on its object.
            pub const fn class(self) -> OpClass {
                match self { $(Self::$Kind => OpClass::$class,)+ }
            }

            /// The kind of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

op_kinds! {
    /// A new task's first step.
    Start "start" Local,
    /// Gives way to others.
    Yield "cond_resched" Local,
    /// Lets time pass.
    Sleep "schedule_timeout" Local,
    /// A timer fires before everything else has come to rest.
    Timer "timer" Access,
    /// Takes a choice that the run's seed or search decides.
    Choose "choose" Local,
    /// `mutex_lock`.
    MutexLock "mutex_lock" Acquire,
    /// `mutex_trylock`.
    MutexTryLock "mutex_trylock" Acquire,
    /// `mutex_unlock`.
    MutexUnlock "mutex_unlock" Release,
    /// `down_read`.
    DownRead "down_read" Acquire,
    /// `up_read`.
    UpRead "up_read" Release,
    /// `down_write`.
    DownWrite "down_write" Acquire,
    /// `up_write`.
    UpWrite "up_write" Release,
    /// `down`.
    Down "down" Acquire,
    /// `down_trylock`.
    DownTry "down_trylock" Acquire,
    /// `up`.
    Up "up" Release,
    /// `spin_lock`.
    SpinLock "spin_lock" Acquire,
    /// `spin_unlock`.
    SpinUnlock "spin_unlock" Release,
    /// A whole `spin_lock … spin_unlock` section that cannot wait.
    SpinSection "spin_section" Access,
    /// `wait_for_completion`.
    WaitForCompletion "wait_for_completion" Acquire,
    /// `this_cpu_dec`, on a per-CPU counter.
    CpuDec "this_cpu_dec" Access,
    /// `atomic_read`.
    AtomicRead "atomic_read" Access,
    /// `complete`.
    Complete "complete" Release,
    /// `complete_all`.
    CompleteAll "complete_all" Release,
    /// `prepare_to_wait`.
    PrepareToWait "prepare_to_wait" Access,
    /// `schedule`, on a wait queue.
    Schedule "schedule" Acquire,
    /// `finish_wait`.
    FinishWait "finish_wait" Access,
    /// `wake_up`.
    WakeUp "wake_up" Access,
    /// `wake_up_all`.
    WakeUpAll "wake_up_all" Access,
    /// `mempool_alloc`.
    MempoolAlloc "mempool_alloc" Acquire,
    /// `mempool_free`.
    MempoolFree "mempool_free" Release,
    /// The allocator behind a pool changes.
    SetAllocator "set_allocator" Access,
    /// `queue_work`.
    QueueWork "queue_work" Access,
    /// A worker looks for work.
    WorkerThread "worker_thread" Acquire,
    /// A worker has finished a work item.
    WorkDone "process_one_work" Access,
    /// `flush_workqueue`.
    FlushWorkqueue "flush_workqueue" Acquire,
    /// `drain_workqueue`.
    DrainWorkqueue "drain_workqueue" Acquire,
    /// `refcount_inc`.
    RefGet "refcount_inc" Access,
    /// `refcount_dec_and_test`.
    RefPut "refcount_dec_and_test" Access,
    /// `srcu_read_lock`, and the entry of a queue or device reference.
    SrcuReadLock "srcu_read_lock" Acquire,
    /// `srcu_read_unlock`.
    SrcuReadUnlock "srcu_read_unlock" Release,
    /// `rcu_assign_pointer`.
    RcuAssign "rcu_assign_pointer" Access,
    /// `synchronize_srcu`.
    SynchronizeSrcu "synchronize_srcu" Acquire,
    /// A leaf device carries out a read; the argument packs the sector range.
    IoRead "io_read" Access,
    /// A leaf device carries out a write.
    IoWrite "io_write" Access,
    /// A leaf device writes back what its volatile cache holds.
    IoFlush "io_flush" Access,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_back() {
        for kind in OpKind::ALL {
            assert_eq!(OpKind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(OpKind::from_name("down_interruptible"), None);
    }

    #[test]
    fn what_gives_back_is_a_release() {
        for kind in OpKind::ALL {
            let gives_back = ["up", "complete", "unlock", "_free"].iter().any(|part| kind.name().ends_with(part))
                || matches!(kind, OpKind::UpRead | OpKind::UpWrite | OpKind::CompleteAll);
            let release = kind.class() == OpClass::Release;
            if kind.name() != "wake_up" {
                assert_eq!(gives_back, release, "{}", kind.name());
            }
        }
    }
}
