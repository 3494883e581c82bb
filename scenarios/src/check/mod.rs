//! Typed checking: from a tree to the checked types in `model`.
//!
//! Invariants: a check never stops at the first mistake; a value that could not be read never leads to a second
//! report about the same text; the result is there only if nothing was reported.
//!
//! Reading order: `head` (what is the same in every cell) with `requires`, `cell` (one cell's scenario), then its parts: `scope`
//! (which devices there are), `devices` with `timed`, `table` (table lines) and `targets`, `steps` with `control` and
//! `admin` (dmsetup's verbs), `printed` (status and table), `io` (bios and patterns), `load` (fio's words), `fault`,
//! `power`, `flow`
//! (steps that hold steps), then `explore`, `bound`, `relation`, `loads` and `expect`.
//! Not here: YAML (`yaml`), the matrix (`matrix`), what the kernel itself refuses: scenarios test that.

mod admin;
mod bound;
mod cell;
mod control;
mod devices;
mod each;
mod expect;
mod explore;
mod fault;
mod flow;
mod head;
mod io;
mod load;
mod loads;
mod power;
mod printed;
mod relation;
mod requires;
mod scope;
mod snapshot;
mod steps;
mod table;
mod targets;
#[cfg(test)]
mod testing;
mod timed;

pub(crate) use cell::cell;
pub(crate) use expect::report_dead;
pub(crate) use head::{Head, head};
pub use scope::device_and_pool;
pub(crate) use targets::report_unknown as report_unknown_targets;
