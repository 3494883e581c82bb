//! [`LockOrder`]: in which order locks are taken while others are held, over all runs: the kernel's lockdep.
//!
//! Two tasks that take the same two locks in different orders can deadlock, whether or not they did in any run that was
//! seen. As in lockdep the order is one of *classes*: all locks of one role are one (`t.suspend_lock` and
//! `u.suspend_lock` are both `suspend_lock`).
//!
//! Invariants: an edge is kept with the first place where it was seen; each cycle is told once, at the edge that closed
//! it; nothing here decides anything in a run.
//! Not here: order among several locks of one class (nesting down a stack of devices is legal), recursion of readers.

use std::cell::{Cell, RefCell};

use super::super::waits::{Site, place};

/// Classes beyond this many are not checked; [`LockOrder::findings`] says so.
const CLASSES_MAX: usize = 64;

/// All locks of one role: one bit, or none for what is no lock or is one class too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sched) struct LockClass(u64);

impl LockClass {
    /// No class.
    pub(in crate::sched) const NONE: Self = Self(0);

    const fn numbered(class: usize) -> Self {
        Self(1 << class)
    }

    const fn number(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() as usize) }
    }
}

struct Class {
    label: &'static str,
    role: String,
    /// Classes that were held when this one was asked for, as bits.
    before: u64,
    /// Where each of these orders was first seen, by class.
    seen: Vec<(u8, String)>,
}

/// Classes of the locks that a task holds. A lock is given back by the task that took it.
#[derive(Default)]
pub(super) struct Held {
    mask: Cell<u64>,
    /// One for each lock of a class that was held already when it was taken.
    again: RefCell<Vec<LockClass>>,
}

impl Held {
    #[inline]
    pub(super) fn taken(&self, class: LockClass) {
        let mask = self.mask.get();
        if mask & class.0 != 0 {
            self.taken_again(class);
        }
        self.mask.set(mask | class.0);
    }

    #[cold]
    fn taken_again(&self, class: LockClass) {
        self.again.borrow_mut().push(class);
    }

    #[inline]
    pub(super) fn released(&self, class: LockClass) {
        let mut again = self.again.borrow_mut();
        if let Some(place) = again.iter().position(|other| *other == class) {
            again.swap_remove(place);
        } else {
            self.mask.set(self.mask.get() & !class.0);
        }
    }

    /// The classes held, as bits, but for `class`.
    #[inline]
    pub(super) const fn beside(&self, class: LockClass) -> u64 {
        self.mask.get() & !class.0
    }
}

/// The order in which classes of locks are taken.
#[derive(Default)]
pub(super) struct LockOrder {
    classes: Vec<Class>,
    findings: Vec<String>,
    too_many: bool,
}

impl LockOrder {
    /// The class of a lock, by its label and name.
    pub(super) fn class(&mut self, label: &'static str, name: &str) -> LockClass {
        let role = name.rsplit_once('.').map_or(name, |(_, role)| role);
        let known = self.classes.iter().position(|class| class.role == role && class.label == label);
        match known {
            Some(class) => LockClass::numbered(class),
            None if self.classes.len() == CLASSES_MAX => {
                self.too_many = true;
                LockClass::NONE
            }
            None => {
                self.classes.push(Class { label, role: role.to_owned(), before: 0, seen: Vec::new() });
                LockClass::numbered(self.classes.len() - 1)
            }
        }
    }

    /// A task asks for a lock of `class`, holding others of the classes `held`.
    pub(super) fn wanted(&mut self, held: u64, class: LockClass, site: &Site, name_of: impl Fn() -> String) {
        let Some(class) = class.number() else { return };
        let new = held & !self.classes[class].before;
        if new != 0 {
            self.new_order(new, class as u8, site, &name_of());
        }
    }

    #[cold]
    fn new_order(&mut self, new: u64, class: u8, site: &Site, task: &str) {
        for held in (0..CLASSES_MAX as u8).filter(|held| new >> held & 1 == 1) {
            let frames = site.frame.names().collect::<Vec<_>>().join(" <- ");
            let seen = format!("{task} in {frames} [<{}>]", place(site.at));
            let own = &mut self.classes[class as usize];
            own.before |= 1 << held;
            own.seen.push((held, seen));
            if let Some(path) = self.path(held, class) {
                let finding = self.describe(&path);
                self.findings.push(finding);
            }
        }
    }

    /// A way from `class` back to `held` along what was seen before: held is taken after … after class.
    fn path(&self, held: u8, class: u8) -> Option<Vec<u8>> {
        // Breadth first over "was held before", from `held` until `class` is met.
        const NOT_MET: u8 = u8::MAX;
        let mut from = [NOT_MET; CLASSES_MAX];
        let mut open = std::collections::VecDeque::from([held]);
        while let Some(at) = open.pop_front() {
            if at == class {
                let mut path = vec![at];
                while *path.last()? != held {
                    path.push(from[usize::from(*path.last()?)]);
                }
                return Some(path);
            }
            let before = self.classes[usize::from(at)].before;
            for next in (0..self.classes.len() as u8).filter(|next| before >> next & 1 == 1) {
                if from[usize::from(next)] == NOT_MET && next != held {
                    from[usize::from(next)] = at;
                    open.push_back(next);
                }
            }
        }
        None
    }

    /// The cycle `path[0] -> path[1] -> … -> path[0]`, each arrow with the place where it was seen.
    fn describe(&self, path: &[u8]) -> String {
        let name = |class: u8| {
            let class = &self.classes[usize::from(class)];
            format!("{} {}", class.label, class.role)
        };
        let mut text = String::from("possible circular locking dependency: ");
        let names: Vec<String> = path.iter().chain(path.first()).map(|class| name(*class)).collect();
        text.push_str(&names.join(" -> "));
        for (place, &first) in path.iter().enumerate() {
            let then = path[(place + 1) % path.len()];
            let seen = self.classes[usize::from(then)].seen.iter().find(|(held, _)| *held == first);
            let seen = seen.map_or("", |(_, seen)| seen.as_str());
            text.push_str(&format!("\n  {} was taken holding {} by {seen}", name(then), name(first)));
        }
        text
    }

    /// Every cycle found so far, as lockdep would put it.
    pub(super) fn findings(&self) -> Vec<String> {
        let limit = format!("more than {CLASSES_MAX} classes of locks: the order of the others was not checked");
        self.findings.iter().cloned().chain(self.too_many.then_some(limit)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::{Frame, TaskId};

    fn site() -> Site {
        Site { task: TaskId(0), frame: Frame::root().child("lock_it"), at: std::panic::Location::caller() }
    }

    /// Each run is one task that takes these locks one inside the other.
    fn findings(runs: &[&[&str]]) -> Vec<String> {
        let mut order = LockOrder::default();
        for run in runs {
            let held = Held::default();
            let mut classes = Vec::new();
            for name in *run {
                let class = order.class("mutex", name);
                order.wanted(held.beside(class), class, &site(), || "t".to_owned());
                held.taken(class);
                classes.push(class);
            }
            for class in classes.into_iter().rev() {
                held.released(class);
            }
            assert_eq!(held.mask.get(), 0);
        }
        order.findings()
    }

    #[test]
    fn an_inversion_is_found_across_runs_and_told_once() {
        let found = findings(&[&["a", "b"], &["b", "a"], &["b", "a"]]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("possible circular locking dependency: mutex b -> mutex a -> mutex b")
                || found[0].starts_with("possible circular locking dependency: mutex a -> mutex b -> mutex a"),
            "{found:?}"
        );
        assert!(found[0].contains("lock_it"));
    }

    #[test]
    fn a_longer_cycle_is_found() {
        let found = findings(&[&["a", "b"], &["b", "c"], &["c", "a"]]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lines().count(), 4, "{found:?}");
    }

    #[test]
    fn one_order_is_no_finding_and_devices_of_one_role_are_one_class() {
        assert!(findings(&[&["a", "b", "c"], &["a", "c"], &["b", "c"]]).is_empty());
        assert!(findings(&[&["t.lock", "u.lock"], &["u.lock", "t.lock"]]).is_empty());
        assert_eq!(findings(&[&["t.a", "t.b"], &["u.b", "u.a"]]).len(), 1);
    }

    #[test]
    fn what_is_beyond_the_limit_is_said() {
        let names: Vec<String> = (0..=CLASSES_MAX).map(|n| format!("lock{n}")).collect();
        let runs: Vec<Vec<&str>> = names.iter().map(|name| vec![name.as_str()]).collect();
        let runs: Vec<&[&str]> = runs.iter().map(Vec::as_slice).collect();
        assert!(findings(&runs)[0].contains("more than 64 classes"));
    }
}
