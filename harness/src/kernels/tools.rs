//! Other programs: where they are, what they said, and which command installs those that are missing.
//!
//! Invariants: a program runs without a terminal and without input; what it says when it fails stands in the error; an
//! interrupt ends it, with all that it has started.
//! Not here: running it (`child`); qemu, which is supervised (`backend::guest`).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::child::{self, Stopped};

/// Programs that dmlab may want, and Debian's packages of them.
const PACKAGES: &[(&str, &str)] = &[
    ("apt-cache", "apt"),
    ("apt-get", "apt"),
    ("bc", "bc"),
    ("bison", "bison"),
    ("dpkg-deb", "dpkg"),
    ("flex", "flex"),
    ("gcc", "gcc"),
    ("gzip", "gzip"),
    ("ld", "binutils"),
    ("make", "make"),
    ("perl", "perl"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("setpriv", "util-linux"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// The folders in which programs are looked for, and what ends those that run.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    /// As `PATH` has them.
    pub path: Vec<PathBuf>,
    /// Set when nobody wants to wait any longer: programs end, and no other one is started.
    pub interrupt: Arc<AtomicBool>,
}

/// A program is missing, or it failed.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is nowhere.
    #[error("{name} is not installed; `apt install {package}` installs it")]
    Missing {
        /// Its name.
        name: String,
        /// Debian's package of it.
        package: String,
    },
    /// It ended with an error.
    #[error("`{command}` failed ({status}): {said}")]
    Failed {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// It was ended, because somebody wanted dmlab to end.
    #[error("interrupted")]
    Interrupted,
}

impl Tools {
    /// Where a program is.
    ///
    /// # Errors
    /// [`ToolError::Missing`], with what installs it.
    pub fn find(&self, name: &str) -> Result<PathBuf, ToolError> {
        let found = self.path.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        found.ok_or_else(|| {
            let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or(name, |(_, package)| package);
            ToolError::Missing { name: name.to_owned(), package: package.to_owned() }
        })
    }

    /// Runs a program in `folder` and gives what it wrote to standard output.
    ///
    /// # Errors
    /// As [`ToolError`].
    pub fn output(&self, folder: &Path, name: &str, args: &[&str]) -> Result<Vec<u8>, ToolError> {
        self.run(folder, name, args, Stdio::null(), &mut |_| {})
    }

    /// The same; `on_line` hears of each line that it writes, at once.
    ///
    /// # Errors
    /// As [`ToolError`].
    pub fn watched(
        &self,
        folder: &Path,
        name: &str,
        args: &[&str],
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Vec<u8>, ToolError> {
        self.run(folder, name, args, Stdio::null(), on_line)
    }

    fn run(
        &self,
        folder: &Path,
        name: &str,
        args: &[&str],
        input: Stdio,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Vec<u8>, ToolError> {
        let program = self.find(name)?;
        let failed = |status: String, said: &[u8]| ToolError::Failed {
            command: [&[name], args].concat().join(" "),
            status,
            said: last_lines(&String::from_utf8_lossy(said)),
        };
        let mut command = child::command(&self.find("setpriv")?, &program);
        // Texts that are read are English ones.
        command.args(args).current_dir(folder).stdin(input).env("LC_ALL", "C");
        match child::run(&mut command, &self.interrupt, on_line) {
            Ok(ran) if ran.status.success() => Ok(ran.stdout),
            Ok(ran) => Err(failed(ran.status.to_string(), &ran.stderr)),
            Err(Stopped::Io(error)) => Err(failed(error.to_string(), b"")),
            Err(Stopped::Interrupted) => Err(ToolError::Interrupted),
        }
    }

    /// The content of a file, unpacked as the end of its name says.
    ///
    /// # Errors
    /// The unpacking program is missing or failed, or the file cannot be read.
    pub fn unpacked(&self, path: &Path) -> Result<Vec<u8>, ToolError> {
        let unreadable = |error: std::io::Error| ToolError::Failed {
            command: format!("read {}", path.display()),
            status: "no data".to_owned(),
            said: error.to_string(),
        };
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let program = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => "xz",
            Some("zst") => "zstd",
            Some("gz") => "gzip",
            _ => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(unreadable)?;
                return Ok(bytes);
            }
        };
        self.run(Path::new("/"), program, &["-d", "-c"], Stdio::from(file), &mut |_| {})
    }
}

/// The last lines of what a program said.
fn last_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    // A make below a make below a make says only that the one below has failed.
    let says_why = |line: &&str| !line.starts_with("make[") && !line.starts_with("make:");
    if lines.iter().any(says_why) {
        lines.retain(says_why);
    }
    lines[lines.len().saturating_sub(SAID_LINES)..].join("; ")
}

/// So many lines of what a program said are shown.
const SAID_LINES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Tools {
        Tools { path: vec![PathBuf::from("/usr/bin"), PathBuf::from("/bin")], ..Tools::default() }
    }

    #[test]
    fn a_missing_program_is_named_with_what_installs_it() {
        let none = Tools::default();
        let error = none.find("qemu-system-x86_64").unwrap_err().to_string();
        assert_eq!(error, "qemu-system-x86_64 is not installed; `apt install qemu-system-x86` installs it");
    }

    #[test]
    fn what_a_program_says_when_it_fails_stands_in_the_error() {
        let error = tools().output(Path::new("/"), "sh", &["-c", "echo no such luck >&2; exit 3"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no such luck") && text.contains("exit status: 3"), "{text}");
        assert_eq!(tools().output(Path::new("/"), "sh", &["-c", "echo yes"]).unwrap(), b"yes\n");
    }

    #[test]
    fn a_file_is_unpacked_as_its_name_says() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("a.ko");
        std::fs::write(&plain, b"module").unwrap();
        assert_eq!(tools().unpacked(&plain).unwrap(), b"module");
        let packed = folder.path().join("a.ko.gz");
        let gzip = tools().output(folder.path(), "gzip", &["-c", "a.ko"]).unwrap();
        std::fs::write(&packed, gzip).unwrap();
        assert_eq!(tools().unpacked(&packed).unwrap(), b"module");
        assert!(tools().unpacked(&folder.path().join("b.ko")).unwrap_err().to_string().contains("b.ko"));
    }
}
