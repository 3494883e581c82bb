//! [`Conformance`]: what came of all comparisons, as rows, as a table and as an exit code.
//!
//! Invariants: a cell that one side could not run is a row that says why; the rows come in the order of the comparisons.
//! Not here: comparing.

use dmlab_results::{ExitCode, Verdict};
use serde::Serialize;

use super::explained::{Explained, Explanation};
use super::stores::{self, Stores};
use super::{Aspect, Difference, Seen, differences};

/// One cell on one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// The cell's values.
    pub cell: String,
    /// The kernel's name.
    pub kernel: String,
    /// Events that were compared.
    pub events: usize,
    /// Persistent exception stores that were compared.
    pub stores: Stores,
    /// Why it was not compared, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Differences with their reasons, where they have one.
    pub differences: Vec<(Difference, Option<String>)>,
}

impl Row {
    /// How the sides compare in a respect.
    fn word(&self, aspect: Aspect) -> &'static str {
        let mut here = self.differences.iter().filter(|(difference, _)| difference.aspect == aspect).peekable();
        match (self.skipped.is_some(), here.peek()) {
            (true, _) => "-",
            (false, None) if aspect == Aspect::Cow && self.stores.count() == 0 => "-",
            (false, None) if aspect == Aspect::Cow && self.stores.equivalent > 0 => "equivalent",
            (false, None) => "equal",
            (false, Some(_)) => {
                if here.all(|(_, reason)| reason.is_some()) {
                    "explained"
                } else {
                    "DIFFERS"
                }
            }
        }
    }

    fn is_conforming(&self) -> bool {
        self.differences.iter().all(|(_, reason)| reason.is_some())
    }
}

/// All rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Conformance {
    /// In order.
    pub rows: Vec<Row>,
    /// Explanations that explain nothing any more.
    pub idle: Vec<Explanation>,
}

impl Conformance {
    /// Compares what two sides saw of a cell.
    pub fn compare(&mut self, names: (&str, &str, &str), engine: &Seen, kernel: &Seen, explained: &mut Explained) {
        let (scenario, cell, on) = names;
        let mut row = Row {
            scenario: scenario.to_owned(),
            cell: cell.to_owned(),
            kernel: on.to_owned(),
            events: engine.trace.flows.values().map(Vec::len).sum(),
            stores: Stores::default(),
            skipped: None,
            differences: Vec::new(),
        };
        let skipped =
            [("engine", engine), ("kernel", kernel)].into_iter().find(|(_, seen)| seen.verdict == Verdict::Skip);
        if let Some((side, seen)) = skipped {
            let why = seen.report.as_deref().and_then(|report| report.lines().next()).unwrap_or("left out");
            row.skipped = Some(format!("{side}: {why}"));
        } else {
            explained.compared(scenario, on);
            let reasoned = |difference: Difference| {
                let reason = explained.reason(scenario, on, &difference);
                (difference, reason)
            };
            row.stores = stores::compare(&engine.trace.stores, &kernel.trace.stores).0;
            row.differences = differences(engine, kernel).into_iter().map(reasoned).collect();
        }
        self.rows.push(row);
    }

    /// When all is compared: which explanations were of no use.
    pub fn finish(&mut self, explained: &Explained) {
        self.idle = explained.idle().into_iter().cloned().collect();
    }

    /// Whether the sides agree but for what is explained, and every explanation is needed.
    pub fn exit_code(&self) -> ExitCode {
        let conforms = self.rows.iter().all(Row::is_conforming) && self.idle.is_empty();
        if conforms { ExitCode::Ok } else { ExitCode::ExpectationFailed }
    }

    /// The table, what differs, and the totals.
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        let width = |cell: fn(&Row) -> usize| self.rows.iter().map(cell).max().unwrap_or(0).max(8);
        let (names, kernels) = (width(|row| row.title().len()), width(|row| row.kernel.len()));
        let head: Vec<String> = Aspect::ALL.iter().map(|aspect| format!("{:10}", aspect.name())).collect();
        text.push_str(&format!("{:names$}  {:kernels$}  {}\n", "scenario", "kernel", head.join(" ").trim_end()));
        for row in self.rows.iter().filter(|row| row.skipped.is_none()) {
            let words: Vec<String> = Aspect::ALL.iter().map(|aspect| format!("{:10}", row.word(*aspect))).collect();
            text.push_str(&format!(
                "{:names$}  {:kernels$}  {}\n",
                row.title(),
                row.kernel,
                words.join(" ").trim_end()
            ));
        }
        for row in self.rows.iter().filter(|row| !row.differences.is_empty()) {
            text.push_str(&format!("\n{} on {}\n", row.title(), row.kernel));
            for (difference, reason) in &row.differences {
                text.push_str(&format!("  {difference}\n"));
                if let Some(reason) = reason {
                    text.push_str(&format!("    explained: {reason}\n"));
                }
            }
        }
        let skipped: Vec<&Row> = self.rows.iter().filter(|row| row.skipped.is_some()).collect();
        if !skipped.is_empty() {
            text.push_str("\nnot compared:\n");
        }
        for row in &skipped {
            let why = row.skipped.as_deref().unwrap_or_default();
            text.push_str(&format!("  {} on {}: {why}\n", row.title(), row.kernel));
        }
        for entry in &self.idle {
            let Explanation { scenario, kernel, aspect, what, .. } = entry;
            let aspect = aspect.name();
            text.push_str(&format!(
                "\nan explanation explains nothing any more: {scenario} on {kernel}, {aspect}, {what:?}; take it out\n"
            ));
        }
        let compared = self.rows.len() - skipped.len();
        let equal = self.rows.iter().filter(|row| row.skipped.is_none() && row.differences.is_empty()).count();
        let explained = self.rows.iter().filter(|row| !row.differences.is_empty() && row.is_conforming()).count();
        text.push_str(&format!(
            "\n{compared} cells compared: {equal} equal, {explained} explained, {} differ; {} not compared\n",
            compared - equal - explained,
            skipped.len()
        ));
        let Stores { equal, equivalent, differ } =
            self.rows.iter().fold(Stores::default(), |all, row| all.and(row.stores));
        text.push_str(&format!(
            "{} stores compared: {equal} equal, {equivalent} equivalent, {differ} differ\n",
            equal + equivalent + differ
        ));
        text
    }
}

impl Row {
    fn title(&self) -> String {
        let space = if self.cell.is_empty() { "" } else { " " };
        format!("{}{space}{}", self.scenario, self.cell)
    }
}
