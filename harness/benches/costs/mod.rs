//! The rows of the block bench and what they measure.
//!
//! Reading order: `models` (what a row does), [`rows`] (which rows there are, and what they are compared with),
//! [`fit`] (which cost table they ask for).
//! Not here: how they are measured and shown (the bench itself).

pub(crate) mod fit;
mod models;
mod rows;

pub(crate) use rows::groups;
