//! The harness: from a scenario file to a judged, measured and reported record.
//!
//! Reading order, which is the way of the data: [`plan`] (every value resolved, one plan per cell of the matrix),
//! [`backend`] (the seam: what a scenario may ask of a device-mapper, and the engine's answer), [`script`] (carries out
//! steps, loads and checks on any backend), [`campaign`] (a cell's run or runs, counted in a [`tally`] and told to
//! whoever [`watch`]es), [`compare`] (variants beside each other),
//! [`conform`] (engine and kernels beside each other), [`cycles`] (a kernel's deadlock and the engine's),
//! [`judge`] (verdicts and expectations), [`minimise`]
//! (smaller failures), [`schedule_file`] (failing schedules on disk, and their replay), [`picture`] (such a schedule as a
//! table and as a page), [`environment`], [`figure`] (pages that are checked in), [`kernels`] (what guests boot),
//! [`cow`] (what is in a snapshot's store), [`detect`]
//! (what a real kernel shows of its troubles), [`doctor`] (what this machine can run), and [`cli`], which alone parses
//! arguments, prints and ends the process.
//!
//! Invariants: a plan is immutable; a record is written from a finished run and nothing reads back from a report.
//! Not here: what a scenario may say (`dmlab-scenarios`), how a record looks (`dmlab-results`).

pub mod backend;
pub mod campaign;
pub mod cli;
pub mod compare;
pub mod conform;
pub mod cow;
pub mod cycles;
pub mod detect;
pub mod doctor;
pub mod environment;
pub mod figure;
pub mod judge;
pub mod kernels;
pub mod minimise;
pub mod picture;
pub mod plan;
pub mod schedule_file;
pub mod script;
pub mod tally;
pub mod watch;
