//! What there must be for a scenario to be run at all.
//!
//! Invariant: a requirement that is not met skips a cell; it never makes one pass.
//! Not here: which target types and kernels there are (the harness asks the engine).

use super::Relation;

/// What there must be; all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Requires {
    /// Target types, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Bounds on the kernel, all of which must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernel: Vec<KernelBound>,
    /// Modules of a real kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Whether a real kernel must be driven as root.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
}

impl Requires {
    /// Whether nothing is required.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A comparison with a kernel, written `>= 4.18`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KernelBound {
    /// How to compare.
    pub relation: Relation,
    /// A release, as it is written; whether there is such a one the engine knows.
    pub kernel: String,
}

/// As scenarios write it.
impl std::fmt::Display for KernelBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.relation.sign(), self.kernel)
    }
}
