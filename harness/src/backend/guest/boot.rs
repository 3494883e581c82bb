//! [`Guests`]: what all guests of a run share, and one guest from its kernel to its end.
//!
//! Invariant: a boot needs nothing but a kernel, a job and the programs in `PATH`.
//! Not here: deadlines (`supervisor`).

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::accel::{self, Accel, Chosen, PROBE};
use super::console::Console;
use super::initramfs::initramfs;
use super::job::{Drill, Event, Job};
use super::program::Program;
use super::qemu::QEMU;
use super::supervisor::{End, Ended, Patience, Then, supervise};
use super::{GuestError, qemu};
use crate::kernels::{Kernel, Tools, modules};

/// Memory beside the initramfs, which is unpacked into it: the kernel, dmlab, and small devices.
const MEMORY_MIB: u64 = 320;

/// What all guests of a run share.
pub struct Guests {
    /// Where programs are.
    pub tools: Tools,
    /// Where it is kept what was found out about this machine.
    pub cache: PathBuf,
    /// How long guests may go without progress.
    pub patience: Patience,
    /// How their instructions are carried out.
    pub accel: Accel,
}

impl Guests {
    /// Guests on this machine; finds out what carries out their instructions by booting `kernel`, unless that is known.
    ///
    /// # Errors
    /// The emulator is missing.
    pub fn on_this_machine(
        tools: Tools,
        cache: PathBuf,
        patience: Patience,
        kernel: &Kernel,
        interrupt: &AtomicBool,
    ) -> Result<(Self, Chosen), GuestError> {
        let emulator = tools.find(QEMU)?;
        let mut guests = Self { tools, cache, patience, accel: Accel::Kvm };
        let memory = guests.cache.join("accel.json");
        let chosen = accel::choose(Path::new("/dev/kvm"), &memory, &emulator, || {
            guests.patience = Patience::of(PROBE);
            let ended = guests.boot(kernel, &Job::Hello, 0, interrupt, &mut |_, _| Then::GoOn);
            guests.patience = patience;
            match ended.map_err(|error| error.to_string())?.end {
                End::Done => Ok(()),
                end => Err(end.in_words()),
            }
        });
        guests.accel = chosen.accel;
        Ok((guests, chosen))
    }

    /// Boots `kernel` for `job`, with so much memory for devices, until it is no more.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn boot(
        &self,
        kernel: &Kernel,
        job: &Job,
        devices_mib: u64,
        interrupt: &AtomicBool,
        on_event: &mut dyn FnMut(Event, &Console) -> Then,
    ) -> Result<Ended, GuestError> {
        let program = Program::this().map_err(GuestError::Setup)?;
        let modules = match &kernel.modules {
            Some(folder) => modules::collect(folder, &self.tools)?,
            None => Vec::new(),
        };
        let initramfs = initramfs(&program, &kernel.release, &modules, job);
        // It is in memory twice while it is unpacked.
        let memory_mib = MEMORY_MIB + devices_mib + 2 * (initramfs.len() as u64 >> 20);
        let machine = qemu::Machine { image: &kernel.image, initramfs: &initramfs, accel: self.accel, memory_mib };
        supervise(&machine, &self.tools, self.patience, interrupt, on_event)
    }
}

/// A guest that was booted to say hello, or to go wrong.
pub struct Booted {
    /// Why it ended.
    pub end: End,
    /// The release that it told, and its processors.
    pub release: Option<(String, u32)>,
    /// How long it took until `/init` ran.
    pub boot: Option<Duration>,
    /// What its kernel printed.
    pub console: Console,
    /// Frames that were damaged on their way.
    pub damaged: u64,
}

/// Boots `kernel` to say hello; with a drill, to go wrong in that way.
///
/// # Errors
/// It could not be started.
pub fn hello(
    guests: &Guests,
    kernel: &Kernel,
    drill: Option<Drill>,
    interrupt: &AtomicBool,
) -> Result<Booted, GuestError> {
    let job = drill.map_or(Job::Hello, Job::Drill);
    let (mut release, mut fatal) = (None, None);
    let ended = guests.boot(kernel, &job, 0, interrupt, &mut |event, _| {
        match event {
            Event::Hello { release: told, cpus, .. } => release = Some((told, cpus)),
            Event::Fatal { why } => fatal = Some(why),
            _ => {}
        }
        Then::GoOn
    })?;
    let end = fatal.map_or(ended.end, End::Fatal);
    Ok(Booted { end, release, boot: ended.boot, console: ended.console, damaged: ended.damaged })
}
