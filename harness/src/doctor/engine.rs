//! What the engine needs, and files as devices: processors, memory, io_uring, O_DIRECT.
//!
//! Not here: what the dm of a kernel needs (`kernel`).

use std::io;

use super::machine::Machine;
use super::{Finding, Need, State};

/// Below this, caches of searches (256 MiB by default) and large ramdisks do not fit.
const MEMORY_KIB_MIN: u64 = 1 << 20;

pub(super) fn findings(machine: &Machine<'_>) -> Vec<Finding> {
    vec![cpus(machine), memory(machine), io_uring(machine), o_direct(machine)]
}

fn cpus(machine: &Machine<'_>) -> Finding {
    let cpus = machine.probes.cpus();
    let (state, found) = match cpus {
        1 => (State::Partly, "1: threads take turns, and searches have one worker".to_owned()),
        _ => (State::Yes, cpus.to_string()),
    };
    Finding::new(Need::Engine, "CPUs", state, found).or("give the machine, container or cpuset a second CPU")
}

fn memory(machine: &Machine<'_>) -> Finding {
    let kib = machine
        .field("/proc/meminfo", "MemAvailable")
        .and_then(|text| text.strip_suffix(" kB").and_then(|number| number.trim().parse::<u64>().ok()));
    let finding = match kib {
        None => Finding::new(Need::Engine, "memory", State::Unknown, "/proc/meminfo does not say what is available"),
        Some(kib) => {
            let state = if kib < MEMORY_KIB_MIN { State::Partly } else { State::Yes };
            Finding::new(Need::Engine, "memory", state, format!("{} MiB available", kib >> 10))
        }
    };
    finding.or("end what takes memory, or set `explore: { cache: 64MiB }`")
}

fn io_uring(machine: &Machine<'_>) -> Finding {
    let finding = |state, found: &str| Finding::new(Need::Files, "io_uring", state, found);
    let setting = machine.number("/proc/sys/kernel/io_uring_disabled");
    match (machine.probes.io_uring(), setting) {
        (Ok(()), _) => finding(State::Yes, "a ring can be set up"),
        (Err(error), Some(1 | 2)) => finding(State::No, &format!("the kernel is set to refuse it: {error}"))
            .or("sysctl kernel.io_uring_disabled=0"),
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            finding(State::No, &format!("it is not allowed here: {error}"))
                .or("run outside of the container, or with a seccomp profile that allows io_uring_setup")
        }
        (Err(error), _) => {
            finding(State::No, &error.to_string()).or("boot a kernel with CONFIG_IO_URING=y, 5.1 or later")
        }
    }
}

fn o_direct(machine: &Machine<'_>) -> Finding {
    let folder = machine.results.display();
    let what = "O_DIRECT in the results folder";
    match machine.probes.o_direct(&machine.results) {
        Ok(()) => Finding::new(Need::Files, what, State::Yes, format!("{folder}")),
        Err(error) => Finding::new(Need::Files, what, State::No, format!("{folder}: {error}"))
            .or("choose a folder on ext4, xfs or btrfs that can be written, and run dmlab there"),
    }
}
