//! Machines made of a folder: for each line of the report one on which it says yes, and ones on which it does not.
//!
//! Not here: the machine that the tests run on, but for probes that end and leave nothing behind.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Finding, Machine, Need, Probes, Report, State};

/// A machine on which everything is there.
struct Fake {
    root: tempfile::TempDir,
    io_uring: io::ErrorKind,
    o_direct: bool,
    /// Devices that may not be opened, and programs that do not answer.
    refused: &'static str,
    cpus: usize,
}

const FILES: &[(&str, &str)] = &[
    ("proc/sys/kernel/osrelease", "6.12.1\n"),
    ("proc/meminfo", "MemTotal:       8000000 kB\nMemAvailable:    4000000 kB\n"),
    ("proc/self/status", "Name:\tdmlab\nCapEff:\t000001ffffffffff\n"),
    ("proc/misc", "236 device-mapper\n232 kvm\n"),
    ("proc/loadavg", "0.10 0.20 0.30 1/100 1234\n"),
    ("proc/sys/kernel/hung_task_timeout_secs", "120\n"),
    ("proc/sys/kernel/io_uring_disabled", "0\n"),
    ("dev/mapper/control", ""),
    ("dev/kvm", ""),
    ("usr/bin/dmsetup", ""),
    ("usr/bin/qemu-system-x86_64", ""),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
    ("sys/devices/system/cpu/cpufreq/boost", "1\n"),
    ("sys/module/dm_delay/refcnt", "0\n"),
    ("sys/module/dm_dust/refcnt", "0\n"),
    ("sys/module/dm_mirror/refcnt", "0\n"),
    ("sys/module/dm_multipath/refcnt", "0\n"),
    ("sys/module/dm_thin_pool/refcnt", "0\n"),
    ("sys/module/dm_log_writes/refcnt", "0\n"),
    ("sys/module/null_blk/refcnt", "0\n"),
    ("sys/module/zram/refcnt", "0\n"),
    ("sys/module/scsi_debug/refcnt", "0\n"),
    (
        "lib/modules/6.12.1/modules.builtin",
        "kernel/drivers/block/loop.ko\nkernel/drivers/block/brd.ko\nkernel/drivers/md/dm-flakey.ko\n",
    ),
    ("lib/modules/6.12.1/modules.dep", "kernel/drivers/md/dm-snapshot.ko.xz: kernel/drivers/md/dm-bufio.ko.xz\n"),
    (
        "boot/config-6.12.1",
        "CONFIG_FAILSLAB=y\nCONFIG_FAIL_PAGE_ALLOC=y\nCONFIG_FAIL_MAKE_REQUEST=y\nCONFIG_FAULT_INJECTION_DEBUG_FS=y\n\
         CONFIG_PROVE_LOCKING=y\nCONFIG_KASAN=y\nCONFIG_DETECT_HUNG_TASK=y\n\
         CONFIG_BLK_DEV_DM=m\nCONFIG_DM_DELAY=m\nCONFIG_DM_FLAKEY=m\nCONFIG_DM_DUST=m\n\
         CONFIG_DM_MIRROR=m\nCONFIG_DM_SNAPSHOT=m\nCONFIG_DM_MULTIPATH=m\nCONFIG_DM_THIN_PROVISIONING=m\n\
         CONFIG_DM_LOG_WRITES=m\nCONFIG_BLK_DEV_RAM=m\nCONFIG_BLK_DEV_LOOP=m\nCONFIG_BLK_DEV_NULL_BLK=m\n\
         CONFIG_ZRAM=m\nCONFIG_SCSI_DEBUG=m\n",
    ),
    ("sys/module/dm_snapshot/refcnt", "0\n"),
];

impl Fake {
    fn whole() -> Self {
        let fake = Self {
            root: tempfile::tempdir().unwrap(),
            io_uring: io::ErrorKind::Other,
            o_direct: true,
            refused: "",
            cpus: 2,
        };
        FILES.iter().for_each(|(path, text)| fake.write(path, text));
        fake
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), text).unwrap();
    }

    fn without(self, path: &str) -> Self {
        let place = self.path(path);
        if place.is_dir() { std::fs::remove_dir_all(place) } else { std::fs::remove_file(place) }.unwrap();
        self
    }

    fn with(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    fn report(&self) -> Report {
        let path = vec![PathBuf::from("/usr/bin")];
        Report::of(&Machine { root: self.root.path().to_owned(), path, results: PathBuf::from("/data"), probes: self })
    }
}

impl Probes for Fake {
    fn io_uring(&self) -> io::Result<()> {
        if self.io_uring == io::ErrorKind::Other { Ok(()) } else { Err(self.io_uring.into()) }
    }

    fn o_direct(&self, folder: &Path) -> io::Result<()> {
        assert_eq!(folder, Path::new("/data"));
        if self.o_direct { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn open(&self, device: &Path) -> io::Result<()> {
        assert!(device.starts_with(self.root.path()), "{device:?} is outside of the root");
        let refused = !self.refused.is_empty() && device.ends_with(self.refused);
        if refused { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn output(&self, program: &Path, arguments: &[&str]) -> io::Result<String> {
        assert_eq!((program, arguments), (Path::new("/usr/bin/dmsetup"), &["version"][..]));
        match self.refused {
            "dmsetup" => Err(io::ErrorKind::TimedOut.into()),
            "driver" => Ok("Library version:   1.02.185\n".to_owned()),
            _ => Ok("Library version:   1.02.185\nDriver version:    4.48.0\n".to_owned()),
        }
    }

    fn cpus(&self) -> usize {
        self.cpus
    }
}

#[track_caller]
fn line(report: &Report, what: &str) -> Finding {
    let found = report.findings.iter().find(|finding| finding.what == what);
    found.unwrap_or_else(|| panic!("nobody looks at {what}")).clone()
}

/// That the line `what` is `state`, says `found`, and knows the way out that starts with `fix`.
#[track_caller]
fn assert_line(fake: &Fake, what: &str, state: State, found: &str, fix: &str) {
    let line = line(&fake.report(), what);
    assert_eq!(line.state, state, "{line:?}");
    assert!(line.found.contains(found), "{line:?}");
    assert!(line.fix.as_deref().is_some_and(|text| text.contains(fix)), "{line:?}");
}

#[test]
fn on_a_machine_with_everything_every_line_says_yes_and_nothing_is_to_be_mended() {
    let report = Fake::whole().report();
    for finding in &report.findings {
        assert_eq!((finding.state, &finding.fix), (State::Yes, &None), "{finding:?}");
    }
    assert!(report.findings.len() > 25 && Need::ALL.iter().all(|need| report.can(*need)));
}

#[test]
fn on_a_machine_with_nothing_the_engine_runs_and_every_other_line_knows_a_way_out() {
    let fake = Fake {
        root: tempfile::tempdir().unwrap(),
        io_uring: io::ErrorKind::Unsupported,
        o_direct: false,
        refused: "",
        cpus: 1,
    };
    let report = fake.report();
    assert!(
        report.can(Need::Engine) && !report.can(Need::Files) && !report.can(Need::Kernel) && !report.can(Need::Guest)
    );
    for finding in &report.findings {
        assert_ne!(finding.state, State::Yes, "{finding:?}");
        let figures = finding.need == Need::Figures;
        assert!(figures || finding.fix.is_some(), "{finding:?}");
    }
}

#[test]
fn few_processors_and_little_memory_are_seen() {
    assert_line(&Fake { cpus: 1, ..Fake::whole() }, "CPUs", State::Partly, "take turns", "second CPU");
    let small = Fake::whole().with("proc/meminfo", "MemAvailable:   500000 kB\n");
    assert_line(&small, "memory", State::Partly, "488 MiB", "cache");
    assert_line(&Fake::whole().without("proc/meminfo"), "memory", State::Unknown, "does not say", "cache");
}

#[test]
fn why_io_uring_is_refused_is_told_apart() {
    let refused = |kind| Fake { io_uring: kind, ..Fake::whole() };
    let denied = io::ErrorKind::PermissionDenied;
    let disabled = refused(denied).with("proc/sys/kernel/io_uring_disabled", "2\n");
    assert_line(&disabled, "io_uring", State::No, "set to refuse", "sysctl kernel.io_uring_disabled=0");
    assert_line(&refused(denied), "io_uring", State::No, "not allowed", "seccomp");
    assert_line(&refused(io::ErrorKind::Unsupported), "io_uring", State::No, "", "CONFIG_IO_URING");
}

#[test]
fn a_folder_without_o_direct_is_named() {
    let fake = Fake { o_direct: false, ..Fake::whole() };
    assert_line(&fake, "O_DIRECT in the results folder", State::No, "/data: ", "ext4");
    assert!(!fake.report().can(Need::Files) && fake.report().can(Need::Kernel));
}

#[test]
fn missing_rights_are_seen() {
    let user = Fake::whole().with("proc/self/status", "CapEff:\t0000000000000000\n");
    assert_line(&user, "root", State::No, "no CAP_SYS_ADMIN", "sudo");
    assert_line(&Fake::whole().without("proc/self/status"), "root", State::Unknown, "does not say", "sudo");
}

#[test]
fn the_ways_in_which_device_mapper_is_missing_are_told_apart() {
    let what = "device-mapper";
    assert_line(&Fake::whole().without("dev/mapper/control"), what, State::No, "not there", "dmsetup mknodes");
    assert_line(&Fake { refused: "control", ..Fake::whole() }, what, State::No, "permission denied", "sudo");
    let unloaded =
        Fake::whole().with("proc/misc", "").with("lib/modules/6.12.1/modules.dep", "kernel/drivers/md/dm-mod.ko:\n");
    assert_line(&unloaded, what, State::No, "not loaded", "modprobe dm_mod");
    let no_config = || Fake::whole().with("boot/config-6.12.1", "");
    assert_line(&no_config().with("proc/misc", ""), what, State::No, "has none", "CONFIG_BLK_DEV_DM");
}

#[test]
fn dmsetup_is_asked_for_the_drivers_version() {
    let what = "dmsetup";
    assert!(line(&Fake::whole().report(), what).found.contains("4.48.0"));
    assert_line(&Fake::whole().without("usr/bin/dmsetup"), what, State::No, "not in PATH", "apt install dmsetup");
    assert_line(&Fake { refused: "driver", ..Fake::whole() }, what, State::Partly, "does not say", "modprobe dm_mod");
    assert_line(&Fake { refused: "dmsetup", ..Fake::whole() }, what, State::Partly, "timed out", "modprobe dm_mod");
}

#[test]
fn modules_are_loaded_built_in_loadable_missing_or_not_known() {
    let found = |fake: &Fake, what: &str| line(&fake.report(), what).state;
    let whole = Fake::whole();
    assert_eq!((found(&whole, "module loop"), found(&whole, "target flakey")), (State::Yes, State::Yes));
    let snapshot = Fake::whole().without("sys/module/dm_snapshot");
    assert_line(&snapshot, "target snapshot", State::Partly, "not loaded", "modprobe dm_snapshot");
    let none = Fake::whole().without("sys/module/dm_dust");
    assert_line(&none, "target dust", State::No, "this kernel has no dm_dust", "extra modules");
    assert!(!none.report().can(Need::Kernel));
    // Built in, without a folder of its own; and not in the configuration at all.
    let by_config = |config: &str| Fake::whole().without("sys/module/zram").with("boot/config-6.12.1", config);
    assert_eq!(found(&by_config("CONFIG_ZRAM=y\n"), "module zram"), State::Yes);
    assert_line(&by_config("CONFIG_KASAN=y\n"), "module zram", State::Partly, "has no zram", "CONFIG_ZRAM=m");
    // Some other device will do.
    let no_zram = Fake::whole().without("sys/module/zram");
    assert_line(&no_zram, "module zram", State::Partly, "this kernel has no zram", "extra modules");
    let unknown = Fake::whole().without("sys/module").without("lib/modules").without("boot");
    assert_line(&unknown, "module brd", State::Unknown, "not installed", "modules of the running kernel");
}

#[test]
fn every_module_and_option_has_a_line_that_can_say_no() {
    let bare = Fake::whole()
        .without("sys/module")
        .with("lib/modules/6.12.1/modules.builtin", "")
        .with("lib/modules/6.12.1/modules.dep", "")
        .with("boot/config-6.12.1", "# CONFIG_KASAN is not set\nCONFIG_FAILSLAB_NOT=y\n");
    let report = bare.report();
    let lines = |prefix: &str| {
        report.findings.iter().filter(|f| f.what.starts_with(prefix)).map(|f| f.state).collect::<Vec<_>>()
    };
    assert_eq!(lines("target "), [State::No; 8]);
    assert_eq!(lines("module "), [State::Partly; 5]);
    assert_eq!(lines("CONFIG_"), [State::Partly; 7]);
    let unknown = Fake::whole().without("boot/config-6.12.1");
    assert_line(&unknown, "CONFIG_FAILSLAB", State::Unknown, "is not there", "modprobe configs");
}

#[test]
fn the_configuration_is_read_from_the_running_kernel_first() {
    let fake = Fake::whole();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"CONFIG_KASAN=y\n").unwrap();
    std::fs::write(fake.path("proc/config.gz"), packed.finish().unwrap()).unwrap();
    let report = fake.report();
    assert_eq!(
        (line(&report, "CONFIG_KASAN").state, line(&report, "CONFIG_FAILSLAB").state),
        (State::Yes, State::Partly)
    );
    // What is no gzip is passed over.
    std::fs::write(fake.path("proc/config.gz"), "CONFIG").unwrap();
    assert_eq!(line(&fake.report(), "CONFIG_FAILSLAB").state, State::Yes);
    let by_modules = Fake::whole().without("boot").with("lib/modules/6.12.1/config", "CONFIG_FAILSLAB=y\n");
    assert_eq!(line(&by_modules.report(), "CONFIG_FAILSLAB").state, State::Yes);
}

#[test]
fn hung_task_reports_may_be_off_or_not_there() {
    let (what, file) = ("hung-task reports", "proc/sys/kernel/hung_task_timeout_secs");
    assert_line(&Fake::whole().with(file, "0\n"), what, State::Partly, "turned off", "sysctl");
    assert_line(&Fake::whole().without(file), what, State::Partly, "not there", "CONFIG_DETECT_HUNG_TASK");
}

#[test]
fn guests_need_an_emulator_and_are_slow_without_kvm() {
    let without = Fake::whole().without("usr/bin/qemu-system-x86_64");
    assert_line(&without, "qemu", State::No, "none of", "apt install qemu-system-x86");
    assert!(!without.report().can(Need::Guest));
    assert_line(&Fake::whole().without("dev/kvm"), "kvm", State::Partly, "slow", "modprobe");
    assert_line(&Fake { refused: "kvm", ..Fake::whole() }, "kvm", State::Partly, "permission denied", "usermod");
}

#[test]
fn what_disturbs_figures_is_seen() {
    let governor = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
    let mixed = Fake::whole().with(governor, "schedutil\n");
    assert_line(&mixed, "CPU governor", State::Partly, "performance, schedutil", "cpupower");
    let unknown = Fake::whole().without("sys/devices");
    assert_eq!(line(&unknown.report(), "CPU governor").state, State::Unknown);
    assert_line(&Fake::whole().with("proc/loadavg", "1.50 1 1 1/1 1\n"), "load", State::Partly, "1.50", "wait");
    assert_eq!(line(&Fake::whole().with("proc/loadavg", "nan\n").report(), "load").state, State::Unknown);
    assert_eq!(line(&Fake::whole().without("proc/loadavg").report(), "load").state, State::Unknown);
}

#[test]
fn text_and_json_say_the_same() {
    let report = Fake::whole().without("dev/kvm").without("usr/bin/qemu-system-x86_64").report();
    let text = report.to_text();
    assert!(text.contains("(engine): can be used") && text.contains("(guest): cannot be used"), "{text}");
    assert!(text.contains("-> apt install qemu-system-x86"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((&json["can"]["engine"], &json["can"]["guest"]), (&true.into(), &false.into()));
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(report.findings.len()));
}

#[test]
fn real_probes_end_and_leave_nothing_behind() {
    let probes = super::RealProbes;
    let folder = tempfile::tempdir().unwrap();
    let _ = (probes.io_uring(), probes.o_direct(folder.path()));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    assert!(probes.o_direct(Path::new("/nowhere/at/all")).is_err() && probes.cpus() > 0);
    assert_eq!(probes.output(Path::new("/bin/echo"), &["a b"]).unwrap(), "a b\n");
    assert!(probes.output(Path::new("/bin/false"), &[]).is_err() && probes.output(Path::new("/no/such"), &[]).is_err());
    let slow = probes.output(Path::new("/bin/sleep"), &["600"]).unwrap_err();
    assert_eq!(slow.kind(), io::ErrorKind::TimedOut);
}
