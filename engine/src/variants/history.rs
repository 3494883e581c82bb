//! [`Variants::as_of`]: the whole stack of one kernel.
//!
//! Invariant: what a kernel did is what the catalogue says of each value's kernels, and nothing else; the tests hold it
//! against a second table, by axis, of the first kernel of each value.
//! Not here: which axis a kernel is combined with others on (the harness).

use super::{Kernel, Variants};

impl Variants {
    /// What `kernel` did, on every axis.
    ///
    /// # Panics
    /// Never: every kernel that can be named has one value on every axis (tested).
    pub fn as_of(kernel: Kernel) -> Self {
        let mut variants = Self::default();
        for axis in Self::AXES {
            let value = axis.values.iter().find(|value| value.releases().contains(kernel));
            let value = value.expect("every kernel has a value on every axis");
            variants.set(axis.name, value.name).expect("the catalogue knows its own names");
        }
        variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variants::Kernels;

    #[test]
    fn every_kernel_has_exactly_one_value_on_every_axis() {
        for kernel in Kernel::all() {
            for axis in Variants::AXES {
                let values = axis.values.iter().filter(|value| Kernels::parse(value.kernels).unwrap().contains(kernel));
                let values: Vec<_> = values.map(|value| value.name).collect();
                assert_eq!(values.len(), 1, "{} in {kernel}: {values:?}", axis.name);
            }
        }
    }

    /// By axis: the first kernel of each value, oldest first. Written down apart from the ranges of the catalogue.
    const CUT_OVERS: &[(&str, &[(&str, &str)])] = &[
        ("gmr", &[("2.6.0", "recurse"), ("2.6.22", "fifo"), ("4.11-rc1", "hidden"), ("4.11", "sorted")]),
        (
            "split",
            &[
                ("2.6.0", "loop"),
                ("4.16-rc1", "depth-first"),
                ("5.18", "trim"),
                ("5.19", "depth-first"),
                ("6.0", "trim"),
            ],
        ),
        ("rescue", &[("2.6.0", "none"), ("3.9", "punt-own"), ("4.16-rc1", "none")]),
        ("rescuer_sets", &[("2.6.0", "every"), ("4.13", "flagged")]),
        ("offload", &[("2.6.0", "none"), ("4.11-rc1", "unchecked"), ("4.13", "checked"), ("4.16-rc1", "none")]),
        ("bio_split", &[("2.6.0", "freed"), ("4.3", "present"), ("4.4", "freed"), ("4.16-rc1", "present")]),
        ("chain_status", &[("2.6.0", "overwritten"), ("4.16", "sticky")]),
        ("clone_vecs", &[("2.6.0", "copied"), ("3.14", "shared")]),
        ("kcopyd_subjob", &[("2.6.0", "64k"), ("5.4", "512k")]),
        ("duplicates", &[("2.6.0", "serial"), ("4.16-rc1", "all-or-nothing")]),
        ("requeue", &[("2.6.0", "two-stages"), ("5.18", "shared-original"), ("5.19", "two-stages")]),
        ("flush", &[("2.6.0", "through-map"), ("6.12", "to-devices")]),
        ("cow_throttle", &[("2.6.0", "none"), ("5.0", "semaphore"), ("5.4", "wait")]),
        ("snap_lock", &[("2.6.0", "rwsem"), ("4.15", "mutex"), ("5.2", "buckets")]),
        ("chunk_tracking", &[("2.6.0", "off"), ("2.6.27", "on")]),
        ("pending_poll", &[("2.6.0", "locked"), ("5.2", "unlocked")]),
        ("origin_boundary", &[("2.6.0", "zero"), ("5.13", "pow2")]),
        ("zero_chunk", &[("2.6.0", "accepted"), ("5.13", "refused")]),
        ("embedded_pools", &[("2.6.0", "zeroed")]),
        ("commit_order", &[("2.6.0", "completion"), ("3.13", "allocation")]),
        ("planted", &[("2.6.0", "none")]),
    ];

    #[test]
    fn what_a_kernel_did_agrees_with_the_table_of_cut_overs() {
        let mut axes: Vec<&str> = CUT_OVERS.iter().map(|(axis, _)| *axis).collect();
        axes.retain(|axis| Variants::axis(axis).is_some());
        assert_eq!(axes.len(), Variants::AXES.len(), "an axis without its row, or a row without its axis");
        for kernel in Kernel::all() {
            for (axis, value) in Variants::as_of(kernel).names() {
                let (_, row) = CUT_OVERS.iter().find(|(name, _)| *name == axis).unwrap();
                let begun = |first: &str| first.parse::<Kernel>().unwrap() <= kernel;
                let (_, wanted) = row.iter().rev().find(|(first, _)| begun(first)).unwrap();
                assert_eq!(value, *wanted, "{axis} in {kernel}");
            }
        }
    }

    #[test]
    fn the_newest_kernel_is_the_default() {
        assert_eq!(Variants::as_of("6.12".parse().unwrap()), Variants::default());
    }

    #[test]
    fn every_historic_value_says_what_it_is_good_and_bad_at() {
        for axis in Variants::AXES.iter().filter(|axis| axis.name != "planted") {
            for value in axis.values {
                assert!(!value.good.is_empty(), "{}={}", axis.name, value.name);
                assert!(!value.bad.is_empty(), "{}={}", axis.name, value.name);
                assert!(![value.good, value.bad].concat().contains("  "), "{}={}", axis.name, value.name);
            }
        }
    }
}
