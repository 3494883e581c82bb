//! What the outside referee consists of: [`engines`] (dmlab and shuttle behind one interface), [`models`], [`ledger`]
//! (the ends of their runs), [`searches`] (all schedules, or some).
//!
//! Not here: what is compared, and what is expected.

pub(crate) mod engines;
pub(crate) mod ledger;
pub(crate) mod models;
pub(crate) mod searches;
