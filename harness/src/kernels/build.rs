//! Builds kernels for guests from Debian's source package: 6.12 with everything that watches, and the same with an old bug
//! put back ([`super::edits`]).
//!
//! One source tree and one folder of objects serve all of them, so that a mutation compiles the files that it changes and
//! links. Both lie in the store's `.build`, beside a copy of every source that some mutation has changed.
//!
//! Invariants: nothing is built without everything it needs being there, and what is missing is named with the command that
//! installs it; a kernel of the same source, configuration, edits and compiler is not built twice; the configuration holds
//! every line of `ci/kernel/debug.config`, or the build is refused. No root.
//! Not here: booting.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::edits::{EditError, Edits, MUTATIONS};
use super::store::{Kernel, Store, StoreError};
use super::tools::{ToolError, Tools};

/// The series that is built.
pub const SERIES: &str = "6.12";

/// The kernel without a mutation.
pub const DEBUG: &str = "6.12-debug";

const CONFIG: &str = include_str!("../../../ci/kernel/debug.config");

/// What building needs beside apt and dpkg-deb.
const PROGRAMS: &[&str] = &["bc", "bison", "flex", "gcc", "ld", "make", "perl", "tar", "xz"];

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
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
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

/// Builds the kernel of this name into the store, unless it is there; `say` is told what is done.
///
/// # Errors
/// As [`BuildError`]; the store stays as it was.
pub fn build(
    name: &str,
    store: &Store,
    tools: &Tools,
    wishes: &BuildWishes,
    say: &dyn Fn(&str),
) -> Result<Built, BuildError> {
    if !names().iter().any(|known| known == name) {
        return Err(BuildError::Unknown { wanted: name.to_owned() });
    }
    let edits = super::edits::mutation_of(name);
    check_needs(tools)?;
    let source = Source::find(tools, wishes)?;
    let compiler = tools.output(Path::new("/"), "gcc", &["-dumpfullversion"])?;
    let compiler = String::from_utf8_lossy(&compiler).trim().to_owned();
    let text =
        MUTATIONS.iter().find(|(mutation, _)| name == format!("{SERIES}-{mutation}")).map_or("", |(_, text)| text);
    let inputs = format!("{} gcc {compiler} {:016x}", source.identity, hash(&[CONFIG, text]));
    if let Some(kernel) = store.made_from(name, &inputs) {
        return Ok(Built { kernel, was_there: true });
    }
    let place = store.root().join(".build").join(&source.identity);
    fs::create_dir_all(&place).map_err(io(&place))?;
    let lock = File::create(place.join("lock")).map_err(io(&place))?;
    lock.lock().map_err(io(&place))?;
    let site = Site { tools, place: &place, jobs: wishes.jobs.max(1) };
    if !site.tree().join("Makefile").is_file() {
        say(&format!("unpacking {}", source.identity));
        site.unpack(&source)?;
    }
    site.configure(say)?;
    site.put_edits(edits.as_ref())?;
    say(&format!("building {name}: a few minutes the first time, less for the ones after it"));
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
        if tools.output(Path::new("/"), "gcc", &include).is_err() {
            return Err(BuildError::Header { header: (*header).to_owned(), package: (*package).to_owned() });
        }
    }
    Ok(())
}

/// FNV-1a over texts and their ends: tells configurations apart, and is no protection against anybody.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The source package.
struct Source {
    /// Package and version.
    identity: String,
    /// Where it lies, if somebody said so.
    file: Option<PathBuf>,
}

impl Source {
    fn find(tools: &Tools, wishes: &BuildWishes) -> Result<Self, BuildError> {
        let package = format!("linux-source-{SERIES}");
        let fields = match &wishes.source {
            Some(file) => tools.output(Path::new("/"), "dpkg-deb", &["-f", &text(file), "Package", "Version"])?,
            None => tools.output(Path::new("/"), "apt-cache", &["show", "--no-all-versions", &package])?,
        };
        let fields = String::from_utf8_lossy(&fields).into_owned();
        let field = |name: &str| fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        match (field("Package"), field("Version")) {
            (Some(found), Some(version)) if found == package => {
                // A version can hold what no path should.
                let version: String = version.chars().map(|c| if "/:".contains(c) { '_' } else { c }).collect();
                Ok(Self { identity: format!("{package}_{version}"), file: wishes.source.clone() })
            }
            (found, _) => {
                let found = found.unwrap_or("nothing");
                Err(BuildError::Source(format!("expected the package {package}, found {found}; `apt update` may help")))
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Where kernels are built.
struct Site<'a> {
    tools: &'a Tools,
    place: &'a Path,
    jobs: usize,
}

impl Site<'_> {
    fn tree(&self) -> PathBuf {
        self.place.join("source")
    }

    fn objects(&self) -> PathBuf {
        self.place.join("objects")
    }

    /// Sources as they were before any mutation.
    fn originals(&self) -> PathBuf {
        self.place.join("originals")
    }

    fn unpack(&self, source: &Source) -> Result<(), BuildError> {
        let work = tempfile::tempdir_in(self.place).map_err(io(self.place))?;
        let package = format!("linux-source-{SERIES}");
        let file = match &source.file {
            Some(file) => fs::canonicalize(file).map_err(io(file))?,
            None => {
                self.tools.output(work.path(), "apt-get", &["download", &package])?;
                let entries = fs::read_dir(work.path()).map_err(io(work.path()))?.flatten();
                let deb =
                    entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "deb"));
                deb.ok_or_else(|| BuildError::Source(format!("apt-get download {package} left no package")))?
            }
        };
        self.tools.output(work.path(), "dpkg-deb", &["-x", &text(&file), "package"])?;
        let archive = work.path().join(format!("package/usr/src/{package}.tar.xz"));
        let tree = work.path().join("tree");
        fs::create_dir(&tree).map_err(io(&tree))?;
        self.tools.output(&tree, "tar", &["-xJf", &text(&archive), "--strip-components=1"])?;
        fs::rename(&tree, self.tree()).map_err(io(&tree))
    }

    fn make(&self, args: &[&str]) -> Result<(), ToolError> {
        let (tree, objects) = (text(&self.tree()), format!("O={}", text(&self.objects())));
        // The same sources give the same image.
        let fixed = ["KBUILD_BUILD_USER=dmlab", "KBUILD_BUILD_HOST=dmlab", "KBUILD_BUILD_TIMESTAMP=1970-01-01"];
        let mut all = vec!["-s", "-C", &tree, &objects, "ARCH=x86_64"];
        all.extend(fixed.iter().chain(args));
        self.tools.output(self.place, "make", &all).map(drop)
    }

    /// tinyconfig and the fragment; nothing if that is what it was made from.
    fn configure(&self, say: &dyn Fn(&str)) -> Result<(), BuildError> {
        let (objects, mark) = (self.objects(), self.objects().join("dmlab.config"));
        if fs::read_to_string(&mark).is_ok_and(|made_from| made_from == CONFIG) {
            return Ok(());
        }
        say("configuring");
        fs::create_dir_all(&objects).map_err(io(&objects))?;
        self.make(&["tinyconfig"])?;
        let path = objects.join(".config");
        let tiny = fs::read_to_string(&path).map_err(io(&path))?;
        fs::write(&path, merged(&tiny, CONFIG)).map_err(io(&path))?;
        self.make(&["olddefconfig"])?;
        let config = fs::read_to_string(&path).map_err(io(&path))?;
        let lost = lost_lines(CONFIG, &config);
        if !lost.is_empty() {
            return Err(BuildError::Config(lost.join(", ")));
        }
        fs::write(&mark, CONFIG).map_err(io(&mark))
    }

    /// Makes the tree that of a mutation, or of none. What is as it should be is not written, so that it is not compiled.
    fn put_edits(&self, edits: Option<&Edits>) -> Result<(), BuildError> {
        let (tree, originals) = (self.tree(), self.originals());
        let mut read = |file: &str| {
            let kept = originals.join(file);
            fs::read_to_string(if kept.is_file() { kept } else { tree.join(file) })
        };
        let mut wanted = match edits {
            Some(edits) => edits.apply(&mut read)?,
            None => BTreeMap::new(),
        };
        let all = MUTATIONS.iter().filter_map(|(name, text)| Edits::parse(name, text).ok());
        let files: Vec<String> =
            all.flat_map(|edits| edits.files().into_iter().map(str::to_owned).collect::<Vec<_>>()).collect();
        for file in files.iter().filter(|file| originals.join(file).is_file()) {
            if !wanted.contains_key(file) {
                wanted.insert(file.clone(), read(file).map_err(io(&originals.join(file)))?);
            }
        }
        for (file, content) in &wanted {
            let (place, kept) = (tree.join(file), originals.join(file));
            let before = fs::read_to_string(&place).map_err(io(&place))?;
            if !kept.is_file() {
                let folder = kept.parent().unwrap_or(&originals);
                fs::create_dir_all(folder).map_err(io(folder))?;
                fs::write(&kept, &before).map_err(io(&kept))?;
            }
            if before != *content {
                fs::write(&place, content).map_err(io(&place))?;
            }
        }
        Ok(())
    }

    fn make_image(&self, name: &str) -> Result<PathBuf, BuildError> {
        let flavour = name.strip_prefix(SERIES).unwrap_or(name);
        self.make(&[&format!("-j{}", self.jobs), &format!("LOCALVERSION={flavour}"), "bzImage"])?;
        Ok(self.objects().join("arch/x86/boot/bzImage"))
    }
}

/// A configuration in which the lines of `fragment` stand in place of what was said of the same.
fn merged(config: &str, fragment: &str) -> String {
    let keys: Vec<&str> = options(fragment).map(|(key, _)| key).collect();
    let said = |line: &&str| {
        let key = line.strip_prefix("# ").unwrap_or(line).split(['=', ' ']).next().unwrap_or_default();
        !keys.contains(&key)
    };
    let kept = config.lines().filter(said).map(|line| format!("{line}\n"));
    let added = options(fragment).map(|(key, value)| match value {
        "n" => format!("# {key} is not set\n"),
        value => format!("{key}={value}\n"),
    });
    kept.chain(added).collect()
}

/// Lines of a fragment that a configuration does not have.
fn lost_lines(fragment: &str, config: &str) -> Vec<String> {
    let has = |key: &str, value: &str| match value {
        "n" => !config.lines().any(|line| line.starts_with(&format!("{key}="))),
        value => config.lines().any(|line| line == format!("{key}={value}")),
    };
    options(fragment).filter(|(key, value)| !has(key, value)).map(|(key, value)| format!("{key}={value}")).collect()
}

fn options(fragment: &str) -> impl Iterator<Item = (&str, &str)> {
    fragment.lines().filter(|line| line.starts_with("CONFIG_")).filter_map(|line| line.trim_end().split_once('='))
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
        let tools = Tools { path: vec![folder.path().to_owned()] };
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

    #[test]
    fn the_fragment_replaces_what_was_said_and_what_is_lost_is_told() {
        let fragment = "# words\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=8\n";
        let config = merged("CONFIG_A=m\n# CONFIG_C is not set\nCONFIG_B=y\nCONFIG_AB=y\n", fragment);
        assert_eq!(config, "CONFIG_AB=y\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=8\n");
        assert_eq!(lost_lines(fragment, &config), Vec::<String>::new());
        assert_eq!(lost_lines(fragment, "CONFIG_B=y\nCONFIG_C=16\n"), ["CONFIG_A=y", "CONFIG_B=n", "CONFIG_C=8"]);
    }

    #[test]
    fn a_tree_goes_from_one_mutation_to_another_and_back_to_none() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::default();
        let site = Site { tools: &tools, place: folder.path(), jobs: 1 };
        let read = |file: &str| fs::read_to_string(site.tree().join(file)).unwrap();
        let snap = "drivers/md/dm-snap.c";
        fs::create_dir_all(folder.path()).unwrap();
        // Two mutations look for lines of snapshot_ctr: one tree for each.
        let only =
            |wanted: &str| Edits::parse(wanted, MUTATIONS.iter().find(|(name, _)| *name == wanted).unwrap().1).unwrap();
        let place = site.tree().join("drivers/md");
        fs::create_dir_all(&place).unwrap();
        fs::write(
            place.join("dm-snap.c"),
            "static int snapshot_ctr(void)\n{\n\t\tti->error = \"Chunk size not set\";\n\t\tr = -EINVAL;\n}\n\
             static uint32_t __minimum_chunk_size(void)\n{\n\tunsigned int chunk_size = rounddown_pow_of_two(UINT_MAX);\n}\n",
        )
        .unwrap();
        let before = read(snap);
        site.put_edits(Some(&only("zero-chunk"))).unwrap();
        assert!(!read(snap).contains("-EINVAL") && read(snap).contains("rounddown"));
        site.put_edits(Some(&only("origin-boundary"))).unwrap();
        assert!(read(snap).contains("-EINVAL") && read(snap).contains("chunk_size = 0;"));
        site.put_edits(None).unwrap();
        assert_eq!(read(snap), before);
        let modified = fs::metadata(place.join("dm-snap.c")).unwrap().modified().unwrap();
        site.put_edits(None).unwrap();
        assert_eq!(
            fs::metadata(place.join("dm-snap.c")).unwrap().modified().unwrap(),
            modified,
            "it is not written again"
        );
        // A source that is another one refuses the edit and stays as it is.
        let error = site.put_edits(Some(&only("cow-semaphore"))).unwrap_err().to_string();
        assert!(error.starts_with("cow-semaphore.edit:"), "{error}");
        assert_eq!(read(snap), before);
    }

    /// Stand-ins for the programs that do what the real ones would, on a tree of a few lines.
    #[test]
    fn a_kernel_is_built_once_from_the_same_inputs_and_keeps_every_line_of_the_fragment() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for program in PROGRAMS {
            script(&bin, program, "exit 0");
        }
        script(&bin, "gcc", "echo 12.2.0");
        script(&bin, "apt-cache", "echo 'Package: linux-source-6.12'; echo 'Version: 6.12.1-1'");
        script(&bin, "apt-get", ": >a.deb");
        script(&bin, "dpkg-deb", "mkdir -p package/usr/src; : >package/usr/src/linux-source-6.12.tar.xz");
        script(&bin, "tar", ": >Makefile");
        let image = "printf '\\000%.0s' $(seq 514) >$image; printf HdrS >>$image; printf '\\000%.0s' $(seq 8) >>$image; \
                     printf '\\000\\001' >>$image; printf '\\000%.0s' $(seq 240) >>$image; printf '6.12.1-debug\\000' \
                     >>$image; printf '\\000%.0s' $(seq 300) >>$image";
        script(
            &bin,
            "make",
            &format!(
                "PATH=/usr/bin:/bin; echo \"$@\" >>../../../made 2>/dev/null || echo \"$@\" >>made\n\
                 for a in \"$@\"; do case $a in O=*) o=${{a#O=}};; esac; last=$a; done\n\
                 case $last in tinyconfig) echo '# CONFIG_SMP is not set' >$o/.config;;\n\
                 bzImage) mkdir -p $o/arch/x86/boot; image=$o/arch/x86/boot/bzImage; {image};; esac"
            ),
        );
        let tools = Tools { path: vec![bin] };
        let store = Store::new(folder.path().join("kernels"));
        let said = RefCell::new(Vec::new());
        let say = |text: &str| said.borrow_mut().push(text.to_owned());
        let built =
            build(DEBUG, &store, &tools, &BuildWishes::default(), &say).unwrap_or_else(|error| panic!("{error}"));
        assert!(!built.was_there);
        assert_eq!(built.kernel.release, "6.12.1-debug");
        let config = fs::read_to_string(store.root().join(DEBUG).join("config")).unwrap();
        assert_eq!(lost_lines(CONFIG, &config), Vec::<String>::new());
        assert_eq!(said.borrow().len(), 3, "{said:?}");
        let again =
            build(DEBUG, &store, &tools, &BuildWishes::default(), &say).unwrap_or_else(|error| panic!("{error}"));
        assert!(again.was_there);
        assert_eq!(said.borrow().len(), 3, "nothing was done");
    }

    #[test]
    fn another_configuration_is_another_input() {
        assert_ne!(hash(&["a", "b"]), hash(&["a", "c"]));
        assert_ne!(hash(&["ab", ""]), hash(&["a", "b"]));
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
    }
}
