//! What a kernel image says of itself: the release, from the boot header of an x86 `bzImage`.
//!
//! Source: Documentation/arch/x86/boot.rst, fields `header` (0x202) and `kernel_version` (0x20e).
//! Not here: other architectures' images.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// So much of an image is read: the header and the texts behind it.
const HEAD_BYTES: u64 = 64 << 10;

/// The release of the kernel image at `path`, as `uname -r` would have it.
///
/// # Errors
/// Why the file is no such image, in a sentence.
pub fn release(path: &Path) -> Result<String, String> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| format!("{}: {error}", path.display()))?;
    release_of(&head).ok_or_else(|| format!("{} is no kernel image (bzImage, vmlinuz)", path.display()))
}

fn release_of(head: &[u8]) -> Option<String> {
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let offset = usize::from(u16::from_le_bytes(head.get(0x20e..0x210)?.try_into().ok()?)) + 0x200;
    let text = head.get(offset..)?;
    let end = text.iter().position(|byte| *byte == 0 || *byte == b' ')?;
    let release = std::str::from_utf8(&text[..end]).ok()?;
    (!release.is_empty()).then(|| release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_stands_where_the_header_points() {
        let mut head = vec![0; 0x400];
        head[0x202..0x206].copy_from_slice(b"HdrS");
        head[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        head[0x300..0x310].copy_from_slice(b"6.1.0-5 (build) ");
        assert_eq!(release_of(&head).as_deref(), Some("6.1.0-5"));
        head[0x202] = b'x';
        assert_eq!(release_of(&head), None);
        assert_eq!(release_of(b"MZ"), None);
    }
}
