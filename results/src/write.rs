//! [`write_atomically`] and [`create_new`]: how reports and traces reach a disk.
//!
//! Invariants: a reader sees the old file or the whole new one, never a part, also after a power cut; a trace never
//! overwrites another; a failure leaves nothing behind and says which path and what.
//! Not here: which files to write, and making folders (harness).
//!
//! What a rename must not replace: symbolic links are followed and their target is replaced; a path that is no
//! regular file (`/dev/stdout`, a pipe) is written to as it is, because dmlab often runs as root, which may rename a
//! file over a device node.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// So many names are tried before [`create_new`] gives up.
const CREATE_NEW_TRIES: u32 = 10_000;

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {cause}", path.display())]
pub struct WriteError {
    /// The file, as it was asked for.
    pub path: PathBuf,
    /// What was being done, e.g. `write` or `put into place`.
    pub doing: &'static str,
    /// What the system says. Part of the message, and so not repeated as the error's source.
    pub cause: io::Error,
}

/// Replaces the contents of `path` in one step, or creates it. An existing file keeps its permissions.
///
/// # Errors
/// When the folder is missing or not writable, the disk is full, or `path` is a folder. The old contents are then
/// still in place (except in files that are not regular, which cannot be replaced in one step).
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), WriteError> {
    let path = path.as_ref();
    let (target, permissions) = match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let target = fs::canonicalize(path).map_err(failed("find", path))?;
            (target, found.permissions())
        }
        Ok(found) if found.is_dir() => {
            return Err(failed("write", path)(io::ErrorKind::IsADirectory.into()));
        }
        Ok(_) => return write_through(path, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), creation_permissions()),
        Err(error) => return Err(failed("find", path)(error)),
    };
    let exists = target != path || target.exists();
    let file = written(path, folder(&target), bytes)?;
    if exists {
        file.as_file().set_permissions(permissions).map_err(failed("set the permissions of", path))?;
    }
    file.persist(&target).map_err(|error| failed("put into place", path)(error.error))?;
    sync_folder(path, folder(&target))
}

/// Writes a file that did not exist, and returns its path: `path`, or with `-1`, `-2` … appended to the stem when
/// such a file is there already. The file appears with all of its contents.
///
/// # Errors
/// As [`write_atomically`]; and when ten thousand such files are there already.
pub fn create_new(path: impl AsRef<Path>, bytes: &[u8]) -> Result<PathBuf, WriteError> {
    let path = path.as_ref();
    let mut file = written(path, folder(path), bytes)?;
    for number in 0..CREATE_NEW_TRIES {
        let candidate = numbered(path, number);
        match file.persist_noclobber(&candidate) {
            Ok(_) => {
                sync_folder(path, folder(path))?;
                return Ok(candidate);
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => file = error.file,
            Err(error) => return Err(failed("put into place", path)(error.error)),
        }
    }
    Err(failed("find a free name for", path)(io::ErrorKind::AlreadyExists.into()))
}

/// A temporary file in `folder` with these contents, safely on disk. It removes itself when dropped.
fn written(path: &Path, folder: &Path, bytes: &[u8]) -> Result<NamedTempFile, WriteError> {
    let mut file = tempfile::Builder::new()
        .prefix(".dmlab-")
        .suffix(".tmp")
        .permissions(creation_permissions())
        .tempfile_in(folder)
        .map_err(|error| failed("create a file for", path)(plain(error)))?;
    file.as_file_mut().write_all(bytes).map_err(failed("write", path))?;
    file.as_file().sync_all().map_err(failed("flush", path))?;
    Ok(file)
}

fn write_through(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(failed("open", path))?;
    file.write_all(bytes).map_err(failed("write", path))
}

/// Without this the rename itself may be lost in a power cut. File systems that cannot do it (some network and FUSE
/// ones) say so with an invalid argument; the file is in place then all the same.
fn sync_folder(path: &Path, folder: &Path) -> Result<(), WriteError> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Err(failed("flush the folder of", path)(error))
        }
        _ => Ok(()),
    }
}

/// What any new file gets, less the umask; temporary files would be private.
fn creation_permissions() -> Permissions {
    Permissions::from_mode(0o666)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `a/b.trace` for 0, `a/b-1.trace` for 1.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name: OsString = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// tempfile appends the name of the temporary file to the message, which helps nobody.
fn plain(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((what, _)) => io::Error::new(error.kind(), what),
        None => error,
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    move |cause| WriteError { path: path.to_owned(), doing, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        write_atomically(&path, b"first, and longer").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["record.json"]);
    }

    #[test]
    fn readers_of_the_old_file_keep_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        write_atomically(&path, b"old").unwrap();
        let mut reader = File::open(&path).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "old");
    }

    #[test]
    fn permissions_are_kept_and_new_files_are_not_private() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (plain, path) = (folder.path().join("plain"), folder.path().join("record.json"));
        File::create(&plain).unwrap();
        write_atomically(&path, b"x").unwrap();
        assert_eq!(mode(&path), mode(&plain), "as any other new file under this umask");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write_atomically(&path, b"y").unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_link_stays_a_link_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("latest"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn a_device_is_written_to_and_never_replaced() {
        use std::os::unix::fs::FileTypeExt;
        write_atomically("/dev/null", b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_failure_names_the_path_and_the_cause() {
        let message = write_atomically("/dev/full", b"x").unwrap_err().to_string();
        assert_eq!(message, "cannot write /dev/full: No space left on device (os error 28)");

        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/record.json");
        for error in [write_atomically(&missing, b"x").unwrap_err(), create_new(&missing, b"x").unwrap_err()] {
            assert_eq!(
                error.to_string(),
                format!("cannot create a file for {}: No such file or directory (os error 2)", missing.display())
            );
        }
        assert!(write_atomically(folder.path(), b"x").unwrap_err().to_string().contains("is a directory"));
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_trace_never_overwrites_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.explored.trace");
        let written: Vec<_> = (0..3).map(|n| create_new(&path, format!("{n}").as_bytes()).unwrap()).collect();
        assert_eq!(names(folder.path()), ["cell.explored-1.trace", "cell.explored-2.trace", "cell.explored.trace"]);
        for (n, path) in written.iter().enumerate() {
            assert_eq!(fs::read_to_string(path).unwrap(), n.to_string());
        }
        // A folder of that name is in the way as well.
        fs::create_dir(folder.path().join("bare")).unwrap();
        assert_eq!(create_new(folder.path().join("bare"), b"x").unwrap(), folder.path().join("bare-1"));
    }

    #[test]
    fn names_without_a_folder_are_in_the_present_one() {
        assert_eq!(folder(Path::new("record.json")), Path::new("."));
        assert_eq!(folder(Path::new("a/record.json")), Path::new("a"));
        assert_eq!(numbered(Path::new("record.json"), 7), Path::new("record-7.json"));
    }
}
