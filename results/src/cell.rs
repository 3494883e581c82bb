//! [`CellRecord`]: everything that is known about one cell of the matrix: what was run, what came out, how it was
//! judged, what was measured.
//!
//! Invariants: the axes keep the order in which the scenario names them; a cell can be run again from its own record
//! (scenario, variant, backend, runtime, seed, resolved plan); maps are ordered.
//! Not here: loads (`load`), the judgement itself (the harness fills in `ok` and `mismatches`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LoadRecord, Number, Proof, Strength, Verdict};

/// One cell of the matrix: one scenario with one value per axis on one runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The scenario's name, e.g. `snapshot/cow-throttle`.
    pub scenario: String,
    /// Axes and their values, in the scenario's order; in JSON a list of `{axis, value}`.
    #[serde(with = "axes")]
    pub variant: Vec<(String, String)>,
    /// `engine`, `kernel` or `guest`.
    pub backend: String,
    /// `explorer`, `virtual` or `threads`.
    pub runtime: String,
    /// The seed of this cell.
    pub seed: u64,
    /// The resolved plan, every value spelled out.
    pub plan: serde_json::Value,
    /// The verdict that the scenario expects of this cell.
    pub expected: String,
    /// What the scenario expects an exploration of this cell to be worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_strength: Option<Proof>,
    /// What came out.
    pub verdict: Verdict,
    /// Whether all expectations were met, the verdict among them.
    pub ok: bool,
    /// Why expectations were not met, a sentence each.
    pub mismatches: Vec<String>,
    /// The deadlock report, the failure's text, or the reason of a skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Where the trace was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_file: Option<String>,
    /// Real time that the cell took; left out of deterministic records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ns: Option<u64>,
    /// Time that passed on the virtual clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_ns: Option<u64>,
    /// What the explorer did, where it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exploration: Option<Exploration>,
    /// One entry per load step and phase, in the order of the steps.
    pub loads: Vec<LoadRecord>,
    /// Mempools and biosets.
    pub pools: Vec<PoolRecord>,
    /// Everything else that was counted, by name.
    pub counters: BTreeMap<String, u64>,
    /// The order in which entries reached the device, where the scenario asks for it.
    pub entry_order: Vec<String>,
    /// Whether the tasks that are stuck in a kernel are those of the engine's deadlock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<CycleRecord>,
    /// What each step was answered, on a kernel: what `dmlab conform` compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<serde_json::Value>,
}

impl CellRecord {
    /// The variant as text: `cow_throttle=wait snapshots=8`; empty without axes.
    pub fn variant_text(&self) -> String {
        let pairs: Vec<_> = self.variant.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        pairs.join(" ")
    }

    /// Where it ran: the runtime alone on the engine, else with the backend in front, as in `kernel/threads`.
    pub fn runtime_text(&self) -> String {
        if self.backend == "engine" { self.runtime.clone() } else { format!("{}/{}", self.backend, self.runtime) }
    }

    /// Which cell of its scenario this is: `cow_throttle=wait snapshots=8 [explorer]`.
    pub fn name_in_scenario(&self) -> String {
        let (variant, runtime) = (self.variant_text(), self.runtime_text());
        if variant.is_empty() { format!("[{runtime}]") } else { format!("{variant} [{runtime}]") }
    }

    /// The time that the cell took by the clock it ran under: virtual time where there is one, else real time.
    pub fn elapsed_ns(&self) -> Option<u64> {
        self.virtual_ns.or(self.wall_ns)
    }

    /// Whether the cell was left out, as opposed to one that should have run and did not.
    pub fn is_skipped(&self) -> bool {
        self.verdict == Verdict::Skip && self.ok
    }
}

/// The tasks that are stuck in a kernel, beside those of the engine's deadlock in the same scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleRecord {
    /// Whether each party of the engine's cycle has a task of its own in the kernel.
    pub same: bool,
    /// The engine's cell, e.g. `cow_throttle=semaphore threshold=1`.
    pub cell: String,
    /// The parties of the engine's cycle; none if the engine met no deadlock.
    pub parties: Vec<CycleParty>,
    /// The kernel's other stuck tasks.
    pub behind: Vec<String>,
}

/// A party of the engine's cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleParty {
    /// The engine's task.
    pub task: String,
    /// The object that it waits for.
    pub waits_for: String,
    /// Where: functions, innermost first.
    pub functions: Vec<String>,
    /// The kernel's task that stands for it, e.g. `kworker/1:1 (pid 31)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stands_for_it: Option<String>,
}

/// What the explorer did with a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exploration {
    /// What decided which schedule came next, e.g. `portfolio` or `exhaustive`.
    pub strategy: String,
    /// Schedules that were run.
    pub schedules: u64,
    /// Steps in all schedules together.
    pub steps: u64,
    /// Steps of the longest schedule.
    pub steps_max_seen: u64,
    /// Choices on the deepest path, where a search keeps count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth_max: Option<u64>,
    /// Schedules that ended in a deadlock.
    pub deadlocks: u64,
    /// What the verdict is worth.
    pub strength: Strength,
    /// States that a search told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<u64>,
    /// Branches that a search left out because they lead nowhere new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<u64>,
    /// The distinct deadlocks, by the order in which they were first seen.
    pub signatures: Vec<SignatureCount>,
    /// Locks that were taken in a circular order in some schedule, whether or not it deadlocked; a text each.
    pub lock_order: Vec<String>,
    /// Which part of a shared exploration this is; left out of whole ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    /// What a search that was shared learnt of conflicts between tasks, as 32 hexadecimal digits that only say whether
    /// others learnt the same. Shards that differ in it went through different trees of choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<String>,
    /// Speed of the exploration; left out of deterministic records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedules_per_sec: Option<Number>,
}

/// A deadlock by its signature, and how often it was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureCount {
    /// The operations and objects of its cycle.
    pub signature: String,
    /// Schedules that ended in it.
    pub schedules: u64,
    /// The first of them, from 1.
    pub first_schedule: u64,
}

/// One part of an exploration that several runs share. Prints as people write it, from `1/3` to `3/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Which part, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl fmt::Display for ShardRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// A mempool or bioset over the life of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// Its name, e.g. `dm.bs`.
    pub name: String,
    /// Elements that the pool keeps for hard times.
    pub reserve: u64,
    /// Most elements of the reserve that were in use at once.
    pub peak_in_use: u64,
    /// Allocations that the slab refused, so that the reserve was needed.
    pub slab_failures: u64,
    /// Allocations that had to wait for an element to come back.
    pub waits: u64,
    /// Bios that the rescuer submitted.
    pub rescued: u64,
}

/// The axes as a list of `{axis, value}`: a JSON object would not promise to keep their order.
mod axes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Axis<T> {
        axis: T,
        value: T,
    }

    pub(super) fn serialize<S: Serializer>(axes: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(axes.iter().map(|(axis, value)| Axis { axis, value }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
        let axes = Vec::<Axis<String>>::deserialize(deserializer)?;
        Ok(axes.into_iter().map(|Axis { axis, value }| (axis, value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{CellRecord, testing};

    #[test]
    fn axes_keep_their_order_and_are_named_in_json() {
        let mut cell = testing::cell();
        cell.variant = vec![("zeta".to_owned(), "1".to_owned()), ("alpha".to_owned(), "2".to_owned())];
        let json = serde_json::to_string(&cell).unwrap();
        assert!(json.contains(r#""variant":[{"axis":"zeta","value":"1"},{"axis":"alpha","value":"2"}]"#), "{json}");
        assert_eq!(serde_json::from_str::<CellRecord>(&json).unwrap(), cell);
    }

    #[test]
    fn a_cell_is_named_by_its_axes_and_its_runtime() {
        let mut cell = testing::cell();
        assert_eq!(cell.name_in_scenario(), "cow_throttle=wait snapshots=8 [threads]");
        cell.backend = "kernel".to_owned();
        assert_eq!(cell.name_in_scenario(), "cow_throttle=wait snapshots=8 [kernel/threads]");
        cell.variant.clear();
        assert_eq!(cell.name_in_scenario(), "[kernel/threads]");
    }

    #[test]
    fn what_is_not_known_is_left_out_of_the_json() {
        let mut cell = testing::cell();
        (cell.report, cell.trace_file, cell.wall_ns, cell.virtual_ns, cell.exploration, cell.expected_strength) =
            (None, None, None, None, None, None);
        cell.plan = serde_json::json!({});
        let json = serde_json::to_string(&cell).unwrap();
        for key in ["report", "trace_file", "wall_ns", "virtual_ns", "exploration", "expected_strength", "null"] {
            assert!(!json.contains(key), "{key} in {json}");
        }
        assert_eq!(serde_json::from_str::<CellRecord>(&json).unwrap(), cell);
    }

    #[test]
    fn everything_about_an_exploration_survives_the_trip_through_json() {
        for cell in [testing::deadlocked(), testing::proved()] {
            let json = serde_json::to_string(&cell).unwrap();
            assert_eq!(serde_json::from_str::<CellRecord>(&json).unwrap(), cell, "{json}");
        }
        let mut exploration = testing::deadlocked().exploration.unwrap();
        (exploration.states, exploration.pruned, exploration.depth_max, exploration.shard) = (None, None, None, None);
        let json = serde_json::to_string(&exploration).unwrap();
        assert!(["states", "pruned", "depth_max", "shard\"", "null"].iter().all(|key| !json.contains(key)), "{json}");
    }
}
