//! Figures that are checked in (`results/figures`): what is run for each, and which numbers of its record go into it.
//!
//! Reading order: [`cow_throttle`], the one figure there is.
//!
//! Invariants: a figure is measured on the virtual clock, with the default seed, so that it is the same bytes everywhere; a
//! run that does not pass makes no figure.
//! Not here: pages and pictures (`dmlab-results`), writing them to files (`cli`).

pub mod cow_throttle;
