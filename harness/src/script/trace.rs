//! What a performance was answered, step by step: the material of which conformance is made.
//!
//! Every control operation of a step and every bio, stamp, check and load leaves an [`Event`]; those of one flow of control
//! stand in their order, flows stand beside each other. Numbers of devices in lines are put back into the scenario's names,
//! since every backend has its own.
//!
//! Invariants: a backend whose clock does not measure (explored schedules) leaves no trace and pays nothing for it; a wait
//! leaves what it saw last, not each look; what is beyond [`EVENTS_MAX`] is counted.
//! Not here: comparing traces (`conform`).

use std::collections::BTreeMap;

use dmlab_scenarios::Errno;
use serde::{Deserialize, Serialize};

use super::{Flow, Image, Script, StoreSeen};
use crate::backend::Actor;

/// Events that are kept of one performance.
pub const EVENTS_MAX: usize = 20_000;

/// The first flow of control; those that it starts are `main/name`.
pub(super) const MAIN: &str = "main";

/// What a step was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Line of the step in its scenario; 0 for devices that no step creates.
    pub line: u32,
    /// What was asked.
    pub what: String,
    /// The name of the error, if it came to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// What was answered, with the scenario's names in place of numbers of devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// The events of a performance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// By flow of control.
    pub flows: BTreeMap<String, Vec<Event>>,
    /// On an errand: the persistent exception stores that were left, by the names of their places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stores: BTreeMap<String, StoreSeen>,
    /// On an errand: the leaves that were to be kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, Image>,
    /// Events that there was no room for.
    #[serde(default)]
    pub left_out: u64,
}

impl Trace {
    fn push(&mut self, flow: &str, event: Event) {
        if self.flows.values().map(Vec::len).sum::<usize>() >= EVENTS_MAX {
            self.left_out += 1;
            return;
        }
        match self.flows.get_mut(flow) {
            Some(events) => events.push(event),
            None => drop(self.flows.insert(flow.to_owned(), vec![event])),
        }
    }
}

impl Script {
    /// Notes what a step was answered.
    pub(super) fn saw(
        &self,
        flow: Flow<'_>,
        line: u32,
        what: impl FnOnce() -> String,
        found: &Result<Vec<String>, Errno>,
    ) {
        if !flow.actor.measures() {
            return;
        }
        let lines = found.as_ref().map_or_else(|_| Vec::new(), |lines| self.in_names(flow.actor, lines));
        let errno = found.as_ref().err().map(|errno| format!("{errno:?}"));
        let event = Event { line, what: what(), errno, lines };
        self.note(|findings| findings.trace.push(flow.path, event));
    }

    /// Lines with `$name` in place of `major:minor`.
    fn in_names(&self, actor: &dyn Actor, lines: &[String]) -> Vec<String> {
        if !lines.iter().any(|line| line.split(' ').any(is_number_of_device)) {
            return lines.to_vec();
        }
        let devices = self.scenario.devices.iter().map(|device| &device.name).chain(&self.made);
        let names: Vec<String> = devices.map(|device| format!("${device}")).collect();
        let names: BTreeMap<String, &String> = names.iter().map(|name| (actor.resolve(name), name)).collect();
        let word = |word| match names.get(word) {
            Some(name) if is_number_of_device(word) => name.as_str(),
            _ => word,
        };
        lines.iter().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
    }
}

/// Whether this is a word like `253:7`.
fn is_number_of_device(word: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_engine::sched::explorer::Random;
    use dmlab_scenarios::Document;
    use dmlab_units::Seed;

    use super::*;
    use crate::backend::engine::{ExplorerStage, perform_virtually};
    use crate::plan::{Clock, Plan, RunOn, Wishes};

    fn event(what: &str) -> Event {
        Event { line: 1, what: what.to_owned(), errno: None, lines: Vec::new() }
    }

    #[test]
    fn a_device_number_is_two_numbers_and_a_colon() {
        assert!(is_number_of_device("253:0"));
        for other in ["253", "a:1", "1:", ":1", "1:2:3", "253:0,"] {
            assert!(!is_number_of_device(other), "{other}");
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut trace = Trace::default();
        (0..EVENTS_MAX).for_each(|_| trace.push(MAIN, event("status of t")));
        assert_eq!(trace.left_out, 0);
        trace.push("main/other", event("table of t"));
        assert_eq!((trace.left_out, trace.flows.len(), trace.flows[MAIN].len()), (1, 1, EVENTS_MAX));
    }

    const TEXT: &str = "\
scenario: a
about: x
devices: { d: { ram: 64KiB }, t: { dm: [\"0 128 linear $d 0\"] } }
steps:
  - table: { of: t, is: \"0 128 linear $d 0\" }
  - reload: { device: t, table: \"0 8 nothing\", expect: EINVAL }
  - parallel:
      a: { submit: { on: t, op: read, at: 0, sectors: 8 } }
      b: { stamp: { on: d, sectors: 8 } }
";

    fn plan(clock: Clock, run_on: RunOn) -> Plan {
        let document = Document::parse("a", TEXT).unwrap_or_else(|found| panic!("{found}"));
        let plans = Plan::of(&Arc::new(document), &Wishes { clock, ..Wishes::default() });
        let plans = plans.unwrap_or_else(|found| panic!("{found}"));
        plans.into_iter().find(|plan| plan.run_on == run_on).expect("a plan of this runtime")
    }

    fn in_words(events: &[Event]) -> Vec<String> {
        let words = |Event { line, what, errno, lines }: &Event| {
            format!("{line} {what}: {}{}", errno.as_deref().unwrap_or_default(), lines.join("|"))
        };
        events.iter().map(words).collect()
    }

    #[test]
    fn each_flow_has_its_events_in_order_with_names_of_devices_and_errors() {
        let (_, performance) = perform_virtually(&plan(Clock::Virtual, RunOn::Virtual), &Arc::default());
        let trace = performance.findings.trace;
        let names: Vec<&str> = trace.flows.keys().map(String::as_str).collect();
        assert_eq!(names, ["main", "main/a", "main/b"]);
        assert_eq!(
            in_words(&trace.flows["main"]),
            [
                "0 create t: ",
                "0 table load of t: ",
                "0 resume t: ",
                "5 table of t: 0 128 linear $d 0",
                "6 table load of t: EINVAL",
            ]
        );
        assert_eq!(in_words(&trace.flows["main/a"]), ["8 read of t 0+8: "]);
        assert_eq!(in_words(&trace.flows["main/b"]), ["9 write of d 0+8: "]);
    }

    #[test]
    fn an_explored_schedule_leaves_no_trace() {
        let plan = plan(Clock::Default, RunOn::Explorer);
        let interrupt = Arc::default();
        let mut stage = ExplorerStage::new(&plan, &interrupt);
        let (_, performance) = stage.perform_with(&mut Random::new(Seed(1)));
        assert_eq!(performance.findings.trace, Trace::default());
    }

    #[test]
    fn a_trace_that_was_written_is_read_as_it_was() {
        let mut trace = Trace::default();
        trace.push(MAIN, Event { errno: Some("EINVAL".to_owned()), ..event("table load of t") });
        trace.push(MAIN, Event { lines: vec!["0 8 linear $d 0".to_owned()], ..event("table of t") });
        let text = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace);
    }
}
