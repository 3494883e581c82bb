//! [`Archive`]: an initramfs in the format that the kernel unpacks, cpio "newc".
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst.
//! Invariants: a folder stands before what is in it; the same entries give the same bytes (no times, no owners).
//! Not here: what goes into it (`initramfs`); compression, since unpacking costs an emulated processor more than reading.

/// Kinds of files, from stat(2).
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// An archive that is being written.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    folders: Vec<String>,
    entries: u32,
}

impl Archive {
    /// Adds a folder, and those that it is in, unless it is there.
    pub(super) fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.folders.iter().any(|known| known == path) {
            return;
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.folders.push(path.to_owned());
        self.entry(path, FOLDER | 0o755, &[]);
    }

    /// Adds a file, and the folders that it is in.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = path.trim_start_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(path, FILE | mode, content);
    }

    /// The archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("a file of an initramfs is below 4 GiB");
        // Inode, mode, owner, group, links, time, size, device, device of a node, length of the name, checksum.
        let fields =
            [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, u32::try_from(path.len() + 1).unwrap_or(u32::MAX), 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive back: path, mode, content.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |n: usize| {
                let text = std::str::from_utf8(&bytes[6 + 8 * n..14 + 8 * n]).unwrap();
                u32::from_str_radix(text, 16).unwrap() as usize
            };
            let (mode, size, name) = (field(1), field(6), field(11));
            let path = String::from_utf8(bytes[110..110 + name - 1].to_vec()).unwrap();
            let content = (110 + name).next_multiple_of(4);
            if path == "TRAILER!!!" {
                assert_eq!(bytes.len(), content);
                return entries;
            }
            entries.push((path, mode as u32, bytes[content..content + size].to_vec()));
            bytes = &bytes[(content + size).next_multiple_of(4)..];
        }
    }

    #[test]
    fn files_come_behind_their_folders_and_can_be_read_back() {
        let mut archive = Archive::default();
        archive.file("/lib/modules/a.ko", 0o644, b"abcde");
        archive.file("init", 0o755, b"");
        archive.folder("/lib/modules");
        let entries = read(&archive.finish());
        let expected = [
            ("lib", 0o040_755, &b""[..]),
            ("lib/modules", 0o040_755, b""),
            ("lib/modules/a.ko", 0o100_644, b"abcde"),
            ("init", 0o100_755, b""),
        ];
        let expected = expected.map(|(path, mode, content)| (path.to_owned(), mode, content.to_vec()));
        assert_eq!(entries, expected);
    }
}
