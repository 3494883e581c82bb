//! kcopyd: copies ranges of devices in the background, one worker per client (dm-spec §6, dm-kcopyd.c).
//!
//! Reading order: [`job`] (what is to be copied, and what became of it), `lists` (the four lists that jobs go through),
//! [`throttle`] (how much of the time may be spent on I/O), [`client`] (the worker), `split` (large jobs in pieces).
//!
//! Invariants: callbacks of a client run in its one worker, one after another; a job's element is back in its pool before
//! its callback runs; a client is destroyed when none of its jobs is left.
//! Not here: zoned devices (which force sequential writes in the kernel; here the caller asks for them).

pub mod client;
pub mod job;
mod lists;
mod split;
pub mod throttle;

pub use client::Client;
pub use job::{Callback, CopyFlags, CopyResult, PreparedCallback};
pub use throttle::Throttle;
