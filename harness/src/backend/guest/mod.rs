//! The guest backend: scenarios on the dm of any kernel, in a virtual machine that lives for a few seconds.
//!
//! The initramfs is dmlab itself as `/init`, the kernel's modules and the job. In the guest, `/init` runs cells on the
//! kernel backend and sends events over the second serial port; on the host, a supervisor listens, keeps what the kernel
//! prints, and ends a guest that goes on no longer. A deadlock or an oops costs a process and not a machine.
//!
//! Reading order: `job` (what a guest is told, and what it tells), `frame` (how), `program`, `cpio`, `initramfs` (what it
//! boots from), `qemu`, `console`, `supervisor` (a boot, from outside), `accel` (kvm, if it works), `boot` (one guest from
//! its kernel to its end), `run` (cells in as many boots as it takes), `bundle` (what is kept of failures), [`init`] (a
//! boot, from inside).
//!
//! Invariants: no root is needed; no emulator and no file is left, whatever ends dmlab; a machine that is merely slow is not
//! a hang: progress decides.
//! Not here: driving dm (`backend::kernel`), where kernels come from (`kernels`).

mod accel;
mod boot;
mod bundle;
mod console;
mod cpio;
mod frame;
pub mod init;
mod initramfs;
mod job;
mod program;
mod qemu;
mod run;
mod supervisor;

pub use accel::{Accel, Chosen};
pub use boot::{Booted, Guests, hello};
pub use job::Drill;
pub use run::{GUESTS_MAX, KERNEL_AXIS, Tour};
pub use supervisor::{End, Patience};

use crate::kernels::{StoreError, ToolError};

/// Why no guest could be started.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A program is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A kernel is missing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else of this machine.
    #[error("{0}")]
    Setup(String),
}
