//! Figures: what one documented command measures in virtual time, as a page of Markdown and a picture, to be kept in
//! `figures/` of this crate.
//!
//! Reading order: [`chart`] (panels of lines, as SVG), [`cow_throttle`] (the one figure there is).
//!
//! Invariants: a figure is a pure function of its rows; whole numbers only, so that the bytes are the same everywhere.
//! Not here: measuring the rows (harness).

pub mod chart;
pub mod cow_throttle;
