//! [`Plan`]: one cell of one scenario on one runtime, with every value resolved: what is run, and all that is needed to
//! run it again.
//!
//! Invariants: plans come in the order of the documents, their cells, and then the runtimes; a plan's seed depends on
//! the run's seed and the cell's name only, never on what else is run.
//! Not here: the search of explored cells (`explore`), carrying it out.

mod explore;
mod history;
mod kernel;
mod requires;

use std::sync::Arc;

use dmlab_engine::variants::{Kernel, Variants};
use dmlab_scenarios::{Cell, DeviceKind, Diagnostic, Diagnostics, Document, Runtime, Scenario, did_you_mean};
use dmlab_units::Seed;
use serde_json::json;

use crate::backend::kernel::RunningKernel;
use crate::script::Errand;

pub use self::explore::{ExplorePlan, ExploreWishes, ParseShardError, Shard};
pub use self::history::AS_OF;

/// Which clock a run was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// As the scenario says: the explorer, and OS threads on the wall clock.
    #[default]
    Default,
    /// OS threads and the wall clock only.
    Wall,
    /// The explorer, and one fair schedule on the virtual clock in place of threads: the same on every machine.
    Virtual,
}

impl Clock {
    /// Name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Wall => "wall",
            Self::Virtual => "virtual",
        }
    }
}

/// How a plan is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOn {
    /// Many schedules on the explorer.
    Explorer,
    /// Once on OS threads.
    Threads,
    /// Once on the explorer, fairly, with costs.
    Virtual,
    /// Once on OS threads, on the dm of the running kernel.
    Kernel,
}

impl RunOn {
    /// Name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Explorer => "explorer",
            Self::Threads => "threads",
            Self::Virtual => "virtual",
            Self::Kernel => "kernel",
        }
    }

    /// The backend and the runtime of its records.
    pub const fn in_records(self) -> (&'static str, &'static str) {
        match self {
            Self::Explorer | Self::Threads | Self::Virtual => ("engine", self.name()),
            Self::Kernel => ("kernel", "threads"),
        }
    }

    /// Which of a scenario's runtimes it stands for: one fair schedule says what one run on threads says.
    pub const fn stands_for(self) -> Runtime {
        match self {
            Self::Explorer => Runtime::Explorer,
            Self::Threads | Self::Virtual | Self::Kernel => Runtime::Threads,
        }
    }
}

/// What a run was asked to do with every document.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Axes set from the command line.
    pub overrides: Vec<(String, String)>,
    /// The kernel whose algorithms are run, but for the axes above.
    pub as_of: Option<Kernel>,
    /// The run's seed.
    pub seed: Seed,
    /// Which clock.
    pub clock: Clock,
    /// Sampled schedules per cell, in place of what scenarios say.
    pub schedules: Option<u64>,
    /// How explored cells are searched.
    pub explore: ExploreWishes,
    /// The kernel to run on in place of the engine.
    pub kernel: Option<Arc<RunningKernel>>,
    /// What is done beside the steps, for conformance.
    pub errand: Option<Arc<Errand>>,
}

/// One cell on one runtime.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it comes from.
    pub document: Arc<Document>,
    /// Axes and values.
    pub cell: Cell,
    /// The scenario with these values.
    pub scenario: Arc<Scenario>,
    /// The engine's algorithms.
    pub variants: Variants,
    /// How it is run.
    pub run_on: RunOn,
    /// Decides everything random in it.
    pub seed: Seed,
    /// How the explorer searches.
    pub explore: ExplorePlan,
    /// The kernel, of [`RunOn::Kernel`].
    pub kernel: Option<Arc<RunningKernel>>,
    /// What is done beside the steps, where the clock measures.
    pub errand: Option<Arc<Errand>>,
    /// Why it is not run at all, if so.
    pub skip: Option<String>,
}

impl Plan {
    /// The plans of a document, for all its cells and runtimes; on a kernel one for each cell.
    ///
    /// # Errors
    /// Everything that is wrong with the document or the wishes, located in the document.
    pub fn of(document: &Arc<Document>, wishes: &Wishes) -> Result<Vec<Self>, Diagnostics> {
        let rest = document.check().err().into_iter().flatten();
        let wrong: Diagnostics = check_engine(document).into_iter().chain(rest).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut plans = Vec::new();
        for cell in document.cells_with(&history::overrides(document, wishes)) {
            let scenario = Arc::new(document.scenario(&cell)?);
            let variants = history::variants(document, &cell)?;
            if let Some(kernel) = &wishes.kernel {
                plans.push(kernel::plan(document, cell, &scenario, variants, wishes, kernel));
                continue;
            }
            for runtime in &scenario.runs {
                let run_on = run_on(*runtime, wishes.clock);
                let skip = (run_on == RunOn::Explorer && wishes.clock == Clock::Wall)
                    .then(|| "explored schedules have no wall clock".to_owned());
                let of_this_machine = scenario.devices.iter().any(|device| matches!(device.kind, DeviceKind::File(_)));
                let skip = skip.or_else(|| {
                    let virtually = run_on != RunOn::Threads && of_this_machine;
                    virtually.then(|| "a file device answers in real time: it needs threads".to_owned())
                });
                let skip = skip.or_else(|| requires::unmet(document, &cell));
                let name = format!("{} {cell} {}", scenario.id, run_on.name());
                plans.push(Self {
                    document: Arc::clone(document),
                    cell: cell.clone(),
                    variants,
                    run_on,
                    seed: wishes.seed.derive(&name),
                    explore: ExplorePlan::of(&scenario, run_on, wishes),
                    scenario: Arc::clone(&scenario),
                    kernel: None,
                    errand: wishes.errand.clone(),
                    skip,
                });
            }
        }
        Ok(plans)
    }

    /// The resolved plan as data: what is the same for all shards of a campaign, on every machine.
    pub fn to_json(&self) -> serde_json::Value {
        let variants: serde_json::Map<_, _> =
            self.variants.names().into_iter().map(|(axis, value)| (axis.to_owned(), json!(value))).collect();
        json!({
            "engine": variants,
            "run_on": self.run_on.name(),
            "schedules": self.explore.schedules,
            "explore": self.explore.to_json(),
            "seed": self.seed,
            "scenario": &*self.scenario,
        })
    }

    /// What is expected of this cell: the verdict.
    pub fn expected_verdict(&self) -> dmlab_scenarios::Verdict {
        let here = self.run_on.stands_for();
        let applies = |on: Option<Runtime>| on.is_none_or(|on| on == here);
        let mut expectations = self.scenario.expect.iter().filter(|expectation| applies(expectation.on));
        expectations.find_map(|expectation| expectation.verdict).unwrap_or(dmlab_scenarios::Verdict::Pass)
    }

    /// The cell's name for people: scenario, variant, runtime.
    pub fn title(&self) -> String {
        let cell = self.cell.to_string();
        let space = if cell.is_empty() { "" } else { " " };
        format!("{}{space}{cell} [{}]", self.scenario.id, self.run_on.name())
    }
}

const fn run_on(runtime: Runtime, clock: Clock) -> RunOn {
    match (runtime, clock) {
        (Runtime::Explorer, _) => RunOn::Explorer,
        (Runtime::Threads, Clock::Virtual) => RunOn::Virtual,
        (Runtime::Threads, _) => RunOn::Threads,
    }
}

/// What only the engine knows to be wrong in a document: axes, values, kernels.
pub(crate) fn check_engine(document: &Document) -> Vec<Diagnostic> {
    let targets: Vec<&str> = dmlab_engine::targets::TYPES.iter().map(|kind| kind.name).collect();
    let found = check_axes(document).into_iter().chain(history::check(document)).chain(requires::check(document));
    found.chain(document.check_targets(&targets)).collect()
}

/// Every axis is either one of the engine's, with the engine's values, or a parameter that the document itself uses.
fn check_axes(document: &Document) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for axis in document.axes().iter().filter(|axis| axis.name != AS_OF) {
        let Some(known) = Variants::axis(&axis.name) else {
            if !document.text().contains(&format!("${{{}}}", axis.name)) {
                let engine: Vec<&str> = Variants::AXES.iter().map(|axis| axis.name).collect();
                let message = format!(
                    "`{}` is no variant axis of the engine, and `${{{}}}` is used nowhere",
                    axis.name, axis.name
                );
                let near = did_you_mean(&axis.name, &engine);
                let help = format!("{near}the engine's axes are: {}", engine.join(", "));
                diagnostics.push(document.diagnostic_at_axis(&axis.name, None, message, Some(help)));
            }
            continue;
        };
        for value in &axis.values {
            if !known.values.iter().any(|known| known.name == value) {
                let values: Vec<&str> = known.values.iter().map(|value| value.name).collect();
                let message = format!("`{}` has no value `{value}`", axis.name);
                let help = format!("{}its values are: {}", did_you_mean(value, &values), values.join(", "));
                diagnostics.push(document.diagnostic_at_axis(&axis.name, Some(value), message, Some(help)));
            }
        }
    }
    diagnostics
}
