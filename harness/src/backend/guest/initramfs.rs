//! The initramfs of a guest: dmlab itself as `/init`, what it needs to start, the kernel's modules, the job; nothing else.
//!
//! Invariant: the same dmlab, kernel and job give the same bytes.
//! Not here: the archive's format (`cpio`), what is done with it (`supervisor`).

use super::cpio::Archive;
use super::job::{JOB_FILE, Job};
use super::program::Program;
use crate::kernels::modules::{self, Module};

/// Folders that `/init` mounts something on.
const MOUNT_POINTS: [&str; 6] = ["/dev", "/proc", "/run", "/sys", "/tmp", "/etc"];

/// The initramfs for a job on a kernel of this release.
pub(super) fn initramfs(program: &Program, release: &str, modules: &[Module], job: &Job) -> Vec<u8> {
    let mut archive = Archive::default();
    MOUNT_POINTS.iter().for_each(|folder| archive.folder(folder));
    archive.file("/init", 0o755, &program.executable);
    for (path, bytes) in &program.libraries {
        archive.file(path, 0o755, bytes);
    }
    let folder = format!("/lib/modules/{release}");
    for module in modules {
        archive.file(&format!("{folder}/{}", module.path()), 0o644, &module.object);
    }
    archive.file(&format!("{folder}/modules.dep"), 0o644, modules::dependency_file(modules).as_bytes());
    let job = serde_json::to_vec(job).expect("a job is texts and numbers");
    archive.file(JOB_FILE, 0o644, &job);
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_give_the_same_bytes() {
        let module = Module { name: "brd".to_owned(), object: b"\x7fELF".to_vec(), depends: Vec::new() };
        let make = || initramfs(&Program::this().unwrap(), "6.1", std::slice::from_ref(&module), &Job::Hello);
        let first = make();
        assert!(first == make());
        let holds = |text: &str| first.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("lib/modules/6.1/kernel/brd.ko") && holds("job.json") && holds("TRAILER!!!"));
    }
}
