//! [`Tracker::certainty`]: what is certain in the present state of the order of operations on objects that several tasks
//! touch. Two ways into the same state may differ in that, and only one of them may show a race.
//!
//! Asked at every state that the search meets. Therefore not "who comes after this operation?" for each operation, but
//! for each clock how many of a task's operations it covers: they lie in a row, in the order of their numbers, and that
//! order is a function of what the task learnt.
//!
//! Invariants: what all live tasks come after does not count, since no race can come of it any more; nothing depends on
//! the order in which tasks and objects were made.
//! Not here: how clocks move (`races`).

use smallvec::SmallVec;

use super::super::super::digest::Lanes;
use super::super::super::op::TaskId;
use super::Tracker;
use super::clock::Clock;

/// Of one task, the operations that not every live task comes after.
#[derive(Default)]
struct Open {
    /// Up to here all live tasks come after what it did; `None` while nobody has asked.
    known: Option<u32>,
    /// Their numbers, ascending, each once.
    at: SmallVec<[u32; 8]>,
}

impl Open {
    fn note(&mut self, at: u32) {
        if let Err(place) = self.at.binary_search(&at) {
            self.at.insert(place, at);
        }
    }

    /// How many of them lie at or before `at`.
    fn covered(&self, at: u32) -> u64 {
        self.at.iter().take_while(|own| **own <= at).count() as u64
    }
}

impl Tracker {
    /// Who of the tasks that are still `live` is certain to come after what was done last to objects that several tasks
    /// touch, and what could pass that on.
    pub(in super::super) fn certainty(&self, live: impl Fn(TaskId) -> bool) -> Lanes {
        let mut sum = Lanes::default();
        if self.watched.is_empty() {
            return sum;
        }
        let live: SmallVec<[TaskId; 16]> =
            (0..self.tasks.len() as u32).map(TaskId).filter(|task| live(*task)).collect();
        let open = self.open(&live);
        if open.iter().all(|open| open.at.is_empty()) {
            return sum;
        }
        for &index in &self.watched {
            let track = self.track(index);
            for last in track.last() {
                let open = &open[last.task.index()];
                if open.known.is_some_and(|known| last.at > known) {
                    let mut member = Lanes::of(track.canonical);
                    member.word(self.tasks[last.task.index()].canonical);
                    member.word(last.mode as u64 | open.covered(last.at) << 8);
                    sum.add(member);
                }
            }
        }
        for task in &live {
            let own = &self.tasks[task.index()];
            self.cover(&mut sum, &open, own.canonical, 0, &own.clock);
            if let Some((granted, _)) = &own.granted {
                self.cover(&mut sum, &open, own.canonical, 1, granted);
            }
        }
        for &index in &self.carriers {
            let track = self.track(index);
            for (place, clock) in track.passed_on().enumerate() {
                self.cover(&mut sum, &open, track.canonical, place as u64 + 1, clock);
            }
        }
        sum
    }

    /// By task.
    fn open(&self, live: &[TaskId]) -> SmallVec<[Open; 8]> {
        let mut open: SmallVec<[Open; 8]> = self.tasks.iter().map(|_| Open::default()).collect();
        for &index in &self.watched {
            for last in self.track(index).last() {
                let of = &mut open[last.task.index()];
                let known = *of.known.get_or_insert_with(|| {
                    let others = live.iter().filter(|task| **task != last.task);
                    others.map(|task| self.tasks[task.index()].clock.of(last.task)).min().unwrap_or(u32::MAX)
                });
                if last.at > known {
                    of.note(last.at);
                }
            }
        }
        open
    }

    /// Adds how much of each task's operations the clock in this place of this owner covers.
    fn cover(&self, sum: &mut Lanes, open: &[Open], owner: u64, place: u64, clock: &Clock) {
        for (task, open) in open.iter().enumerate().filter(|(_, open)| !open.at.is_empty()) {
            let covered = open.covered(clock.of(TaskId(task as u32)));
            if covered > 0 {
                let mut member = Lanes::of(owner);
                member.word(self.tasks[task].canonical);
                member.word(place << 32 | covered);
                sum.add(member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::driver::{Explorer, Limits};
    use super::super::super::strategy::{Strategy, View};
    use crate::sched::digest::{Lanes, Statistics};
    use crate::sched::{OpKind, Outcome, Task, TaskId};
    use crate::sync::{Mutex, Semaphore, Variable};

    /// What tasks use. `x` is what they may race for.
    struct World {
        x: Variable,
        m: Mutex<()>,
        k: Mutex<()>,
        end: Semaphore,
    }

    type Does = fn(&World, &Task);

    /// `first` goes before all others, and who is at the semaphore goes last.
    struct Order {
        first: TaskId,
        /// The states in which there is nothing left to do but what follows the semaphore: without certainty and with it.
        there: Vec<(Lanes, Lanes)>,
    }

    impl Strategy for Order {
        fn pick(&mut self, view: &View<'_>) -> TaskId {
            let is_early = |task: &TaskId| view.op(*task).kind != OpKind::Down;
            let early = view.ready().iter().filter(is_early).min_by_key(|task| *task != self.first);
            early.unwrap_or_else(|| {
                self.there.push((view.core.tracker.borrow().key(), view.key()));
                view.ready().nth(0)
            })
        }

        fn choose(&mut self, _task: TaskId, _options: u32) -> u32 {
            0
        }
    }

    /// The states in which these tasks come to the semaphore, with the first task in front, and with the second.
    fn both_ways(does: [Does; 3]) -> [(Lanes, Lanes); 2] {
        let limits = Limits { steps_max: 1000, interrupt: Arc::default() };
        let mut explorer = Explorer::tracking(limits, false, Statistics::NONE);
        let mut there = |first| {
            let mut order = Order { first: TaskId(first), there: Vec::new() };
            let result = explorer.run(&mut order, move |current| {
                let runtime = current.runtime();
                let lock = |name| Mutex::new(runtime, name, ());
                let (x, end) = (Variable::new(runtime, "x", 0), Semaphore::new(runtime, "end", 2));
                let world = Arc::new(World { x, m: lock("m"), k: lock("k"), end });
                for (name, does) in ["a", "b", "c"].into_iter().zip(does) {
                    let world = Arc::clone(&world);
                    current.spawn(name, move |task| does(&world, task));
                }
            });
            assert_eq!(result.outcome, Outcome::Finished);
            order.there[0]
        };
        // At first it has to be learnt that the order in which `x` is used is not a matter of course.
        there(1);
        [there(1), there(2)]
    }

    fn set_then_lock(world: &World, task: &Task) {
        world.x.set(1);
        drop(world.m.lock(task));
    }

    #[test]
    fn a_state_in_which_a_task_is_certain_to_come_after_another_is_not_the_one_in_which_it_is_not() {
        let lock_then_get: Does = |world, task| {
            drop(world.m.lock(task));
            world.end.down(task);
            world.x.get();
        };
        // There is a third one that knows of nothing either way.
        let [ordered, not] = both_ways([set_then_lock, lock_then_get, |world, task| world.end.down(task)]);
        assert_eq!(ordered.0, not.0, "but for that it is the same");
        assert_ne!(ordered.1, not.1);
    }

    #[test]
    fn an_order_that_only_a_lock_can_still_pass_on_is_part_of_the_state() {
        let pass_on: Does = |world, task| {
            drop(world.m.lock(task));
            drop(world.k.lock(task));
        };
        let lock_then_get: Does = |world, task| {
            world.end.down(task);
            drop(world.k.lock(task));
            world.x.get();
        };
        let [ordered, not] = both_ways([set_then_lock, pass_on, lock_then_get]);
        assert_eq!(ordered.0, not.0, "but for that it is the same");
        assert_ne!(ordered.1, not.1);
    }

    #[test]
    fn an_order_that_whoever_is_left_knows_anyway_is_no_part_of_the_state() {
        let pass_on: Does = |world, task| {
            drop(world.m.lock(task));
            drop(world.k.lock(task));
        };
        let lock_then_get: Does = |world, task| {
            drop(world.m.lock(task));
            world.end.down(task);
            world.x.get();
        };
        let [first, second] = both_ways([set_then_lock, pass_on, lock_then_get]);
        assert_eq!(first, second);
    }
}
