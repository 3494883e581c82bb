//! [`Program`]: the running dmlab as files that start it in a guest: itself, and if it is linked dynamically the loader and
//! the libraries that it has loaded.
//!
//! What is loaded stands in `/proc/self/maps`, so no other program has to be asked, and what runs here runs there. A
//! statically linked dmlab needs no further file. Sections that are not loaded (symbols, debug information) are cut off.
//!
//! Invariants: the same program gives the same files; what is cut off is never mapped.
//! Not here: 32-bit programs, and libraries that would be loaded later (dmlab loads none).

use std::fs;
use std::path::{Path, PathBuf};

/// A file in the guest: path and content.
pub(super) type GuestFile = (String, Vec<u8>);

/// A program and what it needs to be started.
pub(super) struct Program {
    /// The program.
    pub(super) executable: Vec<u8>,
    /// Loader and libraries.
    pub(super) libraries: Vec<GuestFile>,
}

/// Where libraries lie in a guest; the loader is told by `LD_LIBRARY_PATH`.
pub(super) const LIBRARIES: &str = "/lib";

impl Program {
    /// The running program.
    ///
    /// # Errors
    /// It cannot be read, or is no ELF program, in a sentence.
    pub(super) fn this() -> Result<Self, String> {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let whole = read(Path::new("/proc/self/exe"))?;
        let elf = Elf::of(&whole).ok_or("the running program is no 64-bit ELF program")?;
        let mut libraries = Vec::new();
        if let Some(loader) = elf.interpreter() {
            let maps = fs::read_to_string("/proc/self/maps").map_err(|error| format!("/proc/self/maps: {error}"))?;
            libraries.push((loader.clone(), trimmed(&read(Path::new(&loader))?)));
            for path in mapped(&maps) {
                let bytes = read(&path)?;
                // The program itself is mapped too, and has no such name.
                let Some(name) = Elf::of(&bytes).and_then(|elf| elf.soname()) else { continue };
                if !loader.ends_with(&format!("/{name}")) {
                    libraries.push((format!("{LIBRARIES}/{name}"), trimmed(&bytes)));
                }
            }
        }
        Ok(Self { executable: trimmed(&whole), libraries })
    }
}

/// The files that are mapped as code, each once, in the order of their names.
fn mapped(maps: &str) -> Vec<PathBuf> {
    let code = maps.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|flags| flags.contains('x')));
    let mut paths: Vec<PathBuf> = code.filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..]))).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.dedup();
    paths
}

/// What of an ELF file is ever mapped: everything up to the end of its last loaded segment, without section headers.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let Some(elf) = Elf::of(bytes) else { return bytes.to_vec() };
    let end = elf.segments().map(|segment| segment.offset + segment.size_in_file).max().unwrap_or(0);
    let mut bytes = bytes[..end.min(bytes.len())].to_vec();
    // e_shoff, then e_shnum and e_shstrndx.
    for field in [0x28..0x30, 0x3c..0x40] {
        if let Some(field) = bytes.get_mut(field) {
            field.fill(0);
        }
    }
    bytes
}

/// A view of a 64-bit little-endian ELF file; everything out of its bounds is not there.
struct Elf<'a>(&'a [u8]);

/// An entry of the program header table.
#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    offset: usize,
    address: u64,
    size_in_file: usize,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;

impl<'a> Elf<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..0x40)?;
        (head.starts_with(b"\x7fELF\x02\x01")).then_some(Self(bytes))
    }

    fn number<const N: usize>(&self, at: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.0.get(at..at.checked_add(N)?)?);
        Some(u64::from_le_bytes(bytes))
    }

    fn size(&self, at: usize) -> Option<usize> {
        usize::try_from(self.number::<8>(at)?).ok()
    }

    fn all_segments(&self) -> impl Iterator<Item = Segment> {
        let table = self.size(0x20).unwrap_or(0);
        let (each, count) = (self.number::<2>(0x36).unwrap_or(0), self.number::<2>(0x38).unwrap_or(0));
        (0..count).filter_map(move |index| {
            let at = table.checked_add(usize::try_from(each * index).ok()?)?;
            Some(Segment {
                kind: u32::try_from(self.number::<4>(at)?).ok()?,
                offset: self.size(at + 8)?,
                address: self.number::<8>(at + 16)?,
                size_in_file: self.size(at + 32)?,
            })
        })
    }

    /// The segments that are loaded.
    fn segments(&self) -> impl Iterator<Item = Segment> {
        self.all_segments().filter(|segment| segment.kind == PT_LOAD)
    }

    fn text(&self, at: usize) -> Option<String> {
        let rest = self.0.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        String::from_utf8(rest[..end].to_vec()).ok()
    }

    /// The loader that the program asks for.
    fn interpreter(&self) -> Option<String> {
        self.all_segments().find(|segment| segment.kind == PT_INTERP).and_then(|segment| self.text(segment.offset))
    }

    /// The name under which others need this library.
    fn soname(&self) -> Option<String> {
        let dynamic = self.all_segments().find(|segment| segment.kind == PT_DYNAMIC)?;
        let entry = |wanted: u64| {
            let places = (0..dynamic.size_in_file / 16).map(|index| dynamic.offset + 16 * index);
            places.filter(|at| self.number::<8>(*at) == Some(wanted)).find_map(|at| self.number::<8>(at + 8))
        };
        let (strings, name) = (entry(DT_STRTAB)?, entry(DT_SONAME)?);
        let holds =
            |segment: &Segment| (segment.address..segment.address + segment.size_in_file as u64).contains(&strings);
        let segment = self.segments().find(holds)?;
        self.text(segment.offset + usize::try_from(strings - segment.address + name).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_running_program_comes_with_all_that_it_needs_and_starts_with_nothing_else() {
        let program = Program::this().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path.trim_start_matches('/'));
        let write = |path: &str, bytes: &[u8]| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), bytes).unwrap();
            fs::set_permissions(at(path), fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("/init", &program.executable);
        program.libraries.iter().for_each(|(path, bytes)| write(path, bytes));
        // Started by its own loader, with no libraries but those that came with it.
        let whole = fs::read("/proc/self/exe").unwrap();
        let mut command = match Elf::of(&whole).unwrap().interpreter() {
            Some(loader) => {
                let mut command = Command::new(at(&loader));
                command.arg("--inhibit-cache").arg("--library-path").arg(at(LIBRARIES)).arg(at("/init"));
                command
            }
            None => Command::new(at("/init")),
        };
        let output = command.arg("--list").env_clear().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(program.executable.len() <= whole.len());
    }

    #[test]
    fn files_that_are_mapped_as_code_are_told_once() {
        let exe = std::env::current_exe().unwrap();
        let maps = format!(
            "55e0-55e1 r-xp 0 08:01 7 {0}\n55e2-55e3 r--p 0 08:01 7 {0}\n7f00-7f01 r-xp 0 08:01 7 {0}\n\
             7ffc-7ffd r-xp 0 00:00 0 [vdso]\n7ffe-7fff r-xp 0 08:01 9 /no/such/file (deleted)\n",
            exe.display()
        );
        assert_eq!(mapped(&maps), [exe]);
    }

    #[test]
    fn damaged_programs_are_refused_and_never_read_out_of_bounds() {
        assert!(Elf::of(b"\x7fELF").is_none() && Elf::of(b"#!/bin/sh").is_none());
        let whole = fs::read("/proc/self/exe").unwrap();
        for cut in [0x40, 0x41, 0x100, 0x1000] {
            let elf = Elf::of(&whole[..cut]).unwrap();
            let _ = (elf.interpreter(), elf.soname(), elf.segments().count());
            assert!(trimmed(&whole[..cut]).len() <= cut);
        }
    }
}
