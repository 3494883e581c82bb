//! What the rows of a report say: the texts of the table before anything is drawn. The terminal table and the Markdown
//! table are two drawings of the same [`Grid`].
//!
//! Invariants: one row per cell, in the order of the record; a column in which no cell has anything to say is left
//! out; texts hold no control characters, so that no record can move the cursor of a terminal or break a row.
//! Not here: borders, widths, colours (`table`), escaping for Markdown (`markdown`).

use crate::{CellRecord, Exploration, LoadRecord, PoolRecord, Record, human};

/// How many pools a row names; further ones that were used become `…`.
const POOLS_SHOWN: usize = 2;

/// What stands where there is nothing to say.
pub(crate) const NOTHING: &str = "-";

/// A column of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Scenario,
    Variant,
    Runtime,
    Expected,
    Verdict,
    /// What the verdict of an exploration is worth.
    Strength,
    /// Schedules where the explorer ran, else time.
    Effort,
    Throughput,
    Latency,
    Pools,
    Result,
}

impl Column {
    const ALL: [Self; 11] = [
        Self::Scenario,
        Self::Variant,
        Self::Runtime,
        Self::Expected,
        Self::Verdict,
        Self::Strength,
        Self::Effort,
        Self::Throughput,
        Self::Latency,
        Self::Pools,
        Self::Result,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Variant => "variant",
            Self::Runtime => "runtime",
            Self::Expected => "expected",
            Self::Verdict => "verdict",
            Self::Strength => "strength",
            Self::Effort => "time / schedules",
            Self::Throughput => "throughput",
            Self::Latency => "lat p50 / p99",
            Self::Pools => "peak pool use",
            Self::Result => "result",
        }
    }

    /// Quantities are read from their right ends.
    pub(crate) const fn is_right_aligned(self) -> bool {
        matches!(self, Self::Effort | Self::Throughput | Self::Latency)
    }

    /// Whether the column says how the cell was judged.
    pub(crate) const fn is_judgement(self) -> bool {
        matches!(self, Self::Verdict | Self::Result)
    }

    fn text(self, cell: &CellRecord) -> String {
        let load = main_load(cell);
        let text = match self {
            Self::Scenario => cell.scenario.clone(),
            Self::Variant => cell.variant_text(),
            Self::Runtime => cell.runtime_text(),
            Self::Expected => cell.expected.clone(),
            Self::Verdict => cell.verdict.to_string(),
            Self::Strength => strength(cell),
            Self::Effort => effort(cell),
            Self::Throughput => load.map(|load| throughput(load, cell.loads.len())).unwrap_or_default(),
            Self::Latency => load.map(latency).unwrap_or_default(),
            Self::Pools => pools(&cell.pools),
            Self::Result => Judgement::of(cell).mark().to_owned(),
        };
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.is_empty() { NOTHING.to_owned() } else { text }
    }
}

/// How a cell was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Met,
    NotMet,
    Skipped,
}

impl Judgement {
    pub(crate) fn of(cell: &CellRecord) -> Self {
        match (cell.ok, cell.is_skipped()) {
            (false, _) => Self::NotMet,
            (true, true) => Self::Skipped,
            (true, false) => Self::Met,
        }
    }

    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Met => "ok",
            Self::NotMet => "NOT MET",
            // Not "ok": what was not run has not met anything.
            Self::Skipped => NOTHING,
        }
    }
}

/// The texts of a report.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<(Vec<String>, Judgement)>,
}

impl Grid {
    pub(crate) fn of(record: &Record) -> Self {
        let texts = |column: Column| -> Vec<String> { record.cells.iter().map(|cell| column.text(cell)).collect() };
        let said: Vec<_> = Column::ALL
            .into_iter()
            .map(|column| (column, texts(column)))
            // Without any cell the titles stay, and so does the result of a run in which all was skipped.
            .filter(|(column, texts)| {
                texts.is_empty() || column.is_judgement() || texts.iter().any(|text| text != NOTHING)
            })
            .collect();
        let rows = record
            .cells
            .iter()
            .enumerate()
            .map(|(row, cell)| (said.iter().map(|(_, texts)| texts[row].clone()).collect(), Judgement::of(cell)))
            .collect();
        Self { columns: said.into_iter().map(|(column, _)| column).collect(), rows }
    }
}

/// A pass of an exploration is never a bare "ok": it says what it is worth, and of which part.
fn strength(cell: &CellRecord) -> String {
    match &cell.exploration {
        Some(Exploration { strength, shard: Some(shard), .. }) => format!("{}, shard {shard}", strength.short()),
        Some(Exploration { strength, shard: None, .. }) => strength.short(),
        None => String::new(),
    }
}

fn effort(cell: &CellRecord) -> String {
    match (&cell.exploration, cell.elapsed_ns()) {
        (Some(exploration), _) => {
            let states = exploration.states.map(|states| format!(", {}", human::plural(states, "state")));
            human::plural(exploration.schedules, "schedule") + &states.unwrap_or_default()
        }
        (None, Some(ns)) => human::duration(ns),
        (None, None) => String::new(),
    }
}

/// The load that a row shows: the one that did the most I/O, the first of equals. Rates of loads cannot be added,
/// because loads may have run one after the other.
fn main_load(cell: &CellRecord) -> Option<&LoadRecord> {
    cell.loads.iter().rev().max_by_key(|load| load.total_ios())
}

fn throughput(load: &LoadRecord, loads: usize) -> String {
    if load.runtime_ns == 0 {
        return String::new();
    }
    let iops = human::rate(load.read.iops.get() + load.write.iops.get());
    let bandwidth = human::bandwidth(load.read.bw_bytes.saturating_add(load.write.bw_bytes));
    let others = if loads > 1 { format!(" (1 of {loads})") } else { String::new() };
    format!("{iops} IOPS, {bandwidth}{others}")
}

fn latency(load: &LoadRecord) -> String {
    let latency = load.latency();
    let at = |key: &str| latency.percentile.get(key).map(|&ns| human::duration(ns));
    match (at("50.000000"), at("99.000000")) {
        (Some(median), Some(high)) => format!("{median} / {high}"),
        _ => String::new(),
    }
}

/// Peak over reserve of the pools that came nearest to running dry.
fn pools(pools: &[PoolRecord]) -> String {
    let mut used: Vec<_> = pools.iter().filter(|pool| pool.peak_in_use > 0).collect();
    // a/b against c/d as a·d against c·b: exact, and a pool without a reserve counts as infinitely used.
    used.sort_by(|one, other| {
        let weight =
            |peak: &PoolRecord, reserve: &PoolRecord| u128::from(peak.peak_in_use) * u128::from(reserve.reserve);
        weight(other, one).cmp(&weight(one, other))
    });
    let mut texts: Vec<_> = used
        .iter()
        .take(POOLS_SHOWN)
        .map(|pool| format!("{} {}/{}", pool.name, pool.peak_in_use, pool.reserve))
        .collect();
    if used.len() > POOLS_SHOWN {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Verdict, testing};

    fn pool(name: &str, peak_in_use: u64, reserve: u64) -> PoolRecord {
        PoolRecord { name: name.to_owned(), reserve, peak_in_use, slab_failures: 0, waits: 0, rescued: 0 }
    }

    #[test]
    fn the_fullest_pools_are_shown_first_and_at_most_two() {
        assert_eq!(pools(&[]), "");
        assert_eq!(pools(&[pool("a", 0, 16)]), "");
        assert_eq!(pools(&[pool("t.bs", 3, 16), pool("t.bio_split", 2, 2)]), "t.bio_split 2/2, t.bs 3/16");
        assert_eq!(pools(&[pool("a", 1, 4), pool("b", 4, 4), pool("c", 2, 4)]), "b 4/4, c 2/4, …");
        assert_eq!(pools(&[pool("a", 1, 4), pool("b", 0, 4), pool("c", 2, 4)]), "c 2/4, a 1/4");
        // Equals keep the order of the record.
        assert_eq!(pools(&[pool("b", 1, 2), pool("a", 2, 4)]), "b 1/2, a 2/4");
        assert_eq!(pools(&[pool("a", 4, 4), pool("none", 1, 0)]), "none 1/0, a 4/4");
    }

    #[test]
    fn the_busiest_load_speaks_for_the_cell_and_says_that_there_are_others() {
        let mut cell = testing::cell();
        assert_eq!(Column::Throughput.text(&cell), "12.3 k IOPS, 48.0 MiB/s");
        let mut idle = testing::load();
        idle.write.total_ios = 1;
        idle.write.bw_bytes = 1;
        cell.loads = vec![idle.clone(), testing::load(), idle];
        assert_eq!(Column::Throughput.text(&cell), "12.3 k IOPS, 48.0 MiB/s (1 of 3)");
        let mut equal = testing::load();
        equal.write.bw_bytes = 1;
        cell.loads = vec![testing::load(), equal];
        assert_eq!(Column::Throughput.text(&cell), "12.3 k IOPS, 48.0 MiB/s (1 of 2)", "the first of equals");
    }

    #[test]
    fn a_load_without_time_or_samples_says_nothing() {
        let mut cell = testing::cell();
        cell.loads[0].runtime_ns = 0;
        cell.loads[0].write.clat_ns = crate::Latency::default();
        assert_eq!(Column::Throughput.text(&cell), NOTHING);
        assert_eq!(Column::Latency.text(&cell), NOTHING);
    }

    #[test]
    fn columns_without_content_are_left_out() {
        let mut record = testing::record();
        let all = Grid::of(&record);
        assert_eq!(all.columns, Column::ALL);
        for cell in &mut record.cells {
            cell.loads.clear();
            cell.pools.clear();
        }
        let some = Grid::of(&record);
        assert!(!some.columns.contains(&Column::Throughput) && !some.columns.contains(&Column::Pools));
        assert!(some.rows.iter().all(|(texts, _)| texts.len() == some.columns.len()));
        record.cells.clear();
        assert_eq!(Grid::of(&record).columns, Column::ALL);
    }

    #[test]
    fn a_skipped_cell_is_not_called_ok() {
        let mut cell = testing::cell();
        cell.verdict = Verdict::Skip;
        assert_eq!(Column::Result.text(&cell), NOTHING);
        cell.ok = false;
        assert_eq!(Column::Result.text(&cell), "NOT MET");
    }

    #[test]
    fn an_explored_cell_says_what_its_verdict_is_worth() {
        let mut cell = testing::proved();
        assert_eq!(
            (Column::Strength.text(&cell), Column::Effort.text(&cell)),
            ("proved".into(), "145 schedules, 209 states".into())
        );
        let exploration = cell.exploration.as_mut().unwrap();
        exploration.shard = Some(crate::ShardRecord { index: 2, of: 3 });
        assert_eq!(Column::Strength.text(&cell), "proved, shard 2/3");
        assert_eq!(Column::Strength.text(&testing::deadlocked()), "found in schedule 240000, with 2 preemptions");
        assert_eq!(Column::Strength.text(&testing::cell()), NOTHING);
    }

    #[test]
    fn no_record_moves_the_cursor() {
        let mut cell = testing::cell();
        cell.scenario = "a\x1b[2Jb\nc".to_owned();
        assert_eq!(Column::Scenario.text(&cell), "a [2Jb c");
    }
}
