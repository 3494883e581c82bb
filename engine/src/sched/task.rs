//! [`Task`]: `current`, passed down to everything that may block, announce or be reported.
//!
//! Invariants: a `Task` never leaves its OS thread or coroutine; its chain of functions is restored when a
//! [`FrameGuard`] ends; while it is in an atomic section nothing that may sleep is carried out (a `BUG` otherwise).
//! Not here: what a task carries for higher layers (`TaskLocal`: the block layer keeps `current->bio_list` there).

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::panic::Location;
use std::sync::Arc;

use dmlab_units::Nanos;

use super::digest::{Answer, Content, Digest};
use super::explorer;
use super::frames::Frame;
use super::object::Wait;
use super::op::{ObjectId, Op, OpKind, TaskId};
use super::outcome::Bug;
use super::runtime::Runtime;
use super::threads;
use super::waits::{Site, Waitable, place};

/// What a higher layer keeps with a task, as the kernel keeps `bio_list` and `plug` in `task_struct`.
pub trait TaskLocal: Any {
    /// Called when the task is about to sleep: the kernel's `schedule()` calling plug callbacks. Must not wait itself: what
    /// the task sleeps for may be granted meanwhile. What it shares with other tasks it uses in operations only.
    fn schedule(&self, current: &Task);
    /// Whether that would do anything now: then it can be seen whether the task had to wait.
    fn is_called_back(&self) -> bool;
    /// What the task keeps from others while it sleeps, in words for a report.
    fn keeps(&self) -> Vec<String>;
    /// For downcasting.
    fn as_any(&self) -> &dyn Any;
}

/// Where a task runs.
pub(super) enum Seat {
    Thread(threads::Seat),
    Coroutine(explorer::Seat),
}

/// The running task: the kernel's `current`.
pub struct Task {
    id: TaskId,
    name: Arc<str>,
    seat: Seat,
    frame: Cell<Frame>,
    atomic_depth: Cell<u32>,
    local: OnceCell<Box<dyn TaskLocal>>,
}

impl Task {
    pub(super) fn new(id: TaskId, name: Arc<str>, seat: Seat) -> Self {
        let (frame, atomic_depth, local) = (Cell::new(Frame::root()), Cell::new(0), OnceCell::new());
        Self { id, name, seat, frame, atomic_depth, local }
    }

    /// Number within the run.
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// Name in reports, e.g. `writer.0` or `kworker/dm-0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The runtime that this task belongs to.
    pub const fn runtime(&self) -> &Runtime {
        match &self.seat {
            Seat::Thread(_) => &Runtime::THREADS,
            Seat::Coroutine(seat) => seat.runtime(),
        }
    }

    #[inline]
    pub(super) const fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Enters a kernel function, for reports; it is left when the guard is dropped.
    #[inline]
    #[must_use = "the function is left when the guard is dropped"]
    pub fn enter(&self, function: &'static str) -> FrameGuard<'_> {
        let outer = self.frame.get();
        self.frame.set(outer.child(function));
        FrameGuard { task: self, outer }
    }

    /// Where this task is now.
    #[inline]
    pub fn site(&self, at: &'static Location<'static>) -> Site {
        Site { task: self.id, frame: self.frame.get(), at }
    }

    /// The clock: time since the start of the run.
    pub fn now(&self) -> Nanos {
        match &self.seat {
            Seat::Thread(seat) => seat.now(),
            Seat::Coroutine(seat) => seat.now(),
        }
    }

    /// Lets `duration` pass.
    #[track_caller]
    pub fn sleep(&self, duration: Nanos) {
        let at = Location::caller();
        self.assert_may_sleep("schedule_timeout", at);
        if let Some(local) = self.local.get() {
            local.schedule(self);
        }
        match &self.seat {
            Seat::Thread(seat) => seat.sleep(duration),
            Seat::Coroutine(seat) => {
                seat.announce_raw(Op { kind: OpKind::Sleep, object: ObjectId::NONE, arg: duration.0, at });
                seat.sleep(duration, self.site(at));
            }
        }
    }

    /// Gives way to other tasks, as a polling loop must.
    #[track_caller]
    pub fn yield_now(&self) {
        let at = Location::caller();
        match &self.seat {
            Seat::Thread(seat) => seat.yield_now(),
            Seat::Coroutine(seat) => seat.announce_raw(Op { kind: OpKind::Yield, object: ObjectId::NONE, arg: 0, at }),
        }
    }

    /// Takes one of `options` ways, in `0..options`; the search tries all of them, a random run draws from its seed.
    ///
    /// # Panics
    /// When there is nothing to choose from.
    pub fn choose(&self, what: &'static str, options: u32) -> u32 {
        assert!(options > 0, "{what}: nothing to choose from");
        match &self.seat {
            Seat::Thread(seat) => seat.choose(options),
            Seat::Coroutine(seat) => seat.choose(what, options),
        }
    }

    /// Accounts for work done by the CPU, on a virtual clock with a cost model; nothing anywhere else.
    #[inline]
    pub fn charge(&self, cost: Nanos) {
        if let Seat::Coroutine(seat) = &self.seat {
            seat.charge(cost);
        }
    }

    /// Accounts likewise for what a bio costs beside its operations ([`CostTable::bio`]).
    ///
    /// [`CostTable::bio`]: super::explorer::CostTable::bio
    #[inline]
    pub(crate) fn charge_bio(&self) {
        if let Seat::Coroutine(seat) = &self.seat {
            seat.charge_bio();
        }
    }

    /// Starts a task.
    pub fn spawn(&self, name: &str, body: impl FnOnce(&Self) + Send + 'static) -> TaskId {
        match &self.seat {
            Seat::Thread(seat) => seat.spawn(name, Box::new(body)),
            Seat::Coroutine(seat) => seat.spawn(name, Box::new(body)),
        }
    }

    /// A place for one operation on data that needs no state machine (an atomic, a ramdisk's pages): announced like
    /// any other, after which the caller does what it announced without waiting, and then says what came of it with
    /// [`Self::shows`] or [`Self::changes`].
    #[inline]
    pub fn announce(&self, kind: OpKind, object: ObjectId, arg: u64, at: &'static Location<'static>) {
        // On threads there is nothing to do: whoever announces such operations performs others, which count as progress.
        if let Seat::Coroutine(seat) = &self.seat {
            seat.announce_raw(Op { kind, object, arg, at });
        }
    }

    /// Tells an exhaustive search that `object` is now in the state that `state` digests, and that this task has learnt
    /// `learnt`.
    #[inline]
    pub fn shows(&self, object: ObjectId, learnt: u64, state: impl FnOnce(&mut Digest<'_>)) {
        if let Seat::Coroutine(seat) = &self.seat
            && seat.watched()
        {
            seat.shows(object, learnt, state);
        }
    }

    /// Tells an exhaustive search that `object` now holds `content`, and that all that this task has learnt from it is
    /// `answer`.
    #[inline]
    pub fn shows_content(&self, object: ObjectId, answer: &impl Answer, content: &impl Content) {
        if !std::thread::panicking()
            && let Seat::Coroutine(seat) = &self.seat
            && seat.watched()
        {
            seat.shows_answering(object, |digest| answer.digest(digest), |digest| content.digest(digest));
        }
    }

    /// Tells an exhaustive search that this task has seen, and perhaps changed, data of `object` of which nothing but the
    /// history can be told: two states are then the same only if the data came about in the same way.
    #[inline]
    pub fn changes(&self, object: ObjectId) {
        // What is unwound after the end of a run changes nothing any more.
        if !std::thread::panicking()
            && let Seat::Coroutine(seat) = &self.seat
        {
            seat.track(|tracker, task| {
                tracker.reads_data(task, object);
                tracker.writes_data(task, object);
            });
        }
    }

    /// As [`Self::changes`], when the data was only looked at.
    #[inline]
    pub fn sees(&self, object: ObjectId) {
        if let Seat::Coroutine(seat) = &self.seat {
            seat.track(|tracker, task| tracker.reads_data(task, object));
        }
    }

    /// Tells an exhaustive search that this task has learnt `word`, on which what it does may depend from now on.
    #[inline]
    pub fn learns(&self, word: impl FnOnce() -> u64) {
        if let Seat::Coroutine(seat) = &self.seat {
            seat.track(|tracker, task| tracker.learnt(task, word()));
        }
    }

    /// Whether an exhaustive search wants to know of states.
    #[inline]
    pub fn is_tracked(&self) -> bool {
        matches!(&self.seat, Seat::Coroutine(seat) if seat.watched())
    }

    /// What the layer above keeps with this task; made by `init` at the first call.
    ///
    /// # Panics
    /// When two layers use the one slot with different types.
    #[inline]
    pub fn local<T: TaskLocal>(&self, init: impl FnOnce() -> T) -> &T {
        self.local.get_or_init(|| Box::new(init())).as_any().downcast_ref().expect("one layer owns the task's slot")
    }

    /// Whether the task holds a spinlock.
    #[inline]
    pub fn in_atomic(&self) -> bool {
        self.atomic_depth.get() > 0
    }

    /// Runs `section` as the inside of a spinlock that is held for it alone.
    #[inline]
    pub fn atomically<T>(&self, section: impl FnOnce() -> T) -> T {
        let depth = self.atomic_depth.get();
        self.atomic_depth.set(depth + 1);
        let result = section();
        self.atomic_depth.set(depth);
        result
    }

    /// Notes that a spinlock was taken (`+1`) or released (`-1`).
    #[inline]
    pub fn count_atomic(&self, change: i32) {
        let depth = self.atomic_depth.get().checked_add_signed(change);
        self.atomic_depth.set(depth.expect("as many spinlocks are released as were taken"));
    }

    /// A `BUG()`: ends the run with the verdict `crash`.
    #[track_caller]
    pub fn bug(&self, message: impl Into<String>) -> ! {
        self.bug_at(message.into(), Location::caller())
    }

    #[cold]
    pub(super) fn bug_at(&self, message: String, at: &'static Location<'static>) -> ! {
        let frames = self.frame.get().names().collect();
        let bug = Bug { message, task: self.name.to_string(), frames, at: place(at) };
        // Not a Rust panic: no message on stderr, and the driver turns the payload into an outcome.
        std::panic::resume_unwind(Box::new(bug))
    }

    fn assert_may_sleep(&self, what: &str, at: &'static Location<'static>) {
        if self.in_atomic() {
            self.bug_at(format!("{what} called under a spinlock"), at);
        }
    }

    /// Sleeps until woken (`true`) or until the wait's time is up (`false`).
    pub(super) fn block<W>(&self, object: &Arc<W>, kind: OpKind, site: Site, wait: Wait) -> bool
    where
        W: Waitable + 'static,
    {
        // Who waits for a spinlock spins: `schedule()` is not called.
        if kind != OpKind::SpinLock
            && let Some(local) = self.local.get()
        {
            local.schedule(self);
        }
        match &self.seat {
            Seat::Thread(seat) => {
                let keeps = self.keeps();
                seat.block(Arc::clone(object) as Arc<dyn Waitable>, kind, site, wait, keeps)
            }
            Seat::Coroutine(seat) => seat.block(self, &**object, kind, site, wait),
        }
    }

    /// A wake-up that crossed with a timeout has been used up by collecting the grant.
    pub(super) fn forget_wake(&self) {
        match &self.seat {
            Seat::Thread(seat) => seat.forget_wake(),
            Seat::Coroutine(seat) => seat.forget_wake(),
        }
    }

    /// Whether it can be seen if the task has to wait.
    pub(super) fn is_called_back(&self) -> bool {
        self.local.get().is_some_and(|local| local.is_called_back())
    }

    pub(super) fn keeps(&self) -> Vec<String> {
        self.local.get().map_or_else(Vec::new, |local| local.keeps())
    }
}

/// Leaves a function entered with [`Task::enter`].
pub struct FrameGuard<'a> {
    task: &'a Task,
    outer: Frame,
}

impl Drop for FrameGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.task.frame.set(self.outer);
    }
}
