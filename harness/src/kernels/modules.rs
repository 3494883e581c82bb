//! The modules that a guest gets: those that scenarios can use and what they depend on, unpacked.
//!
//! Invariants: a module comes behind all that it depends on; the same folder gives the same list. What a kernel has not
//! (or has built in) is left out in silence here: whoever needs it in the guest says so.
//! Not here: loading them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::tools::{ToolError, Tools};

/// Modules that scenarios can use: dm with its targets, and devices to stand on.
const WANTED: &[&str] = &[
    "dm_mod",
    "dm_delay",
    "dm_dust",
    "dm_flakey",
    "dm_historical_service_time",
    "dm_io_affinity",
    "dm_log_writes",
    "dm_mirror",
    "dm_multipath",
    "dm_queue_length",
    "dm_round_robin",
    "dm_service_time",
    "dm_snapshot",
    "dm_thin_pool",
    "dm_zero",
    "brd",
    "loop",
    "null_blk",
    "scsi_debug",
    "sd_mod",
];

/// A module, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Name, with underscores.
    pub name: String,
    /// The object, as `init_module` takes it.
    pub object: Vec<u8>,
    /// What it depends on, directly.
    pub depends: Vec<String>,
}

impl Module {
    /// Its path below `lib/modules/<release>` in a guest, which is that of `modules.dep`.
    pub fn path(&self) -> String {
        format!("kernel/{}.ko", self.name)
    }
}

/// The wanted modules below `folder` (a `lib/modules/<release>`), each behind its dependencies.
///
/// # Errors
/// A module cannot be read or unpacked.
pub fn collect(folder: &Path, tools: &Tools) -> Result<Vec<Module>, ToolError> {
    let mut files = BTreeMap::new();
    find(folder, &mut files);
    let mut collected = Vec::new();
    for name in WANTED {
        add(name, &files, tools, &mut collected, DEPTH_MAX)?;
    }
    Ok(collected)
}

/// Dependencies of modules form no circles; a folder that says otherwise ends here.
const DEPTH_MAX: u32 = 32;

fn add(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    tools: &Tools,
    collected: &mut Vec<Module>,
    depth: u32,
) -> Result<(), ToolError> {
    if depth == 0 || collected.iter().any(|known| known.name == name) {
        return Ok(());
    }
    let Some(path) = files.get(name) else { return Ok(()) };
    let object = tools.unpacked(path)?;
    let depends = depends(&object);
    for other in &depends {
        add(other, files, tools, collected, depth - 1)?;
    }
    collected.push(Module { name: name.to_owned(), object, depends });
    Ok(())
}

/// `modules.dep` for these modules: each with all that must be loaded before it, the last one first, as depmod has it.
pub fn dependency_file(modules: &[Module]) -> String {
    let mut text = String::new();
    for module in modules {
        let mut before: Vec<&Module> = Vec::new();
        gather(module, modules, &mut before);
        text.push_str(&format!("{}:", module.path()));
        // In the list each stands behind its own dependencies; depmod names the one to be loaded last first.
        for other in modules.iter().rev().filter(|other| before.contains(other)) {
            text.push_str(&format!(" {}", other.path()));
        }
        text.push('\n');
    }
    text
}

fn gather<'a>(module: &Module, modules: &'a [Module], before: &mut Vec<&'a Module>) {
    for name in &module.depends {
        if let Some(other) = modules.iter().find(|other| other.name == *name)
            && !before.contains(&other)
        {
            before.push(other);
            gather(other, modules, before);
        }
    }
}

/// Module files below `folder`, by name with underscores.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_symlink() {
            // `build` and `source` lead out of the folder.
            continue;
        }
        if path.is_dir() {
            find(&path, files);
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(module_name) {
            files.entry(name).or_insert(path);
        }
    }
}

/// The module in a file of this name: `dm-mod.ko.xz` holds `dm_mod`.
fn module_name(file: &str) -> Option<String> {
    let stem = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().find_map(|end| file.strip_suffix(end))?;
    Some(stem.replace('-', "_"))
}

/// What a module says that it depends on: the entry `depends=` of its `.modinfo`, a section of texts that end with 0.
fn depends(object: &[u8]) -> Vec<String> {
    const ENTRY: &[u8] = b"\0depends=";
    let Some(at) = object.windows(ENTRY.len()).position(|window| window == ENTRY) else { return Vec::new() };
    let rest = &object[at + ENTRY.len()..];
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    let names = String::from_utf8_lossy(&rest[..end]);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, depends) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("ELF\0license=GPL\0depends={depends}\0name=x\0")).unwrap();
        }
        folder
    }

    #[test]
    fn a_module_comes_behind_what_it_depends_on_and_what_nobody_wants_stays_out() {
        let folder = folder(&[
            ("kernel/drivers/md/dm-snapshot.ko", "dm-bufio,dm-mod"),
            ("kernel/drivers/md/dm-bufio.ko", "dm-mod"),
            ("kernel/drivers/md/dm-mod.ko", ""),
            ("kernel/drivers/net/e1000.ko", ""),
        ]);
        let modules = collect(folder.path(), &Tools::default()).unwrap();
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["dm_mod", "dm_bufio", "dm_snapshot"]);
        assert_eq!(
            dependency_file(&modules),
            "kernel/dm_mod.ko:\nkernel/dm_bufio.ko: kernel/dm_mod.ko\n\
             kernel/dm_snapshot.ko: kernel/dm_bufio.ko kernel/dm_mod.ko\n"
        );
    }

    #[test]
    fn modules_that_depend_on_each_other_do_not_loop() {
        let folder = folder(&[("a/brd.ko", "loop"), ("a/loop.ko", "brd")]);
        assert!(!collect(folder.path(), &Tools::default()).unwrap().is_empty());
    }

    #[test]
    fn a_packed_module_without_its_program_is_an_error_that_names_it() {
        let folder = folder(&[("a/brd.ko.xz", "")]);
        let error = collect(folder.path(), &Tools::default()).unwrap_err().to_string();
        assert!(error.contains("apt install xz-utils"), "{error}");
    }
}
