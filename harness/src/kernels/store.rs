//! [`Store`]: a folder of kernels, each in a folder of its own by name; and kernels elsewhere, by path.
//!
//! A kernel's folder holds `kernel.json` (what it is and what it was made from), `vmlinuz`, `lib/modules/<release>` and,
//! where known, `config`.
//!
//! Invariants: a kernel appears under its name when it is whole (it is made beside and renamed); one of the same inputs is
//! not made again; what somebody who was killed had half made goes when the next one is made.
//! Not here: what fills a folder (`fetch`, builds).

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image;

/// A kernel that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What it is called: its name in the store, or its release.
    pub name: String,
    /// As `uname -r` has it.
    pub release: String,
    /// The image (`bzImage`).
    pub image: PathBuf,
    /// `lib/modules/<release>`, if it has modules.
    pub modules: Option<PathBuf>,
    /// Where it comes from, for people.
    pub origin: String,
}

impl Kernel {
    /// Its version, `6.12` of `6.12.117+deb12-cloud-amd64`.
    pub fn version(&self) -> String {
        let mut numbers = self.release.split(['.', '-', '+']);
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        format!("{major}.{minor}")
    }
}

/// `kernel.json`.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    release: String,
    origin: String,
    /// Identifies everything that it was made from.
    inputs: String,
}

/// A folder of kernels.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What a store cannot do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nobody knows this kernel.
    #[error(
        "there is no kernel {wanted:?}: neither a file or folder, nor in the store {root}, which has {known}; \
         `dmlab kernel fetch {stock}` fetches Debian's"
    )]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The store's folder.
        root: String,
        /// What there is.
        known: String,
        /// What can be fetched.
        stock: String,
    },
    /// A path that leads to no kernel.
    #[error("{0}")]
    NoKernel(String),
    /// The store cannot be written.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::Io { path, error }
}

const ABOUT: &str = "kernel.json";

impl Store {
    /// The store in `root`, which need not be there yet.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All kernels in it, by name.
    pub fn list(&self) -> Vec<Kernel> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names.iter().filter_map(|name| self.named(name)).map(|(kernel, _)| kernel).collect()
    }

    /// The kernel of this name if it was made from these inputs.
    pub fn made_from(&self, name: &str, inputs: &str) -> Option<Kernel> {
        let (kernel, about) = self.named(name)?;
        (about.inputs == inputs).then_some(kernel)
    }

    /// The kernel that `wanted` means: a name in the store, an image, a folder that holds one (`vmlinuz`, `bzImage`,
    /// `boot/vmlinuz-…`).
    ///
    /// # Errors
    /// There is none, with what there is; or the path leads to none.
    pub fn find(&self, wanted: &str) -> Result<Kernel, StoreError> {
        if is_name(wanted)
            && let Some((kernel, _)) = self.named(wanted)
        {
            return Ok(kernel);
        }
        let path = Path::new(wanted);
        if path.exists() {
            return at_path(path);
        }
        let known: Vec<String> = self.list().into_iter().map(|kernel| kernel.name).collect();
        Err(StoreError::Unknown {
            wanted: wanted.to_owned(),
            root: self.root.display().to_string(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            stock: super::STOCK.join(" "),
        })
    }

    /// Makes a kernel in a folder of its own that `fill` is given, and puts it into the store in place of one of the same
    /// name. `fill` leaves `vmlinuz` there and, if there are some, `lib/modules/<release>`.
    ///
    /// # Errors
    /// What `fill` says, or the folder cannot be written.
    pub fn install<E: From<StoreError>>(
        &self,
        name: &str,
        origin: &str,
        inputs: &str,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Kernel, E> {
        fs::create_dir_all(&self.root).map_err(io(&self.root))?;
        let turn = locked(&self.root)?;
        self.sweep();
        let made = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.root).map_err(io(&self.root))?;
        // Until the end: whose folder is locked is alive.
        let _alive = locked(made.path())?;
        drop(turn);
        fill(made.path())?;
        let release = image::release(&made.path().join("vmlinuz")).map_err(StoreError::NoKernel)?;
        let about = About { release, origin: origin.to_owned(), inputs: inputs.to_owned() };
        let text = serde_json::to_string_pretty(&about).expect("texts can be written as JSON");
        fs::write(made.path().join(ABOUT), text).map_err(io(made.path()))?;
        let place = self.root.join(name);
        let _turn = locked(&self.root)?;
        if place.exists() {
            // Out of the way first: a folder cannot be renamed onto one that holds something.
            let old = tempfile::Builder::new().prefix(OLD).tempdir_in(&self.root).map_err(io(&self.root))?;
            fs::rename(&place, old.path().join(name)).map_err(io(&place))?;
        }
        fs::rename(made.keep(), &place).map_err(io(&place))?;
        let (kernel, _) = self.named(name).ok_or_else(|| StoreError::NoKernel(format!("{name} was not made whole")))?;
        Ok(kernel)
    }

    /// Removes what was being made, or was out of the way, when its maker was killed. What cannot be removed stays: it is in
    /// nobody's way.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_ours = name.starts_with(NEW) || name.starts_with(OLD);
            if is_ours && fs::File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    fn named(&self, name: &str) -> Option<(Kernel, About)> {
        let folder = self.root.join(name);
        let about: About = serde_json::from_str(&fs::read_to_string(folder.join(ABOUT)).ok()?).ok()?;
        let modules = folder.join("lib/modules").join(&about.release);
        let kernel = Kernel {
            name: name.to_owned(),
            release: about.release.clone(),
            image: folder.join("vmlinuz"),
            modules: modules.is_dir().then_some(modules),
            origin: about.origin.clone(),
        };
        Some((kernel, about))
    }
}

/// A folder, locked until it is dropped or its process ends.
fn locked(folder: &Path) -> Result<fs::File, StoreError> {
    fs::File::open(folder).and_then(|file| file.lock().map(|()| file)).map_err(io(folder))
}

/// How folders begin that are being made.
const NEW: &str = ".new-";

/// How folders begin that are being replaced.
const OLD: &str = ".old-";

/// Whether this can be a name in a store, as opposed to a path.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains('/')
}

/// The kernel at a path, with the modules that lie beside it or are installed on this machine.
fn at_path(path: &Path) -> Result<Kernel, StoreError> {
    let (image, folder) = if path.is_dir() {
        let image = image_in(path).ok_or_else(|| {
            let text = format!("{}: no vmlinuz, bzImage or boot/vmlinuz-… in this folder", path.display());
            StoreError::NoKernel(text)
        })?;
        (image, path.to_owned())
    } else {
        (path.to_owned(), path.parent().unwrap_or(Path::new("")).to_owned())
    };
    let release = image::release(&image).map_err(StoreError::NoKernel)?;
    let places = [folder.clone(), folder.join(".."), PathBuf::from("/")];
    let modules = places.iter().flat_map(|place| {
        // Where /lib is a link to usr/lib, packages may have one or the other.
        [place.join("lib/modules").join(&release), place.join("usr/lib/modules").join(&release)]
    });
    let modules = modules.into_iter().find(|modules| modules.is_dir());
    Ok(Kernel { name: release.clone(), release, origin: image.display().to_string(), image, modules })
}

fn image_in(folder: &Path) -> Option<PathBuf> {
    let plain = ["vmlinuz", "bzImage", "arch/x86/boot/bzImage"].map(|name| folder.join(name));
    if let Some(found) = plain.into_iter().find(|path| path.is_file()) {
        return Some(found);
    }
    let entries = fs::read_dir(folder.join("boot")).into_iter().flatten().flatten();
    let mut images: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    images.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")));
    images.sort();
    images.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image that says no more than its release.
    fn image(release: &str) -> Vec<u8> {
        let mut head = vec![0; 0x400];
        head[0x202..0x206].copy_from_slice(b"HdrS");
        head[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        head[0x300..0x300 + release.len()].copy_from_slice(release.as_bytes());
        head
    }

    fn fill(folder: &Path, release: &str) -> Result<(), StoreError> {
        fs::create_dir_all(folder.join("lib/modules").join(release)).unwrap();
        fs::write(folder.join("vmlinuz"), image(release)).map_err(io(folder))
    }

    #[test]
    fn what_was_installed_is_found_by_name_and_made_once_from_the_same_inputs() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("kernels"));
        assert!(store.list().is_empty());
        let made = store.install("6.1", "a package", "version 1", |folder| fill(folder, "6.1.7-x")).unwrap();
        assert_eq!((made.release.as_str(), made.version().as_str()), ("6.1.7-x", "6.1"));
        assert_eq!(store.find("6.1").unwrap(), made);
        assert_eq!(store.made_from("6.1", "version 1"), Some(made));
        assert_eq!(store.made_from("6.1", "version 2"), None);
        let newer = store.install("6.1", "a package", "version 2", |folder| fill(folder, "6.1.8-x")).unwrap();
        assert_eq!(store.list(), [newer]);
        assert_eq!(fs::read_dir(store.root()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_killed_makers_have_left_goes_and_what_is_being_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        for left in [".new-dead", ".old-dead"] {
            fs::create_dir_all(folder.path().join(left).join("lib")).unwrap();
        }
        let both = store.install("a", "o", "1", |outer| {
            store.install("b", "o", "1", |inner| fill(inner, "6.1.7"))?;
            fill(outer, "6.1.7")
        });
        both.expect("the second did not take the first's folder away");
        let mut names: Vec<_> = fs::read_dir(store.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_kernel_that_could_not_be_made_leaves_nothing_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let old = store.install("a", "o", "1", |folder| fill(folder, "6.1.7")).unwrap();
        let failed = store.install("a", "o", "2", |folder| {
            fs::write(folder.join("half"), "x").unwrap();
            Err(StoreError::NoKernel("no luck".to_owned()))
        });
        assert!(failed.is_err());
        assert!(store.install("a", "o", "3", |_| Ok::<(), StoreError>(())).is_err(), "no image was left");
        assert_eq!(store.list(), [old]);
        assert_eq!(fs::read_dir(store.root()).unwrap().count(), 1);
    }

    #[test]
    fn a_kernel_is_found_by_path_with_the_modules_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("none"));
        fs::create_dir_all(folder.path().join("boot")).unwrap();
        fs::create_dir_all(folder.path().join("lib/modules/6.9.1-mine")).unwrap();
        fs::write(folder.path().join("boot/vmlinuz-6.9.1-mine"), image("6.9.1-mine")).unwrap();
        for wanted in [folder.path().to_owned(), folder.path().join("boot/vmlinuz-6.9.1-mine")] {
            let kernel = store.find(wanted.to_str().unwrap()).unwrap();
            assert_eq!(kernel.name, "6.9.1-mine");
            assert!(kernel.modules.is_some(), "{wanted:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is_and_with_the_command_that_fetches() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let error = store.find("6.2").unwrap_err().to_string();
        assert!(error.contains("which has none") && error.contains("dmlab kernel fetch"), "{error}");
        let file = folder.path().join("x");
        fs::write(&file, "hello").unwrap();
        assert!(store.find(file.to_str().unwrap()).unwrap_err().to_string().contains("is no kernel image"));
    }
}
