//! [`Tracker`]: what an exhaustive search must know of a run besides its schedule: which steps interfere with each other,
//! and which states are the same.
//!
//! It is told of every operation, of every look at shared data that is no operation, and of who made whom. From this it
//! keeps
//! - a **key** of the present state: of each task all that it ever learnt, of each object its state, none of it
//!   depending on the order in which things came about. What no object shows (memory that tasks hand to each other) is
//!   a function of what they learnt, as long as every shared place reports here;
//! - the **print** of the step under way: the contended objects that it touched, for sleep sets;
//! - **races** (`races`): which objects tasks touch in an order that nothing else decides. Only those need a choice.
//!
//! Invariants: nothing here decides anything in the run; equal runs leave equal trackers; the table of classes is the
//! only thing that survives a run, and it only ever grows more careful.
//! Not here: the search itself.

mod certainty;
mod clock;
mod races;

use std::collections::BTreeMap;

use super::super::digest::{Lanes, Names, Statistics};
use super::super::object::{Mode, Release};
use super::super::op::{ObjectId, OpClass, OpKind, TaskId, unpack_range};
use super::seat;
use clock::Clock;
pub(super) use races::{Access, Classes, Level};
use races::{Last, Track};

/// Sectors of a page: what two I/Os on the same device conflict over.
const PAGE_SECTORS: u64 = 8;
/// Where the numbers of pages begin, above those of objects.
const FIRST_PAGE: usize = 1 << 31;

/// A task, as the tracker knows it.
struct TaskTrack {
    canonical: u64,
    learnt: Lanes,
    spawned: u64,
    made: u64,
    clock: Clock,
    /// What the task comes after in every schedule: who spawned it, and whose completions it has waited for.
    always: Clock,
    /// The object that was given back for it, while it goes on in the step of whoever did so.
    carried: Option<ObjectId>,
    /// Whether it sleeps, and not only stands among those who wait: before it sleeps, it may do something else (the
    /// kernel's `schedule()` calls back).
    asleep: bool,
    /// What it comes after once it finds out that it was granted what it was about to sleep for.
    granted: Option<(Clock, Clock)>,
    in_sum: Lanes,
}

/// What was done to an object, and the object's state afterwards.
pub(super) struct Applied {
    pub(super) what: seat::Applied,
    pub(super) state: Lanes,
}

/// See the module.
pub(in crate::sched) struct Tracker {
    tasks: Vec<TaskTrack>,
    objects: Vec<Track>,
    /// Pages of devices, which conflict one by one; numbered from [`FIRST_PAGE`].
    pages: Vec<Track>,
    page_of: BTreeMap<(ObjectId, u64), usize>,
    sum: Lanes,
    classes: Classes,
    print: Vec<Access>,
    /// Objects whose order is part of the state.
    watched: Vec<usize>,
    /// Objects that anything ever passed order on to.
    carriers: Vec<usize>,
    statistics: Statistics,
    polls: bool,
    clock_matters: bool,
}

impl Tracker {
    /// With `statistics`, counts that decide nothing in a run are part of its state.
    pub(super) const fn new(statistics: Statistics) -> Self {
        Self {
            tasks: Vec::new(),
            objects: Vec::new(),
            pages: Vec::new(),
            page_of: BTreeMap::new(),
            sum: Lanes::of(0),
            classes: Classes::new(true),
            print: Vec::new(),
            watched: Vec::new(),
            carriers: Vec::new(),
            statistics,
            polls: false,
            clock_matters: false,
        }
    }

    /// A new run begins.
    pub(super) fn reset(&mut self) {
        self.tasks.clear();
        self.objects.clear();
        self.pages.clear();
        self.page_of.clear();
        self.sum = Lanes::of(0);
        self.print.clear();
        self.watched.clear();
        self.carriers.clear();
        self.clock_matters = false;
    }

    /// A new step begins.
    pub(super) fn begin_step(&mut self) {
        self.print.clear();
    }

    /// What the step that ended last touched.
    pub(super) fn print(&self) -> &[Access] {
        &self.print
    }

    /// The present state, but for timers.
    pub(super) const fn key(&self) -> Lanes {
        self.sum
    }

    fn track(&self, index: usize) -> &Track {
        match index.checked_sub(FIRST_PAGE) {
            Some(page) => &self.pages[page],
            None => &self.objects[index],
        }
    }

    /// What is known of classes of objects.
    pub(super) const fn classes(&self) -> &Classes {
        &self.classes
    }

    pub(super) const fn classes_mut(&mut self) -> &mut Classes {
        &mut self.classes
    }

    /// Whether any task gave way in a loop, so that a state with other counts may be the same state after all.
    pub(super) const fn polls(&self) -> bool {
        self.polls
    }

    pub(in crate::sched) const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// How careful one must be with an operation on `object`.
    pub(super) fn level(&self, object: ObjectId) -> Level {
        match object {
            ObjectId::NONE => Level::Quiet,
            _ => self.classes.level(self.objects[index(object)].class),
        }
    }

    pub(super) fn spawned(&mut self, parent: Option<TaskId>) {
        let (canonical, mut clock, always, carried) = match parent {
            None => (0, Clock::default(), Clock::default(), None),
            Some(parent) => {
                let own = &mut self.tasks[parent.index()];
                own.spawned += 1;
                let mut name = Lanes::of(own.canonical);
                name.word(own.spawned);
                let (clock, carried) = (own.clock.clone(), own.carried);
                let mut always = own.always.clone();
                always.raise(parent, clock.of(parent));
                // What the parent does from here on is not before what the child does.
                own.clock.tick(parent);
                (name.short(), clock, always, carried)
            }
        };
        let (learnt, in_sum) = (Lanes::of(canonical), Lanes::default());
        let task = TaskId(self.tasks.len() as u32);
        // What it does before its first operation is its own as well.
        clock.tick(task);
        self.tasks.push(TaskTrack {
            canonical,
            learnt,
            spawned: 0,
            made: 0,
            clock,
            always,
            carried,
            asleep: false,
            granted: None,
            in_sum,
        });
        self.renew_task(task);
    }

    pub(super) fn made(&mut self, maker: TaskId, label: &'static str, name: &str) {
        let class = self.classes.of(label, name);
        let maker = &mut self.tasks[maker.index()];
        maker.made += 1;
        let mut canonical = Lanes::of(maker.canonical);
        canonical.word(maker.made);
        self.objects.push(Track::new(class, canonical.short()));
    }

    /// `task` goes on in a step of its own.
    fn begin(&mut self, task: TaskId) {
        let own = &mut self.tasks[task.index()];
        own.clock.tick(task);
        own.carried = None;
    }

    /// `task` did what it had announced on a state machine.
    pub(super) fn applied(&mut self, task: TaskId, object: ObjectId, applied: &Applied, wakes: &[TaskId]) {
        let Applied { what: applied, state } = applied;
        self.begin(task);
        // Statistics tell of orders that mean nothing otherwise: how many slept, how many were out at once.
        let counted =
            self.statistics != Statistics::NONE && matches!(applied.kind, OpKind::MempoolAlloc | OpKind::MempoolFree);
        self.access(task, index(object), if counted { Mode::Peek } else { applied.mode });
        let track = &mut self.objects[index(object)];
        let own = &mut self.tasks[task.index()];
        own.learnt.word(applied.kind as u64 ^ applied.arg << 8);
        own.learnt.word(track.canonical);
        let free = applied.mode == Mode::Free;
        if free {
            let given = (&own.clock, &own.always);
            self.classes.gave(track, task, applied.release, applied.kind, given);
            carries(&mut self.carriers, track, index(object));
        }
        if let Some(observed) = applied.observed {
            own.learnt.word(observed);
            if !free {
                self.classes.got(track, applied.release, applied.kind, (&mut own.clock, &mut own.always));
            }
        }
        let certain = !free || self.classes.is_certain(track, applied.release);
        track.state = *state;
        if certain && !wakes.is_empty() {
            let clock = self.tasks[task.index()].clock.clone();
            let mut always = self.tasks[task.index()].always.clone();
            always.raise(task, clock.of(task));
            for woken in wakes {
                let woken = &mut self.tasks[woken.index()];
                let always = if applied.release == Release::Counted { always.clone() } else { Clock::default() };
                if woken.asleep {
                    woken.clock.join(&clock);
                    woken.always.join(&always);
                } else {
                    woken.granted = Some((clock.clone(), always));
                }
            }
        }
        if free && !wakes.is_empty() {
            let asleep = wakes.iter().filter(|woken| self.tasks[woken.index()].asleep).copied().collect::<Vec<_>>();
            asleep.into_iter().for_each(|woken| self.tasks[woken.index()].carried = Some(object));
            // What was given to a waiter is not in stock.
            self.objects[index(object)].take_stock(wakes.len());
        }
        self.tasks[task.index()].clock.tick(task);
        self.renew_task(task);
        self.renew_object(index(object));
    }

    /// `task` begins to sleep, or has slept.
    pub(in crate::sched) fn sleeps(&mut self, task: TaskId, asleep: bool) {
        self.tasks[task.index()].asleep = asleep;
    }

    /// `task` was about to sleep, and has been granted what it waits for meanwhile: only now does it come after that.
    pub(in crate::sched) fn finds_grant(&mut self, task: TaskId) {
        let own = &mut self.tasks[task.index()];
        if let Some((clock, always)) = own.granted.take() {
            own.clock.join(&clock);
            own.always.join(&always);
        }
    }

    /// `task` has waited and now has what it waited for.
    pub(super) fn collected(&mut self, task: TaskId, object: ObjectId, kind: OpKind, observed: u64, state: Lanes) {
        let own = &mut self.tasks[task.index()];
        own.clock.tick(task);
        own.learnt.word(observed);
        let track = &mut self.objects[index(object)];
        track.state = state;
        // Whoever held it had to give it back first. Of readers in a domain, those that began later did not: that the last
        // of the others did is known from the wake-up.
        if kind != OpKind::SynchronizeSrcu {
            track.follow(kind, &mut own.clock);
        }
        self.renew_task(task);
        self.renew_object(index(object));
    }

    /// `task` did what it had announced on something that is no state machine.
    pub(super) fn raw(&mut self, task: TaskId, kind: OpKind, object: ObjectId, arg: u64) {
        self.polls |= kind == OpKind::Yield;
        self.begin(task);
        self.tasks[task.index()].learnt.word(kind as u64 ^ arg << 8);
        match kind {
            OpKind::IoRead | OpKind::IoWrite => {
                let mode = if kind == OpKind::IoRead { Mode::Shared } else { Mode::Exclusive };
                let (start, sectors) = unpack_range(arg);
                for page in start / PAGE_SECTORS..(start + sectors).div_ceil(PAGE_SECTORS) {
                    let index = self.page(object, page);
                    self.access(task, index, mode);
                }
            }
            _ if object != ObjectId::NONE => {
                let mode = match (kind, kind.class()) {
                    // Counting down commutes with counting; who reads the sum conflicts with both.
                    (OpKind::CpuDec, _) => Mode::Shared,
                    (_, OpClass::Release) => Mode::Free,
                    _ => Mode::Exclusive,
                };
                self.access(task, index(object), mode);
                self.tasks[task.index()].learnt.word(self.objects[index(object)].canonical);
            }
            _ => {}
        }
        self.tasks[task.index()].clock.tick(task);
        self.renew_task(task);
    }

    fn page(&mut self, object: ObjectId, page: u64) -> usize {
        let Track { class, canonical, .. } = self.objects[index(object)];
        *self.page_of.entry((object, page)).or_insert_with(|| {
            let mut name = Lanes::of(canonical);
            name.word(page);
            self.pages.push(Track::new(class, name.short()));
            FIRST_PAGE + self.pages.len() - 1
        })
    }

    /// The timer of `task`, which waits for `object`, has fired before everything else came to rest.
    pub(super) fn timer_fired(&mut self, task: TaskId, object: ObjectId) {
        self.begin(task);
        self.tasks[task.index()].learnt.word(OpKind::Timer as u64);
        if object != ObjectId::NONE {
            self.access(task, index(object), Mode::Peek);
        }
        self.renew_task(task);
    }

    /// Time has moved to the timer of `task` because nobody could go on. In no schedule does it fire before what was done
    /// up to here.
    pub(super) fn came_to_rest(&mut self, task: TaskId) {
        let mut all = Clock::default();
        self.tasks.iter().for_each(|other| all.join(&other.clock));
        let own = &mut self.tasks[task.index()];
        own.clock.join(&all);
        own.always.join(&all);
    }

    /// A look at shared data, or a change of it, that is no operation of its own.
    pub(in crate::sched) fn touched(&mut self, task: TaskId, object: ObjectId, mode: Mode) {
        self.access(task, index(object), mode);
    }

    /// `task` has learnt something.
    pub(in crate::sched) fn learnt(&mut self, task: TaskId, word: u64) {
        self.tasks[task.index()].learnt.word(word);
        self.renew_task(task);
    }

    /// `task` has looked at the clock.
    pub(in crate::sched) fn read_clock(&mut self, task: TaskId, now: u64) {
        self.clock_matters = true;
        if now > 0 {
            self.learnt(task, now);
        }
    }

    /// Whether anybody has looked at the clock: how late it is now says then what he will find when he looks again.
    pub(super) const fn clock_matters(&self) -> bool {
        self.clock_matters
    }

    /// `object` is now in a state that `state` stands for.
    pub(in crate::sched) fn shows(&mut self, object: ObjectId, state: Lanes) {
        self.objects[index(object)].state = state;
        self.renew_object(index(object));
    }

    /// As [`Self::shows`], for data that others use as if only its history were known: what they learn then is what is in
    /// it.
    pub(in crate::sched) fn holds(&mut self, object: ObjectId, state: Lanes) {
        self.objects[index(object)].version = state.short();
        self.shows(object, state);
    }

    /// `task` looks at data of which only the history is known.
    pub(in crate::sched) fn reads_data(&mut self, task: TaskId, object: ObjectId) {
        let version = self.objects[index(object)].version;
        self.learnt(task, version);
    }

    /// `task` changes data of which only the history is known: what it does depends on all that it ever learnt.
    pub(in crate::sched) fn writes_data(&mut self, task: TaskId, object: ObjectId) {
        let mut version = Lanes::of(self.objects[index(object)].version);
        version.lanes(self.tasks[task.index()].learnt);
        self.objects[index(object)].version = version.short();
        self.renew_object(index(object));
    }

    fn access(&mut self, task: TaskId, index: usize, mode: Mode) {
        let at = self.tasks[task.index()].clock.of(task);
        let track = match index.checked_sub(FIRST_PAGE) {
            Some(page) => &mut self.pages[page],
            None => &mut self.objects[index],
        };
        let TaskTrack { clock, always, .. } = &mut self.tasks[task.index()];
        let level = self.classes.meet(track, clock, always, Last { task, mode, at });
        if !track.listed && self.classes.is_watched(track.class) {
            track.listed = true;
            self.watched.push(index);
        }
        let orders = level != Level::Quiet && (mode != Mode::Free || level == Level::Peeked);
        if orders {
            let exclusive = mode != Mode::Shared;
            track.order(clock, task, exclusive);
            carries(&mut self.carriers, track, index);
            let class = track.class;
            let access = Access { object: index as u32, exclusive, task };
            if let Some(carrier) = self.tasks[task.index()].carried {
                self.classes.carried(self.objects[carrier.0 as usize - 1].class);
            }
            if self.print.iter().any(|other| other.task != task && other.conflicts(access)) {
                self.classes.cannot_order(class);
            }
            if !self.print.contains(&access) {
                self.print.push(access);
            }
        }
    }

    fn renew_task(&mut self, task: TaskId) {
        let own = &mut self.tasks[task.index()];
        let mut member = Lanes::of(own.canonical);
        member.lanes(own.learnt);
        self.sum.subtract(own.in_sum);
        self.sum.add(member);
        own.in_sum = member;
    }

    fn renew_object(&mut self, index: usize) {
        let track = &mut self.objects[index];
        let mut member = Lanes::of(track.canonical);
        member.lanes(track.state);
        member.word(track.version);
        self.sum.subtract(track.in_sum);
        self.sum.add(member);
        track.in_sum = member;
    }
}

impl Names for Tracker {
    fn canonical(&self, task: TaskId) -> u64 {
        self.tasks[task.index()].canonical
    }

    fn object(&self, object: ObjectId) -> u64 {
        self.objects[index(object)].canonical
    }
}

fn carries(carriers: &mut Vec<usize>, track: &mut Track, index: usize) {
    if !std::mem::replace(&mut track.carries, true) {
        carriers.push(index);
    }
}

const fn index(object: ObjectId) -> usize {
    object.0 as usize - 1
}
