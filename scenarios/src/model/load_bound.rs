//! Bounds on what loads came to: figures of a load, compared with a number or with the same figure of another load.
//!
//! Invariants: what is referred to exists in the scenario; a figure is compared with a value in its own unit.
//! Not here: reading (`check::loads`), the figures themselves (the harness).

use std::fmt;

use dmlab_units::{Bytes, Nanos};

use super::Relation;

/// Bounds on the figures of one load.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoadBound {
    /// Line in the scenario file.
    pub line: u32,
    /// Whose figures.
    pub load: LoadRef,
    /// What each must be.
    pub figures: Vec<(Figure, FigureBound)>,
}

/// All loads of a name, or what they did in the phases of a name; written `name` or `name@phase`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoadRef {
    /// The name that the load steps have.
    pub name: String,
    /// Which phases; `None` is all of the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// How a figure must compare, and with what.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FigureBound {
    /// How.
    pub relation: Relation,
    /// With what.
    pub amount: Amount,
}

/// What a figure is compared with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// A value in the figure's unit.
    Fixed(u64),
    /// So many thousandths of the same figure of a load.
    Times(u32, LoadRef),
}

/// A figure of a load. Latencies are those of reads, writes and discards together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// I/Os a second, while one of the loads ran.
    Iops,
    /// Bytes a second, while one of the loads ran.
    BwBytes,
    /// I/Os.
    TotalIos,
    /// Bytes.
    IoBytes,
    /// I/Os that failed.
    Errors,
    /// Time from submission to end.
    Clat(Statistic),
    /// Time from when an I/O was due to its end.
    Lat(Statistic),
    /// The longest time that a job had I/O in flight of which none ended.
    MaxStall,
}

/// What of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// The mean.
    Mean,
    /// A percentile, in thousandths of a percent.
    Percentile(u32),
    /// The largest.
    Max,
}

/// In what a figure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureUnit {
    /// A number.
    Number,
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Nanos,
}

impl Figure {
    /// Every figure.
    pub const ALL: [Self; 18] = {
        use Statistic::{Max, Mean, Percentile};
        let [p50, p90, p95, p99, p99_9] =
            [Percentile(50_000), Percentile(90_000), Percentile(95_000), Percentile(99_000), Percentile(99_900)];
        [
            Self::Iops,
            Self::BwBytes,
            Self::TotalIos,
            Self::IoBytes,
            Self::Errors,
            Self::Clat(Mean),
            Self::Clat(p50),
            Self::Clat(p90),
            Self::Clat(p95),
            Self::Clat(p99),
            Self::Clat(p99_9),
            Self::Clat(Max),
            Self::Lat(Mean),
            Self::Lat(p50),
            Self::Lat(p99),
            Self::Lat(p99_9),
            Self::Lat(Max),
            Self::MaxStall,
        ]
    };

    /// Its key in scenarios; fio's name, as in records, where fio has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iops => "iops",
            Self::BwBytes => "bw_bytes",
            Self::TotalIos => "total_ios",
            Self::IoBytes => "io_bytes",
            Self::Errors => "errors",
            Self::Clat(Statistic::Mean) => "clat_ns_mean",
            Self::Clat(Statistic::Percentile(50_000)) => "clat_ns_p50",
            Self::Clat(Statistic::Percentile(90_000)) => "clat_ns_p90",
            Self::Clat(Statistic::Percentile(95_000)) => "clat_ns_p95",
            Self::Clat(Statistic::Percentile(99_000)) => "clat_ns_p99",
            Self::Clat(Statistic::Percentile(_)) => "clat_ns_p99_9",
            Self::Clat(Statistic::Max) => "clat_ns_max",
            Self::Lat(Statistic::Mean) => "lat_ns_mean",
            Self::Lat(Statistic::Percentile(50_000)) => "lat_ns_p50",
            Self::Lat(Statistic::Percentile(99_000)) => "lat_ns_p99",
            Self::Lat(Statistic::Percentile(_)) => "lat_ns_p99_9",
            Self::Lat(Statistic::Max) => "lat_ns_max",
            Self::MaxStall => "max_stall",
        }
    }

    /// In what it is counted.
    pub const fn unit(self) -> FigureUnit {
        match self {
            Self::Iops | Self::TotalIos | Self::Errors => FigureUnit::Number,
            Self::BwBytes | Self::IoBytes => FigureUnit::Bytes,
            Self::Clat(_) | Self::Lat(_) | Self::MaxStall => FigureUnit::Nanos,
        }
    }

    /// A value of it, given in thousandths of its unit, as reports say it.
    pub fn shown(self, thousandths: u128) -> String {
        let whole = u64::try_from(thousandths / 1000).unwrap_or(u64::MAX);
        match self.unit() {
            FigureUnit::Number if thousandths.is_multiple_of(1000) => whole.to_string(),
            FigureUnit::Number => format!("{whole}.{:03}", thousandths % 1000),
            FigureUnit::Bytes => Bytes(whole).to_string(),
            FigureUnit::Nanos => Nanos(whole).to_string(),
        }
    }
}

impl FigureBound {
    /// As scenarios write it, for `figure`.
    pub fn shown(&self, figure: Figure) -> String {
        let sign = self.relation.sign();
        match &self.amount {
            Amount::Fixed(value) => format!("{sign} {}", figure.shown(u128::from(*value) * 1000)),
            Amount::Times(1000, load) => format!("{sign} {load}"),
            Amount::Times(thousandths, load) => format!("{sign} {} * {load}", factor(*thousandths)),
        }
    }

    /// The amount in thousandths of the figure's unit; `of` tells the same figure of a load, in thousandths.
    pub fn thousandths(&self, of: impl FnOnce(&LoadRef) -> Option<u128>) -> Option<u128> {
        match &self.amount {
            Amount::Fixed(value) => Some(u128::from(*value) * 1000),
            Amount::Times(factor, load) => Some(of(load)?.saturating_mul(u128::from(*factor)) / 1000),
        }
    }
}

/// `0.8` for 800.
fn factor(thousandths: u32) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As scenarios write it.
impl fmt::Display for LoadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.phase {
            Some(phase) => write!(f, "{}@{phase}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let mut names: Vec<&str> = Figure::ALL.iter().map(|figure| figure.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Figure::ALL.len());
    }

    #[test]
    fn bounds_are_shown_as_they_are_written() {
        let before = LoadRef { name: "io".to_owned(), phase: Some("before".to_owned()) };
        let bound = |amount| FigureBound { relation: Relation::AtLeast, amount };
        assert_eq!(bound(Amount::Times(800, before.clone())).shown(Figure::Iops), ">= 0.8 * io@before");
        assert_eq!(bound(Amount::Times(1000, before.clone())).shown(Figure::Iops), ">= io@before");
        assert_eq!(bound(Amount::Fixed(5_000_000)).shown(Figure::MaxStall), ">= 5ms");
        assert_eq!(bound(Amount::Fixed(4096)).shown(Figure::BwBytes), ">= 4KiB");
        assert_eq!(bound(Amount::Times(1500, before)).thousandths(|_| Some(3000)), Some(4500));
        assert_eq!(Figure::Iops.shown(1500), "1.500");
    }
}
