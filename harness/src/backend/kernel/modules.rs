//! [`Modules`]: a kernel's modules, loaded in the order of their dependencies.
//!
//! A tree is a folder such as `/lib/modules/6.12.0`. Dependencies come from its `modules.dep`; without one (a tree
//! that nobody ran depmod on) from what each module says of itself.
//!
//! Invariants: a module that is there already, loaded or built in, is left as it is; only what was loaded here is ever
//! unloaded again; `-` and `_` are the same in names.
//! Not here: which module a scenario needs (`needs`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module, init_module};

use super::KernelError;

/// `MODULE_INIT_COMPRESSED_FILE`, which nix has no name for.
const COMPRESSED_FILE: u32 = 4;
/// So long may users of a module take to let go of it.
const UNLOAD: Duration = Duration::from_secs(3);
/// Between two tries.
const UNLOAD_LOOK: Duration = Duration::from_millis(20);
/// Folders below each other in a tree of modules.
const DEPTH_MAX: u32 = 16;
/// How the kernel's own decompressors are called, and the ending of a file for each.
const COMPRESSIONS: [(&str, &str); 3] = [("xz", "xz"), ("gzip", "gz"), ("zstd", "zst")];

/// A tree of modules.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    root: PathBuf,
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
    /// From modules.dep, where there is one.
    depends: Option<BTreeMap<String, Vec<String>>>,
}

/// What became of a request to load a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// These were loaded, in this order.
    Now(Vec<String>),
    /// It was there, loaded or built in.
    Already,
}

impl Modules {
    /// The tree of the running kernel.
    pub fn of_running_kernel() -> Self {
        let release = nix::sys::utsname::uname().map(|name| name.release().to_owned()).unwrap_or_default();
        Self::open(&Path::new("/lib/modules").join(release))
    }

    /// The tree at `root`; without any modules, if there is none.
    pub fn open(root: &Path) -> Self {
        let mut modules = Self { root: root.to_owned(), ..Self::default() };
        modules.walk(root, 0);
        let builtin = fs::read_to_string(root.join("modules.builtin")).unwrap_or_default();
        modules.builtin = builtin.lines().filter_map(|line| name_of(Path::new(line))).collect();
        if let Ok(text) = fs::read_to_string(root.join("modules.dep")) {
            modules.depends = Some(parse_dep(&text));
        }
        modules
    }

    fn walk(&mut self, folder: &Path, depth: u32) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => self.walk(&path, depth + 1),
                Ok(kind) if kind.is_file() => {
                    if let Some(name) = name_of(&path) {
                        self.files.insert(name, path);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the running kernel has the module, or can load it from here.
    pub fn has(&self, name: &str) -> bool {
        let name = normal(name);
        is_there(&name) || self.builtin.contains(&name) || self.files.contains_key(&name)
    }

    /// `name` and what it needs that is not built in, what comes first first.
    ///
    /// # Errors
    /// Which module is not there, and where it was looked for.
    pub fn order(&self, name: &str) -> Result<Vec<PathBuf>, KernelError> {
        let mut order = Vec::new();
        self.add(&normal(name), &mut order, &mut BTreeSet::new())?;
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<PathBuf>, seen: &mut BTreeSet<String>) -> Result<(), KernelError> {
        if self.builtin.contains(name) || !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = self.files.get(name) else {
            let place = self.root.display();
            return Err(KernelError::new(format!("there is no module {name} in {place}, nor is it built in")));
        };
        let needed = match &self.depends {
            Some(depends) => depends.get(name).cloned().unwrap_or_default(),
            None => depends_of(path)?,
        };
        for needed in needed {
            self.add(&needed, order, seen)?;
        }
        order.push(path.clone());
        Ok(())
    }

    /// Loads `name`, with `parameters` (`a=1 b=2`) for itself, after all that it needs.
    ///
    /// # Errors
    /// Which module could not be loaded, and why.
    pub fn load(&self, name: &str, parameters: &str) -> Result<Loaded, KernelError> {
        let name = normal(name);
        if is_there(&name) || self.builtin.contains(&name) {
            return Ok(Loaded::Already);
        }
        let mut loaded = Vec::new();
        for path in self.order(&name)? {
            let this = name_of(&path).expect("it was found as a module");
            if is_there(&this) {
                continue;
            }
            insert(&path, if this == name { parameters } else { "" })?;
            loaded.push(this);
        }
        Ok(Loaded::Now(loaded))
    }
}

/// Unloads a module.
///
/// # Errors
/// `EWOULDBLOCK` while it is in use.
pub fn unload(name: &str) -> Result<(), Errno> {
    let name = CString::new(normal(name)).map_err(|_| Errno::EINVAL)?;
    let begun = Instant::now();
    loop {
        match delete_module(&name, DeleteModuleFlags::O_NONBLOCK) {
            // The last close of a device may be a work item's, as a deferred removal's is.
            Err(Errno::EAGAIN | Errno::EBUSY) if begun.elapsed() < UNLOAD => std::thread::sleep(UNLOAD_LOOK),
            done => return done,
        }
    }
}

/// Whether the running kernel has it: loaded, or built in with parameters.
pub fn is_there(name: &str) -> bool {
    Path::new("/sys/module").join(normal(name)).exists()
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The module in a file, if it is one's.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, ending) = file.split_once(".ko")?;
    let is_module = ending.is_empty() || COMPRESSIONS.iter().any(|(_, known)| ending.strip_prefix('.') == Some(known));
    is_module.then(|| normal(name))
}

/// modules.dep: `path: path path`, all from the root of the tree.
fn parse_dep(text: &str) -> BTreeMap<String, Vec<String>> {
    let name = |path: &str| name_of(Path::new(path));
    text.lines()
        .filter_map(|line| {
            let (module, needs) = line.split_once(':')?;
            Some((name(module)?, needs.split_whitespace().filter_map(name).collect()))
        })
        .collect()
}

/// What a module says that it needs: `depends=a,b` of its section `.modinfo`.
fn depends_of(path: &Path) -> Result<Vec<String>, KernelError> {
    const KEY: &[u8] = b"\0depends=";
    let bytes = content(path)?;
    let Some(at) = bytes.windows(KEY.len()).position(|window| window == KEY) else { return Ok(Vec::new()) };
    let value: Vec<u8> = bytes[at + KEY.len()..].iter().copied().take_while(|byte| *byte != 0).collect();
    let value = String::from_utf8_lossy(&value);
    Ok(value.split(',').filter(|name| !name.is_empty()).map(normal).collect())
}

/// The module in a file, decompressed.
fn content(path: &Path) -> Result<Vec<u8>, KernelError> {
    let wrong = |error: &dyn std::fmt::Display| KernelError::new(format!("{}: {error}", path.display()));
    let raw = fs::read(path).map_err(|error| wrong(&error))?;
    let mut bytes = Vec::new();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => {
            lzma_rs::xz_decompress(&mut raw.as_slice(), &mut bytes).map_err(|error| wrong(&format!("{error:?}")))?;
        }
        Some("gz") => {
            flate2::read::MultiGzDecoder::new(raw.as_slice()).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
        }
        Some("zst") => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(raw.as_slice()).map_err(|error| wrong(&error))?;
            decoder.read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
        }
        _ => bytes = raw,
    }
    Ok(bytes)
}

fn insert(path: &Path, parameters: &str) -> Result<(), KernelError> {
    let wrong = |error: &dyn std::fmt::Display| KernelError::new(format!("{}: {error}", path.display()));
    let parameters = CString::new(parameters).map_err(|error| wrong(&error))?;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let how = COMPRESSIONS.iter().find(|(_, known)| *known == ending).map(|(kernel, _)| *kernel);
    let kernels = fs::read_to_string("/sys/module/compression").unwrap_or_default();
    let result = match how {
        Some(how) if how != kernels.trim() => init_module(&content(path)?, &parameters),
        _ => {
            let file = File::open(path).map_err(|error| wrong(&error))?;
            let flags = if how.is_some() { COMPRESSED_FILE } else { 0 };
            finit_module(&file, &parameters, ModuleInitFlags::from_bits_retain(flags))
        }
    };
    match result {
        // Somebody else was faster.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(wrong(&format!("the kernel does not take it: {errno}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn names(modules: &Modules, name: &str) -> Vec<String> {
        modules.order(name).unwrap().iter().map(|path| name_of(path).unwrap()).collect()
    }

    #[test]
    fn modules_come_after_what_they_need_whoever_says_so() {
        let module = |needs: &str| format!("ELF\0depends={needs}\0name=x\0").into_bytes();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, &module("dm-mod")).unwrap();
        let gz = gz.finish().unwrap();
        let mut xz = Vec::new();
        lzma_rs::xz_compress(&mut module("dm-bufio,dm-mod").as_slice(), &mut xz).unwrap();
        let files: [(&str, &[u8]); 4] = [
            ("kernel/md/dm-snapshot.ko.xz", &xz),
            ("kernel/md/dm-bufio.ko.gz", &gz),
            ("kernel/md/dm-mod.ko", &module("dax")),
            ("modules.builtin", b"kernel/drivers/dax/dax.ko\n"),
        ];
        let folder = tree(&files);
        let modules = Modules::open(folder.path());
        assert_eq!(names(&modules, "dm-snapshot"), ["dm_mod", "dm_bufio", "dm_snapshot"]);
        assert!(modules.has("dax") && names(&modules, "dax").is_empty(), "built in");
        let dep = "kernel/md/dm-snapshot.ko.xz: kernel/md/dm-mod.ko\nkernel/md/dm-mod.ko:\n";
        fs::write(folder.path().join("modules.dep"), dep).unwrap();
        assert_eq!(names(&Modules::open(folder.path()), "dm_snapshot"), ["dm_mod", "dm_snapshot"]);
    }

    #[test]
    fn a_module_that_is_not_there_is_named_with_the_place() {
        let folder = tree(&[("kernel/a.ko", b"\0depends=b\0")]);
        let error = Modules::open(folder.path()).order("a").unwrap_err().to_string();
        assert!(error.starts_with("there is no module b in "), "{error}");
        assert!(!Modules::open(folder.path()).has("no_such_module"));
    }
}
