//! No path of somebody's own machine in any file.
//!
//! A path that begins at one of [`ROOTS`] works for one person only, and tells who that is. Comments, documents and
//! generated files count as well. A folder of that name inside another path (`docs/home/x`, a URL) is free: only a
//! slash that begins the path makes it absolute.

use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "machine_paths";

/// First folders of machine paths; without slashes here, so that this file may be checked too.
const ROOTS: &[&str] = &["work", "root", "home"];

/// Finds the paths.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files() {
        for (index, line) in file.text.lines().enumerate() {
            for root in ROOTS.iter().filter(|root| names_root(line, root)) {
                let wrong = format!("an absolute path below /{root}");
                let right = "a path from the repository's root, or from a variable";
                found.push(Violation::new(RULE, &file.path, index + 1, wrong, right));
            }
        }
    }
    found
}

fn names_root(line: &str, root: &str) -> bool {
    let wanted = format!("/{root}/");
    line.match_indices(&wanted).any(|(at, _)| {
        // Behind these the slash continues a path (or a variable that holds one) and does not begin it.
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_-.}*".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_tells_apart;

    #[test]
    fn an_absolute_path_is_found_in_any_file() {
        for root in ROOTS {
            for path in ["a/src/b.rs", "README.md", "ci/x.sh", "Cargo.lock"] {
                let path_of = |before: &str| format!("see {before}/{root}/x");
                assert_tells_apart(check, path, &path_of(""), &path_of("docs"));
                assert_tells_apart(check, path, &path_of("\""), &path_of("${DIR}"));
                assert_tells_apart(check, path, &path_of("="), &path_of("https://example.com"));
            }
        }
    }
}
