//! The rows of the block bench and what they measure.
//!
//! Reading order: `models` (what a row does), [`rows`] (which rows there are, and what they are compared with).
//! Not here: how they are measured and shown (the bench itself).

mod models;
mod rows;

pub(crate) use rows::{Group, Row, groups};
