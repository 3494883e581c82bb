//! Import law: who may name whom.
//!
//! [`arrows`] between crates, [`ranks`] between the engine's modules, [`siblings`] among its targets, [`seams`] around
//! schedulers and backends, [`edges`] of the program (command line, printing, environment, serialisation).
//!
//! Names are followed through `use` trees, `super::` and the engine's root re-exports. They are not followed through
//! `use … as` of a whole module, macros or types: this law is against drifting, not against cheating.

use crate::{Tree, Violation};

mod arrows;
mod edges;
mod ranks;
mod seams;
mod siblings;

/// Name of the rule.
pub(super) const RULE: &str = "import_law";

/// Finds the violations of every part of the law.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let parts = [arrows::check, ranks::check, siblings::check, seams::check, edges::check];
    parts.iter().flat_map(|part| part(tree)).collect()
}
