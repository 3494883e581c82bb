//! The scenario language: what is set up, what happens, and what must come of it, as YAML that people write.
//!
//! A scenario goes through three forms, each a type of its own: a spanned tree (`node`, read by `yaml`), the tree of
//! one matrix cell (`substitute`), and the checked [`Scenario`] (`model`, made by `check`). A mistake never stops the
//! search for further ones: every check reports to a sink, and what comes back is all of them, each with its place,
//! what was found, what is allowed and the nearest right word.
//!
//! Reading order: `model` (the checked types), `document` (a file, its cells, its scenarios), `check` (what is
//! allowed where), `fields` and `values` (how maps and scalars are read), `yaml` and `node` (the tree), `diagnostic`
//! (how mistakes are shown), `schema` (the language as a JSON schema), `catalog` (the scenarios that are shipped).
//!
//! Invariants: no text makes this crate panic; file size, nesting, nodes and cells are bounded by named limits; no
//! unordered collection is used, so the same text gives the same result and the same errors in the same order.
//! Not here: which variant axes and values an engine knows (the harness asks the engine), running anything, files.

mod catalog;
mod check;
mod diagnostic;
mod document;
mod fields;
mod matrix;
mod model;
mod nearest;
mod node;
#[cfg(test)]
mod referee_tests;
mod schema;
mod sink;
mod span;
mod substitute;
mod values;
mod yaml;

pub use catalog::{CatalogEntry, catalog};
pub use check::device_and_pool;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use document::Document;
pub use matrix::{Axis, CELLS_MAX, Cell};
pub use model::{
    Action, Admin, Amount, BlockSizes, Bound, Budget, Comparison, Condition, Cow, CutAt, Device, DeviceKind,
    Distribution, Driver, DropSnapshots, Errno, Expectation, Explore, Extent, Fault, Field, Figure, FigureBound,
    FigureUnit, FileDevice, IoFlag, IoOp, KernelBound, Load, LoadBound, LoadRef, LockOrder, Loses, MergeSnapshot,
    MustBlock, Outcome, Pass, Pattern, PowerCut, Printed, Rate, Relation, Repeat, Requires, Runtime, Rw, Scenario,
    SnapshotOf, Spread, Statistic, Step, Stomp, Store, Strategy, Strength, Submit, Survives, SuspendHow, TakeSnapshot,
    Term, Think, Timed, Timers, Verb, Verdict, VolatileCache, Wait, Wanted,
};
pub use nearest::did_you_mean;
pub use schema::{AxisWords, schema};
pub use span::Span;
pub use yaml::FILE_BYTES_MAX;
