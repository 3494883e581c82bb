//! Every Rust file below `src` is part of its crate.
//!
//! From the crate's roots (`lib.rs`, `main.rs`, the files of `bin`) the `mod` declarations are followed; a file that
//! none reaches is compiled by nobody and rots. A `#[path]` attribute is refused, because it breaks the agreement
//! between names and files that readers and this rule rely on.
//!
//! It does not look at files that `include!` pulls in: the house has none.

use std::collections::BTreeSet;

use crate::layout::Role;
use crate::source::Source;
use crate::tree::File;
use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "dead_files";

/// Finds files that are part of no crate.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut alive = BTreeSet::new();
    let roots = tree.rust_files().filter(|(file, _)| is_root(file));
    let mut open: Vec<(&File, &Source)> = roots.collect();
    while let Some((file, source)) = open.pop() {
        if alive.insert(file.path.as_str()) {
            let declared = candidates(file, source).into_iter().filter_map(|path| tree.get(&path));
            open.extend(declared.filter_map(|file| Some((file, file.rust.as_ref()?))));
        }
    }
    let mut found = Vec::new();
    for (file, source) in tree.rust_files() {
        let is_source = matches!(file.place.role, Role::Module(_) | Role::Binary);
        if is_source && !alive.contains(file.path.as_str()) {
            let right = "declare it with `mod` in its parent, or delete it";
            found.push(Violation::new(RULE, &file.path, 1, "no crate contains this file", right));
        }
        found.extend(source.find(&["#", "[", "path", "="]).map(|token| {
            Violation::new(RULE, &file.path, token.line, "a module in a file of another name", "name the file like it")
        }));
    }
    found
}

fn is_root(file: &File) -> bool {
    file.place.role == Role::Binary || file.place.module().is_some_and(<[String]>::is_empty)
}

/// Where the modules that `file` declares could be.
fn candidates(file: &File, source: &Source) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    // A root or a `mod.rs` has its children beside it, any other file in the folder of its own name.
    let children = if is_root(file) || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let mut found = Vec::new();
    for declared in &source.outline().declarations {
        let mut path = vec![children.clone()];
        path.extend(declared.inline.iter().cloned());
        path.push(declared.name.clone());
        let path = path.join("/");
        found.push(format!("{path}.rs"));
        found.push(format!("{path}/mod.rs"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::places;

    #[test]
    fn a_file_that_nobody_declares_is_dead() {
        let files = [
            ("a/src/lib.rs", "mod used; mod folder; mod inline { mod deep; }"),
            ("a/src/used.rs", "#[cfg(test)] mod tests;"),
            ("a/src/used/tests.rs", ""),
            ("a/src/folder/mod.rs", "pub mod child;"),
            ("a/src/folder/child.rs", ""),
            ("a/src/inline/deep.rs", ""),
            ("a/src/forgotten.rs", "// mod used;"),
            ("a/src/used/stray.rs", ""),
        ];
        assert_eq!(places(check, &files), ["a/src/forgotten.rs:1", "a/src/used/stray.rs:1"]);
    }

    #[test]
    fn a_file_below_a_dead_file_is_dead() {
        let files = [("a/src/lib.rs", ""), ("a/src/b.rs", "mod c;"), ("a/src/b/c.rs", "")];
        assert_eq!(places(check, &files).len(), 2);
    }

    #[test]
    fn binaries_tests_and_build_scripts_are_roots_of_their_own() {
        let files = [
            ("a/src/main.rs", "mod used;"),
            ("a/src/used.rs", ""),
            ("a/src/bin/tool.rs", ""),
            ("a/tests/all.rs", ""),
            ("a/build.rs", ""),
        ];
        assert_eq!(places(check, &files), Vec::<String>::new());
    }

    #[test]
    fn a_module_in_a_file_of_another_name_is_refused() {
        let files = [("a/src/lib.rs", "#[path = \"c.rs\"]\nmod b;"), ("a/src/b.rs", "")];
        assert_eq!(places(check, &files), ["a/src/lib.rs:1"]);
    }
}
