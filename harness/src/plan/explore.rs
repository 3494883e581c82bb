//! [`ExplorePlan`]: how the cells on the explorer are searched, resolved from the scenario and from what was asked for.
//!
//! Invariants: an expected strength decides the strategy, so that it can be met; a bound stands beside `icb` only; what
//! differs between the shards or machines of a campaign (shard, jobs, time) is not in the plan's data.
//! Not here: searching.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dmlab_scenarios::{Runtime, Scenario, Strategy, Strength, Timers};
use dmlab_units::Bytes;
use serde_json::json;

use super::{RunOn, Wishes};

/// What a run was asked to do with explored cells; what is not said is as the scenarios say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExploreWishes {
    /// Which schedule comes next.
    pub strategy: Option<Strategy>,
    /// Preemptions up to which is searched; without a strategy it means `icb`.
    pub bound: Option<u32>,
    /// Real time per cell; `None` is as long as it takes.
    pub time: Option<Duration>,
    /// Schedules after which an exhaustive search is given up.
    pub runs: Option<u64>,
    /// The part of the search that this run is.
    pub shard: Option<Shard>,
    /// Threads that search a cell at once; `None` is one.
    pub jobs: Option<usize>,
    /// Go on after the first schedule that tells.
    pub keep_going: bool,
    /// Memory of the cache of states.
    pub cache: Option<Bytes>,
    /// Save the schedule that tells as it was found, not a shorter one.
    pub no_minimise: bool,
}

/// How one cell is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplorePlan {
    /// Which schedule comes next.
    pub strategy: Strategy,
    /// Schedules that a sampling strategy tries, over all shards.
    pub schedules: u64,
    /// Real time for it.
    pub time: Option<Duration>,
    /// A time was given and no number of schedules: the time alone decides.
    pub time_alone: bool,
    /// With `icb`: preemptions up to which is searched; `None` until no bound cuts anything off.
    pub bound: Option<u32>,
    /// The part of the search that this run is.
    pub shard: Option<Shard>,
    /// Threads that search at once.
    pub jobs: usize,
    /// Go on after the first schedule that tells.
    pub keep_going: bool,
    /// Whether timers may fire at any time at or after they were set, as a choice of the search.
    pub timers_any: bool,
    /// Memory of the cache of states, in bytes.
    pub cache_bytes_max: u64,
    /// Schedules after which an exhaustive search is given up.
    pub runs_max: u64,
    /// What a pass must be worth.
    pub wanted: Option<Strength>,
    /// Whether the schedule that tells is made shorter before it is saved.
    pub minimise: bool,
}

impl ExplorePlan {
    /// The search of a cell of `scenario` on `run_on`.
    pub(super) fn of(scenario: &Scenario, run_on: RunOn, wishes: &Wishes) -> Self {
        let (own, wish) = (&scenario.explore, &wishes.explore);
        let wanted = wanted(scenario, run_on);
        let (strategy, bound) = match (wanted, wish.strategy, wish.bound) {
            (Some(Strength::Proved), ..) => (Strategy::Exhaustive, None),
            (Some(Strength::ProvedUpTo(bound)), ..) => (Strategy::Icb, Some(bound)),
            (None, None | Some(Strategy::Icb), Some(bound)) => (Strategy::Icb, Some(bound)),
            (None, Some(strategy), _) if strategy != own.strategy => (strategy, None),
            (None, ..) => (own.strategy, own.bound),
        };
        Self {
            strategy,
            schedules: wishes.schedules.unwrap_or(own.schedules),
            time: wish.time,
            time_alone: wish.time.is_some() && wishes.schedules.is_none() && wish.runs.is_none(),
            bound,
            shard: wish.shard,
            jobs: wish.jobs.unwrap_or(1),
            keep_going: wish.keep_going,
            timers_any: own.timers == Timers::Any,
            cache_bytes_max: wish.cache.unwrap_or(own.cache).0,
            runs_max: wish.runs.unwrap_or(own.runs),
            wanted,
            minimise: !wish.no_minimise,
        }
    }

    /// The bound on schedules, for a sampling and for an exhaustive search.
    pub const fn bounds(&self) -> (u64, u64) {
        if self.time_alone { (u64::MAX, u64::MAX) } else { (self.schedules, self.runs_max) }
    }

    /// What decides what is searched, as data; without what the shards of a campaign differ in.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({
            "strategy": self.strategy.name(),
            "bound": self.bound,
            "timers": if self.timers_any { "any" } else { "when-idle" },
            "cache": self.cache_bytes_max,
            "runs": self.runs_max,
            "keep_going": self.keep_going,
            "wanted": self.wanted.map(|wanted| wanted.to_string()),
        })
    }
}

/// The strongest of the strengths that are expected of an explored cell.
fn wanted(scenario: &Scenario, run_on: RunOn) -> Option<Strength> {
    let here = |on: Option<Runtime>| on.is_none_or(|on| on == Runtime::Explorer);
    let expected = scenario.expect.iter().filter(|expectation| here(expectation.on));
    let wanted = expected.filter_map(|expectation| expectation.strength).reduce(Strength::stronger);
    wanted.filter(|_| run_on == RunOn::Explorer)
}

/// One part of a search that several runs share. Written from `1/3` to `3/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// A text is not a [`Shard`]; the message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseShardError {
    /// It is not two numbers.
    #[error("expected a part and the number of parts, such as 1/3, 2/3 and 3/3")]
    NotAShard,
    /// There is no such part.
    #[error("the parts of {of} are numbered from 1/{of} to {of}/{of}")]
    NoSuchPart {
        /// The number of parts.
        of: u32,
    },
    /// There are no parts.
    #[error("a search has at least one part, which is 1/1")]
    NoParts,
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
        let numbers = text.split_once('/').and_then(|(index, of)| Some((digits(index)?, digits(of)?)));
        match numbers.ok_or(ParseShardError::NotAShard)? {
            (_, 0) => Err(ParseShardError::NoParts),
            (index, of) if index == 0 || index > of => Err(ParseShardError::NoSuchPart { of }),
            (index, of) => Ok(Self { index, of }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_scenarios::Document;

    use super::*;
    use crate::plan::Plan;

    /// The plan on the explorer of a scenario with these lines.
    fn planned(lines: &str, schedules: Option<u64>, explore: ExploreWishes) -> Plan {
        let text =
            format!("scenario: a\nabout: x\ndevices: {{ d: {{ ram: 1k }} }}\nsteps: [{{ sleep: 0 }}]\n{lines}\n");
        let document = Document::parse("x", &text).unwrap_or_else(|found| panic!("{found}"));
        let wishes = Wishes { schedules, explore, ..Wishes::default() };
        let plans = Plan::of(&Arc::new(document), &wishes).unwrap_or_else(|found| panic!("{found}"));
        plans.into_iter().find(|plan| plan.run_on == RunOn::Explorer).unwrap()
    }

    fn search(lines: &str, explore: ExploreWishes) -> (Strategy, Option<u32>) {
        let plan = planned(lines, None, explore).explore;
        (plan.strategy, plan.bound)
    }

    #[test]
    fn a_scenario_decides_where_nothing_is_asked_for() {
        let text = "explore: { schedules: 7, strategy: icb, bound: 2, timers: any, cache: 1MiB, runs: 9 }";
        let found = planned(text, None, ExploreWishes::default()).explore;
        let wanted = ExplorePlan {
            strategy: Strategy::Icb,
            schedules: 7,
            time: None,
            time_alone: false,
            bound: Some(2),
            shard: None,
            jobs: 1,
            keep_going: false,
            timers_any: true,
            cache_bytes_max: 1 << 20,
            runs_max: 9,
            wanted: None,
            minimise: true,
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_asked_for_replaces_what_the_scenario_says() {
        let wishes = ExploreWishes {
            strategy: Some(Strategy::Pct),
            time: Some(Duration::from_secs(1)),
            runs: Some(5),
            shard: Some(Shard { index: 2, of: 3 }),
            jobs: Some(4),
            keep_going: true,
            cache: Some(Bytes(1 << 30)),
            no_minimise: true,
            ..ExploreWishes::default()
        };
        let found = planned("explore: { strategy: icb, bound: 2 }", Some(3), wishes).explore;
        assert_eq!((found.strategy, found.bound, found.schedules, found.runs_max), (Strategy::Pct, None, 3, 5));
        assert_eq!((found.jobs, found.cache_bytes_max, found.keep_going), (4, 1 << 30, true));
        assert_eq!((found.shard, found.minimise), (Some(Shard { index: 2, of: 3 }), false));
    }

    #[test]
    fn a_time_without_a_number_of_schedules_decides_alone() {
        let bounds = |time: Option<u64>, schedules: Option<u64>| {
            let time = time.map(Duration::from_secs);
            // The command line sets both from one argument.
            let wishes = ExploreWishes { time, runs: schedules, ..ExploreWishes::default() };
            planned("explore: { schedules: 7, runs: 9 }", schedules, wishes).explore.bounds()
        };
        assert_eq!(bounds(None, None), (7, 9));
        assert_eq!(bounds(Some(60), None), (u64::MAX, u64::MAX));
        assert_eq!(bounds(Some(60), Some(3)), (3, 3), "whichever ends first");
    }

    #[test]
    fn a_bound_implies_icb_and_icb_keeps_the_bound_of_the_scenario() {
        let wish = |strategy, bound| ExploreWishes { strategy, bound, ..ExploreWishes::default() };
        let bounded = "explore: { strategy: icb, bound: 2 }";
        assert_eq!(search("", wish(None, Some(1))), (Strategy::Icb, Some(1)));
        assert_eq!(search(bounded, wish(None, Some(1))), (Strategy::Icb, Some(1)));
        assert_eq!(search(bounded, wish(Some(Strategy::Icb), None)), (Strategy::Icb, Some(2)));
        assert_eq!(search("", wish(Some(Strategy::Icb), None)), (Strategy::Icb, None));
        assert_eq!(search(bounded, wish(Some(Strategy::Exhaustive), None)), (Strategy::Exhaustive, None));
    }

    #[test]
    fn an_expected_strength_decides_the_strategy_on_the_explorer_alone() {
        let proved =
            "explore: { strategy: pct }\nexpect: [{ strength: proved }, { strength: proved up to 2 preemptions }]";
        let pos = ExploreWishes { strategy: Some(Strategy::Pos), ..ExploreWishes::default() };
        assert_eq!(search(proved, pos.clone()), (Strategy::Exhaustive, None));
        let bounded = "expect: [{ strength: proved up to 1 preemption }, { strength: proved up to 2 preemptions }]";
        assert_eq!(search(bounded, pos), (Strategy::Icb, Some(2)));
        let plan = planned(bounded, None, ExploreWishes::default());
        assert_eq!(plan.explore.wanted, Some(Strength::ProvedUpTo(2)));
        assert_eq!(wanted(&plan.scenario, RunOn::Threads), None);
    }

    #[test]
    fn shards_and_machines_of_a_campaign_have_the_same_data() {
        let here = planned("", None, ExploreWishes::default()).to_json();
        let there = ExploreWishes {
            shard: Some(Shard { index: 2, of: 3 }),
            jobs: Some(64),
            time: Some(Duration::from_secs(1)),
            no_minimise: true,
            ..ExploreWishes::default()
        };
        assert_eq!(planned("", None, there).to_json(), here);
        let other = ExploreWishes { strategy: Some(Strategy::Urw), ..ExploreWishes::default() };
        assert_ne!(planned("", None, other).to_json(), here);
    }

    #[test]
    fn a_shard_is_written_as_people_count() {
        for (text, index, of) in [("1/1", 1, 1), ("1/3", 1, 3), ("3/3", 3, 3), ("10/64", 10, 64)] {
            assert_eq!(text.parse(), Ok(Shard { index, of }));
            assert_eq!(Shard { index, of }.to_string(), text);
        }
        for text in ["", "1", "a/3", "1/", "/3", "1/3/3", "-1/3", "+1/3", "1/99999999999"] {
            assert_eq!(text.parse::<Shard>(), Err(ParseShardError::NotAShard), "{text}");
        }
        let message = "0/3".parse::<Shard>().unwrap_err().to_string();
        assert_eq!(message, "the parts of 3 are numbered from 1/3 to 3/3");
        assert_eq!("4/3".parse::<Shard>(), Err(ParseShardError::NoSuchPart { of: 3 }));
        assert_eq!("1/0".parse::<Shard>(), Err(ParseShardError::NoParts));
    }
}
