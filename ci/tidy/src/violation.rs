//! What a rule has found: where, which rule, what is wrong and what would be right.
//!
//! The order is that of paths, then lines, so that output is the same on every machine.

use std::fmt;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Path from the repository's root.
    pub path: String,
    /// Line, from one; one for a breach by the file as a whole.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl Violation {
    /// A breach of `rule` at `path:line`.
    pub fn new(
        rule: &'static str,
        path: impl Into<String>,
        line: usize,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), line, rule, wrong: wrong.into(), right: right.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}: {} ({})", self.path, self.line, self.rule, self.wrong, self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_says_where_which_what_and_what_instead() {
        let found = Violation::new("sizes", "a/b.rs", 7, "too long", "split it");
        assert_eq!(found.to_string(), "a/b.rs:7: sizes: too long (split it)");
    }
}
