//! Every file says its job, the invariants it holds and what it does not do, in its first lines.
//!
//! A Rust file opens with at least two `//!` lines of text. A script in `ci` or `.ci` opens with a shebang and at
//! least two `#` lines of text, and is executable. A scenario of the catalogue has an `about:` that says something.
//! Whether the text is any good is for review to say.

use crate::tree::File;
use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "headers";

const LINES_MIN: usize = 2;

/// Finds files without their header.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files().flat_map(file).collect()
}

fn file(file: &File) -> Vec<Violation> {
    let path = file.path.as_str();
    if file.rust.is_some() {
        rust(file)
    } else if is_script(file) {
        script(file)
    } else if path.starts_with("scenarios/catalog/") && (path.ends_with(".yaml") || path.ends_with(".yml")) {
        scenario(file)
    } else {
        Vec::new()
    }
}

fn rust(file: &File) -> Vec<Violation> {
    let written = text_lines(file.text.lines(), "//!");
    if written >= LINES_MIN {
        return Vec::new();
    }
    let wrong = format!("the file opens with {written} line(s) of `//!`");
    let right = format!("at least {LINES_MIN}: its job, its invariants, what it does not do");
    vec![Violation::new(RULE, &file.path, 1, wrong, right)]
}

fn is_script(file: &File) -> bool {
    let in_ci = file.path.starts_with("ci/") || file.path.starts_with(".ci/");
    let name = file.path.rsplit('/').next().unwrap_or_default();
    in_ci && (name.ends_with(".sh") || !name.contains('.') || file.text.starts_with("#!"))
}

fn script(file: &File) -> Vec<Violation> {
    let mut lines = file.text.lines();
    let mut wrong = Vec::new();
    if !lines.next().is_some_and(|first| first.starts_with("#!/")) {
        wrong.push(("the script has no shebang", "open it with `#!/usr/bin/env bash`"));
    }
    if text_lines(lines, "#") < LINES_MIN {
        wrong.push(("the script does not say its job", "two lines of `#` or more below the shebang"));
    }
    if !file.is_executable {
        wrong.push(("the script is not executable", "chmod +x"));
    }
    wrong.into_iter().map(|(wrong, right)| Violation::new(RULE, &file.path, 1, wrong, right)).collect()
}

fn scenario(file: &File) -> Vec<Violation> {
    let mut behind = file.text.lines().skip_while(|line| !line.starts_with("about:"));
    let inline = behind.next().and_then(|line| line.strip_prefix("about:")).unwrap_or_default();
    let is_block = inline.trim().is_empty() || inline.trim().starts_with(['>', '|']);
    let is_said = if is_block {
        behind.next().is_some_and(|line| line.starts_with(' ') && !line.trim().is_empty())
    } else {
        !inline.trim().starts_with('#') && !matches!(inline.trim(), "\"\"" | "''")
    };
    if is_said {
        return Vec::new();
    }
    vec![Violation::new(
        RULE,
        &file.path,
        1,
        "the scenario has no `about:`",
        "one sentence, and the commits it is from",
    )]
}

/// How many lines of text the comment at the top has.
fn text_lines<'a>(lines: impl Iterator<Item = &'a str>, mark: &str) -> usize {
    lines.map_while(|line| line.strip_prefix(mark)).filter(|text| !text.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_tells_apart, tree};

    #[test]
    fn a_rust_file_opens_with_two_lines_of_text() {
        for path in ["a/src/b.rs", "a/tests/b.rs", "a/benches/b.rs", "a/build.rs"] {
            assert_tells_apart(check, path, "//! One.\n//!\nfn f() {}", "//! One.\n//!\n//! Two.\nfn f() {}");
            assert_tells_apart(check, path, "// One.\n// Two.\n", "//! One.\n//! Two.\n");
            assert_tells_apart(check, path, "\n//! One.\n//! Two.\n", "//! One.\n//! Two.");
        }
    }

    #[test]
    fn a_script_has_a_shebang_and_two_lines_of_text() {
        for path in ["ci/a.sh", ".ci/run", "ci/tests/a"] {
            assert_tells_apart(check, path, "#!/bin/sh\n# One.\ntrue", "#!/bin/sh\n# One.\n# Two.\ntrue");
            assert_tells_apart(check, path, "# One.\n# Two.\n# Three.", "#!/bin/sh\n# One.\n# Two.");
        }
    }

    #[test]
    fn a_script_is_executable() {
        let with = |is_executable| {
            let text = "#!/bin/sh\n# One.\n# Two.\n".to_owned();
            check(&Tree::new([("ci/a.sh".to_owned(), text, is_executable)])).len()
        };
        assert_eq!((with(true), with(false)), (0, 1));
    }

    #[test]
    fn a_scenario_says_what_it_is_about() {
        let path = "scenarios/catalog/a/b.yaml";
        assert_tells_apart(check, path, "scenario: a/b\n", "scenario: a/b\nabout: One sentence.\n");
        assert_tells_apart(check, path, "about:\nsteps: []\n", "about: >\n  One sentence.\nsteps: []\n");
        assert_tells_apart(check, path, "about: \"\"\n", "about:\n  One sentence.\n");
        assert_tells_apart(check, path, "meta:\n  about: x\n", "about: 'x'\n");
    }

    #[test]
    fn other_files_need_no_header() {
        let files = [("ci/tidy/Cargo.toml", "[package]"), ("scenarios/tests/a.yaml", "x: 1"), ("LICENSE-MIT", "MIT")];
        assert_eq!(check(&tree(&files)), []);
    }
}
