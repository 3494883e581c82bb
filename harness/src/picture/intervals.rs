//! [`Hold`] and [`Wait`]: who holds an object from when to when, and who waits for a lock.
//!
//! An acquisition and the same task's release of the same kind and object make a [`Hold`]; of several open ones the
//! newest is meant. Without a release it stays open. A try (`mutex_trylock`, `down_trylock`, an allocation that does
//! not wait) makes one only if a release or the deadlock report shows that it came off. Units of a semaphore and
//! elements of a pool may be given back by others, and are all alike: such a release ends the oldest hold of a task that
//! has gone on since.
//!
//! For mutexes, spin locks and rw_semaphores, which are handed to the next in line, a wait that ended is known to the
//! step: the last release that could have let the task in, before it went on. Waits for anything else are shown only
//! where they never end.
//!
//! Invariants: a hold begins and ends at steps of the trace; no two tasks hold a mutex at once.
//! Not here: who keeps what at the end (the deadlock report knows; arrows follow it).

use std::collections::BTreeMap;

use dmlab_engine::sched::OpKind;
use dmlab_engine::sched::waits::Link;

use super::lanes::Lanes;

/// A task holds an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who: an index of [`Lanes::lanes`].
    pub lane: usize,
    /// What: an index of [`Lanes::objects`].
    pub object: usize,
    /// The step that asked for it.
    pub step: usize,
    /// The step with which it was had: the same one, or the release that ended the wait.
    pub from: usize,
    /// The step that gave it back; `None` when nothing did.
    pub to: Option<usize>,
    /// Who gave it back, if another.
    pub given_back_by: Option<usize>,
}

/// A task waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who: an index of [`Lanes::lanes`].
    pub lane: usize,
    /// For what: an index of [`Lanes::objects`].
    pub object: Option<usize>,
    /// The step that had to wait.
    pub from: usize,
    /// The step that let it go on; `None` when nothing did.
    pub to: Option<usize>,
    /// For a wait that can never end, what the report says of it in one line.
    pub for_ever: Option<String>,
    /// Whether it belongs to the wait-for cycle.
    pub in_cycle: bool,
}

/// What an operation does to holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Takes, after a wait if need be.
    Take,
    /// Takes or fails.
    Try,
    /// Gives back.
    Give,
    /// Nothing.
    Other,
}

/// What is taken: a release must be of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Mutex,
    Spin,
    Read,
    Write,
    Unit,
    Srcu,
    Element,
}

pub(super) fn role(op: OpKind, arg: u64) -> Role {
    role_and_kind(op, arg).0
}

fn role_and_kind(op: OpKind, arg: u64) -> (Role, Option<Kind>) {
    let (role, kind) = match op {
        OpKind::MutexLock => (Role::Take, Kind::Mutex),
        OpKind::MutexTryLock => (Role::Try, Kind::Mutex),
        OpKind::MutexUnlock => (Role::Give, Kind::Mutex),
        OpKind::SpinLock => (Role::Take, Kind::Spin),
        OpKind::SpinUnlock => (Role::Give, Kind::Spin),
        OpKind::DownRead => (Role::Take, Kind::Read),
        OpKind::UpRead => (Role::Give, Kind::Read),
        OpKind::DownWrite => (Role::Take, Kind::Write),
        OpKind::UpWrite => (Role::Give, Kind::Write),
        OpKind::Down => (Role::Take, Kind::Unit),
        OpKind::DownTry => (Role::Try, Kind::Unit),
        OpKind::Up => (Role::Give, Kind::Unit),
        OpKind::SrcuReadLock => (Role::Take, Kind::Srcu),
        OpKind::SrcuReadUnlock => (Role::Give, Kind::Srcu),
        // The argument says whether the allocation may wait.
        OpKind::MempoolAlloc => (if arg == 0 { Role::Try } else { Role::Take }, Kind::Element),
        OpKind::MempoolFree => (Role::Give, Kind::Element),
        _ => return (Role::Other, None),
    };
    (role, Some(kind))
}

/// The releases that can let a task in which waits to take this; none for what is not handed over one by one.
const fn lets_in(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Mutex => &[Kind::Mutex],
        Kind::Spin => &[Kind::Spin],
        Kind::Read => &[Kind::Write],
        Kind::Write => &[Kind::Read, Kind::Write],
        Kind::Unit | Kind::Srcu | Kind::Element => &[],
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) holds: Vec<Hold>,
    pub(super) waits: Vec<Wait>,
    /// Tries of which nothing shows whether they came off.
    pub(super) tries: Vec<usize>,
}

/// Finds holds and ended waits; the waits without end are in `lanes` already.
pub(super) fn of(lanes: &Lanes, links: &[(&Link, bool)]) -> Found {
    let mut search = Search { lanes, releases: BTreeMap::new(), open: BTreeMap::new(), tries: BTreeMap::new() };
    for (number, step) in lanes.steps.iter().enumerate() {
        if let ((Role::Give, Some(kind)), Some(object)) = (role_and_kind(step.op, step.arg), step.object) {
            search.releases.entry((object, kind)).or_default().push(number);
        }
    }
    let mut found = Found { holds: Vec::new(), waits: Vec::new(), tries: Vec::new() };
    for (number, step) in lanes.steps.iter().enumerate() {
        let ((role, Some(kind)), Some(object)) = (role_and_kind(step.op, step.arg), step.object) else { continue };
        match role {
            Role::Take => search.take(number, object, kind, &mut found),
            Role::Try => search.tries.entry((object, kind)).or_default().push(number),
            Role::Give => search.give(number, object, kind, &mut found),
            Role::Other => {}
        }
    }
    search.follow_report(links, &mut found);
    found.tries = search.tries.into_values().flatten().collect();
    found.holds.sort_by_key(|hold| (hold.from, hold.step));
    found
}

struct Search<'a> {
    lanes: &'a Lanes,
    releases: BTreeMap<(usize, Kind), Vec<usize>>,
    /// Indexes of open holds, oldest first.
    open: BTreeMap<(usize, Kind), Vec<usize>>,
    tries: BTreeMap<(usize, Kind), Vec<usize>>,
}

impl Search<'_> {
    fn take(&mut self, number: usize, object: usize, kind: Kind, found: &mut Found) {
        let step = &self.lanes.steps[number];
        let lane = step.lane;
        let wait = |to| Wait { lane, object: Some(object), from: number, to, for_ever: None, in_cycle: false };
        let mut from = number;
        match step.next {
            Some(next) => {
                if let Some(release) = self.last_release(object, kind, number, next) {
                    found.waits.push(wait(Some(release)));
                    from = release;
                }
            }
            None if self.lanes.stuck(lane).is_some() => return,
            // The run ended in another way, with the task inside this operation or just behind it.
            None if self.is_taken(object, kind, lane, found) => {
                found.waits.push(wait(None));
                return;
            }
            None => {}
        }
        self.open.entry((object, kind)).or_default().push(found.holds.len());
        found.holds.push(Hold { lane, object, step: number, from, to: None, given_back_by: None });
    }

    fn last_release(&self, object: usize, kind: Kind, after: usize, before: usize) -> Option<usize> {
        let last = |kind: &Kind| {
            let steps = self.releases.get(&(object, *kind))?;
            let end = steps.partition_point(|number| *number < before);
            steps[..end].last().copied().filter(|number| *number > after)
        };
        lets_in(kind).iter().filter_map(last).max()
    }

    fn is_taken(&self, object: usize, kind: Kind, lane: usize, found: &Found) -> bool {
        let open = lets_in(kind).iter().filter_map(|kind| self.open.get(&(object, *kind))).flatten();
        open.into_iter().any(|index| found.holds[*index].lane != lane)
    }

    fn give(&mut self, number: usize, object: usize, kind: Kind, found: &mut Found) {
        let (steps, lane) = (&self.lanes.steps, self.lanes.steps[number].lane);
        let open = self.open.entry((object, kind)).or_default();
        let tries = self.tries.entry((object, kind)).or_default();
        if let Some(place) = open.iter().rposition(|index| found.holds[*index].lane == lane) {
            found.holds[open.remove(place)].to = Some(number);
            return;
        }
        if let Some(place) = tries.iter().rposition(|at| steps[*at].lane == lane) {
            let step = tries.remove(place);
            found.holds.push(Hold { lane, object, step, from: step, to: Some(number), given_back_by: None });
            return;
        }
        if !matches!(kind, Kind::Unit | Kind::Element) {
            return;
        }
        // A task that has not gone on since may still be waiting for this very release.
        let has_gone_on = |at: usize| steps[at].next.is_some_and(|next| next < number);
        if let Some(place) = open.iter().position(|index| has_gone_on(found.holds[*index].step)) {
            let hold = &mut found.holds[open.remove(place)];
            (hold.to, hold.given_back_by) = (Some(number), Some(lane));
        } else if let Some(place) = tries.iter().position(|at| has_gone_on(*at)) {
            let step = tries.remove(place);
            let (owner, to, given_back_by) = (steps[step].lane, Some(number), Some(lane));
            found.holds.push(Hold { lane: owner, object, step, from: step, to, given_back_by });
        }
    }

    /// Who holds something by the report, and shows only a try for it, took it with the first of these.
    fn follow_report(&mut self, links: &[(&Link, bool)], found: &mut Found) {
        let lanes = self.lanes;
        for (link, _) in links {
            let object = super::text::visible(&link.object);
            let Some(object) = lanes.objects.iter().position(|name| *name == object) else { continue };
            for lane in link.held_by.iter().flat_map(|hold| lanes.named(&hold.task)) {
                let has = |hold: &Hold| hold.lane == lane && hold.object == object && hold.to.is_none();
                if found.holds.iter().any(has) {
                    continue;
                }
                for ((of, _), tries) in &mut self.tries {
                    let Some(place) = tries.iter().position(|at| *of == object && lanes.steps[*at].lane == lane) else {
                        continue;
                    };
                    let step = tries.remove(place);
                    found.holds.push(Hold { lane, object, step, from: step, to: None, given_back_by: None });
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lanes, link};
    use super::*;

    /// `(task, object, from, to)` of every hold.
    fn holds(lanes: &Lanes) -> Vec<(&str, &str, usize, Option<usize>)> {
        let hold = |hold: &Hold| {
            let (who, what) = (&lanes.lanes[hold.lane].name, &lanes.objects[hold.object]);
            (who.as_str(), what.as_str(), hold.from, hold.to)
        };
        lanes.holds.iter().map(hold).collect()
    }

    fn waits(lanes: &Lanes) -> Vec<(usize, Option<usize>)> {
        lanes.waits.iter().map(|wait| (wait.from, wait.to)).collect()
    }

    #[test]
    fn a_hold_is_from_the_acquisition_to_the_release_of_the_same_kind_or_open() {
        let lanes = lanes("m down_read s\nm mutex_lock a\nm up_write s\nm up_read s\nm cond_resched", Vec::new());
        assert_eq!(holds(&lanes), [("m", "s", 0, Some(3)), ("m", "a", 1, None)]);
        assert!(lanes.waits.is_empty());
    }

    #[test]
    fn a_lock_that_was_handed_over_is_held_from_the_release_on() {
        let lanes =
            lanes("m mutex_lock a\nx mutex_lock a\nm mutex_unlock a\nm cond_resched\nx mutex_unlock a", Vec::new());
        assert_eq!(holds(&lanes), [("m", "a", 0, Some(2)), ("x", "a", 2, Some(4))]);
        assert_eq!(waits(&lanes), [(1, Some(2))]);
    }

    #[test]
    fn readers_wait_for_writers_only() {
        let lanes = lanes(
            "m down_read s\nx down_read s\nm up_read s\nx up_read s\nm down_write s\nx down_read s\nm up_write s\nx up_read s",
            Vec::new(),
        );
        assert_eq!(
            holds(&lanes),
            [("m", "s", 0, Some(2)), ("x", "s", 1, Some(3)), ("m", "s", 4, Some(6)), ("x", "s", 6, Some(7))]
        );
        assert_eq!(waits(&lanes), [(5, Some(6))]);
    }

    #[test]
    fn what_others_give_back_ends_the_oldest_hold_of_a_task_that_has_gone_on() {
        let lanes = lanes("m down c\nx down c\nm cond_resched\ny up c\ny up c\nx cond_resched", Vec::new());
        assert_eq!(holds(&lanes), [("m", "c", 0, Some(3)), ("x", "c", 1, None)]);
        assert_eq!(lanes.holds[0].given_back_by, Some(2));
        // Locks are given back by their owners: such a release belongs to nothing.
        let lanes = super::super::testing::lanes("m mutex_lock a\nm cond_resched\ny mutex_unlock a", Vec::new());
        assert_eq!(holds(&lanes), [("m", "a", 0, None)]);
    }

    #[test]
    fn a_try_counts_when_a_release_or_the_report_shows_that_it_came_off() {
        let text = "m mutex_trylock a\nm mutex_trylock b\nm mutex_unlock b\nm mempool_alloc p\nm mempool_alloc p 1";
        let plain = lanes(text, Vec::new());
        assert_eq!(holds(&plain), [("m", "b", 1, Some(2)), ("m", "p", 4, None)]);
        let stuck = lanes(text, vec![link("m", OpKind::MempoolAlloc, "p", &[("m", "1 element")])]);
        assert_eq!(holds(&stuck), [("m", "b", 1, Some(2)), ("m", "p", 3, None)]);
        assert_eq!(waits(&stuck), [(4, None)]);
    }

    #[test]
    fn a_task_inside_a_lock_operation_at_the_end_of_another_kind_waits_if_the_lock_is_taken() {
        let lanes = lanes("m mutex_lock a\nx mutex_lock a\nm cond_resched", Vec::new());
        assert_eq!((holds(&lanes), waits(&lanes)), (vec![("m", "a", 0, None)], vec![(1, None)]));
        assert!(lanes.stuck(1).is_none(), "nobody says that it waits for ever");
    }
}
