//! Runs another program to its end, or ends it and everything that it has started.
//!
//! A program runs below a shell that leads a process group of its own and that `setpriv` ties to the thread that started it.
//! On SIGTERM, which dmlab sends when it is interrupted and the kernel when that thread is no more (a SIGKILL of dmlab), the
//! shell asks the whole group to end, so that make removes what it has half made, and kills whoever is left after
//! [`GRACE_S`].
//!
//! Invariants: when a run is over, however it ended, no process of the group is left; an interrupt is seen within
//! [`LOOK_MAX`]; a terminal's Ctrl-C reaches dmlab alone.
//! Not here: where programs are and what their failures mean (`tools`), the emulator (`backend::guest`).

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// The shortest time between two looks at a program.
const LOOK_MIN: Duration = Duration::from_millis(1);

/// The longest.
const LOOK_MAX: Duration = Duration::from_millis(50);

/// So many seconds a program has to clean up when it is asked to end.
const GRACE_S: u64 = 2;

/// When the shell itself should have ended at last.
const STOPPED: Duration = Duration::from_secs(GRACE_S + 2);

/// So long the last words of a program that has ended are waited for, if somebody outside its group keeps its output open.
const REST: Duration = Duration::from_millis(200);

/// What is read at once.
const PART_BYTES: usize = 64 << 10;

/// The shell's script; the program and its arguments are its arguments.
fn script() -> String {
    format!(
        "exec 3<&0\n\
         trap 'trap \"\" TERM; kill -TERM 0; (sleep {GRACE_S}; kill -KILL 0) 3<&- & wait \"$p\"; kill -KILL 0' TERM\n\
         \"$@\" <&3 3<&- &\n\
         p=$!\n\
         exec 3<&-\n\
         wait \"$p\""
    )
}

/// A command that runs `program` below the shell; arguments, folder, environment and standard input can be added to it.
pub(super) fn command(setpriv: &std::path::Path, program: &std::path::Path) -> Command {
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--", "/bin/sh", "-c"]).arg(script()).arg("sh").arg(program);
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a program ended, and what it said.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why there is no such thing.
pub(super) enum Stopped {
    /// It could not be started or looked after.
    Io(io::Error),
    /// Somebody wanted the end of it.
    Interrupted,
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs a [`command`] until it ends or `interrupt` is set. `on_line` hears of each line of its standard output.
pub(super) fn run(
    command: &mut Command,
    interrupt: &AtomicBool,
    on_line: &mut dyn FnMut(&str),
) -> Result<Ran, Stopped> {
    if interrupt.load(Ordering::Relaxed) {
        return Err(Stopped::Interrupted);
    }
    let mut group = Group(command.spawn()?);
    let (sender, said) = channel();
    let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
    listen(stdout, sender.clone(), Said::Out);
    listen(stderr, sender, Said::Err);
    let mut heard = Heard { stdout: Vec::new(), stderr: Vec::new(), told: 0, on_line };
    let mut pause = LOOK_MIN;
    while !group.has_ended()? {
        if interrupt.load(Ordering::Relaxed) {
            group.stop();
            return Err(Stopped::Interrupted);
        }
        pause = if heard.listen(&said, pause) { LOOK_MIN } else { (pause * 2).min(LOOK_MAX) };
    }
    // Before its number is given back: what it has left behind has the same group.
    group.kill();
    while heard.listen(&said, REST) {}
    let status = group.0.wait()?;
    let Heard { stdout, stderr, .. } = heard;
    Ok(Ran { status, stdout, stderr })
}

/// A part of what a program says.
enum Said {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Reads on a thread of its own, so that a program never waits for a reader.
fn listen<R: Read + Send + 'static>(pipe: Option<R>, sender: Sender<Said>, part: fn(Vec<u8>) -> Said) {
    let Some(mut pipe) = pipe else { return };
    thread::spawn(move || {
        let mut buffer = vec![0; PART_BYTES];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                // Nobody listens any more when the program was ended.
                Ok(length) if sender.send(part(buffer[..length].to_vec())).is_err() => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
}

/// What was heard so far.
struct Heard<'a> {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// So many bytes of standard output were told as lines.
    told: usize,
    on_line: &'a mut dyn FnMut(&str),
}

impl Heard<'_> {
    /// Listens for so long at most; whether something was said.
    fn listen(&mut self, said: &Receiver<Said>, at_most: Duration) -> bool {
        match said.recv_timeout(at_most) {
            Ok(Said::Err(part)) => self.stderr.extend(part),
            Ok(Said::Out(part)) => {
                self.stdout.extend(part);
                self.tell();
            }
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => {
                // It has closed its output and may go on all the same; after its end there is nothing to wait for.
                thread::sleep(at_most.min(LOOK_MAX));
                return false;
            }
        }
        true
    }

    fn tell(&mut self) {
        while let Some(length) = self.stdout[self.told..].iter().position(|byte| *byte == b'\n') {
            let line = &self.stdout[self.told..self.told + length];
            (self.on_line)(&String::from_utf8_lossy(line));
            self.told += length + 1;
        }
    }
}

/// The shell, and all that run below it. It is gone when this goes, whatever the reason.
struct Group(Child);

impl Group {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap_or(i32::MAX))
    }

    /// Whether the shell has ended; it is not yet waited for, so that its number stays its own.
    fn has_ended(&self) -> io::Result<bool> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        Ok(waitid(Id::Pid(self.pid()), flags)? != WaitStatus::StillAlive)
    }

    /// Asks it to end, and sees to it that it does.
    fn stop(mut self) {
        // To the shell alone, which passes it on and looks after the rest.
        let _ = kill(self.pid(), Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < STOPPED && !self.has_ended().unwrap_or(true) {
            thread::sleep(LOOK_MIN);
        }
        self.kill();
        let _ = self.0.wait();
    }

    /// Kills whoever is left. One who has ended in the meantime cannot be killed, which is well.
    fn kill(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;

    /// A user's patience.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn sh(body: &str, folder: &Path) -> Command {
        let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].map(PathBuf::from).into_iter().find(|path| path.is_file());
        let mut command = command(&setpriv.expect("util-linux is installed"), Path::new("/bin/sh"));
        command.args(["-c", body]).current_dir(folder).stdin(Stdio::null());
        command
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "{what}");
            thread::sleep(LOOK_MIN);
        }
    }

    /// The numbers that programs have left in these files.
    fn numbers(folder: &Path, names: &[&str]) -> Vec<String> {
        let number = |name: &&str| fs::read_to_string(folder.join(name)).ok().filter(|text| text.ends_with('\n'));
        names.iter().filter_map(number).map(|text| text.trim().to_owned()).collect()
    }

    /// Whether a process runs; one that nobody has waited for does not.
    fn runs(number: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    #[test]
    fn what_a_program_says_is_heard_line_by_line_and_kept_with_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Vec::new();
        let mut command = sh("echo one; echo two; printf end; echo oh >&2; exit 3", folder.path());
        let Ok(ran) = run(&mut command, &AtomicBool::new(false), &mut |line| lines.push(line.to_owned())) else {
            panic!("it was not interrupted")
        };
        assert_eq!((ran.status.code(), &*ran.stdout, &*ran.stderr), (Some(3), &b"one\ntwo\nend"[..], &b"oh\n"[..]));
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn an_interrupt_ends_a_program_and_all_below_it_also_those_that_do_not_want_to() {
        let folder = tempfile::tempdir().unwrap();
        let body = "trap 'echo yes >asked; exit 1' TERM\n\
                    sh -c 'trap \"\" TERM; echo $$ >stubborn; while :; do sleep 60; done' &\n\
                    echo $$ >own\n\
                    wait";
        let interrupt = Arc::new(AtomicBool::new(false));
        let (flag, place) = (Arc::clone(&interrupt), folder.path().to_owned());
        let running = thread::spawn(move || {
            let ran = run(&mut sh(body, &place), &flag, &mut |_| {});
            matches!(ran, Err(Stopped::Interrupted))
        });
        until("it never began", || numbers(folder.path(), &["own", "stubborn"]).len() == 2);
        let all = numbers(folder.path(), &["own", "stubborn"]);
        assert!(all.iter().all(|number| runs(number)));
        interrupt.store(true, Ordering::Relaxed);
        assert!(running.join().unwrap(), "it says that it was interrupted");
        until("somebody is left", || !all.iter().any(|number| runs(number)));
        assert!(folder.path().join("asked").exists(), "it was asked before it was killed");
    }

    #[test]
    fn a_program_dies_with_the_thread_that_started_it() {
        let folder = tempfile::tempdir().unwrap();
        let body = "(while :; do sleep 60; done) & echo $! >below; echo $$ >own; wait";
        let place = folder.path().to_owned();
        // What a SIGKILL of dmlab does: nobody is left to wait or to kill.
        let child = thread::spawn(move || {
            let child = sh(body, &place).spawn().unwrap();
            until("it never began", || numbers(&place, &["own", "below"]).len() == 2);
            child
        });
        let mut child = child.join().unwrap();
        let all = numbers(folder.path(), &["own", "below"]);
        until("somebody is left", || !all.iter().any(|number| runs(number)));
        child.wait().unwrap();
    }

    #[test]
    fn what_a_program_leaves_behind_is_ended_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = sh("sh -c 'echo $$ >left; sleep 60' & until [ -s left ]; do :; done", folder.path());
        assert!(run(&mut command, &AtomicBool::new(false), &mut |_| {}).is_ok_and(|ran| ran.status.success()));
        let left = numbers(folder.path(), &["left"]);
        until("somebody is left", || !runs(&left[0]));
    }

    #[test]
    fn nothing_is_started_after_an_interrupt() {
        let folder = tempfile::tempdir().unwrap();
        let ran = run(&mut sh("echo >begun", folder.path()), &AtomicBool::new(true), &mut |_| {});
        assert!(matches!(ran, Err(Stopped::Interrupted)) && !folder.path().join("begun").exists());
    }
}
