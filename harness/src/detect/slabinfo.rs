//! [`SlabPeaks`]: the most that caches of the kernel held, from looks at `/proc/slabinfo`.
//!
//! Invariants: a peak is what a look saw, so it is a lower bound; caches that are not asked for are not kept.
//! Not here: how often somebody looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Caches by which dm's use of memory is told.
pub const DM_CACHES: &[&str] =
    &["kcopyd_job", "dm_snap_pending_exception", "dm_exception", "dm_bio_prison_cell", "bio-"];

/// A cache, as a line of `/proc/slabinfo` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slab<'a> {
    /// Its name.
    pub name: &'a str,
    /// Objects in use.
    pub active: u64,
    /// Bytes of an object, with what debugging adds.
    pub object_bytes: u64,
}

/// The caches in `/proc/slabinfo`, version 2.x; lines that are none are left out.
pub fn parse(text: &str) -> impl Iterator<Item = Slab<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let mut number = || words.next()?.parse().ok();
        let (active, _all, object_bytes) = (number()?, number()?, number()?);
        Some(Slab { name, active, object_bytes })
    })
}

/// The most that was seen of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlabPeak {
    /// Objects in use at once.
    pub objects_max: u64,
    /// Bytes of an object.
    pub object_bytes: u64,
}

/// The most that was seen of each cache that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlabPeaks {
    /// By name.
    pub caches: BTreeMap<String, SlabPeak>,
}

impl SlabPeaks {
    /// Takes a look: at caches with one of these names, or whose name begins with one that ends in `-`.
    pub fn look(&mut self, text: &str, names: &[&str]) {
        let wanted =
            |cache: &str| names.iter().any(|name| *name == cache || name.ends_with('-') && cache.starts_with(name));
        for slab in parse(text).filter(|slab| wanted(slab.name)) {
            let peak = self.caches.entry(slab.name.to_owned()).or_default();
            peak.objects_max = peak.objects_max.max(slab.active);
            peak.object_bytes = slab.object_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("texts/slabinfo.txt");

    #[test]
    fn the_caches_of_a_real_kernel_are_read() {
        let slabs: Vec<_> = parse(TEXT).collect();
        let found = slabs.iter().find(|slab| slab.name == "kcopyd_job").unwrap();
        assert!(found.object_bytes > 3000, "{found:?}");
        assert!(slabs.iter().all(|slab| slab.name != "slabinfo"), "the head is no cache");
        assert_eq!(parse("slabinfo - version: 2.1\n# name\nx y z\n").count(), 0);
    }

    #[test]
    fn a_peak_is_the_highest_of_all_looks_at_a_cache_that_is_asked_for() {
        let mut peaks = SlabPeaks::default();
        for active in [3, 12, 5] {
            let text = format!(
                "kcopyd_job {active} 20 3264 10 8 : tunables\nbio-184 {active} 9 184 1 1\ndentry 7 8 192 1 1\n"
            );
            peaks.look(&text, DM_CACHES);
        }
        let seen: Vec<_> = peaks.caches.iter().map(|(name, peak)| (&**name, peak.objects_max)).collect();
        assert_eq!(seen, [("bio-184", 12), ("kcopyd_job", 12)]);
    }
}
