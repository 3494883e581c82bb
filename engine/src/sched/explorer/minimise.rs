//! [`minimise()`]: from a schedule that fails to one that fails in the same way with fewest preemptions, then fewest
//! steps, then fewest deviations from the plain schedule.
//!
//! A schedule is taken as a list of deviations ([`super::guided`]). In order: nothing but the plain schedule; deviations
//! deleted in halves, quarters, … and one by one; neighbouring preemptions merged; few deviations from the plain
//! schedule, in order of their number; then preemptions moved to earlier points and other tasks let go first, until
//! nothing gets shorter.
//!
//! Invariants: what is handed back failed with the signature that was given, and is never worse than what was put in;
//! the same input gives the same output; no more than so many runs.
//! Not here: what a failure's signature is, and smaller workloads (both are the caller's).

use std::collections::{BTreeMap, BTreeSet};

use super::choices::Choices;
use super::guided::{Alternative, Deviation, Guided, Observed, Point, Turn};
use super::strategy::Strategy;
use super::trace::Choice;

/// Bounds of a minimisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Runs of the model after which the smallest failure so far is handed back.
    pub tries_max: u64,
}

/// The smallest failure that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimal {
    /// Its schedule.
    pub choices: Vec<Choice>,
    /// The same as deviations from the plain schedule.
    pub deviations: Vec<Deviation>,
    /// How often it goes away from a task that could have gone on.
    pub preemptions: u64,
    /// Its steps.
    pub steps: u64,
    /// Runs that it took to find it, the one of the input among them.
    pub tries: u64,
}

/// The part of the remaining tries that the search with few deviations may take.
const FEW_SHARE: u64 = 2;

/// Most deviations that the search with few deviations adds.
const FEW_MAX: usize = 3;

/// Finds a smaller schedule than `choices` that ends in the same failure.
///
/// `run` performs the model under the strategy that it is given, once, and says how that failed; `None` is no failure.
/// `None` comes back when `choices` themselves do not fail with `signature`.
pub fn minimise(
    choices: &[Choice],
    signature: &str,
    budget: Budget,
    run: &mut dyn FnMut(&mut dyn Strategy) -> Option<String>,
) -> Option<Minimal> {
    let mut search = Search { run, signature, tries_left: budget.tries_max.max(1), tried: BTreeSet::new(), best: None };
    let input = search.perform(&mut Choices::new(choices.to_vec()))?;
    search.consider(&input);
    let from = search.guided(&[]).unwrap_or(input);
    let from = search.delete(from, Found::by_deviations);
    let from = search.merge(from);
    search.few(&from);
    let mut best = search.best.clone()?;
    loop {
        let before = best.by_steps();
        best = search.delete(best, Found::by_steps);
        best = search.move_earlier(best);
        best = search.turn_elsewhere(best);
        if best.by_steps() == before {
            break;
        }
    }
    let Found { choices, deviations, preemptions, steps, .. } = search.best?;
    let tries = budget.tries_max.max(1) - search.tries_left;
    Some(Minimal { choices, deviations, preemptions, steps, tries })
}

/// A run that failed in the way that is wanted.
#[derive(Clone)]
struct Found {
    choices: Vec<Choice>,
    deviations: Vec<Deviation>,
    /// Those that are no preemptions.
    free: Vec<Deviation>,
    alternatives: Vec<Alternative>,
    preemptions: u64,
    steps: u64,
}

/// A list of deviations to try, and the point of the one that was added last.
type Few = (Vec<Deviation>, Option<Point>);

/// What is smaller comes first.
type Cost = (u64, u64, u64);

impl Found {
    /// What counts in the end.
    const fn by_steps(&self) -> Cost {
        (self.preemptions, self.steps, self.deviations.len() as u64)
    }

    /// What counts while deviations are deleted: a longer run may be the way to a simpler one.
    const fn by_deviations(&self) -> Cost {
        (self.preemptions, self.deviations.len() as u64, self.steps)
    }
}

struct Search<'a> {
    run: &'a mut dyn FnMut(&mut dyn Strategy) -> Option<String>,
    signature: &'a str,
    tries_left: u64,
    /// Lists of deviations that need not be tried again.
    tried: BTreeSet<Vec<Deviation>>,
    best: Option<Found>,
}

impl Search<'_> {
    /// One run; what it was like, whether or not it failed, and whether it failed as wanted.
    fn look(&mut self, strategy: &mut dyn Strategy) -> (Found, bool) {
        self.tries_left -= 1;
        let mut observed = Observed::new(strategy);
        let same = (self.run)(&mut observed).as_deref() == Some(self.signature);
        let found = Found {
            choices: observed.choices().to_vec(),
            deviations: observed.deviations().to_vec(),
            free: observed.free_deviations(),
            alternatives: observed.alternatives().to_vec(),
            preemptions: observed.preemptions(),
            steps: observed.steps(),
        };
        if same {
            self.consider(&found);
        }
        (found, same)
    }

    fn perform(&mut self, strategy: &mut dyn Strategy) -> Option<Found> {
        let (found, same) = self.look(strategy);
        same.then_some(found)
    }

    fn consider(&mut self, found: &Found) {
        if self.best.as_ref().is_none_or(|best| found.by_steps() < best.by_steps()) {
            self.best = Some(found.clone());
        }
    }

    /// The run with these deviations, if it fails as wanted and has not been tried before.
    fn guided(&mut self, deviations: &[Deviation]) -> Option<Found> {
        self.look_guided(deviations).and_then(|(found, same)| same.then_some(found))
    }

    fn look_guided(&mut self, deviations: &[Deviation]) -> Option<(Found, bool)> {
        if self.tries_left == 0 || !self.tried.insert(deviations.to_vec()) {
            return None;
        }
        Some(self.look(&mut Guided::new(deviations)))
    }

    /// Deletes chunks of deviations, halving their size, for as long as that makes it smaller.
    fn delete(&mut self, from: Found, cost: fn(&Found) -> Cost) -> Found {
        let mut current = from;
        let mut chunk = current.deviations.len().div_ceil(2);
        while chunk > 0 && self.tries_left > 0 {
            let mut at = 0;
            let mut deleted = false;
            while at < current.deviations.len() {
                let mut rest = current.deviations.clone();
                rest.drain(at..(at + chunk).min(current.deviations.len()));
                match self.guided(&rest) {
                    Some(found) if cost(&found) < cost(&current) => {
                        current = found;
                        deleted = true;
                    }
                    _ => at += chunk,
                }
            }
            if !(deleted && chunk == 1) {
                chunk /= 2;
            }
        }
        current
    }

    /// Puts one preemption in the place of two that follow each other.
    fn merge(&mut self, from: Found) -> Found {
        let mut current = from;
        let mut at = 0;
        while at + 1 < current.deviations.len() {
            let (first, second) = (current.deviations[at], current.deviations[at + 1]);
            let both = [
                Deviation { after: first.after, turn: second.turn },
                Deviation { after: second.after, turn: first.turn },
            ];
            let turns = matches!((first.turn, second.turn), (Turn::To(_), Turn::To(_)));
            let merged = both.iter().filter(|_| turns).find_map(|merged| {
                let mut fewer = current.deviations.clone();
                fewer.splice(at..=at + 1, [*merged]);
                self.guided(&fewer).filter(|found| found.by_deviations() < current.by_deviations())
            });
            match merged {
                Some(found) => current = found,
                None => at += 1,
            }
        }
        current
    }

    /// The plain schedule, and the plain schedule with those deviations of `from` that are no preemptions, with few
    /// more deviations: fewest first, and only such as could beat the best so far in preemptions, or with as many of
    /// them in deviations.
    fn few(&mut self, from: &Found) {
        let mut next = 0_u64;
        // By number of deviations added, preemptions among them, order of coming up.
        let mut open: BTreeMap<(usize, u64, u64), Few> = BTreeMap::new();
        for root in [Vec::new(), from.free.clone()] {
            open.insert((0, 0, next), (root, None));
            next += 1;
        }
        let floor = self.tries_left - self.tries_left / FEW_SHARE;
        let mut seen = BTreeSet::new();
        while let Some(((added, preemptions, _), (deviations, last))) = open.pop_first() {
            if self.tries_left <= floor {
                return;
            }
            if !self.could_beat(preemptions, deviations.len()) || !seen.insert(deviations.clone()) {
                continue;
            }
            self.tried.insert(deviations.clone());
            let (found, same) = self.look(&mut Guided::new(&deviations));
            if same || added == FEW_MAX {
                continue;
            }
            // Only behind the deviation added last: the same few in another order are the same schedule.
            let start = last.map_or(0, |last| {
                found.alternatives.iter().rposition(|turn| turn.deviation.after == last).map_or(0, |at| at + 1)
            });
            for turn in found.alternatives[start..].iter().filter(|turn| turn.matters) {
                let more = preemptions + u64::from(turn.preempts);
                if self.could_beat(more, deviations.len() + 1) && (open.len() as u64) < self.tries_left - floor {
                    let mut child = deviations.clone();
                    child.push(turn.deviation);
                    open.insert((added + 1, more, next), (child, Some(turn.deviation.after)));
                    next += 1;
                }
            }
        }
    }

    fn could_beat(&self, preemptions: u64, deviations: usize) -> bool {
        let best = self.best.as_ref().map_or((0, 0), |best| (best.preemptions, best.deviations.len()));
        (preemptions, deviations) < best
    }

    /// Lets each deviation come earlier in its task, in strides that are halved.
    fn move_earlier(&mut self, from: Found) -> Found {
        let mut current = from;
        let mut at = 0;
        while at < current.deviations.len() {
            let mut stride = match current.deviations[at].turn {
                Turn::To(_) => current.deviations[at].after.steps,
                // A choice stands where it stands.
                Turn::Take(_) => 0,
            };
            while stride > 0 && at < current.deviations.len() {
                let mut moved = current.deviations.clone();
                moved[at].after.steps = moved[at].after.steps.saturating_sub(stride);
                match self.guided(&moved) {
                    Some(found) if found.by_steps() < current.by_steps() => current = found,
                    _ => stride /= 2,
                }
            }
            at += 1;
        }
        current
    }

    /// Lets another task go on, and other ways be taken, wherever that costs no further preemption.
    fn turn_elsewhere(&mut self, from: Found) -> Found {
        let mut current = from;
        let mut at = 0;
        while at < current.alternatives.len() && self.tries_left > 0 {
            let turn = current.alternatives[at];
            at += 1;
            let is_there = |deviation: &&Deviation| {
                deviation.after == turn.deviation.after && matches!(deviation.turn, Turn::To(_))
            };
            if turn.preempts && !current.deviations.iter().any(|deviation| is_there(&deviation)) {
                continue;
            }
            let mut other: Vec<Deviation> =
                current.deviations.iter().filter(|deviation| !is_there(deviation)).copied().collect();
            other.push(turn.deviation);
            if let Some(found) = self.guided(&other)
                && found.by_steps() < current.by_steps()
            {
                current = found;
            }
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_units::Seed;

    use super::super::{Explorer, Limits, Portfolio, Random};
    use super::*;
    use crate::sched::{Outcome, Task};
    use crate::sync::{Mutex, RwSem, Semaphore};

    const BUDGET: Budget = Budget { tries_max: 20_000 };

    fn explorer() -> Explorer {
        Explorer::new(Limits { steps_max: 100_000, interrupt: Arc::default() })
    }

    fn signature(outcome: &Outcome) -> Option<String> {
        match outcome {
            Outcome::Deadlock(report) | Outcome::Hang(report) => Some(report.signature()),
            Outcome::Crash(bug) => Some(bug.message.clone()),
            _ => None,
        }
    }

    /// The first failing schedule under `strategy`, with its signature, steps and preemptions.
    fn failing(model: fn(&Task), strategy: &mut dyn Strategy, wanted: &str) -> (Vec<Choice>, String, u64, u64) {
        failing_late(model, strategy, wanted, 0)
    }

    /// The same, of those with so many steps.
    fn failing_late(
        model: fn(&Task),
        strategy: &mut dyn Strategy,
        wanted: &str,
        steps_min: u64,
    ) -> (Vec<Choice>, String, u64, u64) {
        let mut explorer = explorer();
        for _ in 0..50_000 {
            let mut observed = Observed::new(strategy);
            let result = explorer.run(&mut observed, model);
            let signature = signature(&result.outcome).filter(|signature| signature.contains(wanted));
            if let Some(signature) = signature
                && result.steps >= steps_min
            {
                return (explorer.choices(), signature, result.steps, observed.preemptions());
            }
        }
        panic!("no schedule of the model fails");
    }

    fn minimised(model: fn(&Task), choices: &[Choice], wanted: &str, budget: Budget) -> Option<Minimal> {
        let mut explorer = explorer();
        let mut runs = 0;
        let minimal = minimise(choices, wanted, budget, &mut |strategy| {
            runs += 1;
            signature(&explorer.run(strategy, model).outcome)
        });
        assert!(runs <= budget.tries_max);
        let minimal = minimal?;
        assert_eq!(minimal.tries, runs);
        // It is what it says, whichever way it is performed.
        for strategy in
            [&mut Choices::new(minimal.choices.clone()) as &mut dyn Strategy, &mut Guided::new(&minimal.deviations)]
        {
            let mut observed = Observed::new(strategy);
            let result = explorer.run(&mut observed, model);
            assert_eq!(signature(&result.outcome).as_deref(), Some(wanted));
            assert_eq!((observed.preemptions(), result.steps), (minimal.preemptions, minimal.steps));
        }
        Some(minimal)
    }

    /// Minimises the first failing schedule of several seeds; none may get worse, all are the same twice.
    fn all_minimised(model: fn(&Task), wanted: &str) -> Vec<Minimal> {
        let minimal = |seed| {
            let (choices, signature, steps, preemptions) = failing(model, &mut Portfolio::new(Seed(seed)), wanted);
            let minimal = minimised(model, &choices, &signature, BUDGET).expect("the input fails");
            assert!((minimal.preemptions, minimal.steps) <= (preemptions, steps));
            assert_eq!(minimised(model, &choices, &signature, BUDGET).as_ref(), Some(&minimal));
            minimal
        };
        (1..=8).map(minimal).collect()
    }

    /// Each task takes its own lock and then the next one's.
    fn ring(current: &Task, tasks: usize) {
        let locks: Vec<Arc<Mutex<()>>> =
            (0..tasks).map(|number| Arc::new(Mutex::new(current.runtime(), &format!("lock.{number}"), ()))).collect();
        for number in 0..tasks {
            let (own, next) = (Arc::clone(&locks[number]), Arc::clone(&locks[(number + 1) % tasks]));
            current.spawn(&format!("task.{number}"), move |current| {
                let _own = own.lock(current);
                let _next = next.lock(current);
            });
        }
    }

    #[test]
    fn two_mutexes_in_opposite_order_need_exactly_one_preemption() {
        for minimal in all_minimised(|current| ring(current, 2), "mutex_lock") {
            // Both start, take their own lock and stop at the other's.
            assert_eq!((minimal.preemptions, minimal.deviations.len()), (1, 1));
            assert_eq!(minimal.steps, 4);
        }
    }

    #[test]
    fn a_ring_of_three_mutexes_needs_one_preemption_since_who_waits_gives_way_for_nothing() {
        for minimal in all_minimised(|current| ring(current, 3), "mutex_lock") {
            assert_eq!((minimal.preemptions, minimal.steps), (1, 6), "{:?}", minimal.deviations);
        }
    }

    /// The second task takes the locks only if it looks between the first one's `up` and `down_trylock`, and must then be
    /// stopped between its own two locks.
    fn gated(current: &Task) {
        let gate = Arc::new(Semaphore::new(current.runtime(), "gate", 0));
        let locks = ["a", "b"].map(|name| Arc::new(Mutex::new(current.runtime(), name, ())));
        let (there, [a, b]) = (Arc::clone(&gate), locks.clone());
        current.spawn("opens", move |current| {
            there.up(current);
            there.down_trylock(current);
            let _a = a.lock(current);
            let _b = b.lock(current);
        });
        let [a, b] = locks;
        current.spawn("enters", move |current| {
            if gate.down_trylock(current) {
                let _b = b.lock(current);
                let _a = a.lock(current);
            }
        });
    }

    #[test]
    fn a_deadlock_behind_a_gate_needs_exactly_two_preemptions() {
        for minimal in all_minimised(gated, "mutex_lock") {
            assert_eq!((minimal.preemptions, minimal.deviations.len(), minimal.steps), (2, 2, 7));
        }
    }

    /// The COW throttle as it was: a unit is taken below the lock that whoever gives units back must take, too.
    fn throttle(current: &Task) {
        let runtime = current.runtime();
        let lock = Arc::new(RwSem::new(runtime, "origins_lock", ()));
        let units = Arc::new(Semaphore::new(runtime, "cow_count", 1));
        let jobs = Arc::new(Semaphore::new(runtime, "jobs", 0));
        for writer in 0..2 {
            let (lock, units, jobs) = (Arc::clone(&lock), Arc::clone(&units), Arc::clone(&jobs));
            current.spawn(&format!("writer.{writer}"), move |current| {
                for _ in 0..2 {
                    let _read = lock.read(current);
                    units.down(current);
                    jobs.up(current);
                }
            });
        }
        let there = Arc::clone(&lock);
        current.spawn("snapshot_ctr", move |current| drop(there.write(current)));
        for _ in 0..4 {
            jobs.down(current);
            let _read = lock.read(current);
            units.up(current);
        }
    }

    #[test]
    fn the_cow_throttle_deadlocks_with_few_preemptions() {
        for minimal in all_minimised(throttle, "") {
            assert!(minimal.preemptions <= 1 && minimal.steps <= 24, "{minimal:?}");
        }
    }

    /// Fails only where the second of three choices is answered with 2.
    fn choosy(current: &Task) {
        let answers: Vec<u32> = (0..3).map(|_| current.choose("way", 3)).collect();
        current.spawn("idle", |current| {
            current.choose("nothing", 4);
        });
        if answers[1] == 2 {
            current.bug(format!("the second answer is {}", answers[1]));
        }
    }

    #[test]
    fn only_the_choice_that_the_failure_depends_on_is_left() {
        for minimal in all_minimised(choosy, "") {
            let answer =
                Deviation { after: Point { task: super::super::super::op::TaskId(0), steps: 2 }, turn: Turn::Take(2) };
            assert_eq!((minimal.preemptions, &minimal.deviations[..]), (0, &[answer][..]), "{minimal:?}");
            assert!(minimal.choices.contains(&Choice::Take(2)) && !minimal.choices.contains(&Choice::Take(1)));
        }
    }

    /// Two tasks with locks in opposite order, between much work of five tasks that has nothing to do with it.
    fn crowded(current: &Task) {
        for worker in 0..5 {
            current.spawn(&format!("worker.{worker}"), move |current| {
                let own = Mutex::new(current.runtime(), "own", ());
                for _ in 0..13 {
                    drop(own.lock(current));
                    current.choose("way", 2);
                }
            });
        }
        ring(current, 2);
    }

    #[test]
    fn irrelevant_work_leaves_no_trace_in_the_deviations() {
        let (choices, signature, steps, preemptions) = failing_late(crowded, &mut Random::new(Seed(5)), "", 120);
        assert!(preemptions > 60, "{steps} steps, {preemptions} preemptions");
        let minimal = minimised(crowded, &choices, &signature, BUDGET).expect("the input fails");
        assert_eq!((minimal.preemptions, minimal.deviations.len()), (1, 1), "{:?}", minimal.deviations);
        // Preemptions come first: with one alone the others run on for longer before both are stuck.
        assert!(minimal.tries < 2_000, "{} steps, {} tries", minimal.steps, minimal.tries);
    }

    /// As [`crowded`], but the failure ends the run: work that comes after it need not be done at all.
    fn crowded_crash(current: &Task) {
        let seen = Arc::new(Semaphore::new(current.runtime(), "seen", 0));
        for worker in 0..5 {
            current.spawn(&format!("worker.{worker}"), move |current| {
                let own = Mutex::new(current.runtime(), "own", ());
                (0..8).for_each(|_| drop(own.lock(current)));
            });
        }
        let there = Arc::clone(&seen);
        current.spawn("giver", move |current| {
            there.up(current);
            there.down_trylock(current);
        });
        current.spawn("taker", move |current| {
            if seen.down_trylock(current) {
                current.bug("taken between up and down");
            }
        });
    }

    #[test]
    fn what_comes_before_a_crash_without_need_is_left_out() {
        let (choices, signature, steps, _) = failing_late(crowded_crash, &mut Random::new(Seed(2)), "", 40);
        let minimal = minimised(crowded_crash, &choices, &signature, BUDGET).expect("the input fails");
        // up, down_trylock.
        assert_eq!((minimal.preemptions, minimal.steps), (1, 2), "from {steps} steps: {:?}", minimal.choices);
    }

    /// Deadlocks on one pair of locks with one preemption, on another pair without any.
    fn two_failures(current: &Task) {
        let done = Arc::new(Semaphore::new(current.runtime(), "done", 0));
        ring(current, 2);
        let there = Arc::clone(&done);
        current.spawn("forgets", move |current| there.down(current));
        if current.choose("gives", 2) == 1 {
            done.up(current);
        }
    }

    #[test]
    fn a_smaller_failure_with_another_signature_is_refused() {
        let (choices, signature, ..) = failing(two_failures, &mut Random::new(Seed(1)), "mutex_lock");
        let minimal = minimised(two_failures, &choices, &signature, BUDGET).expect("the input fails");
        // The plain schedule hangs, too, and needs no preemption: it is not what was to be found again.
        let plain = explorer().run(&mut Guided::new(&[]), two_failures).outcome;
        assert!(matches!(plain, Outcome::Hang(_)), "{plain:?}");
        assert_eq!(minimal.preemptions, 1);
        assert!(minimised(two_failures, &choices, "mutex_lock another", BUDGET).is_none());
    }

    #[test]
    fn what_cannot_be_made_smaller_comes_back_as_it_was() {
        let model: fn(&Task) = |current| ring(current, 2);
        let (choices, signature, ..) = failing(model, &mut Random::new(Seed(1)), "");
        let minimal = minimised(model, &choices, &signature, BUDGET).expect("the input fails");
        let again = minimised(model, &minimal.choices, &signature, BUDGET).expect("the input fails");
        assert_eq!((&again.choices, again.preemptions), (&minimal.choices, minimal.preemptions));
    }

    #[test]
    fn with_a_budget_of_one_run_the_input_comes_back() {
        let (choices, signature, steps, preemptions) = failing_late(crowded, &mut Random::new(Seed(5)), "", 120);
        let minimal = minimised(crowded, &choices, &signature, Budget { tries_max: 1 }).expect("the input fails");
        assert_eq!((minimal.choices, minimal.steps, minimal.preemptions), (choices, steps, preemptions));
        assert_eq!(minimal.tries, 1);
    }
}
