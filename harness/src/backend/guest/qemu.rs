//! The emulator's command line, and its process.
//!
//! The console comes out of the emulator's standard output and the events out of its standard input, both pipes that the
//! emulator opens again by their names in `/proc`: no socket, no file. The initramfs is a file without a name that dmlab
//! holds open.
//!
//! Invariants: an emulator lives in a process group of its own, so that a terminal's Ctrl-C does not reach it before dmlab
//! has reported; it is killed and waited for when its [`Process`] goes, whatever the reason, and by the kernel when the
//! thread that started it is no more (`setpriv --pdeathsig`, so a SIGKILL of dmlab leaves none behind); no file is left,
//! because none has a name.
//! Not here: deadlines (`supervisor`), which acceleration works (`accel`).

use std::fs::File;
use std::io::{PipeReader, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Accel, GuestError};
use crate::kernels::Tools;

/// The emulator.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// Processors of a guest: two, so that tasks really run at once.
const CPUS: u32 = 2;

/// The kernel's command line. The console is the first serial port. A kernel that oopses or panics goes down at once,
/// and the emulator with it. What stands behind `--` are arguments of `/init`; `LD_LIBRARY_PATH` becomes its
/// environment. A slow emulator's timer interrupts come late: kernels that test for them would panic (`no_timer_check`).
/// A brd that is built in makes its ramdisks in boot, and 16 are too few for a hundred snapshots; where it is a module,
/// dmlab loads it with as many as a scenario has.
const APPEND: &str = "console=ttyS0,115200 no_timer_check panic=-1 oops=panic printk.devkmsg=on nokaslr net.ifnames=0 \
    brd.rd_nr=128 LD_LIBRARY_PATH=/lib rdinit=/init -- guest-init";

/// What an emulator is given.
pub(super) struct Machine<'a> {
    /// The kernel's image.
    pub(super) image: &'a Path,
    /// The initramfs.
    pub(super) initramfs: &'a [u8],
    /// How it runs the guest's instructions.
    pub(super) accel: Accel,
    /// Memory in MiB.
    pub(super) memory_mib: u64,
}

/// An emulator that runs.
pub(super) struct Process {
    child: Child,
    /// What the guest's kernel prints.
    pub(super) console: Option<ChildStdout>,
    /// The frames of `/init`.
    pub(super) events: Option<PipeReader>,
    /// What the emulator itself says.
    pub(super) said: Option<ChildStderr>,
    /// Open until the emulator has ended.
    _initramfs: File,
}

impl Process {
    /// Starts an emulator. The thread that calls this must live as long as the emulator is to.
    ///
    /// # Errors
    /// The emulator is missing, or it cannot be started.
    pub(super) fn start(machine: &Machine<'_>, tools: &Tools) -> Result<Self, GuestError> {
        let (setpriv, qemu) = (tools.find("setpriv")?, tools.find(QEMU)?);
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: std::io::Error| GuestError::Setup(format!("{what}: {error}"))
        };
        // Without a name from the beginning: nobody has to remove it.
        let initramfs = tempfile::tempfile().and_then(|mut file| {
            file.write_all(machine.initramfs)?;
            file.rewind().map(|()| file)
        });
        let initramfs = initramfs.map_err(|error| {
            let (folder, mib) = (tempfile::env::temp_dir(), (machine.initramfs.len() >> 20) + 1);
            let place = folder.display();
            GuestError::Setup(format!(
                "the initramfs, a temporary file of {mib} MiB in {place}: {error}; TMPDIR names another folder"
            ))
        })?;
        let there = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), initramfs.as_raw_fd()));
        let (events, events_of_guest) = std::io::pipe().map_err(failed("a pipe"))?;
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
        command.args(arguments(machine)).arg("-initrd").arg(there);
        command.stdin(Stdio::from(events_of_guest)).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(failed("starting the emulator"))?;
        let (console, said) = (child.stdout.take(), child.stderr.take());
        Ok(Self { child, console, events: Some(events), said, _initramfs: initramfs })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it and whatever it may have started, and waits for its end.
    pub(super) fn kill(&mut self) -> Option<ExitStatus> {
        if self.ended().is_none() {
            let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
            // One that has ended in the meantime cannot be killed, which is well.
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.kill();
        }
        self.child.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn arguments(machine: &Machine<'_>) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-machine",
        "q35",
        "-chardev",
        "file,id=console,path=/proc/self/fd/1",
        "-serial",
        "chardev:console",
        "-chardev",
        "file,id=events,path=/proc/self/fd/0",
        "-serial",
        "chardev:events",
        "-append",
        APPEND,
    ]
    .map(str::to_owned)
    .into();
    let (accel, cpu) = match machine.accel {
        Accel::Kvm => ("kvm", "host"),
        Accel::Tcg => ("tcg,thread=multi", "max"),
    };
    let more = [
        ("-accel", accel.to_owned()),
        ("-cpu", cpu.to_owned()),
        ("-smp", CPUS.to_string()),
        ("-m", format!("{}M", machine.memory_mib)),
    ];
    for (option, value) in more {
        arguments.extend([option.to_owned(), value]);
    }
    arguments.extend(["-kernel".to_owned(), machine.image.display().to_string()]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_that_is_missing_is_named_with_what_installs_it() {
        let machine = Machine { image: Path::new("k"), initramfs: b"", accel: Accel::Tcg, memory_mib: 256 };
        let path = tempfile::tempdir().unwrap();
        std::fs::write(path.path().join("setpriv"), "").unwrap();
        let tools = Tools { path: vec![path.path().to_owned()], ..Tools::default() };
        let error = Process::start(&machine, &tools).err().map(|error| error.to_string());
        let expected = "qemu-system-x86_64 is not installed; `apt install qemu-system-x86` installs it";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn the_emulator_gets_the_kernel_and_the_accelerator_it_was_told() {
        let machine = Machine { image: Path::new("vmlinuz"), initramfs: b"", accel: Accel::Tcg, memory_mib: 384 };
        let text = arguments(&machine).join(" ");
        for part in ["-accel tcg,thread=multi -cpu max -smp 2 -m 384M", "-kernel vmlinuz", "-no-reboot"] {
            assert!(text.contains(part), "{text}");
        }
        let text = arguments(&Machine { accel: Accel::Kvm, ..machine }).join(" ");
        assert!(text.contains("-accel kvm -cpu host"), "{text}");
    }
}
