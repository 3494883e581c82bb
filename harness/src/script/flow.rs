//! Lists of steps, and steps that hold steps: parallel, background, repeat, wait, must_block.
//!
//! Invariants: whatever a list starts in the background has ended when the list has; a list that comes to an early end
//! asks its background tasks to stop, which they do before their next step or I/O; a wait looks once more when its time is
//! up; passes of a repetition are due at times that do not depend on how long earlier passes took.
//! Not here: single steps (`steps`).

use std::sync::Arc;

use dmlab_scenarios::{Action, Condition, MustBlock, Repeat, Step, Wait};
use dmlab_units::Nanos;

use super::steps::describe;
use super::{Flow, Script, Stopped, admin, printed};
use crate::backend::{Branch, Flag, Started};

impl Script {
    /// Carries out a list of steps, and then joins what it has left in the background.
    pub(super) fn steps(self: &Arc<Self>, flow: Flow<'_>, steps: &[Step]) -> Result<(), Stopped> {
        let has_background = steps.iter().any(|step| matches!(step.action, Action::Background(_)));
        let stop = has_background.then(|| flow.actor.flag("a list of steps to stop"));
        let mut beside = Vec::new();
        let result = steps.iter().try_for_each(|step| {
            if flow.is_to_stop() {
                return Err(Stopped);
            }
            flow.actor.begins(step.line);
            match &step.action {
                Action::Background(tasks) => {
                    for (name, steps) in tasks {
                        let branch = self.branch(flow.path, name, steps, stop.clone());
                        beside.push((name.as_str(), flow.actor.start(branch)));
                    }
                    Ok(())
                }
                Action::Join(names) => {
                    join(&mut beside, names);
                    Ok(())
                }
                _ => self.within_budget(flow, step),
            }
        });
        if let (Err(Stopped), Some(stop)) = (&result, &stop)
            && !beside.is_empty()
        {
            stop.raise();
        }
        join(&mut beside, &[]);
        result
    }

    fn branch(self: &Arc<Self>, path: &str, name: &str, steps: &[Step], stop: Option<Arc<dyn Flag>>) -> Branch {
        let (script, steps, path) = (Arc::clone(self), steps.to_vec(), format!("{path}/{name}"));
        // A flow that stopped has noted why.
        let body = move |actor: &dyn crate::backend::Actor| {
            drop(script.steps(Flow { actor, path: &path, stop: stop.as_ref() }, &steps));
        };
        Branch { name: name.to_owned(), body: Box::new(body) }
    }

    pub(super) fn parallel(self: &Arc<Self>, flow: Flow<'_>, branches: &[(String, Vec<Step>)]) {
        let branch = |(name, steps): &(String, Vec<Step>)| self.branch(flow.path, name, steps, flow.stop.cloned());
        flow.actor.fork(branches.iter().map(branch).collect());
    }

    pub(super) fn repeat(self: &Arc<Self>, flow: Flow<'_>, line: u32, repeat: &Repeat) -> Result<(), Stopped> {
        let actor = flow.actor;
        // Who does not need the time does not look at it: in a search, a look is something learnt.
        let is_timed = repeat.every.is_some() || repeat.during.is_some();
        let begin = if is_timed { actor.now() } else { Nanos::ZERO };
        let mut rng = self.seed.derive("jitter").nth(u64::from(line)).rng();
        for pass in 0..repeat.times.map_or(u64::MAX, u64::from) {
            if let Some(every) = repeat.every {
                let due = Nanos(every.0.saturating_mul(pass));
                if repeat.during.is_some_and(|during| due >= during) {
                    break;
                }
                let late = if repeat.jitter == Nanos::ZERO { 0 } else { rng.below(repeat.jitter.0 + 1) };
                let due = begin.0.saturating_add(due.0).saturating_add(late);
                let left = Nanos(due).saturating_sub(actor.now());
                if left > Nanos::ZERO {
                    actor.sleep(left);
                }
            }
            if repeat.during.is_some_and(|during| actor.now().saturating_sub(begin) >= during) {
                break;
            }
            self.steps(flow, &repeat.steps)?;
        }
        Ok(())
    }

    pub(super) fn must_block(
        self: &Arc<Self>,
        flow: Flow<'_>,
        line: u32,
        must_block: &MustBlock,
    ) -> Result<(), Stopped> {
        let begin = flow.actor.now();
        self.steps(flow, &must_block.steps)?;
        let took = flow.actor.now().saturating_sub(begin);
        let broken = |bound: Option<Nanos>, is_broken: fn(Nanos, Nanos) -> bool, words: &str| {
            let bound = bound.filter(|bound| is_broken(took, *bound))?;
            Some(self.fail(line, format!("the steps of must_block took {took}, expected {words} {bound}")))
        };
        let found = broken(must_block.min, |took, min| took < min, "at least");
        match found.or_else(|| broken(must_block.max, |took, max| took > max, "at most")) {
            Some(stopped) => Err(stopped),
            None => Ok(()),
        }
    }

    pub(super) fn wait(&self, flow: Flow<'_>, line: u32, wait: &Wait) -> Result<(), Stopped> {
        let (operation, wanted) = match &wait.condition {
            Condition::Status(printed) => (admin::status_of(printed), &printed.wanted),
            Condition::Table(printed) => (admin::table_of(printed), &printed.wanted),
        };
        let begin = flow.actor.now();
        loop {
            let answer = flow.actor.control(operation);
            let see = || self.saw(flow, line, || describe(operation), &answer);
            let Err(found) = printed::compare(flow.actor, answer.clone(), wanted) else {
                see();
                return Ok(());
            };
            let left = wait.within.saturating_sub(flow.actor.now().saturating_sub(begin));
            if left == Nanos::ZERO {
                see();
                let what = describe(operation);
                return Err(self.fail(line, format!("waited {} for the {what}: {found}", wait.within)));
            }
            if flow.is_to_stop() {
                return Err(Stopped);
            }
            flow.actor.sleep(left.min(wait.every));
        }
    }
}

/// Waits for the tasks of these names; for all, where none is named.
fn join(beside: &mut Vec<(&str, Box<dyn Started + '_>)>, names: &[String]) {
    let is_meant =
        |(name, _): &mut (&str, Box<dyn Started + '_>)| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let joined: Vec<_> = beside.extract_if(.., is_meant).collect();
    joined.into_iter().for_each(|(_, task)| task.join());
}
