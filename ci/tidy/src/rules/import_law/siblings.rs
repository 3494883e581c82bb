//! Targets of the engine do not know each other.
//!
//! A file of `engine/src/targets/<name>` may not name another module of `targets`, apart from those in [`SHARED`];
//! what two targets need belongs into a lower rank. `targets/mod.rs` and `targets/registry.rs` name all targets: that
//! is their job. A glob over the parent is refused as well, for it hides which names are used. Test code is free.

use super::RULE;
use crate::source::Source;
use crate::tree::File;
use crate::{Tree, Violation};

const FOLDER: &str = "targets";

/// Modules of `targets` that are no targets, each with the reason why targets may name it.
const SHARED: &[(&str, &str)] = &[("registry", "a target's constructor may return the registry's own error type")];

/// Finds the targets that name their siblings.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let targets = tree.rust_below("engine/src/targets/").filter_map(|(file, source)| {
        let own = file.place.module()?.get(1)?;
        (own != "registry").then_some((file, source, own.as_str()))
    });
    targets.flat_map(|(file, source, own)| siblings(tree, file, source, own)).collect()
}

fn siblings(tree: &Tree, file: &File, source: &Source, own: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for path in source.outline().paths.iter().filter(|path| !tree.is_test(file, path.at)) {
        let place = file.place.module().unwrap_or_default();
        let is_module = |path: &[String]| tree.is_module("engine", path);
        let Some(resolved) = path.resolve(place, is_module) else { continue };
        let [folder, named, ..] = resolved.as_slice() else { continue };
        if folder != FOLDER || named == own || SHARED.iter().any(|(shared, _)| shared == named) {
            continue;
        }
        if named == "*" || is_module(&resolved[..2]) {
            let wrong = format!("target `{own}` names `{}`", resolved[..2].join("::"));
            let right = "targets do not know each other; what both need belongs into a lower rank";
            found.push(Violation::new(RULE, &file.path, path.line, wrong, right));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::places;

    const NONE: [String; 0] = [];

    fn found(path: &str, text: &str) -> Vec<String> {
        let others = ["linear", "zero", "registry", "snapshot/mod", "snapshot/store"];
        let others = others.map(|name| format!("engine/src/targets/{name}.rs"));
        let mut files: Vec<(&str, &str)> = others.iter().map(|path| (path.as_str(), "")).collect();
        files.push((path, text));
        places(check, &files)
    }

    #[test]
    fn a_target_does_not_name_a_sibling() {
        let delay = "engine/src/targets/delay.rs";
        assert_eq!(found(delay, "use super::linear::Linear;"), ["engine/src/targets/delay.rs:1"]);
        assert_eq!(found(delay, "use crate::targets::{zero, linear::Linear};").len(), 2);
        assert_eq!(found(delay, "fn f() { super::zero::make(); }").len(), 1);
        assert_eq!(found(delay, "use super::*;").len(), 1);
        assert_eq!(found("engine/src/targets/snapshot/cow.rs", "use super::super::linear::X;").len(), 1);
    }

    #[test]
    fn a_target_names_its_own_modules_and_the_folder_s_own_items() {
        assert_eq!(found("engine/src/targets/delay.rs", "use super::{Common, registry::Error};"), NONE);
        assert_eq!(found("engine/src/targets/snapshot/cow.rs", "use super::store::X;"), NONE);
        assert_eq!(found("engine/src/targets/snapshot/mod.rs", "mod store; use store::X;"), NONE);
    }

    #[test]
    fn the_registry_and_the_folder_s_root_name_all() {
        assert_eq!(found("engine/src/targets/registry.rs", "use super::linear::Linear;"), NONE);
        assert_eq!(found("engine/src/targets/mod.rs", "mod linear; pub use linear::Linear;"), NONE);
    }
}
