//! The rows of the snapshot bench and what they measure.
//!
//! Reading order: [`machines`] (origins and snapshots on ramdisks), `writes`, `lookups`, `creation` (what a row does).
//! Not here: how they are measured and shown (the bench itself).

pub(crate) mod lookups;
mod machines;

mod creation;
mod writes;

use crate::support::rounds::Group;

/// Every group.
pub(crate) fn groups() -> Vec<Group> {
    let mut groups = writes::groups();
    groups.extend(lookups::groups());
    groups.push(creation::group());
    groups
}
