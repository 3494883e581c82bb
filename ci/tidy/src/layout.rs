//! Where a Rust file stands in its crate, read off its path alone.
//!
//! The first folder called `src`, `tests`, `benches` or `examples` decides: below `src` a file is a module (or the root
//! of a binary), below the others it is test code. Fixture crates inside `tests/` are therefore test code as a whole.
//!
//! It does not read manifests: a target with a `path` of its own would be misjudged, and the house has none.

/// The part that a file plays in its crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A module below `src`, with its path from the crate's root; `lib.rs` and `main.rs` have the empty path.
    Module(Vec<String>),
    /// The root file of a binary below `src/bin`.
    Binary,
    /// Below `tests`, `benches` or `examples`.
    Test,
    /// The build script.
    Build,
    /// Anything else.
    Other,
}

/// A file's crate folder and role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder that holds `src`, without a slash at its end.
    pub folder: String,
    /// The part that the file plays.
    pub role: Role,
}

impl Place {
    /// The place of the file at `path` (slashes, from the repository's root).
    #[must_use]
    pub fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        let marker =
            parts[..parts.len() - 1].iter().position(|&part| matches!(part, "src" | "tests" | "benches" | "examples"));
        let Some(marker) = marker else {
            let role = if parts.last() == Some(&"build.rs") { Role::Build } else { Role::Other };
            return Self { folder: parts[..parts.len() - 1].join("/"), role };
        };
        let inside = &parts[marker + 1..];
        let role = match (parts[marker], inside) {
            ("src", ["bin", _] | ["bin", _, "main.rs"]) => Role::Binary,
            ("src", inside) => Role::Module(module(inside)),
            _ => Role::Test,
        };
        Self { folder: parts[..marker].join("/"), role }
    }

    /// The module path, for a module.
    #[must_use]
    pub fn module(&self) -> Option<&[String]> {
        match &self.role {
            Role::Module(path) => Some(path),
            _ => None,
        }
    }
}

/// Module path of a file from its parts below `src`.
fn module(inside: &[&str]) -> Vec<String> {
    let (file, folders) = inside.split_last().expect("a path ends in a file name");
    let mut path: Vec<String> = folders.iter().map(|&folder| folder.to_owned()).collect();
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let is_root = folders.is_empty() && matches!(stem, "lib" | "main");
    if !is_root && stem != "mod" {
        path.push(stem.to_owned());
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module_of(path: &str) -> Option<String> {
        Place::of(path).module().map(|path| path.join("::"))
    }

    #[test]
    fn modules_are_named_by_file_or_folder() {
        assert_eq!(module_of("engine/src/lib.rs").as_deref(), Some(""));
        assert_eq!(module_of("engine/src/dm/mod.rs").as_deref(), Some("dm"));
        assert_eq!(module_of("engine/src/dm/table.rs").as_deref(), Some("dm::table"));
        assert_eq!(module_of("ci/tidy/src/main.rs").as_deref(), Some(""));
        assert_eq!(Place::of("ci/tidy/src/main.rs").folder, "ci/tidy");
    }

    #[test]
    fn tests_benches_and_build_scripts_are_no_modules() {
        assert_eq!(Place::of("engine/tests/a/src/b.rs").role, Role::Test);
        assert_eq!(Place::of("harness/benches/engine.rs").role, Role::Test);
        assert_eq!(Place::of("harness/build.rs").role, Role::Build);
        assert_eq!(Place::of("harness/src/bin/tool.rs").role, Role::Binary);
        assert_eq!(Place::of("scratch.rs").role, Role::Other);
    }

    #[test]
    fn a_module_called_tests_below_src_is_still_a_module() {
        assert_eq!(module_of("engine/src/dm/tests.rs").as_deref(), Some("dm::tests"));
        assert_eq!(module_of("engine/src/dm/tests/split.rs").as_deref(), Some("dm::tests::split"));
    }
}
