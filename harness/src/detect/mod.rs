//! Detectors: what a real kernel shows when something is wrong with it, read from texts and numbers.
//!
//! Reading order: [`kmsg`] (reports in the kernel log), [`tasks`] (who sleeps uninterruptibly, and where), [`cycle`]
//! (whether they are the tasks of the engine's deadlock), [`progress`] (a slow machine told from a hanging one),
//! [`inflight`] (the age of the oldest I/O), [`slabinfo`] (peaks of caches).
//!
//! Invariants: pure, but for the functions that walk a given `/proc` or `/sys`; a detector that saw nothing says nothing.
//! Not here: who asks, how often, and what comes of it (the kernel and guest backends).

pub mod cycle;
pub mod inflight;
pub mod kmsg;
pub mod progress;
pub mod slabinfo;
pub mod tasks;
