//! Arrows between crates, read from the manifests.
//!
//! Invariants: a crate of this workspace depends only on the crates that [`ARROWS`] gives it, in every table — a
//! dev-dependency on another member would let a test lean on what the product must not know. Crates from outside are
//! free but for [`OUTSIDERS`], and those in the product's tables only.

use super::RULE;
use crate::manifest::{Manifest, Table};
use crate::{Tree, Violation};

/// Each crate, and the crates of this workspace that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("dmlab-units", &[]),
    ("dmlab-faults", &["dmlab-units"]),
    ("dmlab-engine", &["dmlab-units"]),
    ("dmlab-scenarios", &["dmlab-faults", "dmlab-units"]),
    ("dmlab-results", &["dmlab-units"]),
    ("dmlab", &["dmlab-engine", "dmlab-faults", "dmlab-results", "dmlab-scenarios", "dmlab-units"]),
    ("dmlab-tidy", &[]),
];

/// Crates from outside that only some crates may have.
const OUTSIDERS: &[(&str, &[&str])] = &[
    ("clap", &["dmlab"]),
    ("anyhow", &["dmlab"]),
    ("serde", &["dmlab", "dmlab-faults", "dmlab-results", "dmlab-scenarios", "dmlab-units"]),
    ("serde_json", &["dmlab", "dmlab-results", "dmlab-scenarios"]),
];

/// Finds the dependencies that go against the arrows.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let is_manifest = |path: &str| path.ends_with("/Cargo.toml");
    tree.files().filter(|file| is_manifest(&file.path)).flat_map(|file| manifest(&file.path, &file.text)).collect()
}

fn manifest(path: &str, text: &str) -> Vec<Violation> {
    let manifest = Manifest::parse(text);
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == manifest.name) else {
        let wrong = format!("crate `{}` is in no arrow", manifest.name);
        return vec![Violation::new(RULE, path, 1, wrong, "give it its arrows in ARCHITECTURE.md and in ARROWS")];
    };
    let is_member = |package: &str| ARROWS.iter().any(|(name, _)| *name == package);
    let mut found = Vec::new();
    for dependency in &manifest.dependencies {
        let package = dependency.package.as_str();
        let right = if is_member(package) && !allowed.contains(&package) {
            format!("its arrows lead to: {}", shown(allowed))
        } else if dependency.table != Table::Dev
            && let Some((_, owners)) = OUTSIDERS.iter().find(|(name, _)| *name == package)
            && !owners.contains(&manifest.name.as_str())
        {
            format!("only {} may", shown(owners))
        } else {
            continue;
        };
        let wrong = format!("`{}` depends on `{package}`", manifest.name);
        found.push(Violation::new(RULE, path, dependency.line, wrong, right));
    }
    found
}

fn shown(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_tells_apart;

    fn crate_with(name: &str, tables: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{tables}\n")
    }

    fn tells_apart(name: &str, bad: &str, good: &str) {
        assert_tells_apart(check, "x/Cargo.toml", &crate_with(name, bad), &crate_with(name, good));
    }

    #[test]
    fn a_crate_depends_along_its_arrows_only() {
        tells_apart(
            "dmlab-engine",
            "[dependencies]\ndmlab-faults = { workspace = true }",
            "[dependencies]\ndmlab-units = { workspace = true }",
        );
        tells_apart(
            "dmlab-units",
            "[dependencies]\ndmlab-engine.workspace = true",
            "[dependencies]\nthiserror = \"2\"",
        );
        tells_apart("dmlab-results", "[dependencies.dmlab-scenarios]", "[dependencies.dmlab-units]");
    }

    #[test]
    fn a_dev_dependency_is_looser_for_crates_from_outside_only() {
        tells_apart(
            "dmlab-engine",
            "[dev-dependencies]\ndmlab-faults = \"1\"",
            "[dev-dependencies]\nserde_json = \"1\"",
        );
    }

    #[test]
    fn a_renamed_dependency_is_seen_through() {
        let bad = "[dependencies]\nfaults = { package = \"dmlab-faults\", path = \"../faults\" }";
        tells_apart("dmlab-engine", bad, "[dependencies]\nfaults = \"1\"");
    }

    #[test]
    fn serde_stays_out_of_the_engine_and_clap_in_the_harness() {
        tells_apart("dmlab-engine", "[dependencies]\nserde = \"1\"", "[dependencies]\nsmallvec = \"1\"");
        assert_tells_apart(
            check,
            "x/Cargo.toml",
            &crate_with("dmlab-results", "[dependencies]\nclap = \"4\""),
            &crate_with("dmlab", "[dependencies]\nclap = \"4\""),
        );
    }

    #[test]
    fn a_crate_without_arrows_is_a_violation() {
        tells_apart("dmlab-units", "[package]\nname = \"dmlab-new\"", "");
    }
}
