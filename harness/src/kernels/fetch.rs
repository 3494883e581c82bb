//! Fetches Debian's cloud kernels with apt and dpkg-deb, without root and without installing anything.
//!
//! The packages are `linux-image-<version>-cloud-amd64-unsigned`. They are looked for in what the machine's own apt knows;
//! where that has none (another distribution, no lists), in lists of Debian's own archive that live in a folder of the
//! store, checked with Debian's keys.
//!
//! Invariants: the newest package of a series is taken; one that is in the store already is not fetched again; apt checks
//! what it downloads. The machine's own apt state is read and never changed.
//! Not here: kernels that are built.

use std::fs;
use std::path::{Path, PathBuf};

use super::modules::{collect, dependency_file};
use super::store::{Kernel, Store, StoreError};
use super::tools::{ToolError, Tools};

/// The kernels that can be fetched, by name: Debian's series.
pub const STOCK: [&str; 2] = ["6.1", "6.12"];

/// Debian's keys, from its package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Why a kernel could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such series.
    #[error("{0:?} is none of the kernels that can be fetched: {known}", known = STOCK.join(", "))]
    Unknown(String),
    /// Nobody has a package.
    #[error("apt knows no package {0}; is there a network?")]
    NoPackage(String),
    /// Debian's keys are not there.
    #[error("this machine's apt has no {0}, and Debian's keys are missing; `apt install debian-archive-keyring`")]
    NoKeys(String),
    /// The package does not hold what it should.
    #[error("{0} holds no kernel image")]
    NoImage(String),
    /// Another program.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A kernel, and whether it had to be fetched.
pub struct Fetched {
    /// The kernel.
    pub kernel: Kernel,
    /// It was there already, made from the newest package.
    pub was_there: bool,
}

/// Fetches the kernel of this name into the store, unless it is there.
///
/// # Errors
/// As [`FetchError`]; the store stays as it was.
pub fn fetch(name: &str, store: &Store, tools: &Tools) -> Result<Fetched, FetchError> {
    if !STOCK.contains(&name) {
        return Err(FetchError::Unknown(name.to_owned()));
    }
    // Before anything is downloaded: what unpacking needs.
    for tool in ["apt-get", "apt-cache", "dpkg-deb", "xz"] {
        tools.find(tool)?;
    }
    let apt = Apt::find(&pattern(name), store, tools)?;
    let package = &apt.package;
    let facts = apt.facts()?;
    let inputs = format!("{package} {} {}", facts.version, facts.sha256);
    if let Some(kernel) = store.made_from(name, &inputs) {
        return Ok(Fetched { kernel, was_there: true });
    }
    let origin = format!("{package} {}", facts.version);
    let kernel = store.install(name, &origin, &inputs, |folder| {
        let unpacked = tempfile::tempdir_in(folder).map_err(|error| lost(folder, error))?;
        apt.download(unpacked.path(), &facts.version)?;
        let archive = first_file(unpacked.path(), ".deb").ok_or_else(|| FetchError::NoImage(package.clone()))?;
        let root = unpacked.path().join("root");
        tools.output(folder, "dpkg-deb", &["-x", &text(&archive), &text(&root)])?;
        keep(&root, folder, tools)?.then_some(()).ok_or_else(|| FetchError::NoImage(package.clone()))
    })?;
    Ok(Fetched { kernel, was_there: false })
}

/// Takes over what guests need: the image, its configuration, and the modules that scenarios use, unpacked.
fn keep(root: &Path, folder: &Path, tools: &Tools) -> Result<bool, FetchError> {
    let Some(image) = first_file(&root.join("boot"), "vmlinuz-") else { return Ok(false) };
    let release = super::image::release(&image).map_err(StoreError::NoKernel)?;
    fs::copy(&image, folder.join("vmlinuz")).map_err(|error| lost(folder, error))?;
    if let Some(config) = first_file(&root.join("boot"), "config-") {
        fs::copy(config, folder.join("config")).map_err(|error| lost(folder, error))?;
    }
    let from = ["lib/modules", "usr/lib/modules"].map(|place| root.join(place).join(&release));
    let from = from.into_iter().find(|place| place.is_dir()).unwrap_or_default();
    let modules = collect(&from, tools)?;
    let place = folder.join("lib/modules").join(&release);
    fs::create_dir_all(place.join("kernel")).map_err(|error| lost(&place, error))?;
    for module in &modules {
        fs::write(place.join(module.path()), &module.object).map_err(|error| lost(&place, error))?;
    }
    fs::write(place.join("modules.dep"), dependency_file(&modules)).map_err(|error| lost(&place, error))?;
    Ok(true)
}

fn lost(path: &Path, error: std::io::Error) -> FetchError {
    FetchError::Store(StoreError::Io { path: path.display().to_string(), error })
}

/// The first file in `folder`, by name, that begins or ends with `part`.
fn first_file(folder: &Path, part: &str) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(part) || name.ends_with(part)
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// An apt that knows the package.
pub(super) struct Apt<'a> {
    tools: &'a Tools,
    /// Options that lead it to lists of its own; none for the machine's.
    options: Vec<String>,
    package: String,
}

/// What apt says of a package.
pub(super) struct Facts {
    pub(super) version: String,
    sha256: String,
}

impl<'a> Apt<'a> {
    /// The machine's apt if it has a package like `pattern`, else one with lists in the store; the newest such package.
    pub(super) fn find(pattern: &str, store: &Store, tools: &'a Tools) -> Result<Self, FetchError> {
        let mut apt = Self { tools, options: Vec::new(), package: String::new() };
        if let Some(package) = apt.newest(pattern)? {
            apt.package = package;
            return Ok(apt);
        }
        if !Path::new(KEYRING).exists() {
            return Err(FetchError::NoKeys(pattern.to_owned()));
        }
        apt.options = own_lists(&store.root().join(".apt")).map_err(|error| lost(store.root(), error))?;
        apt.run(Path::new("/"), "apt-get", &["update"])?;
        apt.package = apt.newest(pattern)?.ok_or_else(|| FetchError::NoPackage(pattern.to_owned()))?;
        Ok(apt)
    }

    fn run(&self, folder: &Path, name: &str, args: &[&str]) -> Result<String, ToolError> {
        let mut all: Vec<&str> = self.options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
        all.extend(args);
        self.tools.output(folder, name, &all).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Downloads this version of the package into `folder`.
    pub(super) fn download(&self, folder: &Path, version: &str) -> Result<(), ToolError> {
        self.run(folder, "apt-get", &["download", &format!("{}={version}", self.package)]).map(drop)
    }

    fn newest(&self, pattern: &str) -> Result<Option<String>, ToolError> {
        let found = self.run(Path::new("/"), "apt-cache", &["search", "--names-only", pattern])?;
        let packages = found.lines().filter_map(|line| line.split_whitespace().next());
        Ok(packages.max_by_key(|package| numbers(package)).map(str::to_owned))
    }

    pub(super) fn facts(&self) -> Result<Facts, FetchError> {
        let shown = self.run(Path::new("/"), "apt-cache", &["show", "--no-all-versions", &self.package])?;
        let field = |name: &str| {
            let value = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.map(str::to_owned).ok_or_else(|| FetchError::NoPackage(self.package.clone()))
        };
        Ok(Facts { version: field("Version")?, sha256: field("SHA256")? })
    }
}

/// The packages of a series, as apt-cache's expression.
fn pattern(name: &str) -> String {
    format!("^linux-image-{}\\.[0-9].*-cloud-amd64-unsigned$", name.replace('.', "\\."))
}

/// The numbers in a name, in order: what tells newer from older packages.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// Options for an apt with lists of Debian's archive in `folder`.
fn own_lists(folder: &Path) -> std::io::Result<Vec<String>> {
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let suites = [
        ("http://deb.debian.org/debian", "bookworm"),
        ("http://deb.debian.org/debian-security", "bookworm-security"),
        ("http://deb.debian.org/debian", "bookworm-backports"),
    ];
    let line =
        |(archive, suite): (&str, &str)| format!("deb [arch=amd64 signed-by={KEYRING}] {archive} {suite} main\n");
    fs::write(folder.join("sources.list"), suites.map(line).concat())?;
    fs::write(folder.join("status"), "")?;
    let at = |name: &str| text(&folder.join(name));
    Ok(vec![
        format!("Dir::State::lists={}", at("lists")),
        format!("Dir::State::status={}", at("status")),
        format!("Dir::Cache={}", at("cache")),
        format!("Dir::Etc::sourcelist={}", at("sources.list")),
        "Dir::Etc::sourceparts=-".to_owned(),
        "APT::Architecture=amd64".to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_nobody_has_is_refused_before_anything_is_run() {
        let store = Store::new(PathBuf::from("none"));
        let error = fetch("2.6", &store, &Tools::default()).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("\"2.6\" is none of the kernels that can be fetched: 6.1, 6.12"));
        let error = fetch("6.1", &store, &Tools::default()).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("apt-get is not installed; `apt install apt` installs it"));
    }

    #[test]
    fn the_newest_package_is_told_by_its_numbers() {
        let names = ["linux-image-6.1.0-9-cloud", "linux-image-6.1.0-56-cloud", "linux-image-6.1.0-47-cloud"];
        assert_eq!(names.iter().max_by_key(|name| numbers(name)), Some(&names[1]));
        assert_eq!(pattern("6.1"), "^linux-image-6\\.1\\.[0-9].*-cloud-amd64-unsigned$");
    }

    /// Stand-ins for apt and dpkg-deb that write what the real ones would.
    #[test]
    fn what_is_there_already_is_not_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, body: &str| {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let package = "linux-image-6.1.0-5-cloud-amd64-unsigned";
        script(
            "apt-cache",
            &format!("case $1 in search) echo '{package} - a';; show) echo 'Version: 1'; echo 'SHA256: ab';; esac"),
        );
        script("apt-get", "echo x >>../../../downloads; : >a.deb");
        script(
            "dpkg-deb",
            "mkdir -p $3/boot; dd if=/dev/zero of=$3/boot/vmlinuz-x bs=1024 count=1 2>/dev/null; \
             printf 'HdrS' | dd of=$3/boot/vmlinuz-x bs=1 seek=514 conv=notrunc 2>/dev/null; \
             printf '\\000\\001' | dd of=$3/boot/vmlinuz-x bs=1 seek=526 conv=notrunc 2>/dev/null; \
             printf '6.1.0-5 x' | dd of=$3/boot/vmlinuz-x bs=1 seek=768 conv=notrunc 2>/dev/null",
        );
        script("xz", "exit 1");
        script("setpriv", "exec /usr/bin/setpriv \"$@\"");
        let path = vec![folder.path().to_owned()];
        let (store, tools) = (Store::new(folder.path().join("store")), Tools { path, ..Tools::default() });
        for was_there in [false, true] {
            let fetched = fetch("6.1", &store, &tools).unwrap();
            assert_eq!((fetched.kernel.release.as_str(), fetched.was_there), ("6.1.0-5", was_there));
        }
        assert_eq!(fs::read_to_string(folder.path().join("downloads")).unwrap(), "x\n", "one download");
        assert_eq!(store.list().len(), 1);
    }
}
