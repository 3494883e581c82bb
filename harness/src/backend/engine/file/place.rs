//! [`Place`]: the file or block device that a file device keeps its data in.
//!
//! Invariants: nothing that was there before is ever overwritten unless dmlab made it: a file that dmlab makes ends with
//! [`MARK`] behind its data, and only what has it there is used again; a file without a name of its own is unlinked before
//! anything is written, so that no exit can leave it behind, and one that was made under a name is removed at the end.
//! Not here: I/O (`ring`).

use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use dmlab_units::Bytes;
use nix::fcntl::{FcntlArg, OFlag, fcntl, posix_fallocate};

/// What stands behind the data of a file that dmlab has made, and what a block device must have there.
const MARK: &[u8; 33] = b"dmlab file device: may be erased\n";
/// Space for it, so that the data's end stays aligned.
const MARK_SPACE: u64 = 4096;
/// What `O_DIRECT` is tried with: the smallest I/O there is.
const PROBE_BYTES: usize = 512;

/// Where the data is.
pub(super) struct Place {
    /// Opened for reading and writing.
    pub(super) file: File,
    /// Whether I/O passes the page cache by, or why not.
    pub(super) direct: Result<(), String>,
    /// To be removed at the end.
    made: Option<PathBuf>,
}

impl Place {
    /// Space for `size` bytes at `path`, or in an unnamed file.
    pub(super) fn new(path: Option<&Path>, size: Bytes) -> Result<Self, String> {
        let (file, made) = match path {
            None => {
                let wrong = |error| format!("no temporary file can be made: {error}");
                (tempfile::tempfile().map_err(wrong)?, None)
            }
            Some(path) => named(path, size)?,
        };
        let mut place = Self { file, direct: Err(String::new()), made };
        if place.made.is_some() || path.is_none() {
            place.reserve(size)?;
        }
        place.direct = place.pass_the_cache_by();
        Ok(place)
    }

    fn reserve(&self, size: Bytes) -> Result<(), String> {
        let len = size.0 + MARK_SPACE;
        let wrong = |what: String| format!("no space for {size}: {what}");
        let len = i64::try_from(len).map_err(|error| wrong(error.to_string()))?;
        posix_fallocate(&self.file, 0, len).map_err(|error| wrong(error.desc().to_owned()))?;
        self.file.write_all_at(MARK, size.0).map_err(|error| wrong(error.to_string()))
    }

    /// `O_DIRECT`, if the file system has it for I/O of one sector.
    fn pass_the_cache_by(&self) -> Result<(), String> {
        let flags = |error: nix::Error| error.desc().to_owned();
        let before = OFlag::from_bits_retain(fcntl(&self.file, FcntlArg::F_GETFL).map_err(flags)?);
        fcntl(&self.file, FcntlArg::F_SETFL(before | OFlag::O_DIRECT)).map_err(flags)?;
        let mut probe = crate::backend::ring::Aligned::zeroed(PROBE_BYTES);
        if let Err(error) = self.file.read_exact_at(probe.as_mut(), 0) {
            fcntl(&self.file, FcntlArg::F_SETFL(before)).map_err(flags)?;
            return Err(error.to_string());
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.made {
            // It may be gone already; there is nobody to tell.
            let _ = remove_file(path);
        }
    }
}

/// Opens what is at `path`, or makes it; with the path if it was made.
fn named(path: &Path, size: Bytes) -> Result<(File, Option<PathBuf>), String> {
    let shown = path.display();
    match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Ok(file) => return Ok((file, Some(path.to_owned()))),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(format!("{shown}: {error}")),
        Err(_) => {}
    }
    // Looked at before it is opened for writing.
    let found = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let kind = found.metadata().map_err(|error| format!("{shown}: {error}"))?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(format!("{shown} is neither a file nor a block device"));
    }
    let mut mark = [0; MARK.len()];
    if found.read_exact_at(&mut mark, size.0).is_err() || mark != *MARK {
        return Err(format!(
            "{shown} exists and was not made by dmlab for {size}, so it is left alone: name another path, remove it, or, \
             if all of it may be overwritten, write {:?} at byte {}",
            String::from_utf8_lossy(MARK),
            size.0
        ));
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| format!("{shown}: {error}"))?;
    Ok((file, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Bytes = Bytes::kib(64);

    #[test]
    fn a_file_that_dmlab_made_is_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let place = Place::new(Some(&path), SIZE).unwrap();
        assert_eq!(path.metadata().unwrap().len(), SIZE.0 + MARK_SPACE);
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn what_was_there_is_left_alone_unless_it_bears_the_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis");
        let text = vec![b'x'; 128 * 1024];
        std::fs::write(&path, &text).unwrap();
        let refused = Place::new(Some(&path), SIZE).err().unwrap();
        assert!(refused.contains("exists and was not made by dmlab"), "{refused}");
        assert!(std::fs::read(&path).unwrap() == text, "not a byte has changed");
        // A file that a killed run has left behind.
        std::mem::forget(Place::new(Some(&folder.path().join("left")), SIZE).unwrap());
        let again = Place::new(Some(&folder.path().join("left")), SIZE).unwrap();
        drop(again);
        assert!(folder.path().join("left").exists(), "what was there stays there");
        let other = Place::new(Some(&folder.path().join("left")), Bytes::kib(32)).err().unwrap();
        assert!(other.contains("not made by dmlab for 32KiB"), "{other}");
    }

    #[test]
    fn a_path_that_cannot_be_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Place::new(Some(&folder.path().join("no/such/folder")), SIZE).err().unwrap();
        assert!(missing.contains("no/such/folder: No such file"), "{missing}");
        let no_file = Place::new(Some(folder.path()), SIZE).err().unwrap();
        assert!(no_file.contains("is neither a file nor a block device"), "{no_file}");
        let full = Place::new(None, Bytes(1 << 60)).err().unwrap();
        assert!(full.contains("no space for"), "{full}");
    }

    #[test]
    fn an_unnamed_file_has_no_name_to_be_left_behind() {
        let place = Place::new(None, SIZE).unwrap();
        assert_eq!(place.file.metadata().unwrap().len(), SIZE.0 + MARK_SPACE);
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&place.file.metadata().unwrap()), 0);
    }
}
