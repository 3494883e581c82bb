//! What the tests of the harness share: scenarios by name or as text, their cells run through the library, and the
//! `dmlab` binary in a folder of its own.
//!
//! Invariant: nothing here is written outside of a test's own temporary folder.
//! Not here: any expectation.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

pub(crate) mod checks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmlab::campaign::{self, CellRun};
use dmlab::plan::{Plan, RunOn, Wishes};
use dmlab_results::CellRecord;
use dmlab_scenarios::{Document, catalog};

/// Axes and values, as `--variant` would set them.
pub(crate) type Overrides<'a> = &'a [(&'a str, &'a str)];

/// The scenario of the catalogue with this name.
pub(crate) fn catalogued(id: &str) -> Arc<Document> {
    let entry = catalog().iter().find(|entry| entry.id() == id);
    let entry = entry.unwrap_or_else(|| panic!("{id} is not in the catalogue"));
    parsed(entry.path, entry.text)
}

/// A scenario from its text.
pub(crate) fn parsed(file: &str, text: &str) -> Arc<Document> {
    Arc::new(Document::parse(file, text).unwrap_or_else(|found| panic!("{}", found.render(text, false))))
}

/// The plans of `document` under these overrides.
pub(crate) fn plans(document: &Arc<Document>, overrides: Overrides<'_>, schedules: Option<u64>) -> Vec<Plan> {
    let owned = |(axis, value): &(&str, &str)| ((*axis).to_owned(), (*value).to_owned());
    let wishes = Wishes { overrides: overrides.iter().map(owned).collect(), schedules, ..Wishes::default() };
    let plans = Plan::of(document, &wishes);
    plans.unwrap_or_else(|found| panic!("{}", found.render(document.text(), false)))
}

/// What comes of `plan`.
pub(crate) fn run(plan: &Plan) -> CellRun {
    campaign::run(plan, &Arc::default())
}

/// The records of all cells of `document` under these overrides.
pub(crate) fn records(document: &Arc<Document>, overrides: Overrides<'_>) -> Vec<CellRecord> {
    let plans = plans(document, overrides, None);
    assert!(!plans.is_empty(), "{} has no cell with {overrides:?}", document.id());
    plans.iter().map(|plan| run(plan).record).collect()
}

/// What comes of the one cell of a scenario that these overrides leave, on `run_on`.
pub(crate) fn one_cell(id: &str, overrides: Overrides<'_>, run_on: RunOn) -> CellRun {
    let mut plans = plans(&catalogued(id), overrides, None);
    plans.retain(|plan| plan.run_on == run_on);
    let [plan] = &plans[..] else { panic!("{id} with {overrides:?} has {} cells", plans.len()) };
    run(plan)
}

/// Everything that a record has to say against itself, for messages.
pub(crate) fn complaints(record: &CellRecord) -> String {
    let report = record.report.as_deref().unwrap_or("no report");
    let name = record.name_in_scenario();
    format!("{} {name}: {}: {}\n{report}", record.scenario, record.verdict, record.mismatches.join("; "))
}

/// A folder of its own to run `dmlab` in.
pub(crate) struct Folder(tempfile::TempDir);

/// What a process came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it and gives its name.
    pub(crate) fn with<'n>(&self, name: &'n str, text: &str) -> &'n str {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
        std::fs::write(path, text).unwrap();
        name
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names of what is in `below` it, sorted; nothing if there is no such folder.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.path().join(below)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// `dmlab` with these arguments, in this folder, without a terminal.
    pub(crate) fn dmlab(&self, args: &[&str]) -> Ended {
        let output = self.command().args(args).output().expect("dmlab can be started");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("dmlab speaks UTF-8");
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The same, to be started by the caller.
    pub(crate) fn command(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(binary());
        command.current_dir(self.0.path()).env_remove("NO_COLOR").timeout(std::time::Duration::from_secs(600));
        command
    }
}

/// Where the binary under test is.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_dmlab"))
}
