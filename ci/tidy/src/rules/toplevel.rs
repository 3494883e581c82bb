//! The top level of the repository is fixed: one folder per layer, and the files that a newcomer looks for.
//!
//! Both ways: what is not listed may not be there, and what is listed must be. Names with a leading dot are free;
//! they belong to tools.

use std::collections::BTreeSet;

use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "toplevel";

/// Everything that the top level shows.
const VISIBLE: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "ci",
    "clippy.toml",
    "deny.toml",
    "engine",
    "faults",
    "harness",
    "results",
    "rustfmt.toml",
    "scenarios",
];

/// Finds what is too much and what is missing.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let present: BTreeSet<String> = tree.files().map(|file| first(&file.path)).collect();
    let extra = present.iter().filter(|name| !name.starts_with('.') && !VISIBLE.contains(&name.as_str()));
    let extra = extra.map(|name| {
        let right = "put it into the layer that it belongs to, see ARCHITECTURE.md";
        Violation::new(RULE, name.as_str(), 1, "not part of the top level", right)
    });
    let missing = VISIBLE.iter().filter(|name| !present.contains(**name));
    extra.chain(missing.map(|name| Violation::new(RULE, *name, 1, "missing at the top level", "add it"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::places;

    fn complete() -> Vec<(&'static str, &'static str)> {
        VISIBLE.iter().map(|&name| (name, "")).collect()
    }

    #[test]
    fn the_listed_top_level_is_right_and_dot_files_are_free() {
        let mut files = complete();
        files.push((".ci/run", ""));
        files.push((".gitignore", ""));
        assert_eq!(places(check, &files), Vec::<String>::new());
    }

    #[test]
    fn anything_else_is_too_much() {
        let mut files = complete();
        files.push(("utils/x.rs", ""));
        files.push(("notes.md", ""));
        assert_eq!(places(check, &files), ["notes.md:1", "utils:1"]);
    }

    #[test]
    fn whatever_is_listed_must_be_there() {
        let mut files = complete();
        files.retain(|(name, _)| *name != "deny.toml");
        assert_eq!(places(check, &files), ["deny.toml:1"]);
    }
}
