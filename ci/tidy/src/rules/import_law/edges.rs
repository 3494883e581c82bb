//! Edges of the program: the command line, standard output, the exit code and the environment belong to the harness'
//! CLI; serialisation stays out of the engine.
//!
//! Everything else takes plain options and returns values, so that it can be run a thousand times in one process and
//! tested without one. Build scripts, tests, benches and tidy itself are programs of their own.

use super::RULE;
use crate::layout::Role;
use crate::source::Source;
use crate::tree::File;
use crate::{Tree, Violation};

/// Path prefixes of the product code at the edge.
const EDGE: &[&str] = &["harness/src/cli/", "harness/src/cli.rs", "harness/src/main.rs", "ci/tidy/"];

const PRINTING: [&str; 4] = ["println", "eprintln", "print", "eprint"];
const SERIALISATION: [&str; 3] = ["serde", "serde_json", "serde_yaml"];

/// Finds product code that reaches over an edge.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.rust_files().flat_map(|(file, source)| [edge(tree, file, source), serde(file, source)].concat()).collect()
}

fn edge(tree: &Tree, file: &File, source: &Source) -> Vec<Violation> {
    let is_edge = EDGE.iter().any(|prefix| file.path.starts_with(prefix));
    if is_edge || file.place.role == Role::Build {
        return Vec::new();
    }
    let mut reached: Vec<(usize, usize, String)> = Vec::new();
    for name in PRINTING {
        reached.extend(source.find(&[name, "!"]).map(|token| (token.at, token.line, format!("{name}!"))));
    }
    reached.extend(source.find(&["clap"]).map(|token| (token.at, token.line, "clap".to_owned())));
    for path in &source.outline().paths {
        if path.names(&["process", "exit"]) || path.names(&["std", "env"]) {
            reached.push((path.at, path.line, path.segments.join("::")));
        }
    }
    let product = reached.into_iter().filter(|&(at, ..)| !tree.is_test(file, at));
    let right = "hand a value to harness/src/cli, which alone talks to the outside";
    product
        .map(|(_, line, what)| Violation::new(RULE, &file.path, line, format!("`{what}` outside the CLI"), right))
        .collect()
}

/// Test code included: an engine type that a test serialises is soon one that a record depends on.
fn serde(file: &File, source: &Source) -> Vec<Violation> {
    if !file.path.starts_with("engine/src/") {
        return Vec::new();
    }
    let named = SERIALISATION.iter().flat_map(|name| source.find(std::slice::from_ref(name)));
    let right = "mirror the type in `results` and convert it in the harness";
    named
        .map(|token| Violation::new(RULE, &file.path, token.line, format!("`{}` in the engine", token.text), right))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_tells_apart, places};

    #[test]
    fn only_the_cli_talks_to_the_outside() {
        let path = "harness/src/measure.rs";
        assert_tells_apart(check, path, "fn f() { println!(\"x\"); }", "fn f() { writeln!(out, \"x\"); }");
        assert_tells_apart(check, path, "fn f() { eprint!(\"x\"); }", "fn f() -> String { format!(\"x\") }");
        assert_tells_apart(check, path, "fn f() { std::process::exit(1) }", "use std::process::Command;");
        assert_tells_apart(check, path, "use std::{env, fs};", "const V: &str = env!(\"CARGO_PKG_VERSION\");");
        assert_tells_apart(check, path, "use clap::Parser;", "struct Parser;");
        assert_tells_apart(check, path, "#[derive(clap::Args)] struct S;", "struct Clap;");
    }

    #[test]
    fn the_edge_itself_and_programs_of_their_own_are_free() {
        let text = "use clap::Parser; fn f() { println!(\"x\"); std::process::exit(1) }";
        let files = [
            "harness/src/cli/run.rs",
            "harness/src/main.rs",
            "ci/tidy/src/main.rs",
            "harness/build.rs",
            "results/tests/all.rs",
            "harness/benches/engine.rs",
        ];
        for path in files {
            assert_eq!(places(check, &[(path, text)]), Vec::<String>::new());
        }
        let inline = "#[cfg(test)] mod tests { fn f() { println!(\"x\"); } }";
        assert_eq!(places(check, &[("results/src/lib.rs", inline)]), Vec::<String>::new());
    }

    #[test]
    fn the_engine_does_not_serialise() {
        assert_tells_apart(check, "engine/src/dm.rs", "use serde::Serialize;", "use crate::block::Bio;");
        assert_tells_apart(check, "engine/src/dm.rs", "#[cfg(test)] mod t { use serde_json::X; }", "// serde\n");
        assert_eq!(places(check, &[("results/src/record.rs", "use serde::Serialize;")]), Vec::<String>::new());
    }
}
