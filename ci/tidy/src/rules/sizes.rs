//! Files short enough to read in one go, lines short enough to read at all.
//!
//! A Rust file has at most [`LINES_MAX`] lines, not counting a `#[cfg(test)] mod` block at its end, and no line of
//! more than [`COLUMNS_MAX`] characters. rustfmt keeps code narrower; this is for what rustfmt leaves alone (long
//! literals, comments). Whoever needs more is listed in [`LONG_FILES`] by name, with the reason.

use crate::source::Source;
use crate::tree::File;
use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "sizes";

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 140;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Finds files and lines that are too long.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    check_against(tree, LONG_FILES)
}

fn check_against(tree: &Tree, long_files: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (file, source) in tree.rust_files() {
        let lines = product_lines(file, source);
        let is_listed = long_files.iter().any(|(path, _)| *path == file.path);
        if lines > LINES_MAX && !is_listed {
            let wrong = format!("{lines} lines without the tests at the end");
            let right = format!("at most {LINES_MAX}: split it by what changes together");
            found.push(Violation::new(RULE, &file.path, LINES_MAX + 1, wrong, right));
        }
        if lines <= LINES_MAX && is_listed {
            found.push(Violation::new(RULE, &file.path, 1, "listed as long, but it is not", "take it off the list"));
        }
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                let wrong = format!("{columns} characters in one line");
                found.push(Violation::new(RULE, &file.path, index + 1, wrong, format!("at most {COLUMNS_MAX}")));
            }
        }
    }
    found
}

/// Lines above the test module, if the file ends with one, else all lines.
fn product_lines(file: &File, source: &Source) -> usize {
    let end = file.text.trim_end().len();
    let tests = source.outline().tests.iter().find(|range| range.start > 0 && range.end >= end);
    file.text[..tests.map_or(end, |range| range.start)].lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_tells_apart, places};

    #[test]
    fn a_file_of_more_lines_than_allowed_is_found() {
        let path = "a/src/b.rs";
        assert_tells_apart(check, path, &"fn f() {}\n".repeat(LINES_MAX + 1), &"fn f() {}\n".repeat(LINES_MAX));
    }

    #[test]
    fn tests_at_the_end_do_not_count_and_tests_in_the_middle_do() {
        let code = "fn f() {}\n".repeat(LINES_MAX);
        let tests = "#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
        let (good, bad) = (format!("{code}{tests}"), format!("{tests}{code}"));
        assert_tells_apart(check, "a/src/b.rs", &bad, &good);
    }

    #[test]
    fn a_line_is_measured_in_characters() {
        let line = |length: usize| format!("// {}", "ü".repeat(length - 3));
        assert_tells_apart(check, "a/src/b.rs", &line(COLUMNS_MAX + 1), &line(COLUMNS_MAX));
    }

    #[test]
    fn a_listed_file_may_be_long_and_must_be() {
        let check = |tree: &Tree| check_against(tree, &[("a/src/b.rs", "a reason")]);
        let long = "fn f() {}\n".repeat(LINES_MAX + 1);
        assert_eq!(places(check, &[("a/src/b.rs", &long)]), Vec::<String>::new());
        assert_eq!(places(check, &[("a/src/b.rs", "fn f() {}")]), ["a/src/b.rs:1"]);
    }
}
