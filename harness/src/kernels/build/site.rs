//! Where kernels are built: the source tree, the objects, and the sources as they were before any mutation.
//!
//! Invariants: a tree is whole, or it is not there; objects of a build that did not come to its own end (an interrupt, a
//! SIGKILL, a power cut) are removed, since what is half written in them cannot be told from what is whole; what is as it
//! should be is not written, so that it is not compiled again.
//! Not here: whether anything has to be built (`build`).

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::config::{lost_lines, merged};
use super::{BuildError, CONFIG, Origin, SERIES, Source, Told, io, text};
use crate::kernels::edits::{Edits, MUTATIONS};
use crate::kernels::tools::{ToolError, Tools};

/// Between two looks whether another build has ended.
const LOOK: Duration = Duration::from_millis(50);

/// In the folder of objects while they are being made.
const BEING_MADE: &str = "dmlab.being-made";

/// In the folder of objects: the fragment that it was configured with.
const CONFIGURED: &str = "dmlab.config";

/// Begins the names of folders in which sources are unpacked.
const UNPACKING: &str = ".unpacking-";

/// Where kernels are built. Nobody else builds there meanwhile.
pub(super) struct Site<'a> {
    tools: &'a Tools,
    place: &'a Path,
    jobs: usize,
    told: &'a dyn Fn(Told<'_>),
    _lock: File,
}

impl<'a> Site<'a> {
    /// Waits until nobody else builds in `place`, and removes what builds that were killed have left there.
    pub(super) fn enter(
        tools: &'a Tools,
        place: &'a Path,
        jobs: usize,
        told: &'a dyn Fn(Told<'_>),
    ) -> Result<Self, BuildError> {
        fs::create_dir_all(place).map_err(io(place))?;
        let lock = File::create(place.join("lock")).map_err(io(place))?;
        let mut waits = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(io(place)(error)),
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut waits, true) {
                        told(Told::Note("another build goes on here; this one waits for its end"));
                    }
                    if tools.interrupt.load(Ordering::Relaxed) {
                        return Err(ToolError::Interrupted.into());
                    }
                    thread::sleep(LOOK);
                }
            }
        }
        let site = Self { tools, place, jobs, told, _lock: lock };
        site.clean()?;
        Ok(site)
    }

    fn clean(&self) -> Result<(), BuildError> {
        let entries = fs::read_dir(self.place).map_err(io(self.place))?.flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNPACKING)) {
            fs::remove_dir_all(entry.path()).map_err(io(self.place))?;
        }
        if self.objects().join(BEING_MADE).exists() {
            (self.told)(Told::Note("the last build was killed: what it has left is removed"));
            self.remove_objects()?;
        }
        Ok(())
    }

    fn remove_objects(&self) -> Result<(), BuildError> {
        let objects = self.objects();
        if objects.exists() { fs::remove_dir_all(&objects).map_err(io(&objects)) } else { Ok(()) }
    }

    /// Makes something in the folder of objects, which goes if that is not brought to an end.
    fn making<T>(&self, make: impl FnOnce() -> Result<T, BuildError>) -> Result<T, BuildError> {
        let (objects, mark) = (self.objects(), self.objects().join(BEING_MADE));
        fs::create_dir_all(&objects).map_err(io(&objects))?;
        File::create(&mark).map_err(io(&mark))?;
        let made = make();
        match &made {
            Err(BuildError::Tool(ToolError::Interrupted)) => self.remove_objects()?,
            _ => fs::remove_file(&mark).map_err(io(&mark))?,
        }
        made
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.place.join("source")
    }

    pub(super) fn objects(&self) -> PathBuf {
        self.place.join("objects")
    }

    /// Sources as they were before any mutation.
    fn originals(&self) -> PathBuf {
        self.place.join("originals")
    }

    /// Unpacks the source, unless that was done.
    pub(super) fn unpack(&self, source: &Source<'_>) -> Result<(), BuildError> {
        if self.tree().join("Makefile").is_file() {
            return Ok(());
        }
        (self.told)(Told::Note(&format!("unpacking {}", source.identity)));
        let work = tempfile::Builder::new().prefix(UNPACKING).tempdir_in(self.place).map_err(io(self.place))?;
        let package = format!("linux-source-{SERIES}");
        let file = match &source.origin {
            Origin::File(file) => file.clone(),
            Origin::Apt(apt, version) => {
                apt.download(work.path(), version)?;
                let entries = fs::read_dir(work.path()).map_err(io(work.path()))?.flatten();
                let deb =
                    entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "deb"));
                deb.ok_or_else(|| BuildError::Source(format!("apt-get download {package} left no package")))?
            }
        };
        let damaged = |error| BuildError::package(&file, error);
        self.tools.output(work.path(), "dpkg-deb", &["-x", &text(&file), "package"]).map_err(damaged)?;
        let archive = work.path().join(format!("package/usr/src/{package}.tar.xz"));
        let tree = work.path().join("tree");
        fs::create_dir(&tree).map_err(io(&tree))?;
        let damaged = |error| BuildError::package(&file, error);
        self.tools.output(&tree, "tar", &["-xJf", &text(&archive), "--strip-components=1"]).map_err(damaged)?;
        fs::rename(&tree, self.tree()).map_err(io(&tree))
    }

    fn make(&self, args: &[&str], on_line: &mut dyn FnMut(&str)) -> Result<(), ToolError> {
        let (tree, objects) = (text(&self.tree()), format!("O={}", text(&self.objects())));
        // The same sources give the same image.
        let fixed = ["KBUILD_BUILD_USER=dmlab", "KBUILD_BUILD_HOST=dmlab", "KBUILD_BUILD_TIMESTAMP=1970-01-01"];
        let mut all = vec!["-C", &tree, &objects, "ARCH=x86_64"];
        all.extend(fixed.iter().chain(args));
        self.tools.watched(self.place, "make", &all, on_line).map(drop)
    }

    /// tinyconfig and the fragment; nothing if that is what it was made from.
    pub(super) fn configure(&self) -> Result<(), BuildError> {
        let mark = self.objects().join(CONFIGURED);
        if fs::read_to_string(&mark).is_ok_and(|made_from| made_from == CONFIG) {
            return Ok(());
        }
        (self.told)(Told::Note("configuring"));
        self.making(|| {
            self.make(&["tinyconfig"], &mut |_| {})?;
            let path = self.objects().join(".config");
            let tiny = fs::read_to_string(&path).map_err(io(&path))?;
            fs::write(&path, merged(&tiny, CONFIG)).map_err(io(&path))?;
            self.make(&["olddefconfig"], &mut |_| {})?;
            let config = fs::read_to_string(&path).map_err(io(&path))?;
            let lost = lost_lines(CONFIG, &config);
            if !lost.is_empty() {
                return Err(BuildError::Config(lost.join(", ")));
            }
            fs::write(&mark, CONFIG).map_err(io(&mark))
        })
    }

    /// Makes the tree that of a mutation, or of none. What is as it should be is not written, so that it is not compiled.
    pub(super) fn put_edits(&self, edits: Option<&Edits>) -> Result<(), BuildError> {
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

    /// Builds the image of the kernel of this name.
    pub(super) fn make_image(&self, name: &str) -> Result<PathBuf, BuildError> {
        let flavour = name.strip_prefix(SERIES).unwrap_or(name);
        let (began, mut files) = (Instant::now(), 0);
        let mut on_line = |line: &str| {
            if let Some(last) = made_file(line) {
                files += 1;
                (self.told)(Told::Made { kernel: name, files, last, since: began });
            }
        };
        self.making(|| {
            let (jobs, version) = (format!("-j{}", self.jobs), format!("LOCALVERSION={flavour}"));
            self.make(&[&jobs, &version, "bzImage"], &mut on_line).map_err(BuildError::from)
        })?;
        Ok(self.objects().join("arch/x86/boot/bzImage"))
    }
}

/// The file that the kernel's make tells of in a line such as `  CC      drivers/md/dm.o`.
fn made_file(line: &str) -> Option<&str> {
    let (what, file) = line.strip_prefix("  ")?.split_once(' ')?;
    let is_what = !what.is_empty() && what.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_what.then(|| file.trim()).filter(|file| !file.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_make_tells_which_file_is_made_and_others_tell_nothing() {
        assert_eq!(made_file("  CC      drivers/md/dm.o"), Some("drivers/md/dm.o"));
        assert_eq!(made_file("  OBJCOPY arch/x86/boot/vmlinux.bin"), Some("arch/x86/boot/vmlinux.bin"));
        for other in ["make[1]: Entering directory '/x'", "  ", "Kernel: arch/x86/boot/bzImage is ready  (#1)", "  CC"]
        {
            assert_eq!(made_file(other), None, "{other}");
        }
    }

    #[test]
    fn what_killed_builds_have_left_is_removed_and_what_is_whole_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (objects, source) = (folder.path().join("objects"), folder.path().join("source"));
        for there in [&objects, &source, &folder.path().join(".unpacking-x")] {
            fs::create_dir(there).unwrap();
        }
        let tools = Tools::default();
        let enter = || drop(Site::enter(&tools, folder.path(), 1, &|_| {}).unwrap_or_else(|error| panic!("{error}")));
        enter();
        assert!(objects.is_dir() && source.is_dir() && !folder.path().join(".unpacking-x").exists());
        File::create(objects.join(BEING_MADE)).unwrap();
        enter();
        assert!(!objects.exists() && source.is_dir());
    }

    #[test]
    fn whoever_waits_for_another_build_can_be_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::default();
        let first = Site::enter(&tools, folder.path(), 1, &|_| {});
        assert!(first.is_ok());
        tools.interrupt.store(true, Ordering::Relaxed);
        let second = Site::enter(&tools, folder.path(), 1, &|_| {});
        assert!(matches!(second, Err(BuildError::Tool(ToolError::Interrupted))));
    }

    #[test]
    fn a_tree_goes_from_one_mutation_to_another_and_back_to_none() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::default();
        let site = Site::enter(&tools, folder.path(), 1, &|_| {}).unwrap_or_else(|error| panic!("{error}"));
        let read = |file: &str| fs::read_to_string(site.tree().join(file)).unwrap();
        let snap = "drivers/md/dm-snap.c";
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
}
