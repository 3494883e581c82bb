//! Unsafe code stands in the files of [`ALLOWED`] only.
//!
//! The list is edited by hand, with a reason per entry, so that every new place is a decision that shows in review.
//! An entry without its file, or whose file has become safe, is a violation too: the list must not promise more
//! unsafe code than there is. Whether each block is argued for is clippy's to check.

use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "unsafe_files";

/// Files that may hold unsafe code, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("engine/src/sched/cell.rs", "the tiny lock of an object's own state"),
    ("engine/src/sched/explorer/coroutine.rs", "switching between stacks"),
    ("engine/src/sched/explorer/driver.rs", "handing the runtime into a coroutine"),
    ("engine/src/sync/guarded.rs", "data behind a primitive that grants access"),
    ("harness/src/backend/kernel/sys.rs", "ioctls that neither std nor nix has a safe form of"),
    ("harness/src/backend/ring.rs", "entries of an io_uring, which point to memory"),
];

/// Finds unsafe code outside the list, and list entries without unsafe code.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    check_against(tree, ALLOWED)
}

fn check_against(tree: &Tree, allowed: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (file, source) in tree.rust_files() {
        if allowed.iter().any(|(path, _)| *path == file.path) {
            continue;
        }
        let right = "do it safely, or move it into a file of the list, see ci/tidy/src/rules/unsafe_files.rs";
        found.extend(
            source.find(&["unsafe"]).map(|token| {
                Violation::new(RULE, &file.path, token.line, "unsafe code outside the listed files", right)
            }),
        );
    }
    for (path, reason) in allowed {
        let source = tree.get(path).and_then(|file| file.rust.as_ref());
        if source.is_none_or(|source| source.find(&["unsafe"]).next().is_none()) {
            let wrong = format!("listed for unsafe code ({reason}), but there is none");
            found.push(Violation::new(RULE, *path, 1, wrong, "take it off the list"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::places;

    const LIST: &[(&str, &str)] = &[("engine/src/cell.rs", "a reason")];

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        places(|tree| check_against(tree, LIST), files)
    }

    const LISTED: (&str, &str) = ("engine/src/cell.rs", "fn f() { unsafe { g() } }");

    #[test]
    fn unsafe_code_outside_the_list_is_found() {
        assert_eq!(found(&[LISTED, ("a/src/b.rs", "\nunsafe fn f() {}")]), ["a/src/b.rs:2"]);
        assert_eq!(found(&[LISTED, ("a/tests/b.rs", "unsafe impl Send for X {}")]), ["a/tests/b.rs:1"]);
    }

    #[test]
    fn words_about_unsafe_code_are_free() {
        let text = "//! unsafe\n#![forbid(unsafe_code)]\nconst X: &str = \"unsafe\";";
        assert_eq!(found(&[LISTED, ("a/src/b.rs", text)]), Vec::<String>::new());
    }

    #[test]
    fn an_entry_without_unsafe_code_is_found() {
        assert_eq!(found(&[]), ["engine/src/cell.rs:1"]);
        assert_eq!(found(&[("engine/src/cell.rs", "// unsafe")]), ["engine/src/cell.rs:1"]);
    }
}
