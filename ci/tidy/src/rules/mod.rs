//! The rules, one file each, and the table that runs them.
//!
//! A rule is a function from the tree to violations: no state, no disk, no order between rules. To add one, write its
//! file with a test that shows it failing, and add its line to [`RULES`].

use crate::{Tree, Violation};

mod banned_names;
mod dead_files;
mod headers;
mod import_law;
mod machine_paths;
mod sizes;
mod toplevel;
mod unsafe_files;

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Name, as printed with each violation.
    pub name: &'static str,
    /// What it asks for, in one line.
    pub about: &'static str,
    /// Finds the violations.
    pub check: fn(&Tree) -> Vec<Violation>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: import_law::RULE,
        about: "crates and engine modules import along the arrows of ARCHITECTURE.md only",
        check: import_law::check,
    },
    Rule {
        name: banned_names::RULE,
        about: "no locks, clocks or random state in the engine; no hash maps, no leftovers anywhere",
        check: banned_names::check,
    },
    Rule { name: unsafe_files::RULE, about: "unsafe code in the listed files only", check: unsafe_files::check },
    Rule { name: headers::RULE, about: "every file says its job in its first lines", check: headers::check },
    Rule { name: sizes::RULE, about: "no file and no line too long to read", check: sizes::check },
    Rule { name: dead_files::RULE, about: "every file below src is part of its crate", check: dead_files::check },
    Rule { name: machine_paths::RULE, about: "no path of somebody's own machine", check: machine_paths::check },
    Rule { name: toplevel::RULE, about: "the top level is the one of ARCHITECTURE.md", check: toplevel::check },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_names_are_distinct() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(RULES[..index].iter().all(|earlier| earlier.name != rule.name), "{} twice", rule.name);
        }
    }
}
