//! Ranks of the engine's modules: each imports only what stands before it in [`RANKS`].
//!
//! Names re-exported at the engine's root are followed home, so `crate::Machine` counts as `crate::machine`. The root
//! itself (`lib.rs`) stands outside the ranks, because it only re-exports. Test code is free: a test may drive its
//! module from above, the shipped engine may not.

use std::collections::BTreeMap;

use super::RULE;
use crate::source::Source;
use crate::tree::File;
use crate::{Tree, Violation};

/// The modules from the lowest rank to the highest. Modules of one rank do not import each other.
const RANKS: &[&[&str]] = &[
    &["variants"],
    &["sched"],
    &["sync"],
    &["observe"],
    &["block"],
    &["dm"],
    &["kcopyd", "stores", "selectors"],
    &["targets"],
    &["machine"],
];

const ROOT: &str = "engine/src/lib.rs";

/// Finds the imports that go up.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let exported = root_names(tree);
    let ranked = tree.rust_below("engine/src/").filter_map(|(file, source)| {
        let module = file.place.module()?.first()?;
        Some((file, source, module.as_str()))
    });
    ranked.flat_map(|(file, source, module)| imports(tree, &exported, file, source, module)).collect()
}

fn imports(
    tree: &Tree,
    exported: &BTreeMap<String, String>,
    file: &File,
    source: &Source,
    module: &str,
) -> Vec<Violation> {
    let Some(own) = rank(module) else {
        let right = "give it a rank in ARCHITECTURE.md and in RANKS, or move it into a ranked module";
        return vec![Violation::new(RULE, &file.path, 1, format!("engine module `{module}` has no rank"), right)];
    };
    let mut found = Vec::new();
    for path in source.outline().paths.iter().filter(|path| !tree.is_test(file, path.at)) {
        let place = file.place.module().unwrap_or_default();
        let is_module = |path: &[String]| tree.is_module("engine", path);
        let Some(resolved) = path.resolve(place, is_module) else { continue };
        let Some(first) = resolved.first() else { continue };
        if first == "*" {
            let wrong = format!("`{module}` imports the whole root");
            found.push(Violation::new(RULE, &file.path, path.line, wrong, "name the modules that it uses"));
            continue;
        }
        let target = exported.get(first).unwrap_or(first);
        if target != module && rank(target).is_some_and(|rank| rank >= own) {
            let wrong = format!("`{module}` names `crate::{first}`, which is of rank `{target}`");
            let right = format!("`{module}` may import: {}", below(own));
            found.push(Violation::new(RULE, &file.path, path.line, wrong, right));
        }
    }
    found
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&module))
}

fn below(rank: usize) -> String {
    let names = RANKS[..rank].concat();
    if names.is_empty() { "nothing of the engine".to_owned() } else { names.join(", ") }
}

/// Names that the root re-exports, each with the module that it comes from.
fn root_names(tree: &Tree) -> BTreeMap<String, String> {
    let root = tree.get(ROOT).and_then(|file| file.rust.as_ref());
    let paths = root.into_iter().flat_map(|source| &source.outline().paths);
    paths
        .filter_map(|path| {
            let bound = path.bound.as_ref()?;
            let skip = usize::from(matches!(path.segments[0].as_str(), "crate" | "self"));
            let module = path.segments.get(skip)?;
            (rank(bound).is_none() && rank(module).is_some()).then(|| (bound.clone(), module.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_tells_apart, places};

    #[test]
    fn no_module_imports_a_higher_rank() {
        let block = "engine/src/block/bio.rs";
        assert_tells_apart(check, block, "use crate::dm::Table;", "use crate::sync::Mutex;");
        assert_tells_apart(check, block, "use crate::{sched, dm::Table};", "use crate::{sched, sync};");
        assert_tells_apart(check, "engine/src/dm.rs", "fn f(_: crate::targets::T) {}", "fn f(_: crate::block::Bio) {}");
        assert_tells_apart(check, "engine/src/sync/a.rs", "use crate::observe::X;", "use crate::sched::X;");
        assert_tells_apart(check, "engine/src/observe.rs", "use crate::block::X;", "use crate::sync::X;");
    }

    #[test]
    fn super_is_no_way_up() {
        let path = "engine/src/block/queue/merge.rs";
        assert_tells_apart(check, path, "use super::super::super::dm::X;", "use super::super::bio::X;");
    }

    #[test]
    fn the_catalogue_imports_nothing_and_the_machine_everything() {
        assert_tells_apart(check, "engine/src/variants.rs", "use crate::sched::X;", "use self::inner::X;");
        assert_tells_apart(check, "engine/src/dm/a.rs", "use crate::machine::M;", "use crate::variants::V;");
        assert_eq!(places(check, &[("engine/src/machine/a.rs", "use crate::targets::T;")]), Vec::<String>::new());
    }

    #[test]
    fn a_name_re_exported_at_the_root_is_followed_home() {
        let root = ("engine/src/lib.rs", "pub mod machine;\npub use machine::Machine as Whole;");
        assert_eq!(places(check, &[root, ("engine/src/dm.rs", "\nuse crate::Whole;")]), ["engine/src/dm.rs:2"]);
        assert_eq!(places(check, &[root, ("engine/src/dm.rs", "\nuse crate::Other;")]), Vec::<String>::new());
        assert_eq!(places(check, &[("engine/src/dm.rs", "use crate::*;")]), ["engine/src/dm.rs:1"]);
    }

    #[test]
    fn modules_of_one_rank_do_not_import_each_other() {
        assert_tells_apart(check, "engine/src/kcopyd.rs", "use crate::stores::S;", "use crate::dm::S;");
    }

    #[test]
    fn a_module_without_a_rank_is_a_violation() {
        assert_eq!(places(check, &[("engine/src/helpers/a.rs", "")]), ["engine/src/helpers/a.rs:1"]);
        assert_eq!(places(check, &[("engine/src/dm/helpers.rs", "")]), Vec::<String>::new());
    }

    #[test]
    fn comments_strings_and_tests_are_free() {
        let text = "// crate::dm\n/// [`crate::dm`]\nconst X: &str = \"crate::dm\";\n\
                    #[cfg(test)] mod tests { use crate::dm::X; }";
        assert_eq!(places(check, &[("engine/src/sync.rs", text)]), Vec::<String>::new());
        assert_eq!(places(check, &[("engine/tests/all.rs", "use dmlab_engine::dm::X;")]), Vec::<String>::new());
    }
}
