//! What testing the dm of the running kernel would need: rights, device-mapper and its targets, devices to stand on,
//! fault injection and checkers in the kernel, hung-task reports.

use std::path::Path;

use super::machine::{Machine, Module};
use super::{Finding, Need, State};

/// `CAP_SYS_ADMIN` in the masks of `/proc/self/status`.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Targets beside those that dm always has, with the module of each and its option.
const TARGETS: [(&str, &str, &str); 8] = [
    ("delay", "dm_delay", "CONFIG_DM_DELAY"),
    ("flakey", "dm_flakey", "CONFIG_DM_FLAKEY"),
    ("dust", "dm_dust", "CONFIG_DM_DUST"),
    ("mirror", "dm_mirror", "CONFIG_DM_MIRROR"),
    ("snapshot", "dm_snapshot", "CONFIG_DM_SNAPSHOT"),
    ("multipath", "dm_multipath", "CONFIG_DM_MULTIPATH"),
    ("thin-pool", "dm_thin_pool", "CONFIG_DM_THIN_PROVISIONING"),
    ("log-writes", "dm_log_writes", "CONFIG_DM_LOG_WRITES"),
];

/// Devices that tables can stand on, by their modules and options, and what each is good for.
const DEVICES: [(&str, &str, &str); 5] = [
    ("brd", "CONFIG_BLK_DEV_RAM", "ramdisks"),
    ("loop", "CONFIG_BLK_DEV_LOOP", "files as disks"),
    ("null_blk", "CONFIG_BLK_DEV_NULL_BLK", "devices without media"),
    ("zram", "CONFIG_ZRAM", "compressed ramdisks"),
    ("scsi_debug", "CONFIG_SCSI_DEBUG", "SCSI disks with errors"),
];

/// What of the configuration is good for what.
const OPTIONS: [(&str, &str); 7] = [
    ("CONFIG_FAILSLAB", "allocations that fail"),
    ("CONFIG_FAIL_PAGE_ALLOC", "page allocations that fail"),
    ("CONFIG_FAIL_MAKE_REQUEST", "requests that fail"),
    ("CONFIG_FAULT_INJECTION_DEBUG_FS", "setting faults through debugfs"),
    ("CONFIG_PROVE_LOCKING", "the order of locks"),
    ("CONFIG_KASAN", "use after free"),
    ("CONFIG_DETECT_HUNG_TASK", "reports of hung tasks"),
];

pub(super) fn findings(machine: &Machine<'_>) -> Vec<Finding> {
    let mut findings = vec![rights(machine), device_mapper(machine), dmsetup(machine)];
    findings.extend(TARGETS.map(|(target, module, option)| {
        module_finding(machine, format!("target {target}"), (module, option), "the target", State::No)
    }));
    // Any one of them is enough to stand on.
    findings.extend(DEVICES.map(|(module, option, about)| {
        module_finding(machine, format!("module {module}"), (module, option), about, State::Partly)
    }));
    findings.extend(options(machine));
    findings.push(hung_tasks(machine));
    findings
}

fn rights(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: &str| Finding::new(Need::Kernel, "root", state, found);
    let effective = machine.field("/proc/self/status", "CapEff").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    match effective {
        None => finding(State::Unknown, "/proc/self/status does not say"),
        Some(mask) if mask & CAP_SYS_ADMIN != 0 => finding(State::Yes, "this process has CAP_SYS_ADMIN"),
        Some(_) => finding(State::No, "this process has no CAP_SYS_ADMIN"),
    }
    .or("sudo dmlab doctor; in a container: --privileged")
}

fn device_mapper(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: &str| Finding::new(Need::Kernel, "device-mapper", state, found);
    let registered = machine.text("/proc/misc").is_some_and(|text| text.contains("device-mapper"));
    let node = "/dev/mapper/control";
    match (registered, machine.exists(node)) {
        (true, true) => match machine.probes.open(&machine.root.join(node.trim_start_matches('/'))) {
            Ok(()) => finding(State::Yes, node),
            Err(error) => finding(State::No, &format!("{node}: {error}")).or("sudo dmlab doctor"),
        },
        (true, false) => {
            finding(State::No, &format!("the kernel has it, but {node} is not there")).or("dmsetup mknodes")
        }
        (false, _) => match machine.module("dm_mod", "CONFIG_BLK_DEV_DM") {
            Module::Present | Module::Loadable => finding(State::No, "it is not loaded").or("modprobe dm_mod"),
            Module::Missing | Module::Unknown => {
                finding(State::No, "this kernel has none, or no modules are installed")
                    .or("boot a kernel with CONFIG_BLK_DEV_DM, or install linux-modules-extra for this one")
            }
        },
    }
}

fn dmsetup(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: &str| Finding::new(Need::Kernel, "dmsetup", state, found);
    let Some(program) = machine.program(&["dmsetup"]) else {
        return finding(State::No, "it is not in PATH").or("apt install dmsetup, or dnf install device-mapper");
    };
    let version = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("Driver version:"))?;
        Some(line.trim().to_owned())
    };
    match machine.probes.output(&program, &["version"]).map(|text| version(&text)) {
        Ok(Some(version)) => finding(State::Yes, &format!("driver version {version}")),
        Ok(None) => finding(State::Partly, "it does not say the driver's version").or("modprobe dm_mod"),
        Err(error) => {
            let fix = if rights(machine).state == State::Yes { "modprobe dm_mod" } else { "sudo dmlab doctor" };
            finding(State::Partly, &format!("it cannot ask the driver: {error}")).or(fix)
        }
    }
}

/// A module that is `otherwise` when it is missing.
fn module_finding(
    machine: &Machine<'_>,
    what: String,
    (module, option): (&str, &str),
    about: &str,
    otherwise: State,
) -> Finding {
    let finding = |state, found: String| Finding::new(Need::Kernel, what, state, found);
    match machine.module(module, option) {
        Module::Present => finding(State::Yes, format!("{about}: loaded or built in")),
        Module::Loadable => finding(State::Partly, format!("{about}: not loaded")).or(format!("modprobe {module}")),
        Module::Missing => finding(otherwise, format!("{about}: this kernel has no {module}"))
            .or(format!("install the package with this kernel's extra modules, or build a kernel with {option}=m")),
        Module::Unknown => finding(State::Unknown, format!("{about}: this kernel's modules are not installed"))
            .or("install the modules of the running kernel"),
    }
}

fn options(machine: &Machine<'_>) -> Vec<Finding> {
    let config = machine.kernel_config();
    let finding = |(option, about): (&str, &str)| {
        let finding = |state, found: String| Finding::new(Need::Kernel, option, state, found);
        match &config {
            None => finding(State::Unknown, format!("{about}: this kernel's configuration is not there"))
                .or("modprobe configs, or look in /boot"),
            Some(config) if config.lines().any(|line| line == format!("{option}=y")) => {
                finding(State::Yes, about.to_owned())
            }
            Some(_) => finding(State::Partly, format!("{about}: not in this kernel"))
                .or(format!("build a kernel with {option}=y")),
        }
    };
    OPTIONS.map(finding).into()
}

fn hung_tasks(machine: &Machine<'_>) -> Finding {
    let file = "/proc/sys/kernel/hung_task_timeout_secs";
    let finding = |state, found: String| Finding::new(Need::Kernel, "hung-task reports", state, found);
    match machine.number(file) {
        None => finding(State::Partly, format!("{} is not there", Path::new(file).display()))
            .or("boot a kernel with CONFIG_DETECT_HUNG_TASK=y"),
        Some(0) => {
            finding(State::Partly, "they are turned off".to_owned()).or("sysctl kernel.hung_task_timeout_secs=30")
        }
        Some(seconds) => finding(State::Yes, format!("after {seconds} s")),
    }
}
