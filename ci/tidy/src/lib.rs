//! The house rules as a program: import law, banned names, unsafe files, headers, sizes, dead files.
//!
//! Reading order: [`lexer`] (code and comments as two views), [`tokens`], [`outline`] (modules, paths, test ranges),
//! [`source`] (all of it for one file), [`layout`] (a file's place in its crate), [`tree`] (the repository),
//! [`manifest`] (dependencies), [`rules`] (one file per rule).
//!
//! Invariants: a rule sees the tree and nothing else; every rule has a test that shows it failing; the output is in
//! the order of paths and lines. Rules look at tokens, not at types: what the compiler or clippy can check is left to
//! them.

use std::io;
use std::path::Path;

pub mod layout;
pub mod lexer;
pub mod manifest;
pub mod outline;
pub mod rules;
pub mod source;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod tree;
mod violation;

pub use tree::Tree;
pub use violation::Violation;

/// Checks the repository at `root` against every rule.
///
/// # Errors
///
/// When the repository cannot be read or has no files.
pub fn check(root: &Path) -> io::Result<Vec<Violation>> {
    Ok(check_tree(&Tree::read(root)?))
}

/// Checks a tree against every rule.
#[must_use]
pub fn check_tree(tree: &Tree) -> Vec<Violation> {
    let mut found: Vec<Violation> = rules::RULES.iter().flat_map(|rule| (rule.check)(tree)).collect();
    found.sort();
    found
}
