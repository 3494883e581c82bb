//! The repository as the rules see it: paths and texts, held in memory.
//!
//! On disk the files are those that git tracks or would track (`git ls-files -co --exclude-standard`); without a
//! `.git` at the root, or without git, all files but those below `.git` and `target`. Rules never touch the disk, so
//! each is tested on a tree written down in its test.
//!
//! Invariants: paths are relative, with slashes, in order; a tree read from disk is never empty, because a check of
//! nothing would pass. Files that are not UTF-8 are listed without text. Symbolic links are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::layout::{Place, Role};
use crate::source::Source;

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// Path from the root, with slashes.
    pub path: String,
    /// The text; empty for a file that is not UTF-8.
    pub text: String,
    /// Whether the owner may execute it.
    pub is_executable: bool,
    /// Place in its crate; of use for Rust files only.
    pub place: Place,
    /// The Rust file taken apart; nothing for other files.
    pub rust: Option<Source>,
}

/// All files of the repository.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    files: BTreeMap<String, File>,
    /// Crate folder and module path of each module that has a file.
    modules: BTreeSet<(String, Vec<String>)>,
    /// Crate folder and module path of each module that is declared for test builds only.
    test_modules: Vec<(String, Vec<String>)>,
}

impl Tree {
    /// A tree of these files: path, text, whether it is executable.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (String, String, bool)>) -> Self {
        let mut tree = Self::default();
        for (path, text, is_executable) in files {
            let rust = path.ends_with(".rs").then(|| Source::new(&text));
            let place = Place::of(&path);
            if let (Some(module), true) = (place.module(), rust.is_some()) {
                tree.modules.insert((place.folder.clone(), module.to_vec()));
            }
            tree.files.insert(path.clone(), File { path, text, is_executable, place, rust });
        }
        tree.test_modules = tree.rust_files().flat_map(|(file, source)| test_declarations(file, source)).collect();
        tree
    }

    /// The files below `root` on disk.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or when there is none.
    pub fn read(root: &Path) -> io::Result<Self> {
        let paths = match git_files(root) {
            Some(paths) => paths,
            None => walk(root)?,
        };
        let mut files = Vec::new();
        for path in paths {
            let Ok(metadata) = fs::symlink_metadata(root.join(&path)) else {
                // git still lists a file that was deleted but not yet removed from its index.
                continue;
            };
            if metadata.is_file() {
                let text = String::from_utf8(fs::read(root.join(&path))?).unwrap_or_default();
                files.push((path, text, is_executable(&metadata)));
            }
        }
        if files.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no files below {}", root.display())));
        }
        Ok(Self::new(files))
    }

    /// All files, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// All Rust files, in the order of their paths.
    pub fn rust_files(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.values().filter_map(|file| Some((file, file.rust.as_ref()?)))
    }

    /// Rust files whose path begins with `prefix`.
    pub fn rust_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a File, &'a Source)> {
        self.rust_files().filter(move |(file, _)| file.path.starts_with(prefix))
    }

    /// The file at exactly this path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Whether the crate in `folder` has a file for the module at `path`.
    #[must_use]
    pub fn is_module(&self, folder: &str, path: &[String]) -> bool {
        self.modules.contains(&(folder.to_owned(), path.to_vec()))
    }

    /// Whether the byte at `at` of `file` is compiled for tests, benches or examples only.
    #[must_use]
    pub fn is_test(&self, file: &File, at: usize) -> bool {
        if file.place.role == Role::Test {
            return true;
        }
        let in_test_module = file.place.module().is_some_and(|module| {
            self.test_modules.iter().any(|(folder, test)| *folder == file.place.folder && module.starts_with(test))
        });
        in_test_module || file.rust.as_ref().is_some_and(|source| source.outline().is_test(at))
    }
}

/// The modules in other files that `file` declares for test builds only.
fn test_declarations<'a>(file: &'a File, source: &'a Source) -> impl Iterator<Item = (String, Vec<String>)> + 'a {
    let outline = source.outline();
    outline.declarations.iter().filter(|declared| outline.is_test(declared.at)).filter_map(|declared| {
        let mut path = file.place.module()?.to_vec();
        path.extend(declared.inline.iter().cloned());
        path.push(declared.name.clone());
        Some((file.place.folder.clone(), path))
    })
}

/// What git lists. The `.git` must be at the root itself: below a foreign repository that ignores this folder, git
/// would list nothing and everything would pass.
fn git_files(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    // Inside a git hook GIT_DIR points elsewhere for any root but the one being committed.
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").env_remove("GIT_DIR").arg("-C").arg(root).args(listing).output().ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    let text = String::from_utf8(text).ok()?;
    Some(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// All files below `root`, without git's help.
fn walk(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && !matches!(name.as_str(), ".git" | "target") {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    #[test]
    fn test_code_is_told_from_product_code() {
        let tree = tree(&[
            ("a/src/lib.rs", "mod dm;\n#[cfg(test)]\nmod probe;\n#[cfg(test)] mod t { fn x() {} }"),
            ("a/src/dm.rs", "fn f() {}"),
            ("a/src/probe/mod.rs", "mod deep;"),
            ("a/src/probe/deep.rs", "fn f() {}"),
            ("a/tests/all.rs", "fn f() {}"),
        ]);
        let is_test = |path: &str, at| tree.is_test(tree.get(path).unwrap(), at);
        assert!(!is_test("a/src/dm.rs", 0));
        assert!(is_test("a/src/probe/deep.rs", 0));
        assert!(is_test("a/tests/all.rs", 0));
        assert!(!is_test("a/src/lib.rs", 0));
        assert!(is_test("a/src/lib.rs", 60));
    }

    #[test]
    fn modules_are_known_per_crate() {
        let tree = tree(&[("a/src/dm/mod.rs", ""), ("b/src/lib.rs", "")]);
        assert!(tree.is_module("a", &["dm".to_owned()]));
        assert!(!tree.is_module("b", &["dm".to_owned()]));
    }

    #[test]
    fn a_folder_without_files_is_an_error_and_not_clean() {
        let empty = std::env::temp_dir().join(format!("dmlab-tidy-empty-{}", std::process::id()));
        fs::create_dir_all(&empty).unwrap();
        let outcome = Tree::read(&empty);
        fs::remove_dir(&empty).unwrap();
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
