//! Fake trees for the tests of this crate.
//!
//! A script (a path in `ci/` or `.ci/` without `.rs`) is executable in a fake tree, as it should be on disk.

use crate::tree::Tree;
use crate::violation::Violation;

/// A tree of these paths and texts.
pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::new(files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned(), !path.ends_with(".rs"))))
}

/// What a rule finds in these files, as `path:line`.
pub(crate) fn places(check: impl Fn(&Tree) -> Vec<Violation>, files: &[(&str, &str)]) -> Vec<String> {
    check(&tree(files)).iter().map(|found| format!("{}:{}", found.path, found.line)).collect()
}

/// Asserts that a rule finds something in the bad text and nothing in the good one, both at `path`.
pub(crate) fn assert_tells_apart(check: impl Fn(&Tree) -> Vec<Violation>, path: &str, bad: &str, good: &str) {
    assert!(!places(&check, &[(path, bad)]).is_empty(), "nothing found in the bad text: {bad}");
    assert_eq!(places(&check, &[(path, good)]), Vec::<String>::new(), "found in the good text: {good}");
}
