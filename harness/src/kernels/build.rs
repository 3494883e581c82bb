//! Builds kernels for guests from Debian's source package: 6.12 with everything that watches, and the same with an old bug
//! put back ([`super::edits`]).
//!
//! One source tree and one folder of objects serve all of them, so that a mutation compiles the files that it changes and
//! links. Both lie in the store's `.build`, beside a copy of every source that some mutation has changed.
//!
//! Invariants: nothing is built without everything it needs being there, and what is missing is named with the command that
//! installs it; a kernel of the same source, configuration, edits and compiler is not built twice; the configuration holds
//! every line of `ci/kernel/debug.config`, or the build is refused. No root.
//!
//! Reading order: this file (what a kernel is made from, and what that needs), `site` (making it), `config`.
//! Not here: booting.

mod config;
mod site;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::site::Site;
use super::edits::{EditError, MUTATIONS};
use super::fetch::{Apt, FetchError};
use super::store::{Kernel, Store, StoreError};
use super::tools::{ToolError, Tools};

/// The series that is built.
pub const SERIES: &str = "6.12";

/// The kernel without a mutation.
pub const DEBUG: &str = "6.12-debug";

const CONFIG: &str = include_str!("../../../ci/kernel/debug.config");

/// What building needs beside apt and dpkg-deb.
const PROGRAMS: &[&str] = &["bc", "bison", "flex", "gcc", "ld", "make", "perl", "setpriv", "tar", "xz"];

/// Headers that programs of the kernel's build include, and Debian's packages of them.
const HEADERS: &[(&str, &str)] = &[("gelf.h", "libelf-dev")];

/// Why a kernel could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no such kernel.
    #[error("{wanted:?} is none of the kernels that can be built: {known}", known = names().join(", "))]
    Unknown {
        /// What was asked for.
        wanted: String,
    },
    /// A header is missing.
    #[error("the header {header} is missing; `apt install {package}` installs it")]
    Header {
        /// Its name.
        header: String,
        /// Debian's package of it.
        package: String,
    },
    /// The configuration lost lines.
    #[error("the kernel's configuration does not take these lines of ci/kernel/debug.config: {0}")]
    Config(String),
    /// The source is not what it should be.
    #[error("{0}")]
    Source(String),
    /// A mutation does not fit the source.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Another program.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The source cannot be fetched.
    #[error(transparent)]
    Fetch(FetchError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The package cannot be unpacked.
    #[error(
        "{path} cannot be unpacked: {said}; if it is damaged, `apt-get download linux-source-{SERIES}` fetches it again"
    )]
    Package {
        /// The package.
        path: String,
        /// What dpkg-deb or tar said.
        said: String,
    },
    /// The disk is too small.
    #[error(
        "{path} has {free_mib} MiB left, and building needs {need_mib} MiB; XDG_CACHE_HOME can lead to another disk"
    )]
    Space {
        /// Where.
        path: String,
        /// What is left.
        free_mib: u64,
        /// What is needed.
        need_mib: u64,
    },
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
}

impl From<FetchError> for BuildError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Tool(error) => Self::Tool(error),
            error => Self::Fetch(error),
        }
    }
}

impl BuildError {
    /// What a failure while `package` is unpacked means.
    fn package(package: &Path, error: ToolError) -> Self {
        match error {
            ToolError::Failed { said, .. } => Self::Package { path: text(package), said },
            error => Self::Tool(error),
        }
    }
}

/// What a build tells of itself.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// Something begins, in words.
    Note(&'a str),
    /// A file was made.
    Made {
        /// For which kernel.
        kernel: &'a str,
        /// The files that were made so far.
        files: u64,
        /// Its name.
        last: &'a str,
        /// When the first was begun.
        since: Instant,
    },
}

/// The kernels that can be built.
pub fn names() -> Vec<String> {
    let mutations = MUTATIONS.iter().map(|(name, _)| format!("{SERIES}-{name}"));
    std::iter::once(DEBUG.to_owned()).chain(mutations).collect()
}

/// What somebody wants of a build.
#[derive(Clone, Debug, Default)]
pub struct BuildWishes {
    /// The source package (`linux-source-6.12_*_all.deb`), in place of the one that apt knows.
    pub source: Option<PathBuf>,
    /// Compilers at once.
    pub jobs: usize,
}

/// A kernel, and whether it had to be built.
pub struct Built {
    /// The kernel.
    pub kernel: Kernel,
    /// It was there already, made from the same inputs.
    pub was_there: bool,
}

/// Builds the kernel of this name into the store, unless it is there; `told` hears what is done.
///
/// # Errors
/// As [`BuildError`]; the store stays as it was.
pub fn build(
    name: &str,
    store: &Store,
    tools: &Tools,
    wishes: &BuildWishes,
    told: &dyn Fn(Told<'_>),
) -> Result<Built, BuildError> {
    if !names().iter().any(|known| known == name) {
        return Err(BuildError::Unknown { wanted: name.to_owned() });
    }
    let edits = super::edits::mutation_of(name);
    check_needs(tools)?;
    let source = Source::find(store, tools, wishes)?;
    let compiler = tools.output(Path::new("/"), "gcc", &["-dumpfullversion"])?;
    let compiler = String::from_utf8_lossy(&compiler).trim().to_owned();
    let text =
        MUTATIONS.iter().find(|(mutation, _)| name == format!("{SERIES}-{mutation}")).map_or("", |(_, text)| text);
    let inputs = format!("{} gcc {compiler} {:016x}", source.identity, hash(&[CONFIG, text]));
    if let Some(kernel) = store.made_from(name, &inputs) {
        return Ok(Built { kernel, was_there: true });
    }
    let place = store.root().join(".build").join(&source.identity);
    let site = Site::enter(tools, &place, wishes.jobs.max(1), told)?;
    check_space(&place, if site.tree().exists() { OBJECTS_MIB } else { TREE_MIB + OBJECTS_MIB })?;
    site.unpack(&source)?;
    site.configure()?;
    site.put_edits(edits.as_ref())?;
    told(Told::Note(&format!("building {name}: minutes the first time, less for those after it")));
    let image = site.make_image(name)?;
    let origin = edits.map_or_else(|| "everything that watches".to_owned(), |edits| edits.about);
    let kernel = store.install(name, &origin, &inputs, |folder| {
        for (from, to) in [(&image, "vmlinuz"), (&site.objects().join(".config"), "config")] {
            fs::copy(from, folder.join(to)).map_err(io(from))?;
        }
        Ok::<(), BuildError>(())
    })?;
    Ok(Built { kernel, was_there: false })
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.display().to_string();
    move |error| BuildError::Io { path, error }
}

fn check_needs(tools: &Tools) -> Result<(), BuildError> {
    for program in PROGRAMS.iter().chain(&["dpkg-deb"]) {
        tools.find(program)?;
    }
    for (header, package) in HEADERS {
        let include = ["-E", "-include", *header, "-x", "c", "/dev/null"];
        let found = tools.output(Path::new("/"), "gcc", &include);
        if let Err(ToolError::Interrupted) = found {
            return Err(ToolError::Interrupted.into());
        }
        if found.is_err() {
            return Err(BuildError::Header { header: (*header).to_owned(), package: (*package).to_owned() });
        }
    }
    Ok(())
}

/// What a source tree takes, with the archive and the package that it comes from.
const TREE_MIB: u64 = 2200;

/// What objects take.
const OBJECTS_MIB: u64 = 600;

/// Whether there is room: what a full disk does to a compiler is hard to read.
fn check_space(place: &Path, need_mib: u64) -> Result<(), BuildError> {
    let found = nix::sys::statvfs::statvfs(place).map_err(|error| io(place)(error.into()))?;
    let free_mib = (found.blocks_available() * found.fragment_size()) >> 20;
    if free_mib < need_mib {
        return Err(BuildError::Space { path: text(place), free_mib, need_mib });
    }
    Ok(())
}

/// FNV-1a over texts and their ends: tells configurations apart, and is no protection against anybody.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The source package.
struct Source<'a> {
    /// Package and version, as a folder can be called.
    identity: String,
    /// Where it comes from.
    origin: Origin<'a>,
}

/// Where a source package comes from.
enum Origin<'a> {
    /// It lies here.
    File(PathBuf),
    /// From an archive: this version.
    Apt(Apt<'a>, String),
}

impl<'a> Source<'a> {
    fn find(store: &Store, tools: &'a Tools, wishes: &BuildWishes) -> Result<Self, BuildError> {
        let package = format!("linux-source-{SERIES}");
        let (version, origin) = match &wishes.source {
            Some(file) => {
                let file = fs::canonicalize(file).map_err(io(file))?;
                (version_of(&file, &package, tools)?, Origin::File(file))
            }
            None => {
                let apt = Apt::find(&format!("^{}$", package.replace('.', "\\.")), store, tools)?;
                let version = apt.facts()?.version;
                (version.clone(), Origin::Apt(apt, version))
            }
        };
        // A version can hold what no path should.
        let version: String = version.chars().map(|c| if "/:".contains(c) { '_' } else { c }).collect();
        Ok(Self { identity: format!("{package}_{version}"), origin })
    }
}

/// The version of the package in `file`, which must be `package`.
fn version_of(file: &Path, package: &str, tools: &Tools) -> Result<String, BuildError> {
    let fields = tools.output(Path::new("/"), "dpkg-deb", &["-f", &text(file), "Package", "Version"]);
    let fields = String::from_utf8_lossy(&fields.map_err(|error| BuildError::package(file, error))?).into_owned();
    let field = |name: &str| fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    match (field("Package"), field("Version")) {
        (Some(found), Some(version)) if found == package => Ok(version.to_owned()),
        (found, _) => {
            let found = found.unwrap_or("nothing");
            Err(BuildError::Source(format!("{}: expected the package {package}, found {found}", file.display())))
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_kernel_that_nobody_knows_is_refused_with_those_that_can_be_built() {
        let store = Store::new(PathBuf::from("none"));
        let error = build("6.12-x", &store, &Tools::default(), &BuildWishes::default(), &|_| {}).err().unwrap();
        assert_eq!(
            error.to_string(),
            "\"6.12-x\" is none of the kernels that can be built: 6.12-debug, 6.12-cow-semaphore, 6.12-origin-boundary, \
             6.12-reads-not-tracked, 6.12-status-overwritten, 6.12-zero-chunk"
        );
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools { path: vec![folder.path().to_owned()], ..Tools::default() };
        let store = Store::new(folder.path().join("store"));
        let wrong = || build(DEBUG, &store, &tools, &BuildWishes::default(), &|_| {}).err().unwrap().to_string();
        for program in PROGRAMS.iter().chain(&["dpkg-deb"]) {
            let said = wrong();
            assert!(said.starts_with(&format!("{program} is not installed; `apt install ")), "{said}");
            script(folder.path(), program, "exit 1");
        }
        assert_eq!(wrong(), "the header gelf.h is missing; `apt install libelf-dev` installs it");
        assert!(!store.root().exists());
    }

    fn script(folder: &Path, name: &str, body: &str) {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Stand-ins for the programs that do what the real ones would, on a tree of a few lines; `bz_image` is what make does
    /// for the image, with `$o` as the folder of objects.
    fn stand_ins(bin: &Path, bz_image: &str) -> Tools {
        fs::create_dir(bin).unwrap();
        for program in PROGRAMS {
            script(bin, program, "exit 0");
        }
        script(bin, "setpriv", "exec /usr/bin/setpriv \"$@\"");
        script(bin, "gcc", "echo 12.2.0");
        script(
            bin,
            "apt-cache",
            "case $1 in search) echo 'linux-source-6.12 - a';; *) echo 'Version: 6.12.1-1'; echo 'SHA256: ab';; esac",
        );
        script(bin, "apt-get", ": >a.deb");
        script(bin, "dpkg-deb", "mkdir -p package/usr/src; : >package/usr/src/linux-source-6.12.tar.xz");
        script(bin, "tar", ": >Makefile");
        script(
            bin,
            "make",
            &format!(
                "PATH=/usr/bin:/bin\n\
                 for a in \"$@\"; do case $a in O=*) o=${{a#O=}};; esac; last=$a; done\n\
                 case $last in tinyconfig) echo '# CONFIG_SMP is not set' >$o/.config;;\n\
                 bzImage) echo '  CC      init/main.o'; {bz_image};; esac"
            ),
        );
        Tools { path: vec![bin.to_owned()], ..Tools::default() }
    }

    #[test]
    fn a_kernel_is_built_once_from_the_same_inputs_and_keeps_every_line_of_the_fragment() {
        let folder = tempfile::tempdir().unwrap();
        let image = "mkdir -p $o/arch/x86/boot; image=$o/arch/x86/boot/bzImage; \
                     printf '\\000%.0s' $(seq 514) >$image; printf HdrS >>$image; printf '\\000%.0s' $(seq 8) >>$image; \
                     printf '\\000\\001' >>$image; printf '\\000%.0s' $(seq 240) >>$image; printf '6.12.1-debug\\000' \
                     >>$image; printf '\\000%.0s' $(seq 300) >>$image";
        let tools = stand_ins(&folder.path().join("bin"), image);
        let store = Store::new(folder.path().join("kernels"));
        let said = RefCell::new(Vec::new());
        let say = |told: Told<'_>| match told {
            Told::Note(text) => said.borrow_mut().push(text.to_owned()),
            Told::Made { kernel, files, last, .. } => said.borrow_mut().push(format!("{kernel} {files} {last}")),
        };
        let built =
            build(DEBUG, &store, &tools, &BuildWishes::default(), &say).unwrap_or_else(|error| panic!("{error}"));
        assert!(!built.was_there);
        assert_eq!(built.kernel.release, "6.12.1-debug");
        let config = fs::read_to_string(store.root().join(DEBUG).join("config")).unwrap();
        assert_eq!(config::lost_lines(CONFIG, &config), Vec::<String>::new());
        assert_eq!(said.borrow()[3..], ["6.12-debug 1 init/main.o"], "{said:?}");
        let again =
            build(DEBUG, &store, &tools, &BuildWishes::default(), &say).unwrap_or_else(|error| panic!("{error}"));
        assert!(again.was_there);
        assert_eq!(said.borrow().len(), 4, "nothing was done");
    }

    #[test]
    fn an_interrupted_build_leaves_no_half_built_folder() {
        let folder = tempfile::tempdir().unwrap();
        let tools = stand_ins(&folder.path().join("bin"), "echo >$o/half.o; sleep 100");
        let store = Store::new(folder.path().join("kernels"));
        let interrupt = std::sync::Arc::clone(&tools.interrupt);
        // As soon as there is something half built.
        let told = |told: Told<'_>| {
            if let Told::Made { .. } = told {
                interrupt.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let error = build(DEBUG, &store, &tools, &BuildWishes::default(), &told).err().unwrap();
        assert!(matches!(error, BuildError::Tool(ToolError::Interrupted)), "{error}");
        let names = |folder: &Path| {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = entries.collect();
            names.sort();
            names
        };
        assert_eq!(names(store.root()), [".build"]);
        assert_eq!(names(&store.root().join(".build/linux-source-6.12_6.12.1-1")), ["lock", "source"]);
    }

    #[test]
    fn a_package_that_is_damaged_is_named_with_the_command_that_fetches_it() {
        let folder = tempfile::tempdir().unwrap();
        let tools = stand_ins(&folder.path().join("bin"), "exit 1");
        let store = Store::new(folder.path().join("kernels"));
        let deb = folder.path().join("a.deb");
        let wishes = BuildWishes { source: Some(deb.clone()), ..BuildWishes::default() };
        let wrong = || build(DEBUG, &store, &tools, &wishes, &|_| {}).err().unwrap().to_string();
        assert!(wrong().starts_with(&format!("{}: No such file", deb.display())), "{}", wrong());
        fs::write(&deb, "no archive").unwrap();
        let says = |then: &str| {
            let fields = "echo 'Package: linux-source-6.12'; echo 'Version: 6.12.1-1'";
            script(&tools.path[0], "dpkg-deb", &format!("case $1 in -f) {fields};; *) {then};; esac"));
        };
        says("echo 'unexpected end of file' >&2; exit 2");
        let fetch = "if it is damaged, `apt-get download linux-source-6.12` fetches it again";
        let path = fs::canonicalize(&deb).unwrap();
        assert_eq!(wrong(), format!("{} cannot be unpacked: unexpected end of file; {fetch}", path.display()));
        script(&tools.path[0], "dpkg-deb", "echo 'Package: hello'; echo 'Version: 1'");
        assert_eq!(wrong(), format!("{}: expected the package linux-source-6.12, found hello", path.display()));
        script(&tools.path[0], "dpkg-deb", "echo 'no Debian archive' >&2; exit 2");
        assert_eq!(wrong(), format!("{} cannot be unpacked: no Debian archive; {fetch}", path.display()));
    }

    #[test]
    fn a_disk_without_room_is_told_before_anything_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let need_mib = u64::MAX >> 20;
        let error = check_space(folder.path(), need_mib).unwrap_err().to_string();
        let end = format!("MiB left, and building needs {need_mib} MiB; XDG_CACHE_HOME can lead to another disk");
        assert!(error.starts_with(&*text(folder.path())) && error.ends_with(&end), "{error}");
        assert!(check_space(folder.path(), 0).is_ok());
    }

    #[test]
    fn another_configuration_is_another_input() {
        assert_ne!(hash(&["a", "b"]), hash(&["a", "c"]));
        assert_ne!(hash(&["ab", ""]), hash(&["a", "b"]));
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
    }
}
