//! [`Mempool`]: the kernel's `mempool_t`: an allocator with a reserve, and sleep when both are empty (dm-spec §1.2).
//!
//! `mempool_alloc` tries the allocator without waiting, then the reserve, then the allocator with waiting, then the
//! reserve again; then it fails (no direct reclaim) or sleeps, five seconds at most before it starts over.
//!
//! Invariants: `in_use` counts the elements out; an element that comes back goes to the longest waiter, else to the
//! reserve while that is not full, else to the allocator; with direct reclaim `alloc` never fails. Every element out
//! has a keeper on record: the task that could free it, and where it was taken.
//! Differences from the kernel: a freed element is handed to the longest waiter (the kernel puts it back and wakes all
//! waiters, newest first, who then race for it), and a wait for an allocator that is known never to recover has no
//! five-second timer, so that a stuck run stands still.
//! Not here: the memory itself (elements are tokens; their users own what they put on them).

use std::collections::VecDeque;
use std::sync::Arc;

use dmlab_units::Nanos;

use crate::sched::digest::Answer;
use crate::sched::object::Wait;
use crate::sched::{Digest, Holder, Mode, Object, OpKind, Runtime, Site, StateMachine, Step, Task, TaskId, Wakes};

/// How long `mempool_alloc` sleeps before it tries the allocator again (5 seconds in mm/mempool.c).
pub const MEMPOOL_RETRY: Nanos = Nanos::secs(5);

/// The allocator behind a pool: says which allocations fail. Implemented outside of the engine, by fault plans.
pub trait Allocator: Send + Sync {
    /// Whether allocation attempt number `event` (from 0, per pool, not counting those of a permanent failure) fails.
    fn fails(&self, event: u64) -> bool;
    /// Whether it will never succeed again by itself.
    fn is_permanent(&self) -> bool;
    /// How many more failures there may be, where it is open which allocations fail: a choice of the schedule on the
    /// explorer. `None` where [`Self::fails`] decides.
    fn open(&self) -> Option<u64> {
        None
    }
    /// Uses up one of those.
    fn use_up(&self) {}
}

/// How an allocation may behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gfp {
    /// Direct reclaim allowed: waits rather than fails (`GFP_NOIO`).
    NoIo,
    /// No direct reclaim: fails rather than waits (`GFP_NOWAIT`).
    NoWait,
}

/// The number of an element that is out. Not `Clone`: it is freed once.
#[derive(Debug, PartialEq, Eq)]
pub struct Element(u32);

impl Answer for Element {
    /// Elements are alike.
    fn digest(&self, _into: &mut Digest<'_>) {}
}

/// What a pool has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Elements guaranteed.
    pub reserve: u64,
    /// Elements out now.
    pub in_use: u64,
    /// The most elements that were ever out at once.
    pub peak: u64,
    /// Attempts that the allocator failed.
    pub slab_failures: u64,
    /// Allocations that had to sleep.
    pub waits: u64,
    /// Elements whose users were handed to a rescuer, so that they could come back.
    pub rescued: u64,
}

/// Operations on a pool.
pub enum PoolOp {
    /// Take an element; `again` when this is not the first attempt, which asks the allocator once only.
    Alloc {
        /// Whether it may wait.
        gfp: Gfp,
        /// Whether it has slept already.
        again: bool,
        /// Whether the allocator is to fail, where that is open and was chosen.
        fails: Option<bool>,
    },
    /// Give it back.
    Free(Element),
    /// Change the allocator; everybody who sleeps starts over.
    SetAllocator(Option<Arc<dyn Allocator>>),
}

/// What an operation on a pool gives.
#[derive(Debug, PartialEq, Eq)]
pub enum PoolGrant {
    /// An element.
    Element(Element),
    /// Nothing: the allocation failed, or the operation was no allocation.
    Null,
    /// Start over: the time is up or the allocator has changed.
    Again,
}

struct Out {
    keeper: TaskId,
    taken: Site,
    note: Option<&'static str>,
}

/// The reserve, who has elements, and who waits.
pub struct PoolState {
    reserve_max: u64,
    reserve: u64,
    out: Vec<Option<Out>>,
    free_numbers: Vec<u32>,
    waiters: VecDeque<Site>,
    granted: Vec<(TaskId, PoolGrant)>,
    allocator: Option<Arc<dyn Allocator>>,
    /// Who set it: with what that task has done so far, this says which one it is.
    set_by: Option<TaskId>,
    events: u64,
    stats: PoolStats,
}

impl PoolState {
    /// A pool with a full reserve of `reserve` elements and a healthy allocator.
    pub fn new(reserve: u64) -> Self {
        Self {
            reserve_max: reserve,
            reserve,
            out: Vec::new(),
            free_numbers: Vec::new(),
            waiters: VecDeque::new(),
            granted: Vec::new(),
            allocator: None,
            set_by: None,
            events: 0,
            stats: PoolStats { reserve, ..PoolStats::default() },
        }
    }

    /// Whether everything is back: nothing out, the reserve full, nobody waiting (I2).
    pub fn at_rest(&self) -> bool {
        self.stats.in_use == 0 && self.reserve == self.reserve_max && self.waiters.is_empty()
    }

    /// What the pool has been through.
    pub const fn stats(&self) -> PoolStats {
        self.stats
    }

    /// Whether what the allocator answers depends on how often it was asked.
    fn counts_events(&self) -> bool {
        self.allocator.as_ref().is_some_and(|allocator| !allocator.is_permanent())
    }

    /// Failures that are still open to choice.
    fn open_failures(&self) -> u64 {
        self.allocator.as_ref().and_then(|allocator| allocator.open()).unwrap_or(0)
    }

    /// Whether more elements are about than the reserve has room for.
    const fn overflows(&self) -> bool {
        self.reserve + self.stats.in_use > self.reserve_max
    }

    /// One that never recovers always answers the same; how often it was asked is not counted, so that it cannot
    /// matter to whatever comes after it.
    fn allocator_fails(&mut self, chosen: Option<bool>) -> bool {
        let event = self.events;
        self.events += u64::from(self.allocator.as_ref().is_none_or(|allocator| !allocator.is_permanent()));
        let fails = match chosen {
            // Chosen before; another task may have used up the last failure since.
            Some(fails) => fails && self.open_failures() > 0,
            None => self.allocator.as_ref().is_some_and(|allocator| allocator.fails(event)),
        };
        self.stats.slab_failures += u64::from(fails);
        fails
    }

    fn take_out(&mut self, by: Site) -> Element {
        self.stats.in_use += 1;
        self.stats.peak = self.stats.peak.max(self.stats.in_use);
        let out = Some(Out { keeper: by.task, taken: by, note: None });
        match self.free_numbers.pop() {
            Some(number) => {
                self.out[number as usize] = out;
                Element(number)
            }
            None => {
                self.out.push(out);
                Element(self.out.len() as u32 - 1)
            }
        }
    }

    /// Steps 1 to 3 of dm-spec §1.2.
    fn try_alloc(&mut self, by: Site, gfp: Gfp, again: bool, chosen: Option<bool>) -> Option<Element> {
        if !self.allocator_fails(chosen) {
            return Some(self.take_out(by));
        }
        if let (Some(_), Some(allocator)) = (chosen, &self.allocator) {
            // One choice stands for both attempts.
            allocator.use_up();
        }
        if self.reserve > 0 {
            self.reserve -= 1;
            return Some(self.take_out(by));
        }
        // The first try was stripped of direct reclaim; once more with the caller's full flags. After a sleep the try
        // was a full one already.
        if gfp == Gfp::NoIo && !again && chosen.is_none() && !self.allocator_fails(None) {
            return Some(self.take_out(by));
        }
        None
    }

    fn alloc(&mut self, by: Site, gfp: Gfp, again: bool, chosen: Option<bool>) -> Step<PoolGrant> {
        if let Some(element) = self.try_alloc(by, gfp, again, chosen) {
            return Step::Granted(PoolGrant::Element(element));
        }
        if gfp == Gfp::NoWait {
            return Step::Granted(PoolGrant::Null);
        }
        self.waiters.push_back(by);
        self.stats.waits += 1;
        let permanent = self.allocator.as_ref().is_some_and(|allocator| allocator.is_permanent());
        Step::Wait(if permanent { Wait::FOREVER } else { Wait::at_most(MEMPOOL_RETRY) })
    }

    fn free(&mut self, element: Element, wakes: &mut Wakes) {
        let number = element.0;
        assert!(self.out[number as usize].take().is_some(), "an element is freed once");
        self.free_numbers.push(number);
        self.stats.in_use -= 1;
        match self.waiters.pop_front() {
            Some(waiter) => {
                let element = self.take_out(waiter);
                self.granted.push((waiter.task, PoolGrant::Element(element)));
                wakes.push(waiter.task);
            }
            None if self.reserve < self.reserve_max => self.reserve += 1,
            None => {}
        }
    }
}

impl StateMachine for PoolState {
    type Op = PoolOp;
    type Grant = PoolGrant;
    const LABEL: &'static str = "mempool";
    const ANY_RELEASE_SUFFICES: bool = true;

    fn announce(op: &PoolOp) -> (OpKind, u64) {
        match op {
            PoolOp::Alloc { gfp, .. } => (OpKind::MempoolAlloc, u64::from(*gfp == Gfp::NoIo)),
            PoolOp::Free(_) => (OpKind::MempoolFree, 0),
            PoolOp::SetAllocator(_) => (OpKind::SetAllocator, 0),
        }
    }

    fn may_sleep(op: &PoolOp) -> bool {
        matches!(op, PoolOp::Alloc { gfp: Gfp::NoIo, .. })
    }

    fn apply(&mut self, by: Site, op: PoolOp, wakes: &mut Wakes) -> Step<PoolGrant> {
        match op {
            PoolOp::Alloc { gfp, again, fails } => return self.alloc(by, gfp, again, fails),
            PoolOp::Free(element) => self.free(element, wakes),
            PoolOp::SetAllocator(allocator) => {
                self.allocator = allocator;
                self.set_by = Some(by.task);
                for waiter in self.waiters.drain(..) {
                    self.granted.push((waiter.task, PoolGrant::Again));
                    wakes.push(waiter.task);
                }
            }
        }
        Step::Granted(PoolGrant::Null)
    }

    fn mode(&self, op: &PoolOp) -> Mode {
        match op {
            // A healthy allocator has enough for everybody.
            PoolOp::Alloc { .. } if self.allocator.is_none() => Mode::Shared,
            PoolOp::Alloc { gfp: Gfp::NoWait, .. } => Mode::Peek,
            // How often the allocator was asked is part of the state: a second attempt is one more question, which is
            // asked only if nothing was given back before. A plan that answers always the same does not mind. But
            // elements that a healthy allocator gave earlier find no room in a full reserve, unless one is taken first.
            PoolOp::Alloc { gfp: Gfp::NoIo, .. } if self.counts_events() || self.overflows() => Mode::Peek,
            PoolOp::Alloc { gfp: Gfp::NoIo, .. } => Mode::Exclusive,
            PoolOp::Free(_) => Mode::Free,
            // Whoever sleeps starts over, unless something was given back before.
            PoolOp::SetAllocator(_) => Mode::Peek,
        }
    }

    /// Elements are alike.
    fn observed(grant: &PoolGrant) -> u64 {
        match grant {
            PoolGrant::Null => 0,
            PoolGrant::Element(_) => 1,
            PoolGrant::Again => 2,
        }
    }

    fn digest(&self, into: &mut Digest<'_>) {
        into.word(self.reserve);
        into.word(self.stats.in_use);
        match self.set_by {
            Some(task) => into.task(task),
            None => into.word(0),
        }
        into.word(self.events);
        into.word(self.open_failures());
        self.waiters.iter().for_each(|waiter| into.task(waiter.task));
        into.set(self.granted.iter().map(|(task, grant)| (*task, Self::observed(grant))));
        let PoolStats { peak, slab_failures, waits, rescued, .. } = self.stats;
        if into.statistics().peaks {
            into.word(peak);
        }
        if into.statistics().counts {
            [slab_failures, waits, rescued].into_iter().for_each(|count| into.word(count));
        }
    }

    fn collect(&mut self, who: TaskId) -> PoolGrant {
        let place =
            self.granted.iter().position(|(task, _)| *task == who).expect("a woken waiter was granted something");
        self.granted.swap_remove(place).1
    }

    fn time_out(&mut self, who: TaskId) -> Option<PoolGrant> {
        let place = self.waiters.iter().position(|waiter| waiter.task == who)?;
        self.waiters.remove(place);
        Some(PoolGrant::Again)
    }

    fn holders(&self, _waiter: TaskId) -> Vec<Holder> {
        let what = |out: &Out| match out.note {
            Some(note) => format!("1 element, {note}"),
            None => "1 element".to_owned(),
        };
        self.out.iter().flatten().map(|out| Holder { task: out.keeper, taken: out.taken, what: what(out) }).collect()
    }

    fn summary(&self) -> String {
        let allocator = match &self.allocator {
            None => "allocator healthy",
            Some(allocator) if allocator.is_permanent() => "allocator failing for good",
            Some(_) => "allocator failing at times",
        };
        let PoolStats { in_use, .. } = self.stats;
        format!(
            "{in_use} out, reserve {} of {}, {} waiting, {allocator}",
            self.reserve,
            self.reserve_max,
            self.waiters.len()
        )
    }
}

/// The kernel's `mempool_t`.
pub struct Mempool {
    object: Arc<Object<PoolState>>,
}

impl Mempool {
    /// A pool that guarantees `reserve` elements, called `name` in reports, e.g. `dm-0.bs`.
    pub fn new(runtime: &Runtime, name: &str, reserve: u64) -> Self {
        Self { object: Object::new(runtime, name, PoolState::new(reserve)) }
    }

    /// `mempool_alloc`: an element, or `None` when `gfp` does not let it wait for one.
    #[inline]
    #[track_caller]
    pub fn alloc(&self, current: &Task, gfp: Gfp) -> Option<Element> {
        let mut again = false;
        loop {
            let fails = self.choose_failure(current);
            match self.object.perform(current, PoolOp::Alloc { gfp, again, fails }) {
                PoolGrant::Element(element) => return Some(element),
                PoolGrant::Null => return None,
                PoolGrant::Again => again = true,
            }
        }
    }

    /// Where it is open which allocations fail: whether this one does, if any may still.
    #[inline]
    fn choose_failure(&self, current: &Task) -> Option<bool> {
        if !current.runtime().is_explorer() {
            return None;
        }
        let open =
            self.object.adjust(current, |state| state.allocator.as_ref().and_then(|allocator| allocator.open()))?;
        current.runtime().touches(self.object.id(), Mode::Shared);
        current.learns(|| u64::from(open > 0));
        Some(open > 0 && current.choose("whether an allocation fails", 2) == 1)
    }

    /// `mempool_free`.
    #[inline]
    #[track_caller]
    pub fn free(&self, current: &Task, element: Element) {
        self.object.perform(current, PoolOp::Free(element));
    }

    /// Changes the allocator (`None` is a healthy one) and lets everybody who sleeps try again.
    pub fn set_allocator(&self, current: &Task, allocator: Option<Arc<dyn Allocator>>) {
        self.object.perform(current, PoolOp::SetAllocator(allocator));
    }

    /// Says for reports that `keeper`, not the task that took it, could free `element`, and why.
    pub fn hand_over(&self, current: &Task, element: &Element, keeper: TaskId, note: &'static str) {
        self.object.adjust(current, |state| {
            let out = state.out[element.0 as usize].as_mut().expect("an element that exists is out");
            (out.keeper, out.note) = (keeper, Some(note));
        });
    }

    /// Counts elements whose users were handed to a rescuer.
    pub fn count_rescued(&self, current: &Task, elements: u64) {
        self.object.adjust(current, |state| state.stats.rescued += elements);
    }

    /// Name in reports.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// What the pool has been through.
    pub fn stats(&self) -> PoolStats {
        self.object.peek(PoolState::stats)
    }

    /// Whether everything is back (I2).
    pub fn at_rest(&self) -> bool {
        self.object.peek(PoolState::at_rest)
    }
}

#[cfg(test)]
mod tests;
