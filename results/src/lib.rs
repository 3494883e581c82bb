//! Records of runs and everything that is made from them: statistics, tables, JUnit, Markdown, exit codes.
//!
//! Reading order:
//!
//! * what a run leaves behind: `record` (the whole file), `cell` (one cell of the matrix), `load` (one load of a
//!   cell, in fio's words), `verdict`, `strength` (what a verdict is worth), and what keeps the file sound: `format`
//!   (version and load errors), `upgrade` (records of older versions) and `number` (floats that JSON can carry);
//! * records from records: `merge` (the shards of one exploration put together);
//! * numbers from numbers: `histogram` (latencies), `stats` (medians, bootstrap intervals);
//! * reports, each a pure function of a [`Record`]: `human` (units), `rows` (what a row says) and `layout` (where
//!   it is folded) under `table`, `markdown` and `summary`; `beside` (backends and kernels beside each other); `junit`;
//!   `exit` (the exit code);
//! * [`figure`]: pages with a picture that one command measures, checked in beside this crate;
//! * `write`: how any of it reaches a disk in one piece.
//!
//! Invariants: the bytes of every report are a function of the record alone (no clock, no environment, no
//! unordered collection); nothing here prints; a NaN or an infinity cannot be stored in a record.
//! Not here: running, measuring, and judging (the harness decides whether a cell met its expectations).

mod beside;
mod cell;
mod comparison;
mod exit;
pub mod figure;
mod format;
mod histogram;
mod human;
mod junit;
mod layout;
mod load;
mod markdown;
mod merge;
mod number;
mod paired;
mod record;
mod rows;
mod stats;
mod strength;
mod summary;
mod table;
#[cfg(test)]
mod testing;
mod upgrade;
mod verdict;
mod write;

pub use beside::beside;
pub use cell::{CellRecord, CycleParty, CycleRecord, Exploration, PoolRecord, ShardRecord, SignatureCount};
pub use comparison::{Comparison, ComparisonRow, Found, Throughput};
pub use exit::{ExitCode, exit_code};
pub use format::{FORMAT, FormatName, FormatVersion, RecordError};
pub use histogram::{Histogram, LATENCY_NS_MAX, PERCENTILES};
pub use junit::junit;
pub use load::{Direction, Latency, LoadRecord, StallRecord};
pub use markdown::markdown;
pub use merge::{MergeError, merge, missing_shards};
pub use number::Number;
pub use paired::{ROUNDS_MAX, ROUNDS_MIN, ratio_of_rounds};
pub use record::{Environment, Record};
pub use stats::{
    BOOTSTRAP_RESAMPLES, BOOTSTRAP_SAMPLES_MIN, RatioError, RatioInterval, mad, median, percentile, ratio_of_medians,
};
pub use strength::{ParseProofError, Proof, Strength};
pub use summary::summary;
pub use table::{TableOptions, table};
pub use verdict::{ParseVerdictError, Verdict};
pub use write::{WriteError, create_new, write_atomically};
