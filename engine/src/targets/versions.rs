//! Versions of the target types by kernel, as `dmsetup targets` prints them.
//!
//! Source: the `.version` of each `struct target_type` in Linux 6.1 and 6.12. Between the two, a version is known where both
//! have the same; before 6.1 none is: it is left out, not guessed.
//! Not here: what differs in what the types do.

use super::TYPES;
use crate::variants::Kernel;

/// Types that another version had in 6.1.
const IN_6_1: &[(&str, [u32; 3])] = &[("delay", [1, 3, 0]), ("error", [1, 5, 0]), ("zero", [1, 1, 0])];

/// Each type that kernels have, with its version in `kernel` where that is known.
pub fn versions(kernel: Kernel) -> Vec<(&'static str, Option<[u32; 3]>)> {
    let release = |text: &str| text.parse::<Kernel>().expect("a release of the table");
    let (first, last) = (release("6.1"), release("6.12"));
    let version = |name: &str, newest: [u32; 3]| {
        let changed = IN_6_1.iter().find(|(changed, _)| *changed == name).map(|(_, version)| *version);
        match changed {
            _ if kernel == last => Some(newest),
            _ if kernel < first => None,
            None => Some(newest),
            Some(oldest) => (kernel == first).then_some(oldest),
        }
    };
    // No kernel has a gate.
    let kinds = TYPES.iter().filter(|kind| kind.name != "gate");
    kinds.map(|kind| (kind.name, version(kind.name, kind.version))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, kernel: &str) -> Option<[u32; 3]> {
        let all = versions(kernel.parse().unwrap());
        all.into_iter().find(|(known, _)| *known == name).expect("a type that kernels have").1
    }

    #[test]
    fn versions_are_told_where_a_source_says_so() {
        assert_eq!(
            ["6.1", "6.12", "6.6", "4.9"].map(|kernel| version("linear", kernel)).map(|v| v.is_some()),
            [true, true, true, false]
        );
        assert_eq!(version("error", "6.1"), Some([1, 5, 0]));
        assert_eq!(version("error", "6.6"), None);
        assert_eq!(version("error", "6.12"), Some([1, 7, 0]));
        for (name, _) in IN_6_1 {
            assert_ne!(version(name, "6.1"), version(name, "6.12"), "{name}");
        }
        assert!(versions("6.12".parse().unwrap()).iter().all(|(name, _)| *name != "gate"));
    }
}
