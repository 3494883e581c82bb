//! [`Bundle`]: what is kept of a cell that failed in a guest: a folder with the console, what the guest sent (stacks,
//! tables, status lines, slabs), the plan and the seed.
//!
//! Invariants: an existing folder is never written into; a bundle says which cell it is of.
//! Not here: gathering (`init::evidence`).

use std::fs;
use std::path::{Path, PathBuf};

use dmlab_results::CellRecord;

use super::console::Console;

/// Folders of one name; a run that fails more often is known well enough.
const SAME_NAME_MAX: u32 = 10_000;

/// What was found of the cell that runs.
#[derive(Default)]
pub(super) struct Bundle {
    files: Vec<(String, String)>,
    /// The console's length when it began.
    console_before: u64,
}

impl Bundle {
    /// Of a cell that begins now.
    pub(super) fn begin(console: &Console) -> Self {
        Self { files: Vec::new(), console_before: console.total() }
    }

    /// Adds a text.
    pub(super) fn add(&mut self, name: String, text: String) {
        // Names come from a guest: nothing of them may lead out of the folder.
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
        let name = name.trim_start_matches('.').to_owned();
        if !name.is_empty() {
            self.files.push((name, text));
        }
    }

    /// Writes it into a new folder below `folder` and gives that.
    ///
    /// # Errors
    /// It cannot be written, or not as a whole; where.
    pub(super) fn write(self, folder: &Path, record: &CellRecord, console: &Console) -> Result<PathBuf, String> {
        let words = record.variant.iter().map(|(axis, value)| format!("{axis}-{value}"));
        let words: Vec<String> = std::iter::once(record.scenario.clone()).chain(words).collect();
        let name: String = words
            .join("_")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .collect();
        let made = fs::create_dir_all(folder).and_then(|()| new_folder(folder, &name));
        let path = made.map_err(|error| format!("in {}: {error}", folder.display()))?;
        match self.fill(&path, record, console) {
            Ok(()) => Ok(path),
            Err(error) => Err(format!("as a whole in {}: {error}", path.display())),
        }
    }

    fn fill(self, path: &Path, record: &CellRecord, console: &Console) -> std::io::Result<()> {
        fs::write(path.join("console.txt"), console.text())?;
        let mut about = format!("{} {}\n", record.scenario, record.name_in_scenario());
        about.push_str(&format!("verdict {}, expected {}\n", record.verdict, record.expected));
        about.push_str(&format!("the console had {} bytes when it began\n", self.console_before));
        record.counters.iter().for_each(|(name, count)| about.push_str(&format!("{name}: {count}\n")));
        fs::write(path.join("about.txt"), about)?;
        fs::write(path.join("seed"), format!("{}\n", record.seed))?;
        fs::write(path.join("plan.json"), serde_json::to_string_pretty(&record.plan).unwrap_or_default())?;
        if let Some(report) = &record.report {
            fs::write(path.join("report.txt"), report)?;
        }
        for (name, text) in self.files {
            fs::write(path.join(name), text)?;
        }
        Ok(())
    }
}

/// A folder that was not there before.
fn new_folder(below: &Path, name: &str) -> std::io::Result<PathBuf> {
    let mut last = None;
    for number in 1..=SAME_NAME_MAX {
        let path = below.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("no name is free")))
}
