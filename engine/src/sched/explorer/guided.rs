//! [`Guided`]: the plainest schedule there is, but for a list of deviations; [`Observed`]: any strategy, seen as such a
//! list.
//!
//! The plain schedule goes on with the task that took the last step for as long as that one is ready, and then with the
//! lowest ready one; every choice is answered with 0. A deviation says what happens instead after the n-th step of a
//! task. It names a task's own step, not the run's: so it still means the same when an earlier deviation is taken out.
//!
//! Invariants: guided by the deviations that were observed in a run, the same model runs the same way; a deviation that
//! is not possible is left out, and not observed. A task that is about to yield gives way by itself: going on with
//! another one is no preemption, or polling loops would never end.
//! Not here: which deviations to try ([`super::minimise`](mod@super::minimise)).

use std::collections::BTreeMap;

use super::super::op::{OpClass, OpKind, TaskId};
use super::strategy::{Strategy, View};
use super::trace::Choice;

/// A point in a run: `task` has taken so many steps, and was the last to take one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Who took the last step; the root task before the first.
    pub task: TaskId,
    /// How many steps it has taken.
    pub steps: u32,
}

/// What happens instead of the plain way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// This task goes on.
    To(TaskId),
    /// The choice that is the point's last step is answered with this way.
    Take(u32),
}

/// A place where a schedule is not the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deviation {
    /// Where.
    pub after: Point,
    /// What happens there.
    pub turn: Turn,
}

/// Steps taken by each task, and who took the last.
#[derive(Default)]
struct Position {
    steps: Vec<u32>,
    last: Option<TaskId>,
}

impl Position {
    fn step(&mut self, task: TaskId) {
        if self.steps.len() <= task.index() {
            self.steps.resize(task.index() + 1, 0);
        }
        self.steps[task.index()] += 1;
        self.last = Some(task);
    }

    fn point(&self) -> Point {
        let task = self.last.unwrap_or(TaskId(0));
        Point { task, steps: self.steps.get(task.index()).copied().unwrap_or(0) }
    }

    fn clear(&mut self) {
        self.steps.clear();
        self.last = None;
    }
}

/// Whether the task that took the last step could take the next one without giving way by itself.
fn runs_on(view: &View<'_>) -> Option<TaskId> {
    view.last.filter(|last| view.ready().contains(*last) && view.op(*last).kind != OpKind::Yield)
}

/// Who goes on in the plain schedule.
fn plain(view: &View<'_>) -> TaskId {
    let first = || view.ready().first_from(0).expect("a strategy is asked only when a task is ready");
    match (runs_on(view), view.last) {
        (Some(last), _) => last,
        // It gives way to the next one in turn, so that everybody gets on where several poll.
        (None, Some(last)) if view.ready().contains(last) => view.ready().first_from(last.0 + 1).unwrap_or_else(first),
        (None, _) => first(),
    }
}

/// The plain schedule with deviations.
pub struct Guided {
    turns: BTreeMap<Point, TaskId>,
    ways: BTreeMap<Point, u32>,
    position: Position,
}

impl Guided {
    /// A schedule with these deviations; of several of a kind for one point the last one counts.
    pub fn new(deviations: &[Deviation]) -> Self {
        let (mut turns, mut ways) = (BTreeMap::new(), BTreeMap::new());
        for deviation in deviations {
            let _ = match deviation.turn {
                Turn::To(task) => turns.insert(deviation.after, task).is_some(),
                Turn::Take(way) => ways.insert(deviation.after, way).is_some(),
            };
        }
        Self { turns, ways, position: Position::default() }
    }
}

impl Strategy for Guided {
    fn begin(&mut self, _run: u64) {
        self.position.clear();
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        let turn = self.turns.get(&self.position.point()).copied();
        let task = turn.filter(|task| view.ready().contains(*task)).unwrap_or_else(|| plain(view));
        self.position.step(task);
        task
    }

    fn choose(&mut self, _task: TaskId, options: u32) -> u32 {
        let way = self.ways.get(&self.position.point()).copied();
        way.filter(|way| *way < options).unwrap_or(0)
    }
}

/// A turn that a run could have taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The deviation that would have taken it.
    pub deviation: Deviation,
    /// Whether it would have been a preemption.
    pub preempts: bool,
    /// Whether the preempted task was about to acquire or access something: elsewhere a preemption changes little.
    pub matters: bool,
}

/// Most alternatives that are noted of one run.
const ALTERNATIVES_MAX: usize = 1 << 16;

/// Takes a strategy's way and notes it.
pub struct Observed<'a> {
    inner: &'a mut dyn Strategy,
    position: Position,
    choices: Vec<Choice>,
    deviations: Vec<Deviation>,
    /// Of each deviation whether it is a preemption.
    preempts: Vec<bool>,
    alternatives: Vec<Alternative>,
    steps: u64,
}

impl<'a> Observed<'a> {
    /// Observes `inner`.
    pub fn new(inner: &'a mut dyn Strategy) -> Self {
        Self {
            inner,
            position: Position::default(),
            choices: Vec::new(),
            deviations: Vec::new(),
            preempts: Vec::new(),
            alternatives: Vec::new(),
            steps: 0,
        }
    }

    /// How often the last run went away from a task that could have gone on.
    pub fn preemptions(&self) -> u64 {
        self.preempts.iter().filter(|preempts| **preempts).count() as u64
    }

    /// Steps of the last run.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Where the last run was not the plain one, in order.
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    /// Those deviations that are no preemptions: answers, and who went on when somebody else could not.
    pub fn free_deviations(&self) -> Vec<Deviation> {
        let each = self.deviations.iter().zip(&self.preempts);
        each.filter(|(_, preempts)| !**preempts).map(|(deviation, _)| *deviation).collect()
    }

    /// Turns that the last run did not take, in order; of very long runs the first ones.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// The choices of the last run.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    fn note_alternatives(&mut self, view: &View<'_>, taken: TaskId) {
        let runs_on = runs_on(view);
        let after = self.position.point();
        for task in view.ready().iter().filter(|task| *task != taken) {
            if self.alternatives.len() == ALTERNATIVES_MAX {
                return;
            }
            let preempts = runs_on.is_some_and(|last| last != task);
            let class = runs_on.map(|last| view.op(last).kind.class());
            let matters = !matches!(class, Some(OpClass::Release | OpClass::Local));
            self.alternatives.push(Alternative {
                deviation: Deviation { after, turn: Turn::To(task) },
                preempts,
                matters,
            });
        }
    }
}

impl Strategy for Observed<'_> {
    fn begin(&mut self, run: u64) {
        self.position.clear();
        self.choices.clear();
        self.deviations.clear();
        self.preempts.clear();
        self.alternatives.clear();
        self.steps = 0;
        self.inner.begin(run);
    }

    fn pick(&mut self, view: &View<'_>) -> TaskId {
        let task = self.inner.pick(view);
        if view.ready().len() > 1 {
            self.note_alternatives(view, task);
            if plain(view) != task {
                self.deviations.push(Deviation { after: self.position.point(), turn: Turn::To(task) });
                self.preempts.push(runs_on(view).is_some_and(|last| last != task));
            }
        }
        self.choices.push(Choice::Run(task));
        self.position.step(task);
        self.steps += 1;
        task
    }

    fn choose(&mut self, task: TaskId, options: u32) -> u32 {
        let way = self.inner.choose(task, options);
        if way != 0 {
            self.deviations.push(Deviation { after: self.position.point(), turn: Turn::Take(way) });
            self.preempts.push(false);
        }
        self.choices.push(Choice::Take(way));
        way
    }

    fn end(&mut self, steps: u64) {
        self.inner.end(steps);
    }
}

/// How many preemptions a schedule has: `run` performs the model under the strategy that it is given, which is
/// `strategy` itself but for being observed.
pub fn preemptions(strategy: &mut dyn Strategy, run: impl FnOnce(&mut dyn Strategy)) -> u64 {
    let mut observed = Observed::new(strategy);
    run(&mut observed);
    observed.preemptions()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_units::Seed;

    use super::super::{Choices, Explorer, Limits, Random};
    use super::*;
    use crate::sched::Task;
    use crate::sync::{Mutex, Semaphore};

    fn explorer() -> Explorer {
        Explorer::new(Limits { steps_max: 10_000, interrupt: Arc::default() })
    }

    /// Three tasks that fight for two mutexes and take choices; the root waits for them.
    fn busy(current: &Task) {
        let first = Arc::new(Mutex::new(current.runtime(), "first", ()));
        let second = Arc::new(Mutex::new(current.runtime(), "second", ()));
        let done = Arc::new(Semaphore::new(current.runtime(), "done", 0));
        for number in 0..3 {
            let (first, second, done) = (Arc::clone(&first), Arc::clone(&second), Arc::clone(&done));
            current.spawn(&format!("busy.{number}"), move |current| {
                for _ in 0..3 {
                    drop(first.lock(current));
                    if current.choose("which", 3) == 1 {
                        drop(second.lock(current));
                    }
                }
                done.up(current);
            });
        }
        (0..3).for_each(|_| done.down(current));
    }

    #[test]
    fn guided_by_what_was_observed_the_model_runs_the_same_way() {
        let mut explorer = explorer();
        let mut random = Random::new(Seed(3));
        for _ in 0..50 {
            let mut observed = Observed::new(&mut random);
            let wild = explorer.run(&mut observed, busy);
            assert_eq!(observed.choices(), explorer.choices());
            let (deviations, choices) = (observed.deviations().to_vec(), explorer.choices());
            let (count, steps) = (observed.preemptions(), observed.steps());
            let guided = explorer.run(&mut Guided::new(&deviations), busy);
            assert_eq!((explorer.choices(), guided.steps), (choices.clone(), wild.steps));
            let again = preemptions(&mut Choices::new(choices), |strategy| drop(explorer.run(strategy, busy)));
            assert_eq!((again, steps), (count, wild.steps));
        }
    }

    #[test]
    fn the_plain_schedule_has_no_preemption_and_a_switch_away_is_one() {
        let mut explorer = explorer();
        let mut guided = Guided::new(&[]);
        let mut observed = Observed::new(&mut guided);
        explorer.run(&mut observed, busy);
        assert_eq!((observed.preemptions(), observed.deviations()), (0, &[][..]));
        let switch =
            observed.alternatives().iter().find(|turn| turn.preempts).expect("three tasks are ready").deviation;
        assert_eq!(preemptions(&mut Guided::new(&[switch]), |strategy| drop(explorer.run(strategy, busy))), 1);
    }

    #[test]
    fn a_deviation_that_is_not_possible_is_left_out() {
        let impossible = [
            Deviation { after: Point { task: TaskId(1), steps: 2 }, turn: Turn::To(TaskId(77)) },
            Deviation { after: Point { task: TaskId(1), steps: 3 }, turn: Turn::Take(3) },
            Deviation { after: Point { task: TaskId(9), steps: 1 }, turn: Turn::To(TaskId(1)) },
        ];
        let mut explorer = explorer();
        explorer.run(&mut Guided::new(&[]), busy);
        let plain = explorer.choices();
        let mut guided = Guided::new(&impossible);
        let mut observed = Observed::new(&mut guided);
        explorer.run(&mut observed, busy);
        assert_eq!((observed.choices(), observed.deviations()), (&plain[..], &[][..]));
    }

    #[test]
    fn who_polls_gives_way_and_is_not_preempted() {
        let polls = |current: &Task| {
            let flag = Arc::new(Semaphore::new(current.runtime(), "flag", 0));
            for number in 0..2 {
                let flag = Arc::clone(&flag);
                current.spawn(&format!("poll.{number}"), move |current| {
                    while !flag.down_trylock(current) {
                        current.yield_now();
                    }
                });
            }
            let there = Arc::clone(&flag);
            current.spawn("giver", move |current| (0..2).for_each(|_| there.up(current)));
        };
        let mut explorer = explorer();
        let mut guided = Guided::new(&[]);
        let mut observed = Observed::new(&mut guided);
        let result = explorer.run(&mut observed, polls);
        assert_eq!(result.outcome, crate::sched::Outcome::Finished);
        assert_eq!((observed.preemptions(), observed.deviations()), (0, &[][..]));
    }
}
