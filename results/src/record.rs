//! [`Record`]: the file that a run leaves behind, from which every report is made; and [`Environment`].
//!
//! Invariants: what was written is read back equal; the same record gives the same bytes; after
//! [`Record::strip_machine`] nothing in it depends on the machine or on the time of day, so that two machines that ran
//! the same thing under the virtual clock can compare their files with `cmp`.
//! Not here: one cell (`cell`), loads (`load`), writing to disk (`write`), finding out about the machine (harness).
//!
//! Seeds are 64-bit JSON integers. Tools that read JSON numbers as doubles (jq before 1.7) show large ones rounded.

use serde::{Deserialize, Serialize};

use crate::format::{check_head, malformed};
use crate::{CellRecord, FORMAT, FormatName, FormatVersion, RecordError, upgrade};

/// One run of dmlab: how it was asked for, where it ran, and what came out of each cell of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always `dmlab-record`.
    pub format: FormatName,
    /// The version of the format.
    pub version: FormatVersion,
    /// The version of the dmlab that wrote this.
    pub dmlab: String,
    /// The seed of the run, from which the seed of every cell was derived.
    pub seed: u64,
    /// The clock that was asked for: `wall`, `virtual`, `explore` or `default`.
    pub clock: String,
    /// Where it ran; empty in records that must be the same on every machine.
    pub environment: Environment,
    /// The command line, program first.
    pub command: Vec<String>,
    /// The cells in the order of the plan.
    pub cells: Vec<CellRecord>,
    /// Whether the run was stopped before all cells of the plan were done.
    pub interrupted: bool,
}

impl Record {
    /// A record of the present format without any cells.
    pub fn new(dmlab: &str, seed: u64, clock: &str, environment: Environment, command: Vec<String>) -> Self {
        Self {
            format: FormatName,
            version: FORMAT,
            dmlab: dmlab.to_owned(),
            seed,
            clock: clock.to_owned(),
            environment,
            command,
            cells: Vec::new(),
            interrupted: false,
        }
    }

    /// Reads a record, of an older version too; what comes back is of the present one.
    ///
    /// # Errors
    /// [`RecordError`] says whether the text is not JSON, not a record, of an unknown version, or damaged, and where.
    pub fn from_json(text: &str) -> Result<Self, RecordError> {
        if check_head(text)? == Some(upgrade::FIRST) {
            return upgrade::from_first(text);
        }
        serde_json::from_str(text).map_err(|error| malformed(&error))
    }

    /// The record as indented JSON with a newline at the end.
    ///
    /// # Panics
    /// Never: the types hold nothing that JSON cannot carry.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("string keys and finite numbers only");
        text.push('\n');
        text
    }

    /// Removes what depends on the machine or on how busy it was: the environment, wall-clock times and rates.
    /// Everything else in a cell that ran under a deterministic clock is the same everywhere.
    pub fn strip_machine(&mut self) {
        self.environment = Environment::none();
        for cell in &mut self.cells {
            cell.wall_ns = None;
            // Its name depends on what was saved before.
            cell.trace_file = None;
            if let Some(exploration) = &mut cell.exploration {
                exploration.schedules_per_sec = None;
            }
        }
    }
}

/// The machine that a record was made on. Everything is optional, because what cannot be found out is left out and
/// never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Name and version of the operating system's distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Release of the running kernel, as `uname -r` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Architecture, as `uname -m` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The processor's name for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Processors that the run could use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory of the machine in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The compiler that built dmlab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rustc: Option<String>,
    /// The commit that dmlab was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Environment {
    /// No machine in particular: the environment of a record that must be byte-identical everywhere.
    pub fn none() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_full_record_survives_the_trip_through_json() {
        let record = testing::record();
        let text = record.to_json();
        let back = Record::from_json(&text).unwrap();
        assert_eq!(back, record);
        assert_eq!(back.to_json(), text);
    }

    #[test]
    fn the_same_run_gives_the_same_bytes() {
        assert_eq!(testing::record().to_json(), testing::record().to_json());
    }

    #[test]
    fn records_of_this_version_stay_readable_and_are_written_as_ever() {
        // When this fails, other programs and older records are affected: see `format` on when to count up.
        let golden = include_str!("../golden/record.json");
        assert_eq!(testing::record().to_json(), golden);
        assert_eq!(Record::from_json(golden), Ok(testing::record()));
    }

    #[test]
    fn a_record_starts_with_its_format_and_version() {
        let text = Record::new("0.1.0", 7, "virtual", Environment::none(), vec!["dmlab".to_owned()]).to_json();
        assert_eq!(
            text,
            "{\n  \"format\": \"dmlab-record\",\n  \"version\": 2,\n  \"dmlab\": \"0.1.0\",\n  \"seed\": 7,\n  \
             \"clock\": \"virtual\",\n  \"environment\": {},\n  \"command\": [\n    \"dmlab\"\n  ],\n  \
             \"cells\": [],\n  \"interrupted\": false\n}\n"
        );
    }

    #[test]
    fn a_stripped_record_does_not_tell_the_machine_it_was_made_on() {
        let (mut here, mut there) = (testing::record(), testing::record());
        there.environment = Environment { cpus: Some(96), kernel: Some("6.12.0".to_owned()), ..Environment::none() };
        for cell in &mut there.cells {
            cell.wall_ns = cell.wall_ns.map(|ns| ns * 3);
            if let Some(exploration) = &mut cell.exploration {
                exploration.schedules_per_sec = crate::Number::new(3.5);
            }
        }
        assert_ne!(here.to_json(), there.to_json());
        here.strip_machine();
        there.strip_machine();
        assert_eq!(here.to_json(), there.to_json());
        for word in ["\"kernel\":", "cpus", "wall_ns", "schedules_per_sec"] {
            assert!(!here.to_json().contains(word), "{word}");
        }
    }

    #[test]
    fn a_seed_of_64_bits_is_kept_exactly() {
        let record = Record::new("0.1.0", u64::MAX, "wall", Environment::none(), Vec::new());
        assert_eq!(Record::from_json(&record.to_json()).unwrap().seed, u64::MAX);
    }
}
