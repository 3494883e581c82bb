//! What breaks on purpose.
//!
//! Invariant: I/O fails in leaf devices only.
//! Not here: which event fails (`dmlab-faults`).

use dmlab_faults::{IoFault, SlabFault};

use super::Errno;

/// A fault to begin.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Allocations behind a pool fail (the reserve stays).
    Slab {
        /// `<device>.<pool>`, e.g. `t.bs`, `t.io_bs`, `t.bio_split`; `*` in either part stands for all.
        pool: String,
        /// When.
        fault: SlabFault,
    },
    /// I/O of a device fails, hangs or is slow.
    Io {
        /// The device (not a dm device).
        device: String,
        /// When and how.
        fault: IoFault,
        /// With what, if it fails.
        errno: Errno,
    },
}
