//! Guests, booted for real: one that comes up, and each way of going wrong. After each, no emulator is left and no file.
//!
//! They need qemu and a kernel: the first of `DMLAB_TEST_KERNEL` (a name or path) and the stock kernels of this user's
//! store. Where either is missing a test says so on standard error and passes.
//!
//! Not here: the catalogue on kernels (the gate `guest`).

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Ended, Folder};

/// A guest test at a time: several emulated guests at once would wait for each other's processors.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// What a test of a guest needs.
struct Bench {
    kernel: String,
    folder: Folder,
    _turn: std::sync::MutexGuard<'static, ()>,
}

impl Bench {
    /// A bench, or `None` with the reason on standard error.
    fn new(test: &str) -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let skip = |why: &str| {
            // Not `eprintln!`, which the test harness keeps to itself when a test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
            None
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("qemu-system-x86_64").is_file()) {
            return skip("qemu-system-x86_64 is not installed; ci/setup.sh installs it");
        }
        let Some(kernel) = kernel() else {
            return skip("no kernel is in the store; ci/setup.sh fetches some, or DMLAB_TEST_KERNEL names one");
        };
        Some(Self { kernel, folder: Folder::new(), _turn: turn })
    }

    /// `dmlab kernel boot` with what else is wanted.
    fn command(&self, args: &[&str]) -> Command {
        self.dmlab(&[&["kernel", "boot", &self.kernel, "--accel", "tcg"], args].concat())
    }

    /// `dmlab`, whose temporary files go into a folder of the test's own.
    fn dmlab(&self, args: &[&str]) -> Command {
        let temporary = self.folder.path().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        let mut command = Command::new(support::binary());
        command.args(args);
        command.current_dir(self.folder.path()).env("TMPDIR", temporary).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn boot(&self, args: &[&str]) -> Ended {
        Self::ended(self.command(args))
    }

    /// `dmlab run` of a scenario file in guests.
    fn run(&self, scenario: &str, args: &[&str]) -> Ended {
        let head = ["run", scenario, "--kernel", &self.kernel, "--accel", "tcg"];
        Self::ended(self.dmlab(&[&head, args].concat()))
    }

    fn ended(mut command: Command) -> Ended {
        let output = command.output().expect("dmlab can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The emulators that read a file which this bench's dmlab holds, told by dmlab's process id.
    fn emulators_of(dmlab: u32) -> Vec<u32> {
        let holds = format!("/proc/{dmlab}/fd/");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&holds)
        })
        .collect()
    }

    fn nothing_is_left(&self) {
        assert_eq!(self.folder.names("tmp"), [] as [&str; 0], "temporary files");
    }
}

/// The kernel to test with.
fn kernel() -> Option<String> {
    kernel_of("DMLAB_TEST_KERNEL", &["6.1", "6.12"])
}

/// The kernel that a variable of the environment names, or the first of these that is in the store.
fn kernel_of(variable: &str, names: &[&str]) -> Option<String> {
    if let Some(kernel) = std::env::var_os(variable) {
        return kernel.into_string().ok();
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    let found = names.iter().map(|name| cache.join("dmlab/kernels").join(name)).find(|path| path.is_dir());
    found.map(|path| path.to_string_lossy().into_owned())
}

/// Waits until `what` holds; panics when it does not within a minute.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} took more than a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// So long may a guest of these tests go without progress, on a machine that is busy with other tests.
const PATIENCE: [&str; 2] = ["--patience", "20s"];

#[test]
fn a_guest_comes_up_says_who_it_is_and_leaves_nothing() {
    let Some(bench) = Bench::new("a guest comes up") else { return };
    let ended = bench.boot(&["--save", "console.txt"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains(" came up in ") && ended.out.contains("with 2 processors (tcg)"), "{ended:?}");
    assert!(bench.folder.read("console.txt").contains("Linux version"), "the console was saved");
    bench.nothing_is_left();
}

#[test]
fn a_kernel_that_panics_is_told_with_what_it_said() {
    let Some(bench) = Bench::new("a kernel that panics") else { return };
    let ended = bench.boot(&["--drill", "panic"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("its kernel panicked"), "{ended:?}");
    assert!(ended.err.contains("| ") && ended.err.contains("Kernel panic - not syncing: sysrq"), "{ended:?}");
    bench.nothing_is_left();
}

#[test]
fn a_guest_that_hangs_in_boot_is_given_up_with_the_end_of_its_console() {
    let Some(bench) = Bench::new("a guest that hangs in boot") else { return };
    let ended = bench.boot(&[&["--drill", "hang-in-boot"], &PATIENCE[..]].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("it hung while it booted: nothing was printed for 2"), "{ended:?}");
    assert!(ended.err.contains("Run /init as init process"), "the console's end: {ended:?}");
    bench.nothing_is_left();
}

#[test]
fn a_guest_that_floods_its_console_is_stopped() {
    let Some(bench) = Bench::new("a guest that floods its console") else { return };
    let ended = bench.boot(&["--drill", "flood"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("it flooded its console"), "{ended:?}");
    assert!(ended.err.len() < 100_000, "{} bytes were shown", ended.err.len());
    bench.nothing_is_left();
}

#[test]
fn a_guest_in_which_nothing_moves_and_one_that_is_silent_are_told_apart() {
    let Some(bench) = Bench::new("a guest in which nothing moves") else { return };
    for (drill, told) in [("stall", "nothing moved for 2"), ("silence", "it was silent for 2")] {
        let ended = bench.boot(&[&["--drill", drill], &PATIENCE[..]].concat());
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains(told), "{ended:?}");
    }
    bench.nothing_is_left();
}

#[test]
fn runs_on_a_kernel_that_are_killed_leave_nothing_behind_a_cleanup() {
    let Some(bench) = Bench::new("runs that are killed") else { return };
    let ended = bench.boot(&["--drill", "leftovers", "--console"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("50 cycles of create, load, suspend, resume, remove"), "{ended:?}");
    assert!(ended.out.contains("12 kills") && ended.out.contains("nothing is left"), "{ended:?}");
    bench.nothing_is_left();
}

#[test]
fn an_init_that_panics_says_so_and_the_machine_goes_off() {
    let Some(bench) = Bench::new("an init that panics") else { return };
    let ended = bench.boot(&["--drill", "init-panics", "--console"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("its init could not go on: it panicked"), "{ended:?}");
    assert!(ended.out.contains("drill.rs"), "the console says where: {ended:?}");
    bench.nothing_is_left();
}

#[test]
fn an_emulator_that_is_killed_is_told_as_such() {
    let Some(bench) = Bench::new("an emulator that is killed") else { return };
    let child = bench.command(&["--drill", "stall"]).spawn().unwrap();
    let emulators = || Bench::emulators_of(child.id());
    wait_until("the emulator's start", || !emulators().is_empty());
    for id in emulators() {
        kill(id, "KILL");
    }
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("the emulator ended: signal: 9"), "{err}");
    bench.nothing_is_left();
}

#[test]
fn no_emulator_survives_a_dmlab_that_is_asked_to_end_or_killed() {
    let Some(bench) = Bench::new("no emulator survives") else { return };
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(130)), ("KILL", None)] {
        let mut child = bench.command(&["--drill", "stall"]).spawn().unwrap();
        let id = child.id();
        wait_until("the emulator's start", || !Bench::emulators_of(id).is_empty());
        let emulators = Bench::emulators_of(id);
        kill(id, signal);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), code, "after SIG{signal}");
        wait_until("the emulator's end", || emulators.iter().all(|id| is_gone(*id)));
        bench.nothing_is_left();
    }
}

fn kill(id: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &id.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {signal} {id}");
}

/// Gone, or dead and only not yet waited for by whoever inherited it.
fn is_gone(id: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('Z'))
}

/// A write and what it is read back as, on a linear device over a ramdisk.
const LINEAR: &str = "scenario: a/linear
about: x
variants: { at: [0, 8] }
devices: { d: { ram: 64KiB }, t: { dm: \"0 32 linear $d 0\" } }
steps:
  - stamp: { on: t, at: \"${at}\", sectors: 8 }
  - verify: { on: t, at: \"${at}\", sectors: 8 }
";

#[test]
fn cells_run_on_a_kernel_in_a_guest_and_stand_beside_the_engines() {
    let Some(bench) = Bench::new("cells on a kernel") else { return };
    bench.folder.with("linear.yaml", LINEAR);
    let more = ["--backend", "engine,guest", "--json", "record.json", "--junit", "junit.xml", "--artefacts", "found"];
    let ended = bench.run("linear.yaml", &more);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let row = |at: &str| ended.out.lines().find(|line| line.contains(at)).map(str::to_owned).unwrap_or_default();
    let record = dmlab_results::Record::from_json(&bench.folder.read("record.json")).unwrap();
    let guests: Vec<_> = record.cells.iter().filter(|cell| cell.backend == "guest").collect();
    assert_eq!(guests.len(), 2, "{ended:?}");
    assert!(guests.iter().all(|cell| cell.ok && cell.variant[1].0 == "kernel" && cell.plan.is_object()));
    assert!(ended.out.contains("explorer") && ended.out.contains("guest "), "a column each: {ended:?}");
    assert_eq!(row("at=8").matches("pass").count(), 3, "{ended:?}");
    assert!(bench.folder.read("junit.xml").contains("[guest/threads]"));
    assert_eq!(bench.folder.names("found"), [] as [&str; 0], "nothing failed");
    bench.nothing_is_left();
}

/// Requests of a disk by multipath, which takes no other devices than those of these drivers.
const PATHS: &str = "scenario: a/paths
about: x
runs: [threads]
requires: { targets: multipath, module: dm_round_robin }
variants: { driver: [loop, null_blk, scsi_debug] }
devices:
  d: { ram: 2MiB, driver: \"${driver}\" }
  m: { dm: \"0 4096 multipath 0 0 1 1 round-robin 0 1 1 $d 1\" }
steps:
  - stamp: { on: m, sectors: 256 }
  - verify: { on: m, sectors: 256 }
  - layout: { of: m, at: 0, sectors: 256, is: { on: d, at: 0 } }
  - table: { of: m, is: \"0 4096 multipath 0 0 1 1 round-robin 0 1 1 $d 1 \" }
";

/// Allocations behind a device's bios fail.
const SLAB: &str = "scenario: a/slab
about: x
runs: [threads]
variants: { fail: [always, any] }
devices: { d: { ram: 1MiB }, t: { dm: \"0 2048 linear $d 0\" } }
steps:
  - fault: { slab: { pool: t.bs, fail: \"${fail}\" } }
  - load: { on: t, rw: randwrite, bs: 4k, iodepth: 8, io_size: 1MiB, verify: true }
  - heal: all
  - load: { on: t, rw: read, bs: 4k }
";

/// What the cell of this scenario and value came to.
fn cell<'a>(record: &'a dmlab_results::Record, scenario: &str, value: &str) -> &'a dmlab_results::CellRecord {
    let found = record.cells.iter().find(|cell| {
        cell.scenario == scenario && (value.is_empty() || cell.variant.iter().any(|(_, known)| known == value))
    });
    found.unwrap_or_else(|| panic!("no cell of {scenario} with {value}"))
}

#[test]
fn disks_of_every_driver_take_requests_and_want_of_memory_stands_for_faults_that_a_kernel_has_not() {
    let Some(bench) = Bench::new("drivers, and want of memory") else { return };
    bench.folder.with("paths.yaml", PATHS);
    bench.folder.with("slab.yaml", SLAB);
    let ended = bench.run(
        "paths.yaml",
        &["slab.yaml", "dm/linear-over-drivers", "--backend", "guest", "--json", "record.json", "--artefacts", "found"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record = dmlab_results::Record::from_json(&bench.folder.read("record.json")).unwrap();
    for driver in ["loop", "null_blk", "scsi_debug"] {
        for scenario in ["a/paths", "dm/linear-over-drivers"] {
            assert_eq!(cell(&record, scenario, driver).verdict.as_str(), "pass", "{scenario} on {driver}: {ended:?}");
        }
    }
    let always = cell(&record, "a/slab", "always");
    let why = always.report.clone().unwrap_or_default();
    if always.verdict.as_str() == "pass" {
        // A kernel with failslab was named for this test.
        return;
    }
    assert!(why.contains("without failslab a kernel can only be short of memory"), "{why}");
    let any = cell(&record, "a/slab", "any");
    assert_eq!(any.verdict.as_str(), "pass", "{ended:?}");
    let free = any.counters.get("hog.free_kib_min").copied().unwrap_or(u64::MAX);
    assert!(free < 8192, "the hog left {free} KiB: {any:?}");
    assert!(any.counters.contains_key("in_flight_max"), "peaks are in the record: {any:?}");
    bench.nothing_is_left();
}

/// The third I/O of a disk fails, and then every second one.
const REQUESTS: &str = "scenario: a/requests
about: x
runs: [threads]
devices: { d: { ram: 64KiB }, t: { dm: \"0 128 linear $d 0\" } }
steps:
  - fault: { io: { on: d, fail: { nth: 3 } } }
  - submit: { on: t, op: write, sectors: 8 }
  - submit: { on: t, op: write, sectors: 8 }
  - submit: { on: t, op: write, sectors: 8, expect: EIO }
  - submit: { on: t, op: write, sectors: 8 }
  - heal: all
  - fault: { io: { on: d, fail: { every: 2 } } }
  - submit: { on: t, op: read, sectors: 8 }
  - submit: { on: t, op: read, sectors: 8, expect: EIO }
  - submit: { on: t, op: read, sectors: 8 }
  - submit: { on: t, op: read, sectors: 8, expect: EIO }
  - heal: all
  - submit: { on: t, op: read, sectors: 8 }
expect: [ { verdict: pass, counters: { fail_make_request: \"== 3\" } } ]
";

/// kcopyd copies with its reserve of pages.
const PAGES: &str = "scenario: a/pages
about: x
runs: [threads]
devices: { d: { ram: 1MiB }, vol: { dm: \"0 2048 linear $d 0\" } }
steps:
  - create: vol
  - stamp: { on: vol, percent: 100 }
  - snapshot: { of: vol, as: s }
  - fault: { slab: { pool: \"*.kcopyd.pages\", fail: always } }
  - stamp: { on: vol, percent: 100 }
  - heal: all
  - verify: s
  - verify: vol
  - drop: s
";

#[test]
fn a_kernel_with_fault_injection_fails_as_it_is_told_and_every_strike_is_counted() {
    const TEST: &str = "a kernel with fault injection";
    let Some(mut bench) = Bench::new(TEST) else { return };
    let Some(kernel) = kernel_of("DMLAB_TEST_DEBUG_KERNEL", &["6.12-debug"]) else {
        let why = "`dmlab kernel build 6.12-debug` builds one, or DMLAB_TEST_DEBUG_KERNEL names it";
        let _ = writeln!(std::io::stderr(), "SKIPPED {TEST}: {why}");
        return;
    };
    bench.kernel = kernel;
    for (name, text) in [("requests.yaml", REQUESTS), ("slab.yaml", SLAB), ("pages.yaml", PAGES)] {
        bench.folder.with(name, text);
    }
    let ended = bench.run(
        "requests.yaml",
        &["slab.yaml", "pages.yaml", "--backend", "guest", "--json", "record.json", "--artefacts", "found"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record = dmlab_results::Record::from_json(&bench.folder.read("record.json")).unwrap();
    let struck = |scenario: &str, value: &str, kind: &str| {
        let cell = cell(&record, scenario, value);
        assert_eq!(cell.verdict.as_str(), "pass", "{cell:?}");
        cell.counters.get(kind).copied().unwrap_or(0)
    };
    assert_eq!(struck("a/requests", "", "fail_make_request"), 3);
    assert!(struck("a/slab", "always", "failslab") >= 256, "each of as many I/Os took from the reserve");
    assert_eq!(struck("a/slab", "any", "failslab"), 1, "no more than the budget");
    assert!(struck("a/pages", "", "fail_page_alloc") >= 100);
    // A scenario that expects something else of the same faults notices.
    bench.folder.with("wrong.yaml", &REQUESTS.replace("nth: 3", "nth: 2"));
    let ended = bench.run("wrong.yaml", &["--backend", "guest", "--artefacts", "found"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    bench.nothing_is_left();
}

#[test]
fn a_cell_that_fails_on_a_kernel_is_told_and_what_was_found_is_kept() {
    let Some(bench) = Bench::new("a cell that fails on a kernel") else { return };
    bench.folder.with("wrong.yaml", &LINEAR.replace("verify: { on: t, at: \"${at}\"", "verify: { on: t, at: \"16\""));
    let ended = bench.run("wrong.yaml", &["--backend", "guest", "--variant", "at=8", "--artefacts", "found"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("verdict corruption, expected pass"), "{ended:?}");
    let found = bench.folder.names("found");
    let [folder] = &found[..] else { panic!("{found:?}") };
    assert!(ended.out.contains(&format!("what was found is in found/{folder}")), "{ended:?}");
    let files = bench.folder.names(&format!("found/{folder}"));
    for file in ["about.txt", "console.txt", "plan.json", "report.txt", "seed", "slabinfo.txt"] {
        assert!(files.iter().any(|known| known == file), "{file} in {files:?}");
    }
    bench.nothing_is_left();
}

#[test]
fn conform_also_fails_where_both_sides_agree_on_what_nobody_expects() {
    let Some(bench) = Bench::new("conform and expectations") else { return };
    let conform = |text: &str| {
        bench.folder.with("cell.yaml", text);
        let head = ["conform", "cell.yaml", "--kernel", &bench.kernel, "--accel", "tcg", "--junit", "junit.xml"];
        Bench::ended(bench.dmlab(&head))
    };
    let ended = conform(LINEAR);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("2 cells compared: 2 equal") && ended.out.contains("2 as expected"), "{ended:?}");
    assert!(bench.folder.read("junit.xml").contains("failures=\"0\""));
    let ended = conform(&LINEAR.replace("verify: { on: t, at: \"${at}\"", "verify: { on: t, at: \"16\""));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("2 cells compared: 2 equal"), "both sides read the same: {ended:?}");
    assert!(ended.out.contains("verdict corruption, expected pass"), "{ended:?}");
    assert!(!bench.folder.read("junit.xml").contains("failures=\"0\""));
    bench.nothing_is_left();
}
