//! Failing schedules on disk: everything that is needed to see the same failure again, and to read how it came about.
//!
//! The file is JSON: a format name and version, the scenario's whole text (so that it can be replayed when the
//! scenario has changed or gone), the cell, the seed, and the steps by name.
//!
//! Invariants: an existing file is never overwritten; a replay compares every step with the recorded one (task,
//! operation, object, argument) and says where they first differ instead of going on as if nothing were.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::sched::{OpKind, TaskId};
use dmlab_scenarios::{Cell, Document};
use dmlab_units::Seed;
use serde::{Deserialize, Serialize};

use crate::backend::engine::{ExplorerStage, TraceStep};
use crate::judge::{Judgement, judge};
use crate::plan::{Plan, Wishes};

/// Name and version of the format.
const FORMAT: &str = "dmlab-schedule";
const VERSION: u64 = 1;

/// Longest stem of a schedule's file name, so that suffixes stay within the 255 bytes of most file systems.
const NAME_BYTES_MAX: usize = 180;

/// A schedule, as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFile {
    format: String,
    version: u64,
    /// Name of the scenario.
    id: String,
    /// Name of the scenario's file.
    file: String,
    /// Text of the scenario.
    scenario: String,
    /// Axes and values.
    cell: Vec<(String, String)>,
    /// Seed of the plan.
    seed: u64,
    /// What it came to.
    verdict: String,
    /// The deadlock's signature, where it is one.
    signature: Option<String>,
    steps: Vec<StepText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    task: u32,
    name: String,
    op: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    object: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    arg: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a schedule file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// It is no such file.
    #[error("this is not a dmlab schedule: {0}")]
    NotASchedule(String),
    /// It is from another version.
    #[error("the schedule has format version {found}; this dmlab reads version {VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// It names an operation that this engine does not have.
    #[error("step {step}: there is no operation {op:?}")]
    Operation {
        /// Step number, from 0.
        step: usize,
        /// The name found.
        op: String,
    },
    /// The scenario in it is not valid.
    #[error("the scenario in the schedule is not valid:\n{0}")]
    Scenario(String),
}

/// What a replay came to.
pub struct Replayed {
    /// The verdict and its report.
    pub judgement: Judgement,
    /// Where the run left the recorded way; `None` when every step was the recorded one.
    pub divergence: Option<String>,
    /// The steps, in words.
    pub trace: Vec<TraceStep>,
    /// The verdict that the file speaks of.
    pub recorded_verdict: String,
    /// Whether it came to the same.
    pub reproduced: bool,
}

impl ScheduleFile {
    /// The schedule of a run of `plan` that came to `judgement`.
    pub fn new(plan: &Plan, judgement: &Judgement, steps: &[TraceStep]) -> Self {
        let text = |step: &TraceStep| StepText {
            task: step.task.0,
            name: step.name.clone(),
            op: step.op.name().to_owned(),
            object: step.object.clone(),
            arg: step.arg,
            taken: step.taken,
        };
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: plan.document.id().to_owned(),
            file: plan.document.file().to_owned(),
            scenario: plan.document.text().to_owned(),
            cell: plan.cell.iter().map(|(axis, value)| (axis.to_owned(), value.to_owned())).collect(),
            seed: plan.seed.0,
            verdict: judgement.verdict.to_string(),
            signature: judgement.stuck.as_ref().map(dmlab_engine::sched::waits::StuckReport::signature),
            steps: steps.iter().map(text).collect(),
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a schedule holds strings and numbers");
        text.push('\n');
        text
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`ScheduleError`], with what is wrong.
    pub fn from_json(text: &str) -> Result<Self, ScheduleError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| ScheduleError::NotASchedule(error.to_string()))?;
        if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
            return Err(ScheduleError::NotASchedule(format!("it does not say \"format\": \"{FORMAT}\"")));
        }
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == VERSION => {}
            Some(version) => return Err(ScheduleError::Version { found: version }),
            None => return Err(ScheduleError::NotASchedule("it has no version".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| ScheduleError::NotASchedule(error.to_string()))
    }

    fn steps(&self) -> Result<Vec<TraceStep>, ScheduleError> {
        let step = |(number, step): (usize, &StepText)| {
            let op = OpKind::from_name(&step.op)
                .ok_or_else(|| ScheduleError::Operation { step: number, op: step.op.clone() })?;
            let (name, object) = (step.name.clone(), step.object.clone());
            Ok(TraceStep { task: TaskId(step.task), name, op, object, arg: step.arg, taken: step.taken })
        };
        self.steps.iter().enumerate().map(step).collect()
    }

    fn plan(&self) -> Result<Plan, ScheduleError> {
        let bad = |diagnostics: dmlab_scenarios::Diagnostics| {
            ScheduleError::Scenario(diagnostics.render(&self.scenario, false))
        };
        let document = Arc::new(Document::parse(&self.file, &self.scenario).map_err(bad)?);
        let wishes = Wishes { overrides: self.cell.clone(), ..Wishes::default() };
        let cell = Cell::new(self.cell.clone());
        let plans = Plan::of(&document, &wishes).map_err(bad)?;
        let found = plans.into_iter().find(|plan| plan.cell == cell && plan.run_on == crate::plan::RunOn::Explorer);
        let mut plan = found.ok_or_else(|| ScheduleError::Scenario(format!("it has no explored cell {cell}")))?;
        plan.seed = Seed(self.seed);
        Ok(plan)
    }

    /// Performs the schedule again.
    ///
    /// # Errors
    /// [`ScheduleError`] when the file cannot be made into a run.
    pub fn replay(&self, interrupt: &Arc<AtomicBool>) -> Result<Replayed, ScheduleError> {
        let (plan, steps) = (self.plan()?, self.steps()?);
        let found = ExplorerStage::new(&plan, interrupt).replay(steps.clone());
        let judgement = judge(&found.result.outcome, &found.performance);
        let by_operation = found.divergence.map(|divergence| {
            let expected = divergence.expected.unwrap_or_else(|| "the end of the recording".to_owned());
            let what = format!("step {}: expected {expected}, found {}", divergence.step, divergence.found);
            (divergence.step as usize, what)
        });
        // The strategy compares what it sees; names of tasks and objects are compared here.
        let by_name = steps.iter().zip(&found.trace).enumerate().find(|(_, (expected, found))| expected != found);
        let by_name = by_name.map(|(step, (expected, found))| {
            let (wanted, got) = (expected.task.0, found.task.0);
            (step, format!("step {step}: expected {expected} (task {wanted}), found {found} (task {got})"))
        });
        // The earlier one; of two in the same place, the one that says what there was to choose from.
        let divergence = by_operation.into_iter().chain(by_name).min_by_key(|(step, _)| *step).map(|(_, what)| what);
        let signature = judgement.stuck.as_ref().map(dmlab_engine::sched::waits::StuckReport::signature);
        let same = judgement.verdict.to_string() == self.verdict && signature == self.signature;
        let reproduced = divergence.is_none() && same;
        Ok(Replayed { judgement, divergence, trace: found.trace, recorded_verdict: self.verdict.clone(), reproduced })
    }

    /// A name for the file: scenario and cell, without slashes.
    pub fn suggested_name(&self) -> String {
        let cell: Vec<String> = self.cell.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        let name = [&[self.id.replace('/', "-")][..], &cell].concat().join("_");
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_=.%+".contains(c) { c } else { '-' };
        let mut safe: String = name.chars().map(safe).collect();
        if safe.len() > NAME_BYTES_MAX {
            // Cut short, it must still differ from its siblings.
            safe.truncate(NAME_BYTES_MAX);
            safe.push_str(&format!("-{:016x}", Seed(0).derive(&name).0));
        }
        format!("{safe}.schedule.json")
    }
}
