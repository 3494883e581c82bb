//! Names that must not be used, with what to use instead.
//!
//! Everywhere, tests included: unfinished or switched-off code and the notes that announce it. In product code:
//! hash maps and sets, whose order differs from run to run. In the engine's product code outside `sched`: locks,
//! atomics, threads, clocks, random state and thread locals — shared state that the explorer does not see would make
//! its proofs void.
//!
//! Notes are also looked for in the `#` comments of scripts, YAML and TOML.

use crate::source::Source;
use crate::tokens::Token;
use crate::tree::File;
use crate::{Tree, Violation};

/// Name of the rule.
pub(super) const RULE: &str = "banned_names";

/// Code that must not stay, and what to do instead.
const LEFTOVERS: &[(&[&str], &str)] = &[
    (&["todo", "!"], "finish it, or leave it out"),
    (&["unimplemented", "!"], "finish it, or return an error that says what is missing"),
    (&["dbg", "!"], "assert what it showed, or delete it"),
    (&["#", "[", "ignore"], "make the test run, or delete it"),
    (&["assert", "!", "(", "true"], "assert something that can be false"),
];

/// Words in comments that announce unfinished work..
const NOTES: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

const HASHED: &[&str] = &["HashMap", "HashSet"];

/// What the engine may take of `std::sync` and `std::time`: neither blocks nor tells the time.
const SYNC_ALLOWED: &[&str] = &["Arc", "Weak"];
const TIME_ALLOWED: &[&str] = &["Duration"];
const CRATES: &[&str] = &["parking_lot", "crossbeam", "rand", "fastrand", "getrandom"];
const RANDOM: &[&str] = &["RandomState", "DefaultHasher"];

const USE_SYNC: &str = "use the engine's own primitives from crate::sync, which the scheduler drives";
const USE_CLOCK: &str = "ask the runtime handle for the time";
const USE_TASK: &str = "spawn a task on the runtime handle";
const USE_RANDOM: &str = "announce a random choice to the runtime handle";

/// Finds the banned names.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files() {
        match &file.rust {
            Some(source) => rust(tree, file, source, &mut found),
            None if is_commented(&file.path) => notes(file, file.text.lines().map(hash_comment), &mut found),
            None => {}
        }
    }
    found
}

fn rust(tree: &Tree, file: &File, source: &Source, found: &mut Vec<Violation>) {
    notes(file, source.comment_lines(), found);
    for (pattern, right) in LEFTOVERS {
        let wrong = format!("`{}` is left over", pattern.concat());
        found.extend(source.find(pattern).map(|token| Violation::new(RULE, &file.path, token.line, &wrong, *right)));
    }
    let product = |token: &&Token| !tree.is_test(file, token.at);
    for name in HASHED {
        let right = "its order differs from run to run: use BTreeMap, BTreeSet or a Vec";
        let uses = source.find(std::slice::from_ref(name)).filter(product);
        found.extend(uses.map(|token| Violation::new(RULE, &file.path, token.line, format!("`{name}`"), right)));
    }
    if file.path.starts_with("engine/src/") && !file.path.starts_with("engine/src/sched") {
        unseen_state(tree, file, source, found);
    }
}

/// Shared state, time and chance that the scheduler would not see.
fn unseen_state(tree: &Tree, file: &File, source: &Source, found: &mut Vec<Violation>) {
    for path in source.outline().paths.iter().filter(|path| !tree.is_test(file, path.at)) {
        let names: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let right = match names.as_slice() {
            // A module imported whole hides what is used of it, so the bare module is refused as well.
            ["std" | "core" | "alloc", "sync", rest @ ..] if !allowed(rest, SYNC_ALLOWED) => USE_SYNC,
            ["std" | "core", "time", rest @ ..] if !allowed(rest, TIME_ALLOWED) => USE_CLOCK,
            ["std", "thread", ..] => USE_TASK,
            ["parking_lot" | "crossbeam", ..] => USE_SYNC,
            [first, ..] if CRATES.contains(first) => USE_RANDOM,
            _ => continue,
        };
        let wrong = format!("`{}` in the engine outside `sched`", path.segments.join("::"));
        found.push(Violation::new(RULE, &file.path, path.line, wrong, right));
    }
    let words = RANDOM.iter().map(|name| (std::slice::from_ref(name), USE_RANDOM));
    for (pattern, right) in words.chain([(["thread_local", "!"].as_slice(), USE_TASK)]) {
        let uses = source.find(pattern).filter(|token| !tree.is_test(file, token.at));
        let wrong = format!("`{}` in the engine outside `sched`", pattern.concat());
        found.extend(uses.map(|token| Violation::new(RULE, &file.path, token.line, &wrong, right)));
    }
}

fn allowed(rest: &[&str], names: &[&str]) -> bool {
    rest.first().is_some_and(|first| names.contains(first))
}

fn is_commented(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    [".sh", ".yml", ".yaml", ".toml"].iter().any(|ending| name.ends_with(ending)) || !name.contains('.')
}

/// The comment of a line in a file whose comments begin with `#` at the start or behind a space.
fn hash_comment(line: &str) -> &str {
    let start = if line.starts_with('#') { Some(0) } else { line.find(" #").map(|at| at + 1) };
    start.map_or("", |at| &line[at..])
}

fn notes<'a>(file: &File, comments: impl Iterator<Item = &'a str>, found: &mut Vec<Violation>) {
    for (index, comment) in comments.enumerate() {
        let words = comment.split(|character: char| !character.is_alphanumeric() && character != '_');
        for note in words.filter(|word| NOTES.contains(word)) {
            let wrong = format!("`{note}` in a comment");
            found.push(Violation::new(RULE, &file.path, index + 1, wrong, "do it now, or open an issue"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_tells_apart, places};

    const NONE: [String; 0] = [];

    #[test]
    fn leftovers_are_found_in_tests_too() {
        let path = "results/tests/all.rs";
        assert_tells_apart(check, path, "fn f() { todo!() }", "fn f() { /* a list of things */ }");
        assert_tells_apart(check, path, "fn f() { unimplemented!(\"x\") }", "fn unimplemented() {}");
        assert_tells_apart(check, path, "fn f() { dbg!(1); }", "fn f() { debug!(1); }");
        assert_tells_apart(check, path, "#[ignore = \"x\"] fn f() {}", "#[test] fn f() {}");
        assert_tells_apart(check, path, "fn f() { assert!(true, \"x\"); }", "fn f() { assert!(truth); }");
    }

    #[test]
    fn notes_are_found_in_comments_and_nowhere_else() {
        for note in NOTES {
            let bad = format!("fn f() {{}} // {note}: x");
            assert_tells_apart(check, "results/src/a.rs", &bad, &format!("const X: &str = \"{note}\";"));
            assert_tells_apart(check, "ci/x.sh", &format!("true # {note}(me)"), &format!("echo {note}"));
            assert_tells_apart(check, "ci/run", &format!("# {note}"), &format!("# mktemp /tmp/x.{note}{note}"));
        }
    }

    #[test]
    fn hash_order_never_reaches_the_product() {
        let path = "scenarios/src/a.rs";
        assert_tells_apart(check, path, "use std::collections::HashMap;", "use std::collections::BTreeMap;");
        assert_tells_apart(check, path, "fn f(_: HashSet<u8>) {}", "// HashSet\n");
        let test = "#[cfg(test)] mod tests { use std::collections::HashMap; }";
        assert_eq!(places(check, &[(path, test)]), NONE);
    }

    #[test]
    fn the_engine_has_no_state_that_the_scheduler_does_not_see() {
        let path = "engine/src/block/a.rs";
        let tells_apart = |bad: &str, good: &str| assert_tells_apart(check, path, bad, good);
        tells_apart("use std::sync::{Arc, Mutex};", "use std::sync::{Arc, Weak};");
        tells_apart("use std::sync::atomic::AtomicU64;", "use crate::sync::Mutex;");
        tells_apart("use std::sync;", "use crate::sync;");
        tells_apart("use std::time::Instant;", "use std::time::Duration;");
        tells_apart("fn f() { std::thread::sleep(x) }", "fn f(thread: u8) {}");
        tells_apart("fn f() { rand::random() }", "fn f(rand: u8) {}");
        tells_apart("use parking_lot::Mutex;", "struct Mutex;");
        tells_apart("use std::hash::RandomState;", "use std::hash::Hash;");
        tells_apart("thread_local! { static X: u8 = 1; }", "const X: u8 = 1;");
    }

    #[test]
    fn the_scheduler_other_crates_and_tests_use_the_standard_library() {
        let text = "use std::sync::Mutex; use std::time::Instant;";
        assert_eq!(places(check, &[("engine/src/sched/threads.rs", text)]), NONE);
        assert_eq!(places(check, &[("harness/src/load.rs", text)]), NONE);
        assert_eq!(places(check, &[("engine/tests/all.rs", text)]), NONE);
    }
}
