//! Which objects tasks really fight over, class by class.
//!
//! The search begins by believing the best of every class of objects: that all operations on its members commute, so
//! that none needs a choice. Two conflicting operations of different tasks, which nothing else puts in order (a race),
//! prove it wrong: the class is *contended*, its acquisitions need choices, its releases still do not, because what is
//! released is handed directly to the first in line. Once a class sees an operation that asks without waiting (a try,
//! a time limit that any moment may end), its releases need choices as well: it is *peeked*.
//!
//! Why believing first is sound: imagine the system in which every member of a quiet class came in private copies, one
//! per task, handed over along the order that is certain anyway. There the belief is true, so the search is complete;
//! and up to the first race both systems behave alike, so that the first race of the real system lies on a path that
//! the search takes. It is seen, the class changes, the search starts over ([`Classes::changed`]).
//!
//! What is certain (vector clocks; a task's clock moves before each operation and after it, so that what comes after an
//! operation is not covered by what the operation orders): a task's own order; a spawned task comes after its
//! spawning; whoever gets a lock comes after its release; conflicting operations on contended objects come in the
//! order that this schedule gave them. A unit of a semaphore may be anybody's, so taking one orders nothing; a completion
//! orders if only one task completes it, the n-th wait after the n-th completion.
//!
//! Of a quiet class that several tasks touch it is part of the state who is certain to come after what was done to it
//! last: two ways into the same state may differ in that, and only one of them may show the race.
//!
//! Invariant: classes only become more careful. Not here: independence of whole steps (the prints of the search).

use std::collections::{BTreeMap, VecDeque};

use smallvec::SmallVec;

use super::super::super::digest::{Lanes, word_of};
use super::super::super::object::{Mode, Release};
use super::super::super::op::{OpClass, OpKind, TaskId};
use super::clock::Clock;

/// How careful the search must be with a class of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing that tasks do to it needs a choice.
    #[default]
    Quiet,
    /// Acquisitions and accesses need a choice.
    Contended,
    /// Releases need one too.
    Peeked,
}

/// Something contended that a step touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(super) object: u32,
    pub(super) exclusive: bool,
    pub(super) task: TaskId,
}

impl Access {
    /// Of `object` by `task`, for tests of the search.
    #[cfg(test)]
    pub(crate) const fn new(object: u32, exclusive: bool, task: TaskId) -> Self {
        Self { object, exclusive, task }
    }

    /// Whether the order of the two matters.
    #[inline]
    pub(crate) const fn conflicts(self, other: Self) -> bool {
        self.object == other.object && (self.exclusive || other.exclusive)
    }
}

/// The last operation of one task in one mode on an object.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub(super) task: TaskId,
    pub(super) mode: Mode,
    pub(super) at: u32,
}

/// An object, as the tracker knows it.
pub(super) struct Track {
    pub(super) canonical: u64,
    pub(super) class: u32,
    pub(super) state: Lanes,
    /// Stands for data that shows only its history.
    pub(super) version: u64,
    pub(super) in_sum: Lanes,
    last: SmallVec<[Last; 2]>,
    /// Everything contended that was done here, and the exclusive part of it.
    all: Clock,
    exclusive: Clock,
    /// When it was released, by owners that excluded everybody, and by those that shared it.
    released: Clock,
    shared: Clock,
    giver: Option<TaskId>,
    /// Completions that nobody has used up: what comes before them, and what does in every schedule.
    stock: VecDeque<(Clock, Clock)>,
    for_ever: Option<(Clock, Clock)>,
    /// It is among those whose order is part of the state.
    pub(super) listed: bool,
    /// It is among those that may pass order on.
    pub(super) carries: bool,
}

impl Track {
    pub(super) fn new(class: u32, canonical: u64) -> Self {
        Self {
            canonical,
            class,
            state: Lanes::default(),
            version: 0,
            in_sum: Lanes::default(),
            last: SmallVec::new(),
            all: Clock::default(),
            exclusive: Clock::default(),
            released: Clock::default(),
            shared: Clock::default(),
            giver: None,
            stock: VecDeque::new(),
            for_ever: None,
            listed: false,
            carries: false,
        }
    }

    /// Whoever gets the object by an operation of this kind had to let these give it back first: who shares it comes after
    /// those who excluded everybody, but not after others who shared it; who publishes waits for nobody.
    pub(super) fn follow(&self, kind: OpKind, clock: &mut Clock) {
        if kind.class() == OpClass::Acquire {
            clock.join(&self.released);
            if !matches!(kind, OpKind::DownRead | OpKind::SrcuReadLock) {
                clock.join(&self.shared);
            }
        }
    }

    /// A contended operation takes its place in this schedule's order, and with it all that its task does before it
    /// announces another one: steps are ordered as wholes.
    pub(super) fn order(&mut self, clock: &mut Clock, task: TaskId, exclusive: bool) {
        let whole = clock.of(task) + 1;
        if exclusive {
            clock.join(&self.all);
            self.exclusive.join(clock);
            self.exclusive.raise(task, whole);
        } else {
            clock.join(&self.exclusive);
        }
        self.all.join(clock);
        self.all.raise(task, whole);
    }

    /// The last operation of each task in each mode.
    pub(super) fn last(&self) -> &[Last] {
        &self.last
    }

    /// Everything that may pass order on from here.
    pub(super) fn passed_on(&self) -> impl Iterator<Item = &Clock> {
        let owned = [&self.all, &self.exclusive, &self.released, &self.shared];
        owned.into_iter().chain(self.for_ever.iter().chain(&self.stock).map(|(clock, _)| clock))
    }

    /// The last `units` that were given went to waiters.
    pub(super) fn take_stock(&mut self, units: usize) {
        for _ in 0..units {
            self.stock.pop_back();
        }
    }
}

#[derive(Clone, Debug)]
struct Class {
    name: String,
    level: Level,
    /// Several tasks release what others wait for: a wait then orders nothing.
    many_givers: bool,
    /// Tasks that are woken together touch it: their order cannot be chosen.
    unordered: bool,
    /// What it would become if operations of several tasks that were in a certain order so far were not: as long as it
    /// is not that careful, whether the order is certain is part of the state.
    at_worst: Level,
}

/// What is known of every class, over all runs of a search.
#[derive(Clone, Debug)]
pub(crate) struct Classes {
    by_name: BTreeMap<u64, u32>,
    classes: Vec<Class>,
    changed: bool,
    /// What is believed of a class that nothing is known of.
    first: Level,
}

impl Classes {
    /// Nothing known; with `hopeful`, every class is quiet until it proves otherwise.
    pub(crate) const fn new(hopeful: bool) -> Self {
        let first = if hopeful { Level::Quiet } else { Level::Contended };
        Self { by_name: BTreeMap::new(), classes: Vec::new(), changed: false, first }
    }

    /// The class of objects called `name`.
    pub(super) fn of(&mut self, label: &'static str, name: &str) -> u32 {
        let key = word_of(name) ^ word_of(label).rotate_left(1);
        let next = self.classes.len() as u32;
        *self.by_name.entry(key).or_insert_with(|| {
            let name = format!("{label} {name:?}");
            self.classes.push(Class {
                name,
                level: self.first,
                many_givers: false,
                unordered: false,
                at_worst: Level::Quiet,
            });
            next
        })
    }

    #[inline]
    pub(super) fn level(&self, class: u32) -> Level {
        self.classes[class as usize].level
    }

    /// Whether anything became more careful since the last call; what was explored before is void then.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Names of the classes that need choices.
    pub(crate) fn contended(&self) -> Vec<String> {
        let contended = self.classes.iter().filter(|class| class.level != Level::Quiet);
        contended.map(|class| class.name.clone()).collect()
    }

    /// Stands for all that was learnt: two searches of the same model, or of two parts of it, that end with the same
    /// went through the same tree of choices.
    pub(crate) fn fingerprint(&self) -> [u64; 2] {
        let mut learnt = Lanes::of(self.first as u64);
        // By name: in which order classes were met depends on the part, and on timing.
        for index in self.by_name.values() {
            let Class { name, level, many_givers, unordered: _, at_worst } = &self.classes[*index as usize];
            if *level == self.first && !many_givers && *at_worst == Level::Quiet {
                // A class that only one of them met.
                continue;
            }
            learnt.word(word_of(name));
            learnt.word(*level as u64 | u64::from(*many_givers) << 8 | (*at_worst as u64) << 16);
        }
        learnt.key()
    }

    /// Whether the order of operations on its members is part of the state.
    #[inline]
    pub(super) fn is_watched(&self, class: u32) -> bool {
        self.classes[class as usize].at_worst > self.classes[class as usize].level
    }

    /// A class whose members are touched by tasks that are woken together.
    pub(crate) fn unordered(&self) -> Option<&str> {
        self.classes.iter().find(|class| class.unordered).map(|class| class.name.as_str())
    }

    pub(super) fn cannot_order(&mut self, class: u32) {
        self.classes[class as usize].unordered = true;
    }

    /// Somebody for whom a member was given back touches something contended in the same step. Had it been given back
    /// earlier, that would be part of another step: the order of waiting and giving back matters after all.
    pub(super) fn carried(&mut self, class: u32) {
        let class = &mut self.classes[class as usize];
        self.changed |= class.level != Level::Peeked;
        class.level = Level::Peeked;
    }

    /// Takes in what another search of the same model has learnt.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (key, index) in &other.by_name {
            let theirs = &other.classes[*index as usize];
            let next = self.classes.len() as u32;
            let own = *self.by_name.entry(*key).or_insert(next);
            if own == next {
                self.classes.push(Class {
                    level: self.first,
                    many_givers: false,
                    unordered: false,
                    at_worst: Level::Quiet,
                    ..theirs.clone()
                });
            }
            let own = &mut self.classes[own as usize];
            self.changed |= theirs.level > own.level || (theirs.many_givers && !own.many_givers);
            self.changed |= theirs.at_worst > own.at_worst;
            own.at_worst = own.at_worst.max(theirs.at_worst);
            own.level = own.level.max(theirs.level);
            own.many_givers |= theirs.many_givers;
            own.unordered |= theirs.unordered;
        }
    }

    /// An operation meets those of other tasks on the same object; the level that its class then has.
    pub(super) fn meet(&mut self, track: &mut Track, clock: &Clock, always: &Clock, now: Last) -> Level {
        let class = &mut self.classes[track.class as usize];
        let mut own = None;
        for (place, last) in track.last.iter().enumerate() {
            if last.task == now.task {
                if last.mode == now.mode {
                    own = Some(place);
                }
            } else {
                let level = conflict(last.mode, now.mode);
                if level > class.level {
                    let races = last.at > clock.of(last.task);
                    // An order that no schedule changes need not be watched.
                    if last.at > always.of(last.task) {
                        self.changed |= level > class.at_worst;
                        class.at_worst = class.at_worst.max(level);
                    }
                    if races {
                        self.changed = true;
                        class.level = level;
                    }
                }
            }
        }
        match own {
            Some(place) => track.last[place].at = now.at,
            None => track.last.push(now),
        }
        class.level
    }

    /// A release: who can be certain to come after it.
    pub(super) fn gave(
        &mut self,
        track: &mut Track,
        task: TaskId,
        release: Release,
        kind: OpKind,
        (clock, always): (&Clock, &Clock),
    ) {
        match release {
            Release::Owned if matches!(kind, OpKind::UpRead | OpKind::SrcuReadUnlock) => track.shared.join(clock),
            Release::Owned => track.released.join(clock),
            Release::Stocked => {}
            Release::Counted => {
                if *track.giver.get_or_insert(task) != task {
                    let class = &mut self.classes[track.class as usize];
                    self.changed |= !class.many_givers;
                    class.many_givers = true;
                }
                let mut always = always.clone();
                always.raise(task, clock.of(task));
                match kind {
                    OpKind::CompleteAll => track.for_ever = Some((clock.clone(), always)),
                    _ => track.stock.push_back((clock.clone(), always)),
                }
            }
        }
    }

    /// An acquisition that did not have to wait: what it certainly comes after.
    pub(super) fn got(
        &self,
        track: &mut Track,
        release: Release,
        kind: OpKind,
        (clock, always): (&mut Clock, &mut Clock),
    ) {
        match release {
            Release::Owned => track.follow(kind, clock),
            Release::Stocked => {}
            Release::Counted => {
                let unit = track.stock.pop_front().or_else(|| track.for_ever.clone());
                if let Some(unit) = unit.filter(|_| !self.classes[track.class as usize].many_givers) {
                    clock.join(&unit.0);
                    always.join(&unit.1);
                }
            }
        }
    }

    /// Whether whoever is woken by a release certainly comes after it. (Who waits for a lock is told when it collects it.)
    pub(super) fn is_certain(&self, track: &Track, release: Release) -> bool {
        match release {
            Release::Owned | Release::Stocked => false,
            Release::Counted => !self.classes[track.class as usize].many_givers,
        }
    }
}

/// How careful two operations that race make one.
const fn conflict(first: Mode, second: Mode) -> Level {
    match (first, second) {
        (Mode::Peek, _) | (_, Mode::Peek) => Level::Peeked,
        (Mode::Free, _) | (_, Mode::Free) | (Mode::Shared, Mode::Shared) => Level::Quiet,
        _ => Level::Contended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 4] = [Mode::Free, Mode::Shared, Mode::Exclusive, Mode::Peek];

    #[test]
    fn what_conflicts_does_so_both_ways_and_peeks_conflict_with_everything() {
        for first in MODES {
            for second in MODES {
                assert_eq!(conflict(first, second), conflict(second, first));
                let peeks = first == Mode::Peek || second == Mode::Peek;
                assert_eq!(conflict(first, second) == Level::Peeked, peeks);
            }
        }
        assert_eq!(conflict(Mode::Shared, Mode::Exclusive), Level::Contended);
        assert_eq!(conflict(Mode::Free, Mode::Exclusive), Level::Quiet);
    }

    fn meet(classes: &mut Classes, track: &mut Track, clock: &Clock, task: u32, mode: Mode) -> Level {
        classes.meet(track, clock, &Clock::default(), Last { task: TaskId(task), mode, at: clock.of(TaskId(task)) })
    }

    #[test]
    fn a_race_makes_a_class_contended_and_certain_order_does_not() {
        let mut classes = Classes::new(true);
        let class = classes.of("mutex", "a");
        let (mut ordered, mut racing) = (Track::new(class, 1), Track::new(class, 2));
        let (mut first, mut second) = (Clock::default(), Clock::default());
        first.tick(TaskId(0));
        meet(&mut classes, &mut ordered, &first, 0, Mode::Exclusive);
        second.tick(TaskId(1));
        second.join(&first);
        assert_eq!(meet(&mut classes, &mut ordered, &second, 1, Mode::Exclusive), Level::Quiet);
        assert!(classes.take_changed() && classes.is_watched(class), "that it was ordered is part of the state now");
        assert_eq!(meet(&mut classes, &mut ordered, &second, 1, Mode::Exclusive), Level::Quiet);
        assert!(!classes.take_changed());
        let mut third = Clock::default();
        third.tick(TaskId(2));
        meet(&mut classes, &mut racing, &first, 0, Mode::Shared);
        assert_eq!(meet(&mut classes, &mut racing, &third, 2, Mode::Shared), Level::Quiet);
        assert_eq!(meet(&mut classes, &mut racing, &third, 2, Mode::Exclusive), Level::Contended);
        assert!(classes.take_changed());
        assert!(!classes.take_changed());
    }

    #[test]
    fn what_was_learnt_has_one_fingerprint_in_whatever_order_and_however_much_was_met_besides() {
        let learn = |names: &[&str], change: fn(&mut Class)| {
            let mut classes = Classes::new(true);
            for name in names {
                let class = classes.of("mutex", name) as usize;
                if *name == "a" {
                    change(&mut classes.classes[class]);
                }
            }
            classes.fingerprint()
        };
        let changes: [fn(&mut Class); 5] = [
            |_| {},
            |class| class.level = Level::Contended,
            |class| class.level = Level::Peeked,
            |class| class.many_givers = true,
            |class| class.at_worst = Level::Contended,
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let once = learn(&["a"], change);
            assert_eq!(learn(&["b", "a", "c"], change), once);
            assert!(changes[..place].iter().all(|other| learn(&["a"], *other) != once), "{place}");
        }
        let contended = |names: [&str; 2]| {
            let mut classes = Classes::new(true);
            for name in names {
                let class = classes.of("mutex", name) as usize;
                classes.classes[class].level = Level::Contended;
            }
            classes.fingerprint()
        };
        assert_eq!(contended(["a", "b"]), contended(["b", "a"]));
        assert_ne!(contended(["a", "b"]), contended(["a", "c"]));
    }

    #[test]
    fn a_reader_comes_after_writers_and_not_after_readers() {
        let mut classes = Classes::new(true);
        let mut track = Track::new(classes.of("rw_semaphore", "c"), 1);
        let clock = |task| {
            let mut clock = Clock::default();
            clock.tick(TaskId(task));
            clock
        };
        classes.gave(&mut track, TaskId(0), Release::Owned, OpKind::UpRead, (&clock(0), &Clock::default()));
        classes.gave(&mut track, TaskId(1), Release::Owned, OpKind::UpWrite, (&clock(1), &Clock::default()));
        let (mut reader, mut writer) = (clock(2), clock(3));
        classes.got(&mut track, Release::Owned, OpKind::DownRead, (&mut reader, &mut Clock::default()));
        classes.got(&mut track, Release::Owned, OpKind::DownWrite, (&mut writer, &mut Clock::default()));
        assert_eq!([0, 1].map(|task| reader.of(TaskId(task))), [0, 1]);
        assert_eq!([0, 1].map(|task| writer.of(TaskId(task))), [1, 1]);
    }

    #[test]
    fn a_wait_comes_after_the_completion_it_used_up_and_not_after_later_ones() {
        let mut classes = Classes::new(true);
        let mut track = Track::new(classes.of("completion", "c"), 1);
        let (mut giver, mut waiter) = (Clock::default(), Clock::default());
        giver.tick(TaskId(0));
        classes.gave(&mut track, TaskId(0), Release::Counted, OpKind::Complete, (&giver, &Clock::default()));
        giver.tick(TaskId(0));
        classes.gave(&mut track, TaskId(0), Release::Counted, OpKind::Complete, (&giver, &Clock::default()));
        classes.got(&mut track, Release::Counted, OpKind::WaitForCompletion, (&mut waiter, &mut Clock::default()));
        assert_eq!(waiter.of(TaskId(0)), 1);
        classes.gave(&mut track, TaskId(5), Release::Counted, OpKind::Complete, (&giver, &Clock::default()));
        assert!(classes.take_changed(), "two tasks complete it");
        let mut late = Clock::default();
        classes.got(&mut track, Release::Counted, OpKind::WaitForCompletion, (&mut late, &mut Clock::default()));
        assert_eq!(late, Clock::default());
    }
}
