//! Runs tidy on repositories on disk: this one, which must be clean, and small ones that must not be.
//!
//! The program is run as a user runs it, so its exit codes and its output are tested as well. What each rule finds is
//! tested beside the rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tidy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dmlab-tidy")).args(arguments).output().expect("tidy was built for this test")
}

/// A folder of its own for one test, with these files in it.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if root.exists() {
        fs::remove_dir_all(&root).expect("the last run's folder is ours to remove");
    }
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a file stands in a folder")).expect("a new folder");
        fs::write(path, text).expect("a new file");
    }
    root
}

#[test]
fn this_repository_is_clean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = dmlab_tidy::check(&root).expect("the repository can be read");
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violation(s):\n{}", shown.len(), shown.join("\n"));
}

#[test]
fn a_violation_is_printed_on_one_line_and_the_exit_code_is_one() {
    let root = folder("violation", &[("results/src/lib.rs", "//! One.\n//! Two.\nfn f() { todo!() }\n")]);
    let output = tidy(&[root.to_str().unwrap()]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = "results/src/lib.rs:3: banned_names: `todo!` is left over (finish it, or leave it out)";
    assert!(printed.lines().any(|line| line == expected), "{printed}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_rule_of_the_table_is_applied_to_a_repository() {
    let long = format!("// {}\n", "x".repeat(200));
    let root = folder(
        "every-rule",
        &[
            ("results/src/lib.rs", "fn f() { unsafe { todo!() } }"),
            ("results/src/dead.rs", &long),
            ("results/src/path.rs", &["//! ", "/home", "/me"].concat()),
            ("results/Cargo.toml", "[package]\nname = \"dmlab-results\"\n[dependencies]\ndmlab-engine = \"1\"\n"),
        ],
    );
    let found = dmlab_tidy::check(&root).expect("the folder can be read");
    for rule in dmlab_tidy::rules::RULES {
        assert!(found.iter().any(|violation| violation.rule == rule.name), "{} found nothing", rule.name);
    }
}

#[test]
fn files_that_git_ignores_are_not_checked() {
    let files = [(".gitignore", "scratch.rs\n"), ("scratch.rs", "todo!()"), ("kept.rs", "todo!()")];
    let root = folder("ignored", &files);
    let is_named = |name: &str| {
        let found = dmlab_tidy::check(&root).expect("the folder can be read");
        found.iter().any(|violation| violation.path == name && violation.rule == "banned_names")
    };
    assert!(is_named("scratch.rs"), "without git, every file counts");
    let git = Command::new("git").env_remove("GIT_DIR").arg("init").arg("--quiet").arg(&root).status();
    // A machine without git builds the product all the same; there is nothing to test there.
    if git.is_ok_and(|status| status.success()) {
        assert!(!is_named("scratch.rs"));
        assert!(is_named("kept.rs"), "not yet tracked, but not ignored either");
    }
}

#[test]
fn what_cannot_be_checked_is_an_error_and_not_clean() {
    assert_eq!(tidy(&["/nowhere/at/all"]).status.code(), Some(2));
    assert_eq!(tidy(&["--unknown"]).status.code(), Some(2));
    assert_eq!(tidy(&["one", "two"]).status.code(), Some(2));
}

#[test]
fn the_rules_can_be_listed() {
    let output = tidy(&["--rules"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), dmlab_tidy::rules::RULES.len());
    assert_eq!(output.status.code(), Some(0));
}
