//! The stage of a guest: file systems, and settings of the kernel that tests are run under.
//!
//! Invariant: what a kernel does not have (an option that is not built in) is left out; only `/dev` and `/proc` are demanded.
//! Not here: modules, which the kernel backend loads when a scenario needs them.

use std::fs;

use nix::mount::{MsFlags, mount};

/// File systems: kind and place. The first two are demanded.
const MOUNTS: [(&str, &str); 7] = [
    ("devtmpfs", "/dev"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("debugfs", "/sys/kernel/debug"),
    ("configfs", "/sys/kernel/config"),
];

/// How many of them there is no going on without.
const DEMANDED: usize = 2;

/// Settings below `/proc/sys`. Tasks that hang are reported soon and often, and nothing but an oops ends the machine:
/// what hangs is to be looked at.
const SETTINGS: [(&str, &str); 7] = [
    ("kernel/hung_task_timeout_secs", "20"),
    ("kernel/hung_task_check_interval_secs", "5"),
    ("kernel/hung_task_warnings", "-1"),
    ("kernel/hung_task_panic", "0"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/panic_on_warn", "0"),
    ("kernel/sysrq", "1"),
];

/// Mounts the file systems.
///
/// # Errors
/// One that is demanded cannot be mounted.
pub(super) fn mount_all() -> Result<(), String> {
    for (index, (kind, place)) in MOUNTS.into_iter().enumerate() {
        let mounted = mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>);
        match mounted {
            Ok(()) => {}
            // A kernel may have mounted /dev by itself.
            Err(nix::errno::Errno::EBUSY) => {}
            Err(error) if index < DEMANDED => return Err(format!("{kind} on {place}: {error}")),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Sets the kernel up for tests; the console gets warnings and worse from here on.
///
/// # Errors
/// A setting that is there cannot be written.
pub(super) fn settle() -> Result<(), String> {
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/{name}");
        if fs::exists(&path).unwrap_or(false) {
            fs::write(&path, value).map_err(|error| format!("{path}: {error}"))?;
        }
    }
    fs::write("/proc/sys/kernel/printk", "5").map_err(|error| format!("/proc/sys/kernel/printk: {error}"))
}

/// I/Os that all block devices together have completed: what shows that something moves.
pub(super) fn ios_completed() -> u64 {
    fs::read_to_string("/proc/diskstats").map_or(0, |text| sum_of(&text))
}

/// Reads, writes and discards, the 4th, 8th and 15th words of a line (Documentation/admin-guide/iostats.rst).
fn sum_of(diskstats: &str) -> u64 {
    let number = |words: &[&str], at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        [3, 7, 14].into_iter().map(|at| number(&words, at)).fold(0, u64::wrapping_add)
    };
    diskstats.lines().map(of_line).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_ios_are_summed_over_all_devices() {
        let text = " 1 0 ram0 5 0 40 1 7 0 56 2 0 3 3 11 0 0 0 0 0\n 254 0 dm-0 100 0 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(sum_of(text), 5 + 7 + 11 + 100);
        assert_eq!(sum_of("nonsense\n\n"), 0);
    }
}
