//! Files that a user names: read whole, as text, within a limit.
//!
//! Invariants: nothing but a regular file is opened, so that no pipe, terminal or device can keep dmlab waiting; of a file
//! that is too large nothing is read, and never more than the limit of one that grows meanwhile.
//! Not here: what the text means.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::Failure;

/// Records and schedules: more than any run writes.
pub(crate) const REPORT_BYTES_MAX: u64 = 1 << 30;

/// The text of `path`, which is `what` (such as "a scenario is a YAML file"), of at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, what: &str, bytes_max: u64) -> Result<String, Failure> {
    let wrong = |text: String| Failure::Usage(format!("{}: {text}", path.display()));
    let io = |error: std::io::Error| wrong(error.to_string());
    let metadata = fs::metadata(path).map_err(io)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        let found = match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_fifo() => "a pipe",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        return Err(wrong(format!("this is {found}, not a file; {what}")));
    }
    let too_large =
        |bytes: u64| wrong(format!("the file has {bytes} bytes, more than the {bytes_max} allowed; {what}"));
    if metadata.len() > bytes_max {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max {
        return Err(too_large(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!("this is not UTF-8 text (byte {at}); {what}"))
    })
}
