//! [`Lanes`]: the steps of a run, sorted by task, and what can be read out of them.
//!
//! A trace has one entry per operation, made when the operation begins. From this follow, and are shown:
//!
//! * who holds an object from when to when (`intervals`);
//! * who waits for ever, and for whom: from the deadlock report, tied to the task's last step;
//! * whether a task was left though it could have gone on (`switches`).
//!
//! Invariants: the same steps and the same report give the same lanes; lanes are in the order of first appearance;
//! objects are known by name, so two of the same name are one here, and tasks by number.
//! Not here: which steps are worth showing (`rows`), and how (`table`, `html`).

use std::collections::BTreeMap;

use dmlab_engine::sched::OpKind;
use dmlab_engine::sched::waits::{Link, StuckReport};

use super::intervals::{self, Hold, Wait};
use super::switches::{self, Switch};
use super::text::visible;
use crate::backend::engine::TraceStep;

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its name, free of control characters; with its number where several tasks have the same.
    pub name: String,
    /// Its last step.
    pub last: usize,
}

/// A step, as seen in its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Whose step: an index of [`Lanes::lanes`].
    pub lane: usize,
    /// What.
    pub op: OpKind,
    /// On what: an index of [`Lanes::objects`].
    pub object: Option<usize>,
    /// With what.
    pub arg: u64,
    /// Which way was taken, where the operation is a choice.
    pub taken: Option<u32>,
    /// How it came that this task was next.
    pub switch: Switch,
    /// The next step of the same task.
    pub next: Option<usize>,
}

/// From a task that waits for ever to where a holder of the object took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The waiting task's last step.
    pub from: usize,
    /// The holder's acquisition; its last step where it never acquired (a completion that it would complete).
    pub to: usize,
    /// In words.
    pub text: String,
}

/// What can be read out of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// The tasks, in the order of their first steps.
    pub lanes: Vec<Lane>,
    /// The names of objects, in the order of first use, free of control characters.
    pub objects: Vec<String>,
    /// All steps.
    pub steps: Vec<Moment>,
    /// Who holds what, in the order in which it was taken.
    pub holds: Vec<Hold>,
    /// Who waits for what.
    pub waits: Vec<Wait>,
    /// The wait-for cycle.
    pub arrows: Vec<Arrow>,
}

impl Lanes {
    /// Reads `steps`; `stuck` says who waits for ever.
    pub fn of(steps: &[TraceStep], stuck: Option<&StuckReport>) -> Self {
        let mut lanes = Self::sorted(steps);
        let links: Vec<(&Link, bool)> = stuck.map_or_else(Vec::new, |report| {
            let cycle = report.cycle.iter().map(|link| (link, true));
            cycle.chain(report.others.iter().map(|link| (link, false))).collect()
        });
        lanes.waits = links.iter().filter_map(|(link, in_cycle)| lanes.last_wait(link, *in_cycle)).collect();
        let found = intervals::of(&lanes, &links);
        lanes.waits.extend(found.waits);
        lanes.holds = found.holds;
        switches::mark(&mut lanes);
        lanes.arrows = links
            .iter()
            .filter(|(_, in_cycle)| *in_cycle)
            .flat_map(|(link, _)| lanes.arrows_of(link, &found.tries))
            .collect();
        lanes
    }

    fn sorted(steps: &[TraceStep]) -> Self {
        let mut lanes = Self::default();
        let (mut lane_of, mut object_of) = (BTreeMap::new(), BTreeMap::new());
        for (number, step) in steps.iter().enumerate() {
            let lane = *lane_of.entry(step.task).or_insert_with(|| {
                lanes.lanes.push(Lane { name: visible(&step.name), last: number });
                lanes.lanes.len() - 1
            });
            let object = (!step.object.is_empty()).then(|| {
                *object_of.entry(step.object.as_str()).or_insert_with(|| {
                    lanes.objects.push(visible(&step.object));
                    lanes.objects.len() - 1
                })
            });
            let last = std::mem::replace(&mut lanes.lanes[lane].last, number);
            if last != number {
                lanes.steps[last].next = Some(number);
            }
            let (op, arg, taken, switch) = (step.op, step.arg, step.taken, Switch::None);
            lanes.steps.push(Moment { lane, op, object, arg, taken, switch, next: None });
        }
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        lanes.lanes.iter().for_each(|lane| *times.entry(lane.name.clone()).or_default() += 1);
        for (task, lane) in lane_of {
            let name = &mut lanes.lanes[lane].name;
            if times[name.as_str()] > 1 {
                *name = format!("{name} (task {})", task.0);
            }
        }
        lanes
    }

    /// The lanes of tasks with the name that a report gives. Reports have no numbers.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        let name = visible(name);
        let with_number = format!("{name} (task ");
        let is = move |lane: &Lane| lane.name == name || lane.name.starts_with(&with_number);
        self.lanes.iter().enumerate().filter(move |(_, lane)| is(lane)).map(|(index, _)| index)
    }

    /// The lane that a link of the report speaks of: of its name, and best with the wait as its last step.
    fn lane_of(&self, link: &Link) -> Option<usize> {
        let object = visible(&link.object);
        let waits_so = |lane: &usize| {
            let last = &self.steps[self.lanes[*lane].last];
            last.op == link.op && last.object.is_some_and(|at| self.objects[at] == object)
        };
        self.named(&link.task).find(waits_so).or_else(|| self.named(&link.task).next())
    }

    fn last_wait(&self, link: &Link, in_cycle: bool) -> Option<Wait> {
        let lane = self.lane_of(link)?;
        let from = self.lanes[lane].last;
        let holders: Vec<String> =
            link.held_by.iter().map(|hold| format!("{} ({})", visible(&hold.task), visible(&hold.what))).collect();
        let holders = if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") };
        let text = format!("waits for {} {}, held by {holders}", link.label, visible(&link.object));
        Some(Wait { lane, object: self.steps[from].object, from, to: None, for_ever: Some(text), in_cycle })
    }

    fn arrows_of(&self, link: &Link, tries: &[usize]) -> Vec<Arrow> {
        let Some(from) = self.lane_of(link).map(|lane| self.lanes[lane].last) else { return Vec::new() };
        let object = self.steps[from].object;
        let mut arrows: Vec<Arrow> = Vec::new();
        for hold in link.held_by.iter().filter(|hold| hold.in_cycle) {
            let (waiter, holder, what) = (visible(&link.task), visible(&hold.task), visible(&hold.what));
            let text = format!("{waiter} waits for {} of {holder} ({what})", visible(&link.object));
            // Who can give it back need not be who took it: a bio may have been handed on with its element.
            let open = |hold: &&Hold| Some(hold.object) == object && hold.to.is_none();
            let is_holder = |lane: usize| self.named(&hold.task).any(|named| named == lane);
            let mine = self.holds.iter().filter(open).filter(|hold| is_holder(hold.lane)).map(|hold| hold.step);
            let mut places: Vec<usize> = mine.collect();
            let queued = hold.what.contains("queued");
            if places.is_empty() || queued {
                places = self.named(&hold.task).map(|lane| self.lanes[lane].last).filter(|_| queued).collect();
            }
            if places.is_empty() {
                let others = self.holds.iter().filter(open).map(|hold| hold.step);
                let tried = tries.iter().copied().filter(|at| self.steps[*at].object == object);
                places = others.chain(tried).min().into_iter().collect();
            }
            if places.is_empty() {
                places = self.named(&hold.task).map(|lane| self.lanes[lane].last).collect();
            }
            for to in places {
                if !arrows.iter().any(|arrow| arrow.to == to) {
                    arrows.push(Arrow { from, to, text: text.clone() });
                }
            }
        }
        arrows
    }

    /// The waits that never end, by lane.
    pub fn stuck(&self, lane: usize) -> Option<&Wait> {
        self.waits.iter().find(|wait| wait.lane == lane && wait.for_ever.is_some())
    }

    /// Operation and object.
    pub fn words(&self, step: usize) -> String {
        let moment = &self.steps[step];
        let mut text = moment.op.name().to_owned();
        if let Some(object) = moment.object {
            text.push(' ');
            text.push_str(&self.objects[object]);
        }
        if let Some(way) = moment.taken {
            text.push_str(&format!(" -> {way}"));
        }
        text
    }

    /// How often a task was left though it could have gone on: for certain, and at most.
    pub fn preemptions(&self) -> (usize, usize) {
        let count = |switch| self.steps.iter().filter(|step| step.switch == switch).count();
        let certain = count(Switch::Preemption);
        (certain, certain + count(Switch::Unclear))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lanes, link, opposite, steps};
    use super::*;

    #[test]
    fn arrows_lead_from_each_stuck_task_to_where_the_other_took_the_lock() {
        let arrows: Vec<(usize, usize)> = opposite().arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
        assert_eq!(arrows, [(5, 4), (6, 3)]);
        assert_eq!(opposite().arrows[0].text, "one waits for b of two (owner)");
        let stuck = opposite().stuck(1).and_then(|wait| wait.for_ever.clone());
        assert_eq!(stuck.as_deref(), Some("waits for lock b, held by two (owner)"));
    }

    #[test]
    fn an_element_that_was_handed_on_is_pointed_at_where_it_was_taken() {
        let text = "m mempool_alloc p\nm queue_work wq\nw worker_thread wq\nw mempool_alloc p 1";
        let lanes = lanes(text, vec![link("w", OpKind::MempoolAlloc, "p", &[("w", "1 element")])]);
        assert_eq!(lanes.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect::<Vec<_>>(), [(3, 0)]);
    }

    #[test]
    fn who_stands_in_the_way_in_a_queue_is_pointed_at_where_it_waits() {
        let text = "r down_read s\nw down_write s\nr down_read s";
        let by_writer = link("r", OpKind::DownRead, "s", &[("w", "queued writer, bars later readers")]);
        let by_reader = link("w", OpKind::DownWrite, "s", &[("r", "reader")]);
        let arrows = lanes(text, vec![by_writer, by_reader]).arrows;
        assert_eq!(arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect::<Vec<_>>(), [(2, 1), (1, 0)]);
    }

    #[test]
    fn tasks_of_the_same_name_get_their_numbers() {
        let mut steps = steps("m cond_resched\na mutex_lock x\nb mutex_lock x");
        steps[1].name = "io".to_owned();
        steps[2].name = "io".to_owned();
        let report =
            StuckReport { cycle: Vec::new(), others: vec![link("io", OpKind::MutexLock, "x", &[("io", "owner")])] };
        let lanes = Lanes::of(&steps, Some(&report));
        let names: Vec<&str> = lanes.lanes.iter().map(|lane| lane.name.as_str()).collect();
        assert_eq!(names, ["m", "io (task 1)", "io (task 2)"]);
        assert_eq!(lanes.waits.len(), 1);
    }

    #[test]
    fn a_report_on_tasks_that_the_steps_do_not_have_does_no_harm() {
        let lanes = lanes("m cond_resched", vec![link("ghost", OpKind::MutexLock, "x", &[("spirit", "owner")])]);
        assert!(lanes.waits.is_empty() && lanes.arrows.is_empty());
        assert_eq!(Lanes::of(&[], None), Lanes::default());
    }
}
