//! [`Probes`]: what a machine tells only when it is asked, and not in a file.
//!
//! Invariants: a probe ends by itself or after [`DEADLINE`]; it leaves nothing behind.
//! Not here: what the answers mean.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program that takes longer than this is stopped.
const DEADLINE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(5);
/// No answer that is wanted is longer.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Questions to a machine.
pub trait Probes {
    /// Whether a ring can be set up.
    ///
    /// # Errors
    /// Why not, as the kernel says it.
    fn io_uring(&self) -> io::Result<()>;

    /// Whether a file in `folder` can be opened with `O_DIRECT`.
    ///
    /// # Errors
    /// Why not, as the kernel says it.
    fn o_direct(&self, folder: &Path) -> io::Result<()>;

    /// Whether `device` can be opened for reading and writing.
    ///
    /// # Errors
    /// Why not, as the kernel says it.
    fn open(&self, device: &Path) -> io::Result<()>;

    /// What a program prints.
    ///
    /// # Errors
    /// When it cannot be run, fails, or takes too long.
    fn output(&self, program: &Path, arguments: &[&str]) -> io::Result<String>;

    /// CPUs that this process may use.
    fn cpus(&self) -> usize;
}

/// The machine that dmlab runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealProbes;

impl Probes for RealProbes {
    fn io_uring(&self) -> io::Result<()> {
        io_uring::IoUring::new(2).map(drop)
    }

    fn o_direct(&self, folder: &Path) -> io::Result<()> {
        let file = folder.join(format!(".dmlab-doctor-{}", std::process::id()));
        let direct = nix::fcntl::OFlag::O_DIRECT.bits();
        let opened = OpenOptions::new().write(true).create_new(true).custom_flags(direct).open(&file);
        // Some file systems refuse the flag only after they have made the file.
        let _ = fs::remove_file(&file);
        opened.map(drop)
    }

    fn open(&self, device: &Path) -> io::Result<()> {
        let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
        OpenOptions::new().read(true).write(true).custom_flags(nonblock).open(device).map(drop)
    }

    fn output(&self, program: &Path, arguments: &[&str]) -> io::Result<String> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let started = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if started.elapsed() > DEADLINE => {
                    child.kill()?;
                    child.wait()?;
                    return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {DEADLINE:?}")));
                }
                None => std::thread::sleep(POLL),
            }
        };
        let mut text = String::new();
        if let Some(out) = child.stdout.take() {
            out.take(ANSWER_BYTES_MAX).read_to_string(&mut text)?;
        }
        if status.success() { Ok(text) } else { Err(io::Error::other(format!("it ended with {status}"))) }
    }

    fn cpus(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}
