//! [`Comparison`]: variants beside each other: what the explorer found about each, and how fast it is compared with one
//! of them. As text, as Markdown and as JSON.
//!
//! Invariants: every row has the same columns; a ratio has its interval and the number of its rounds beside it, and a
//! row without a ratio says why; the text says on what machine and how it can be made again.
//! Not here: running anything, the statistics (`paired`).

use serde::Serialize;

use crate::human;
use crate::markdown::escaped;
use crate::{Environment, RatioInterval, Strength, Verdict};

/// A comparison that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The version of dmlab.
    pub dmlab: String,
    /// Whether dmlab was built with optimisation.
    pub optimised: bool,
    /// Where it was made.
    pub environment: Environment,
    /// A command that makes it again.
    pub command: String,
    /// The scenarios that were explored, a verdict each.
    pub explored: Vec<String>,
    /// The scenarios whose loads were measured, a throughput each.
    pub measured: Vec<String>,
    /// The row that ratios are to, as text.
    pub baseline: String,
    /// How often each row was measured.
    pub rounds: usize,
    /// The rows.
    pub rows: Vec<ComparisonRow>,
    /// Whether it was stopped before all was measured.
    pub interrupted: bool,
}

/// One variant.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonRow {
    /// Axes and values, as text.
    pub variant: String,
    /// What the explorer found, one for each of [`Comparison::explored`]; `None` where there is no such cell.
    pub found: Vec<Option<Found>>,
    /// What was measured, one for each of [`Comparison::measured`]; `None` where there is no such cell.
    pub throughput: Vec<Option<Throughput>>,
}

/// What the explorer found about a variant.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The verdict.
    pub verdict: Verdict,
    /// What it is worth.
    pub strength: Option<Strength>,
    /// Whether the scenario expects it.
    pub ok: bool,
}

/// What was measured of a variant.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// Median over the rounds, I/Os per second.
    pub iops: Option<f64>,
    /// Figures of all rounds, in their order.
    pub rounds: Vec<f64>,
    /// Compared with the baseline.
    #[serde(serialize_with = "interval")]
    pub ratio: Option<RatioInterval>,
    /// Why there is no ratio.
    pub why_not: Option<String>,
}

fn interval<S: serde::Serializer>(ratio: &Option<RatioInterval>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Interval {
        ratio: f64,
        low: f64,
        high: f64,
        confidence: f64,
    }
    let interval = ratio.map(|r| Interval { ratio: r.ratio, low: r.low, high: r.high, confidence: r.level });
    interval.serialize(serializer)
}

impl Comparison {
    /// The comparison for a terminal or a mail: columns of text, and below them where it comes from.
    pub fn to_text(&self) -> String {
        let grid = self.grid();
        let widths: Vec<usize> = (0..grid[0].len())
            .map(|column| grid.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        let mut lines: Vec<String> = grid.iter().map(line).collect();
        lines.insert(1, widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>().join("  "));
        format!("{}\n\n{}\n", lines.join("\n"), self.notes().join("\n"))
    }

    /// The comparison as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.grid().iter().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
            if index == 0 {
                text.push_str(&format!("|{}\n", " --- |".repeat(row.len())));
            }
        }
        for note in self.notes() {
            text.push_str(&format!("\n{}\n", escaped(&note)));
        }
        text
    }

    /// The comparison as JSON.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("numbers and texts have a JSON form");
        format!("{text}\n")
    }

    /// Titles and rows.
    fn grid(&self) -> Vec<Vec<String>> {
        let mut titles = vec!["variant".to_owned()];
        for scenario in &self.explored {
            titles.extend([scenario.clone(), "strength".to_owned()]);
        }
        for scenario in &self.measured {
            titles.extend([scenario.clone(), "ratio".to_owned(), "95 % confidence".to_owned()]);
        }
        let mut grid = vec![titles];
        for row in &self.rows {
            let mut cells = vec![row.variant.clone()];
            row.found.iter().for_each(|found| cells.extend(found_cells(found.as_ref())));
            let is_baseline = row.variant == self.baseline;
            row.throughput.iter().for_each(|found| cells.extend(throughput_cells(found.as_ref(), is_baseline)));
            grid.push(cells);
        }
        grid
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.explored.is_empty() {
            notes.push(
                "Verdicts: schedules of a model of dm, explored; `proved` covers all of the scenario.".to_owned(),
            );
        }
        if !self.measured.is_empty() {
            notes.push(format!(
                "Throughput: OS threads, {} interleaved rounds, the order turned round in every second.",
                self.rounds
            ));
            let interval = "with a distribution-free interval of at least 95 %";
            notes.push(format!("Ratio: median over the rounds of variant / ({}), {interval}.", self.baseline));
        }
        let machine = [
            self.environment.cpu_model.clone(),
            self.environment.cpus.map(|cpus| human::plural(u64::from(cpus), "CPU")),
            self.environment.kernel.as_ref().map(|kernel| format!("Linux {kernel}")),
            Some(format!("dmlab {}", self.dmlab)),
        ];
        notes.push(format!("Machine: {}", machine.into_iter().flatten().collect::<Vec<_>>().join(", ")));
        if !self.optimised {
            notes.push(
                "This dmlab was built without optimisation: the ratios are of slow code (use --release).".to_owned(),
            );
        }
        if self.interrupted {
            notes.push("Interrupted: what is missing was not run.".to_owned());
        }
        notes.push(format!("Again with: {}", self.command));
        notes
    }
}

fn found_cells(found: Option<&Found>) -> [String; 2] {
    let Some(found) = found else { return ["-".to_owned(), "-".to_owned()] };
    let mark = if found.ok { "" } else { " (not as expected)" };
    let strength = found.strength.as_ref().map_or_else(|| "-".to_owned(), Strength::short);
    [format!("{}{mark}", found.verdict), strength]
}

fn throughput_cells(found: Option<&Throughput>, is_baseline: bool) -> [String; 3] {
    let Some(found) = found else { return ["-", "-", "-"].map(str::to_owned) };
    let iops = found.iops.map_or_else(|| "-".to_owned(), |iops| format!("{} IOPS", human::rate(iops)));
    match (&found.ratio, &found.why_not) {
        (Some(_), _) if is_baseline => [iops, "1".to_owned(), "the baseline".to_owned()],
        (Some(ratio), _) => [iops, format!("{:.3}", ratio.ratio), format!("{:.3} to {:.3}", ratio.low, ratio.high)],
        (None, why) => [iops, "-".to_owned(), why.clone().unwrap_or_else(|| "-".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let ratio = RatioInterval { ratio: 0.75, low: 0.7, high: 0.8125, level: 0.96 };
        let found = |verdict, strength, ok| Some(Found { verdict, strength: Some(strength), ok });
        let measured =
            |iops, ratio| Throughput { iops: Some(iops), rounds: vec![iops], ratio: Some(ratio), why_not: None };
        let one = RatioInterval { ratio: 1.0, low: 1.0, high: 1.0, level: 1.0 };
        Comparison {
            dmlab: "0.1.0".to_owned(),
            optimised: true,
            environment: Environment { cpus: Some(2), cpu_model: Some("Some CPU".to_owned()), ..Environment::none() },
            command: "dmlab compare bio/q perf/q".to_owned(),
            explored: vec!["bio/q".to_owned()],
            measured: vec!["perf/q".to_owned()],
            baseline: "split=loop".to_owned(),
            rounds: 12,
            rows: vec![
                ComparisonRow {
                    variant: "split=loop".to_owned(),
                    found: vec![found(Verdict::Deadlock, Strength::Found { schedule: 1, preemptions: Some(0) }, true)],
                    throughput: vec![Some(measured(84_500.0, one))],
                },
                ComparisonRow {
                    variant: "split=trim".to_owned(),
                    found: vec![found(Verdict::Pass, Strength::Proved { schedules: 5, states: 9 }, false)],
                    throughput: vec![Some(measured(63_400.0, ratio))],
                },
                ComparisonRow {
                    variant: "split=x|y".to_owned(),
                    found: vec![None],
                    throughput: vec![Some(Throughput {
                        iops: None,
                        rounds: Vec::new(),
                        ratio: None,
                        why_not: Some("deadlock in round 1".to_owned()),
                    })],
                },
            ],
            interrupted: false,
        }
    }

    #[test]
    fn the_text_is_a_table_with_where_it_comes_from() {
        let text = comparison().to_text();
        let baseline = text.lines().nth(2).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = "split=loop deadlock found in schedule 1, with 0 preemptions 84.5 k IOPS 1 the baseline";
        assert_eq!(baseline, expected, "{text}");
        assert!(text.contains("pass (not as expected)  proved") && text.contains("0.700 to 0.812"), "{text}");
        assert!(text.contains("split=x|y   -") && text.contains("deadlock in round 1"), "{text}");
        for note in
            ["12 interleaved rounds", "variant / (split=loop)", "Some CPU, 2 CPUs, dmlab 0.1.0", "Again with: dmlab"]
        {
            assert!(text.contains(note), "{note} is not in {text}");
        }
        assert!(!text.contains("without optimisation"));
    }

    #[test]
    fn columns_stand_below_each_other() {
        let text = comparison().to_text();
        let column = text.lines().next().unwrap().find("ratio").unwrap();
        assert_eq!(text.lines().nth(3).unwrap().find("0.750"), Some(column), "{text}");
    }

    #[test]
    fn no_value_breaks_out_of_the_markdown_table() {
        let text = comparison().to_markdown();
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        let counts: Vec<usize> = text.lines().take(5).map(bars).collect();
        assert_eq!(counts, [7; 5], "{text}");
    }

    #[test]
    fn the_json_has_the_figures_of_every_round() {
        let json: serde_json::Value = serde_json::from_str(&comparison().to_json()).unwrap();
        assert_eq!(json["rows"][1]["throughput"][0]["ratio"]["low"], 0.7);
        assert_eq!(json["rows"][0]["throughput"][0]["rounds"][0], 84_500.0);
        assert_eq!(json["rows"][2]["throughput"][0]["ratio"], serde_json::Value::Null);
    }

    #[test]
    fn a_slow_build_and_an_interrupt_are_said() {
        let text = Comparison { optimised: false, interrupted: true, ..comparison() }.to_text();
        assert!(text.contains("without optimisation") && text.contains("Interrupted"), "{text}");
    }
}
