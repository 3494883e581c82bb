//! The machine that a record was made on, from /proc and uname.
//!
//! Invariant: what cannot be read is left out; nothing here can fail. A deterministic record carries none of it.

use std::fs;

use dmlab_results::Environment;

/// What is known of this machine.
pub fn environment() -> Environment {
    let uname = nix::sys::utsname::uname().ok();
    let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    Environment {
        os: field(&os_release, "PRETTY_NAME", '=').map(|name| name.trim_matches('"').to_owned()),
        kernel: uname.as_ref().map(|uname| text(uname.release())),
        arch: uname.as_ref().map(|uname| text(uname.machine())),
        cpu_model: field(&cpuinfo, "model name", ':').map(str::to_owned),
        cpus: std::thread::available_parallelism().ok().and_then(|cpus| u32::try_from(cpus.get()).ok()),
        memory_bytes: field(&meminfo, "MemTotal", ':').and_then(kib_to_bytes),
        ..Environment::none()
    }
}

/// The value of the first line that begins with `name`.
fn field<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(separator).map(|(_, value)| value.trim())
}

/// `16384 kB` in bytes.
fn kib_to_bytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor : 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(field(text, "model name", ':'), Some("Some CPU @ 2 GHz"));
        assert_eq!(field(text, "stepping", ':'), None);
        assert_eq!(kib_to_bytes("16 kB"), Some(16384));
        assert_eq!(kib_to_bytes("16 MB"), None);
    }
}
