//! [`Dfs`]: the depth-first search, as a strategy: takes the way that the stack of frames prescribes, and where that ends
//! a new way with a frame for each step.
//!
//! Invariants: the same stack leads to the same run; a task is put to sleep only where all that its step leads to has
//! been, or will be, explored; a frame that was passed without a choice is given one when its step turns out to touch
//! something contended after all.
//! Not here: when to stop, and who works on which part (`workers`).

use std::sync::Arc;

use smallvec::SmallVec;

use super::super::super::digest::Lanes;
use super::super::super::op::{OpClass, OpKind, TaskId};
use super::super::batches::Shard;
use super::super::strategy::{Strategy, View};
use super::super::tracker::{Access, Level};
use super::cache::{Cache, Known};
use super::prints::{Print, Prints};

/// Tasks that one search can tell apart.
const TASKS_MAX: usize = 64;
/// Choices after which a shard's own part begins.
const SHARD_DEPTH: u32 = 5;

/// How a search goes about it.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) sleep_sets: bool,
    pub(super) releases_first: bool,
    pub(super) state_cache: bool,
    pub(super) preemptions_max: Option<u32>,
    pub(super) shard: Shard,
}

/// A task that need not go here, because its step was explored and nothing since conflicts with it.
#[derive(Clone, Copy)]
struct Asleep {
    task: u8,
    print: Print,
}

/// One step of the present run, and what else there is to try in its place.
#[derive(Clone)]
struct Frame {
    task: u8,
    /// Tasks that are still to be tried.
    untried: u64,
    /// Tasks that could have gone.
    able: u64,
    asleep: SmallVec<[Asleep; 4]>,
    /// Passed without a choice.
    forced: bool,
    /// Ways of an operation that is itself a choice, and the one taken.
    ways: u32,
    way: u32,
    /// Of the step that is being tried.
    print: Print,
    /// Prints that were recorded before this frame, and by it.
    mark: usize,
    kept: usize,
    /// Who went before, as far as preemptions are concerned.
    last: Option<u8>,
    preemptions: u32,
    /// Choices on the way here.
    choices: u32,
}

impl Frame {
    /// Whether there was more than one task to choose from.
    const fn decides(&self) -> bool {
        !self.forced && self.able.count_ones() > 1
    }

    fn asleep_mask(&self) -> u64 {
        self.asleep.iter().fold(0, |mask, asleep| mask | 1 << asleep.task)
    }

    /// Preemptions once the present task has gone.
    fn spent(&self) -> u32 {
        let preempts = !self.forced && self.last.is_some_and(|last| last != self.task && self.able >> last & 1 == 1);
        self.preemptions + u32::from(preempts)
    }
}

/// Why a run was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Everything that could go sleeps, or the state was explored before, or the part is another shard's.
    Pruned,
    /// The cache is full.
    CacheFull,
    /// Too many tasks.
    TooManyTasks,
}

/// A part of the search: a way into it, and what is to be left out.
#[derive(Clone, Default)]
pub(super) struct Prefix {
    frames: Vec<Frame>,
    prints: Prints,
}

/// See the module.
pub(super) struct Dfs {
    way: Way,
    cache: Arc<Cache>,
    frames: Vec<Frame>,
    prints: Prints,
    /// How many frames the run has passed.
    depth: usize,
    cut: Option<Cut>,
    /// A choice was left out because of the bound on preemptions.
    pub(super) bounded: bool,
}

impl Dfs {
    pub(super) fn new(way: Way, cache: Arc<Cache>, prefix: Prefix) -> Self {
        let Prefix { frames, prints } = prefix;
        Self { way, cache, frames, prints, depth: 0, cut: None, bounded: false }
    }

    /// Whether, and why, the last run was cut off.
    pub(super) const fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Choices on the way that was taken last.
    pub(super) fn choices(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.decides()) + u64::from(frame.ways > 1)).sum()
    }

    /// How much of the search is done, as far as its choices tell.
    pub(super) fn done(&self) -> f64 {
        let (mut share, mut done) = (1.0, 0.0);
        for frame in self.frames.iter().filter(|frame| !frame.forced || frame.ways > 1) {
            let tried = (frame.able.count_ones() - frame.untried.count_ones()).saturating_sub(1);
            let (tried, all) = match frame.ways {
                0 | 1 => (f64::from(tried), f64::from(frame.able.count_ones())),
                ways => (f64::from(frame.way), f64::from(ways)),
            };
            done += share * tried / all;
            share /= all;
        }
        done
    }

    /// The run has ended; `print` is what its last step touched.
    pub(super) fn finish(&mut self, print: &[Access]) {
        if self.cut.is_none() {
            self.record(print);
        }
    }

    /// Goes on to the next schedule; `false` when there is none.
    pub(super) fn backtrack(&mut self) -> bool {
        while let Some(frame) = self.frames.last_mut() {
            self.prints.forget(frame.mark + frame.kept);
            if frame.way + 1 < frame.ways {
                frame.way += 1;
                frame.print = Print::UNKNOWN;
                return true;
            }
            if self.way.sleep_sets {
                // The steps of several ways may touch different things.
                let print = if frame.ways > 1 { Print::ALL } else { frame.print };
                frame.asleep.push(Asleep { task: frame.task, print });
            }
            if frame.untried == 0 {
                self.frames.pop();
                continue;
            }
            frame.task = frame.untried.trailing_zeros() as u8;
            frame.untried &= frame.untried - 1;
            (frame.ways, frame.way, frame.print) = (0, 0, Print::UNKNOWN);
            return true;
        }
        false
    }

    /// Gives away the last untried choice nearest to the root, if there is one.
    pub(super) fn split(&mut self) -> Option<Prefix> {
        let place = self.frames.iter().position(|frame| frame.untried != 0)?;
        let given = 63 - self.frames[place].untried.leading_zeros() as u8;
        let mut frames = self.frames[..=place].to_vec();
        for frame in &mut frames {
            frame.untried = 0;
        }
        let frame = &mut frames[place];
        if self.way.sleep_sets && frame.print.is_known() {
            let print = if frame.ways > 1 { Print::ALL } else { frame.print };
            frame.asleep.push(Asleep { task: frame.task, print });
        }
        (frame.task, frame.ways, frame.way, frame.print) = (given, 0, 0, Print::UNKNOWN);
        // Ways that are still to be tried on the path stay with the giver.
        frames[..place].iter_mut().filter(|frame| frame.ways > 1).for_each(|frame| frame.ways = frame.way + 1);
        self.frames[place].untried &= !(1 << given);
        let mut prints = self.prints.clone();
        prints.forget(self.frames[place].mark + self.frames[place].kept);
        Some(Prefix { frames, prints })
    }

    /// Keeps what the step of the last frame passed has touched.
    fn record(&mut self, print: &[Access]) {
        let Some(depth) = self.depth.checked_sub(1) else { return };
        let frame = &mut self.frames[depth];
        if frame.print.is_known() {
            return;
        }
        let before = self.prints.mark();
        frame.print = self.prints.record(print);
        frame.kept += self.prints.mark() - before;
        if frame.forced && !print.is_empty() {
            // It needed a choice after all.
            frame.forced = false;
            frame.untried = frame.able & !(1 << frame.task) & !frame.asleep_mask();
        }
    }

    fn replay(&mut self, view: &View<'_>) -> TaskId {
        let frame = &mut self.frames[self.depth];
        let task = TaskId(u32::from(frame.task));
        if !frame.print.is_known() && frame.ways == 0 && view.op(task).kind == OpKind::Choose {
            frame.ways = view.op(task).arg as u32;
        }
        self.depth += 1;
        task
    }

    /// Who sleeps when the last frame's step has been taken.
    fn sleepers(&self) -> SmallVec<[Asleep; 4]> {
        let Some(frame) = self.frames.last() else { return SmallVec::new() };
        let awake = |asleep: &Asleep| asleep.task == frame.task || self.prints.conflict(asleep.print, frame.print);
        frame.asleep.iter().copied().filter(|asleep| !awake(asleep)).collect()
    }

    /// One who can go on without a choice.
    ///
    /// Not one who sleeps since a step that did touch something contended: that step needs a choice, whatever it is called.
    fn mover(&self, view: &View<'_>, able: u64, last: Option<u8>, asleep: &[Asleep]) -> Option<u8> {
        let touches = asleep.iter().filter(|asleep| !asleep.print.is_empty());
        let able = touches.fold(able, |able, asleep| able & !(1 << asleep.task));
        let moves = |task: u8| {
            let task = TaskId(u32::from(task));
            let kind = view.op(task).kind;
            let level = view.level(task);
            kind != OpKind::Yield
                && (level == Level::Quiet || (level == Level::Contended && kind.class() == OpClass::Release))
        };
        // Whoever went last goes on: that keeps the schedule readable.
        last.filter(|last| able >> last & 1 == 1 && moves(*last)).or_else(|| tasks(able).find(|task| moves(*task)))
    }

    fn push(&mut self, view: &View<'_>) -> Result<TaskId, Cut> {
        if view.tasks() > TASKS_MAX {
            return Err(Cut::TooManyTasks);
        }
        let ready = view.ready().low_word();
        let (last, preemptions, choices) = match self.frames.last() {
            None => (None, 0, 0),
            Some(frame) => {
                let last = if frame.forced { frame.last } else { Some(frame.task) };
                (last, frame.spent(), frame.choices + u32::from(frame.decides()))
            }
        };
        let asleep = if self.way.sleep_sets { self.sleepers() } else { SmallVec::new() };
        let sleeping = asleep.iter().fold(0, |mask, asleep| mask | 1 << asleep.task);
        // Who polls goes on when somebody else has moved, or when nobody else can.
        let polling = tasks(ready)
            .filter(|task| view.op(TaskId(u32::from(*task))).kind == OpKind::Yield)
            .fold(0_u64, |mask, task| mask | 1 << task);
        let able = if ready & !polling == 0 { ready } else { ready & !polling };
        let mover = if self.way.releases_first { self.mover(view, able, last, &asleep) } else { None };
        let mut untried = mover.map_or(able, |mover| 1 << mover);
        if mover.is_none() {
            if let (Some(most), Some(last)) = (self.way.preemptions_max, last)
                && able >> last & 1 == 1
                && preemptions >= most
            {
                self.bounded |= able.count_ones() > 1;
                untried = 1 << last;
            }
            let mut todo_here = untried & !sleeping;
            let whole = self.way.shard == Shard::WHOLE;
            let decides = choices == SHARD_DEPTH && able.count_ones() > 1;
            if !whole && decides && !self.is_mine(view) {
                return Err(Cut::Pruned);
            }
            // A state that is met before it is decided whose it is may turn out to be another shard's.
            if self.way.state_cache && (whole || decides || choices > SHARD_DEPTH) {
                todo_here = self.consult(view, todo_here, sleeping, last, preemptions)?;
            }
            untried = todo_here;
        }
        untried &= !sleeping;
        if untried == 0 {
            return Err(Cut::Pruned);
        }
        let task = match last {
            Some(last) if untried >> last & 1 == 1 => last,
            _ => untried.trailing_zeros() as u8,
        };
        let op = view.op(TaskId(u32::from(task)));
        let ways = if op.kind == OpKind::Choose { op.arg as u32 } else { 0 };
        self.frames.push(Frame {
            task,
            untried: untried & !(1 << task),
            able,
            asleep,
            forced: mover.is_some(),
            ways,
            way: 0,
            print: Print::UNKNOWN,
            mark: self.prints.mark(),
            kept: 0,
            last,
            preemptions,
            choices,
        });
        self.depth += 1;
        Ok(TaskId(u32::from(task)))
    }

    /// Which of `untried` has to be explored from here, given what was explored from the same state before.
    fn consult(
        &self,
        view: &View<'_>,
        untried: u64,
        sleeping: u64,
        last: Option<u8>,
        preemptions: u32,
    ) -> Result<u64, Cut> {
        let mut key: Lanes = view.key();
        if self.way.preemptions_max.is_some() {
            if let Some(last) = last {
                key.word(view.canonical(TaskId(u32::from(last))));
            }
            let spent = u64::from(preemptions);
            return match self.cache.visit(key.key(), |before| before.map_or(spent, |before| before.min(spent))) {
                Known::With(before) if before <= spent => Err(Cut::Pruned),
                Known::New | Known::With(_) => Ok(untried),
                Known::Full => Err(Cut::CacheFull),
            };
        }
        let ranks = ranks(view, sleeping);
        match self.cache.visit(key.key(), |before| before.map_or(ranks, |before| before & ranks)) {
            Known::New => Ok(untried),
            Known::Full => Err(Cut::CacheFull),
            // Who slept then and is awake now has not gone from this state.
            Known::With(before) => match before & !ranks {
                0 => Err(Cut::Pruned),
                missed => {
                    Ok(tasks(untried).filter(|task| missed >> rank(view, *task) & 1 == 1).fold(0, |m, t| m | 1 << t))
                }
            },
        }
    }

    /// Whether what lies behind this choice is the shard's own part.
    fn is_mine(&self, view: &View<'_>) -> bool {
        let mut path = Lanes::of(0);
        for frame in &self.frames {
            path.word(u64::from(frame.task) << 32 | u64::from(frame.way));
        }
        path.word(view.step);
        self.way.shard.owns(path.short())
    }
}

fn tasks(mask: u64) -> impl Iterator<Item = u8> {
    (0..64).filter(move |task| mask >> task & 1 == 1)
}

/// The place of a task among all tasks of its state, which is the same however the run came there.
fn rank(view: &View<'_>, task: u8) -> u32 {
    let own = view.canonical(TaskId(u32::from(task)));
    (0..view.tasks() as u32).filter(|other| view.canonical(TaskId(*other)) < own).count() as u32
}

fn ranks(view: &View<'_>, mask: u64) -> u64 {
    tasks(mask).fold(0, |ranks, task| ranks | 1 << rank(view, task))
}

impl Strategy for Dfs {
    fn begin(&mut self, _run: u64) {
        (self.depth, self.cut) = (0, None);
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        if self.cut.is_none() {
            view.with_print(|print| self.record(print));
            if self.depth < self.frames.len() {
                return self.replay(view);
            }
            match self.push(view) {
                Ok(task) => return task,
                Err(cut) => self.cut = Some(cut),
            }
        }
        // Coasting. In turn, so that nobody who polls keeps the others from ending the run.
        let after = view.last.map_or(0, |last| last.0 + 1);
        let next = view.ready().first_from(after).or_else(|| view.ready().first_from(0));
        next.expect("a strategy is asked only when a task is ready")
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        if self.cut.is_some() {
            return 0;
        }
        self.frames[self.depth - 1].way.min(options - 1)
    }
}
