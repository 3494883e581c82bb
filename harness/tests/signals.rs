//! What Ctrl-C does to a run: it ends within seconds with code 130, what was finished is written, nothing else is left.
//!
//! Not here: everything else about the command line (`cli.rs`).

mod support;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dmlab_results::{CellRecord, Record, Strength};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Folder, binary};

/// A user's patience, with room for a disk that is slow to flush the record.
const PATIENCE: Duration = Duration::from_secs(10);
/// More schedules than anybody waits for.
const MANY: &str = "100000000";

const ENDLESS: &str = "\
scenario: t/endless
about: more I/O than anybody waits for
runs: [threads]
devices:
  d: { ram: 1MiB }
  t: { dm: [\"0 2048 linear $d 0\"] }
steps:
  - load: { on: t, rw: randwrite, bs: 4k, iodepth: 4, io_size: 16TiB }
";

fn start(folder: &Folder, args: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command.args(args).current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("dmlab can be started")
}

/// Waits until the process has a handler for `signal`, then gives it time to get into its work, then sends it.
fn interrupt(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim).unwrap_or("0");
        u64::from_str_radix(mask, 16).unwrap_or(0) & (1 << (signal as i32 - 1)) != 0
    };
    let started = Instant::now();
    while !caught() {
        assert!(started.elapsed() < PATIENCE, "no handler for {signal} was ever set");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    kill(pid, signal).expect("the process runs still");
}

/// What the process ends in, in time.
fn ended(mut child: Child) -> Output {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it still ran {PATIENCE:?} after the signal");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

fn interrupted_record(folder: &Folder) -> Record {
    let record = Record::from_json(&folder.read("record.json")).expect("the record is whole");
    assert!(record.interrupted);
    record
}

/// A cell that the interrupt ended: neither met nor not met, and it says so.
fn assert_cut_short(cell: &CellRecord) {
    assert!(cell.is_skipped() && cell.report.as_ref().unwrap().starts_with("interrupted"), "{cell:?}");
}

#[test]
fn an_interrupted_exploration_still_writes_what_was_finished() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let folder = Folder::new();
        let args = ["run", "bio/rescuer-many-tasks", "--schedules", MANY, "--json", "record.json"];
        let child = start(&folder, &args);
        interrupt(&child, signal);
        let output = ended(child);
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let record = interrupted_record(&folder);
        // The first cell's deadlock takes a few schedules; the second, of which a proof is wanted, takes long.
        assert_eq!(record.cells.len(), 2);
        assert!(record.cells[0].ok && record.cells[0].verdict == dmlab_results::Verdict::Deadlock);
        assert_cut_short(&record.cells[1]);
        let exploration = record.cells[1].exploration.as_ref().unwrap();
        assert!(exploration.schedules > 0, "what was counted is not lost");
        let cut = matches!(&exploration.strength, Strength::NotProved { reason, .. } if reason == "interrupted");
        assert!(cut, "{}", exploration.strength);
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(out.contains("│ bio/rescuer-many-tasks │ rescue=none "), "what was finished is in the table: {out}");
        assert!(
            out.lines().last().unwrap().starts_with("interrupted after 2 cells: 1 as expected, 1 skipped"),
            "{out}"
        );
        assert_eq!(folder.names(""), ["record.json"], "no temporary file is left");
    }
}

#[test]
fn an_interrupted_run_on_threads_ends_and_writes_too() {
    let folder = Folder::new();
    folder.with("endless.yaml", ENDLESS);
    let child = start(&folder, &["run", "endless.yaml", "--json", "record.json"]);
    interrupt(&child, Signal::SIGINT);
    let output = ended(child);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_cut_short(interrupted_record(&folder).cells.last().unwrap());
    assert_eq!(folder.names(""), ["endless.yaml", "record.json"]);
}

#[test]
fn an_interrupted_run_on_the_virtual_clock_ends_and_writes_too() {
    let folder = Folder::new();
    folder.with("endless.yaml", ENDLESS);
    let child = start(&folder, &["run", "endless.yaml", "--clock", "virtual", "--json", "record.json"]);
    interrupt(&child, Signal::SIGINT);
    assert_eq!(ended(child).status.code(), Some(130));
    assert_cut_short(interrupted_record(&folder).cells.last().unwrap());
}

#[test]
fn an_interrupted_exploration_for_schedules_ends_too() {
    let folder = Folder::new();
    let args = ["explore", "bio/rescuer-many-tasks", "--variant", "rescue=punt-own", "--schedules", MANY];
    let child = start(&folder, &[&args[..], &["--json", "record.json"]].concat());
    interrupt(&child, Signal::SIGINT);
    assert_eq!(ended(child).status.code(), Some(130));
    assert_cut_short(interrupted_record(&folder).cells.last().unwrap());
    assert_eq!(folder.names(""), ["record.json"], "a run that was cut short is no failing schedule");
}

#[test]
fn an_interrupt_leaves_an_older_record_whole_or_replaces_it_whole() {
    let folder = Folder::new();
    folder.with("record.json", "an older record");
    let args = ["run", "bio/rescuer-many-tasks", "--variant", "rescue=punt-own", "--schedules", MANY];
    let child = start(&folder, &[&args[..], &["--json", "record.json"]].concat());
    assert_eq!(folder.read("record.json"), "an older record");
    interrupt(&child, Signal::SIGINT);
    assert_eq!(ended(child).status.code(), Some(130));
    interrupted_record(&folder);
}

/// The programs that a build needs, none of which does anything but gcc, which never ends.
fn endless_compiler(folder: &Folder) {
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let nothing = ["bc", "bison", "flex", "ld", "make", "perl", "tar", "xz", "dpkg-deb", "apt-cache", "apt-get"];
    let scripts = nothing.iter().map(|name| (*name, "exit 0".to_owned()));
    let gcc = format!("echo $$ >{}; while :; do /bin/sleep 60; done", folder.path().join("gcc.pid").display());
    let setpriv = "exec /usr/bin/setpriv \"$@\"".to_owned();
    for (name, body) in scripts.chain([("gcc", gcc), ("setpriv", setpriv)]) {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn an_interrupted_or_killed_build_leaves_neither_a_process_nor_a_file() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let folder = Folder::new();
        endless_compiler(&folder);
        let mut command = Command::new(binary());
        command.args(["kernel", "build", "6.12-debug"]).env("PATH", folder.path().join("bin"));
        command.env("XDG_CACHE_HOME", folder.path().join("cache"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let compiler = eventually("the compiler never began", || {
            std::fs::read_to_string(folder.path().join("gcc.pid")).ok().filter(|text| text.ends_with('\n'))
        });
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        let output = ended(child);
        if signal != Signal::SIGKILL {
            assert_eq!(output.status.code(), Some(130), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "interrupted\n");
        }
        let stat = format!("/proc/{}/stat", compiler.trim());
        eventually("the compiler runs still", || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
        assert!(!folder.path().join("cache").exists(), "nothing was made yet");
    }
}

/// What comes of `what`, asked again and again.
fn eventually<T>(why: &str, mut what: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{why}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
