//! What stands behind the engine's memory pools in a kernel, and can be told to fail there: slab caches, or pages.
//!
//! Invariants: a cache that the kernel has merged with others is never named, because it cannot be told to fail alone;
//! names are whole, but for those that end in `-`, which stand for all that begin so.
//! Not here: telling them (`injection`).

use std::fs;
use std::path::{Path, PathBuf};

use dmlab_scenarios::device_and_pool;

const SLABS: &str = "/sys/kernel/slab";

/// What a kernel allocates where the engine takes an element from a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// An object of a cache.
    Cache(&'static str),
    /// Pages, without waiting (kcopyd's `alloc_pl`).
    Pages,
    /// Memory of any kind, which nobody could tell from others'.
    Anything,
}

/// By the last word of a pool's name.
pub(super) const BEHIND: &[(&str, Behind)] = &[
    ("bs", Behind::Cache("bio-")),
    ("io_bs", Behind::Cache("bio-")),
    ("bio_split", Behind::Cache("bio-")),
    ("bios", Behind::Cache("bio-")),
    ("bvecs", Behind::Cache("biovec-")),
    // Embedded in the clone since 4.16; before, a cache of its own.
    ("io_pool", Behind::Cache("dm_io")),
    ("io", Behind::Cache("io")),
    ("jobs", Behind::Cache("kcopyd_job")),
    ("pages", Behind::Pages),
    ("pending_pool", Behind::Cache("dm_snap_pending_exception")),
    ("flakey", Behind::Anything),
];

/// What stands behind the pools that `pattern` names, e.g. `t.bs`; `*` in place of the last word stands for all that can
/// be told apart.
pub(super) fn behind(pattern: &str) -> Vec<Behind> {
    let rest = device_and_pool(pattern).map_or(pattern, |(_, pool)| pool);
    let kind = rest.rsplit('.').next().unwrap_or(rest);
    let fits = |(known, what): &&(&str, Behind)| kind == *known || kind == "*" && *what != Behind::Anything;
    let mut found: Vec<Behind> = BEHIND.iter().filter(fits).map(|(_, what)| *what).collect();
    found.dedup();
    found
}

/// The folders in sysfs of the caches of this name that can be told to fail.
pub(super) fn folders(name: &str) -> Vec<PathBuf> {
    folders_below(Path::new(SLABS), name)
}

/// Whether there are caches of this name, and none of them can be told to fail.
pub(super) fn is_merged(name: &str) -> bool {
    let entries = fs::read_dir(SLABS).into_iter().flatten().flatten();
    let is_there =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|found| is_wanted(&found, name));
    is_there && folders(name).is_empty()
}

fn is_wanted(found: &str, name: &str) -> bool {
    found == name || name.ends_with('-') && found.starts_with(name)
}

fn folders_below(root: &Path, name: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    // Of a cache with other names the kernel refuses to let one fail.
    let is_alone = |path: &Path| fs::read_to_string(path.join("aliases")).is_ok_and(|text| text.trim() == "0");
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|found| is_wanted(found, name)))
        .map(|entry| entry.path())
        .filter(|path| path.join("failslab").exists() && is_alone(path))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_known_by_the_last_word_of_its_name() {
        assert_eq!(behind("t.bs"), [Behind::Cache("bio-")]);
        assert_eq!(behind("top.1.io_bs"), [Behind::Cache("bio-")]);
        assert_eq!(behind("snap.kcopyd.jobs"), [Behind::Cache("kcopyd_job")]);
        assert_eq!(behind("*.pages"), [Behind::Pages]);
        assert_eq!(behind("t.nonsense"), []);
        let all = behind("t.*");
        assert!(all.contains(&Behind::Pages) && !all.contains(&Behind::Anything), "{all:?}");
    }

    #[test]
    fn only_caches_of_one_name_that_can_fail_are_found() {
        let root = tempfile::tempdir().unwrap();
        let caches = [
            ("bio-136", "0", true),
            ("bio-264", "2", true),
            ("io", "0", true),
            ("io_kiocb", "0", true),
            ("bio-8", "0", false),
        ];
        for (name, aliases, can_fail) in caches {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("aliases"), format!("{aliases}\n")).unwrap();
            if can_fail {
                fs::write(folder.join("failslab"), "0\n").unwrap();
            }
        }
        let names = |wanted: &str| {
            let found = folders_below(root.path(), wanted);
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("bio-"), ["bio-136"], "merged ones and those that cannot fail are left out");
        assert_eq!(names("io"), ["io"], "not all that begin so");
        assert!(names("kcopyd_job").is_empty());
    }
}
