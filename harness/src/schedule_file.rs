//! Failing schedules on disk: everything that is needed to see the same failure again, and to read how it came about.
//!
//! The file is JSON: a format name and version, the scenario's whole text (so that it can be replayed when the
//! scenario has changed or gone), what was left out of it, the cell, the seed, a hash of all that these come to, and the
//! steps by name. Version 1 had neither edits nor hash, and is still read.
//!
//! Invariants: an existing file is never overwritten; a replay compares the configuration, every step with the recorded
//! one (task, operation, object, argument) and the preemptions, and says where they first differ instead of going on as
//! if nothing were.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_engine::sched::{OpKind, TaskId};
use dmlab_scenarios::{Cell, Document};
use dmlab_units::Seed;
use serde::{Deserialize, Serialize};

use crate::backend::engine::{ExplorerStage, TraceStep};
use crate::judge::{Judgement, judge};
use crate::minimise::{Edit, EditError, MinimalSchedule, apply};
use crate::plan::{Plan, Wishes};

/// Name and version of the format.
const FORMAT: &str = "dmlab-schedule";
const VERSION: u64 = 2;
/// The version before edits, preemptions and the hash of the configuration; it is still read.
const VERSION_PLAIN: u64 = 1;

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
    /// What was left out of the scenario, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edits: Vec<Edit>,
    /// Seed of the plan.
    seed: u64,
    /// [`config_of`] the plan; every file from version 2 on has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    /// What it came to.
    verdict: String,
    /// The deadlock's signature, where it is one.
    signature: Option<String>,
    /// How often it goes away from a task that could have gone on, where that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preemptions: Option<u64>,
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
    #[error("the schedule has format version {found}; this dmlab reads versions {VERSION_PLAIN} and {VERSION}")]
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
    /// What was left out of the scenario cannot be left out of the one that is in it.
    #[error("the edits in the schedule do not fit its scenario: {0}")]
    Edits(#[from] EditError),
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
    /// What was left out of the scenario that the schedule came from, in order.
    pub edits: Vec<Edit>,
    /// How often it went away from a task that could have gone on.
    pub preemptions: u64,
    /// Whether it came to the same.
    pub reproduced: bool,
}

/// Hash of everything that a run of `plan` depends on besides its seed and its choices: the resolved plan. In hex.
fn config_of(plan: &Plan) -> String {
    let mut resolved = plan.to_json();
    let fields = resolved.as_object_mut().expect("a plan is an object");
    // The seed stands in the file by itself; how many schedules are tried says nothing about any of them.
    fields.remove("seed");
    fields.remove("schedules");
    format!("{:016x}", Seed(0).derive(&resolved.to_string()).0)
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
            edits: Vec::new(),
            seed: plan.seed.0,
            config: Some(config_of(plan)),
            verdict: judgement.verdict.to_string(),
            signature: judgement.stuck.as_ref().map(dmlab_engine::sched::waits::StuckReport::signature),
            preemptions: None,
            steps: steps.iter().map(text).collect(),
        }
    }

    /// The schedule of a failure that was made as small as it gets.
    pub fn of_minimal(minimal: &MinimalSchedule) -> Self {
        let file = Self::new(&minimal.plan, &minimal.judgement, &minimal.trace);
        Self { edits: minimal.edits.clone(), preemptions: Some(minimal.preemptions), ..file }
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
            Some(VERSION | VERSION_PLAIN) => {}
            Some(version) => return Err(ScheduleError::Version { found: version }),
            None => return Err(ScheduleError::NotASchedule("it has no version".to_owned())),
        }
        let file: Self =
            serde_json::from_value(value).map_err(|error| ScheduleError::NotASchedule(error.to_string()))?;
        let bad = match (file.version, &file.config) {
            (VERSION_PLAIN, config) => {
                let more = config.is_some() || file.preemptions.is_some() || !file.edits.is_empty();
                more.then_some("version 1 has no `config`, `preemptions` or `edits`")
            }
            (_, None) => Some("it has no `config`"),
            (_, Some(config)) => {
                let hex = config.len() == 16 && config.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                (!hex).then_some("`config` is not 16 lower-case hexadecimal digits")
            }
        };
        bad.map_or(Ok(file), |bad| Err(ScheduleError::NotASchedule(bad.to_owned())))
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
        plan.scenario = Arc::new(apply(&plan.scenario, &self.edits)?);
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
        let by_step = by_operation.into_iter().chain(by_name).min_by_key(|(step, _)| *step).map(|(_, what)| what);
        let by_count = self.preemptions.filter(|recorded| *recorded != found.preemptions).map(|recorded| {
            format!("its end: {} preemption(s) were counted, the recording says {recorded}", found.preemptions)
        });
        // Where the steps differ, so does the count.
        let divergence = [self.other_config(&plan), by_step.or(by_count)]
            .into_iter()
            .flatten()
            .reduce(|config, rest| format!("{config}; then from {rest}"));
        let signature = judgement.stuck.as_ref().map(dmlab_engine::sched::waits::StuckReport::signature);
        let same = judgement.verdict.to_string() == self.verdict && signature == self.signature;
        let reproduced = divergence.is_none() && same;
        Ok(Replayed {
            judgement,
            divergence,
            trace: found.trace,
            recorded_verdict: self.verdict.clone(),
            edits: self.edits.clone(),
            preemptions: found.preemptions,
            reproduced,
        })
    }

    /// What there is to say when the plan is not the recorded one.
    fn other_config(&self, plan: &Plan) -> Option<String> {
        let (recorded, found) = (self.config.as_ref()?, config_of(plan));
        (*recorded != found).then(|| {
            format!(
                "the start: what this dmlab makes of the scenario, the cell and the edits in the file (algorithms, \
                 devices, steps, expectations) has the hash {found}, what was recorded had {recorded}"
            )
        })
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
