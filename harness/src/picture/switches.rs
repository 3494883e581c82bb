//! [`Switch`]: whether a change of tasks was forced.
//!
//! A step says what a task began to do, not whether it had to wait. It did not if nobody touched the object, in a way
//! that lets waiters go on, between the step and the task's next one; it did if the operation takes a lock that somebody
//! else gave back in between; of anything else that somebody touched one cannot know. A task without a further step has
//! ended or waits.
//!
//! Invariant: what is called a preemption is one, but for waits that a timer ended.
//! Not here: how many preemptions a schedule needs (the search for a small one).

use std::collections::{BTreeMap, BTreeSet};

use dmlab_engine::sched::OpKind;
use dmlab_engine::sched::op::OpClass;

use super::intervals::{Role, role};
use super::lanes::Lanes;

/// How it came that a step was next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The same task went on, or it is the first step.
    None,
    /// The task before had ended, had to wait, or gave way.
    Forced,
    /// The task before could have gone on.
    Preemption,
    /// The task before had to wait or not: the steps do not tell.
    Unclear,
}

/// Finds out about every switch.
pub(super) fn mark(lanes: &mut Lanes) {
    // Who waits for an object can go on after one of these.
    let mut touched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, step) in lanes.steps.iter().enumerate() {
        if let (Some(object), OpClass::Release | OpClass::Access) = (step.object, step.op.class()) {
            touched.entry(object).or_default().push(number);
        }
    }
    let waited: BTreeSet<usize> = lanes.waits.iter().map(|wait| wait.from).collect();
    for number in 1..lanes.steps.len() {
        if lanes.steps[number].lane != lanes.steps[number - 1].lane {
            lanes.steps[number].switch = away_from(lanes, number - 1, &touched, &waited);
        }
    }
}

fn away_from(lanes: &Lanes, before: usize, touched: &BTreeMap<usize, Vec<usize>>, waited: &BTreeSet<usize>) -> Switch {
    let step = &lanes.steps[before];
    let Some(next) = step.next else { return Switch::Forced };
    if matches!(step.op, OpKind::Yield | OpKind::Sleep) {
        return Switch::Forced;
    }
    if step.op.class() != OpClass::Acquire || role(step.op, step.arg) == Role::Try {
        return Switch::Preemption;
    }
    if waited.contains(&before) {
        return Switch::Forced;
    }
    let was_touched = step.object.and_then(|object| touched.get(&object)).is_some_and(|steps| {
        let first = steps.partition_point(|number| *number <= before);
        steps.get(first).is_some_and(|number| *number < next)
    });
    // A sleep in mempool_alloc that a timer ended shows as the same allocation once more.
    let after = &lanes.steps[next];
    let again = step.op == OpKind::MempoolAlloc && after.op == step.op && after.object == step.object;
    let is_exact = matches!(step.op, OpKind::MutexLock | OpKind::SpinLock | OpKind::DownRead | OpKind::DownWrite);
    if !is_exact && (was_touched || again) { Switch::Unclear } else { Switch::Preemption }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lanes, opposite};
    use super::*;

    fn switches(text: &str) -> Vec<Switch> {
        lanes(text, Vec::new()).steps.iter().map(|step| step.switch).collect()
    }

    #[test]
    fn a_task_that_could_have_gone_on_was_preempted() {
        assert_eq!(
            switches("m mutex_lock a\nx mutex_lock b\nm mutex_unlock a\nx mutex_unlock b")[1..],
            [Switch::Preemption, Switch::Preemption, Switch::Forced]
        );
        assert_eq!(switches("m mutex_trylock a\nx mutex_lock a\nm cond_resched")[1], Switch::Preemption);
    }

    #[test]
    fn a_task_that_had_to_wait_ended_or_gave_way_was_not() {
        let handed = "m mutex_lock a\nx mutex_lock a\nm mutex_unlock a\nx mutex_unlock a";
        assert_eq!(switches(handed)[1..], [Switch::Preemption, Switch::Forced, Switch::Forced]);
        assert_eq!(switches("m cond_resched\nx complete c\nm cond_resched")[1..], [Switch::Forced, Switch::Forced]);
        let lanes = opposite();
        assert_eq!(lanes.steps[6].switch, Switch::Forced, "the task before is stuck");
    }

    #[test]
    fn where_the_steps_do_not_tell_it_is_said_so() {
        let awaited = "m wait_for_completion c\nx complete c\nm cond_resched";
        assert_eq!(switches(awaited)[1], Switch::Unclear);
        let untouched = "m wait_for_completion c\nx complete d\nm cond_resched";
        assert_eq!(switches(untouched)[1], Switch::Preemption);
        let retried = "m mempool_alloc p 1\nx cond_resched\nm mempool_alloc p 1";
        assert_eq!(switches(retried)[1], Switch::Unclear);
        assert_eq!(lanes(awaited, Vec::new()).preemptions(), (0, 1));
    }
}
