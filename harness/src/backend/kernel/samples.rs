//! [`Samples`]: what was seen of a performance while it went on: the most objects of the caches that dm uses, the most I/Os
//! in flight, and the oldest of them.
//!
//! Invariants: every number is a lower bound, because looks have pauses; a look reads a few files and takes no lock of dm.
//! Not here: reading texts (`detect::slabinfo`, `detect::inflight`), judging (`senses`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dmlab_units::Nanos;

use crate::detect::inflight::{self, OldestInFlight};
use crate::detect::slabinfo::{DM_CACHES, SlabPeaks};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);

/// Looks at memory and I/O.
pub(super) struct Samples {
    began: Instant,
    looked: Option<Instant>,
    /// How the run's own names begin in the kernel.
    prefix: String,
    slabs: SlabPeaks,
    inflight: OldestInFlight,
    in_flight_max: u64,
    oldest: Option<(String, Nanos)>,
}

impl Samples {
    /// Nothing yet, of a run whose names begin so.
    pub(super) fn of(prefix: String) -> Self {
        Self {
            began: Instant::now(),
            looked: None,
            prefix,
            slabs: SlabPeaks::default(),
            inflight: OldestInFlight::default(),
            in_flight_max: 0,
            oldest: None,
        }
    }

    /// Takes a look, if it is time for one.
    pub(super) fn look(&mut self) {
        if self.looked.is_some_and(|before| before.elapsed() < EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        self.look_at(Path::new("/proc/slabinfo"), Path::new("/sys/block"));
    }

    fn look_at(&mut self, slabinfo: &Path, block: &Path) {
        let now = Nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.slabs.look(&fs::read_to_string(slabinfo).unwrap_or_default(), DM_CACHES);
        let mut in_flight = 0;
        for entry in fs::read_dir(block).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some(stat) = inflight::parse(&text) else { continue };
            // Of dm devices the run's own, by the names that the scenario gives them; of others those of memory.
            let disk = entry.file_name().to_string_lossy().into_owned();
            let name = match fs::read_to_string(entry.path().join("dm/name")) {
                Ok(name) => match name.trim().strip_prefix(&self.prefix) {
                    Some(own) => own.to_owned(),
                    None => continue,
                },
                Err(_) => disk,
            };
            in_flight += stat.in_flight;
            self.inflight.look(&name, stat, now);
        }
        self.in_flight_max = self.in_flight_max.max(in_flight);
        if let Some((device, age)) = self.inflight.oldest(now)
            && self.oldest.as_ref().is_none_or(|(_, before)| age > *before)
        {
            self.oldest = Some((device.to_owned(), age));
        }
    }

    /// What was seen, by name.
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        let slabs = self.slabs.caches.iter().map(|(name, peak)| (format!("slab.{name}.objects_max"), peak.objects_max));
        let oldest = self.oldest.as_ref().map_or(0, |(_, age)| age.0);
        let io = [("in_flight_max".to_owned(), self.in_flight_max), ("oldest_in_flight_ns_max".to_owned(), oldest)];
        slabs.chain(io).collect()
    }

    /// The same as a sentence of a report on what went wrong.
    pub(super) fn in_words(&self) -> String {
        let oldest = self.oldest.as_ref().map_or_else(String::new, |(device, age)| {
            format!(", the oldest on {device} for {:.1} s", age.0 as f64 / 1e9)
        });
        let slabs: String =
            self.slabs.caches.iter().map(|(name, peak)| format!(", {name} {}", peak.objects_max)).collect();
        format!("at most {} I/Os were in flight at once{oldest}; most objects in use{slabs}", self.in_flight_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_of_own_devices_and_of_the_caches_that_dm_uses() {
        let folder = tempfile::tempdir().unwrap();
        let (slabinfo, block) = (folder.path().join("slabinfo"), folder.path().join("block"));
        let disk = |name: &str, called: Option<&str>, in_flight: u64| {
            let disk = block.join(name);
            fs::create_dir_all(disk.join("dm")).unwrap();
            fs::write(disk.join("stat"), format!("5 0 8 0 2 0 16 1 {in_flight} 2 2")).unwrap();
            if let Some(called) = called {
                fs::write(disk.join("dm/name"), format!("{called}\n")).unwrap();
            }
        };
        disk("dm-0", Some("dmlab-1.2-t"), 3);
        disk("dm-1", Some("somebodys"), 9);
        disk("nullb0", None, 0);
        let mut samples = Samples::of("dmlab-1.2-".to_owned());
        fs::write(&slabinfo, "kcopyd_job 12 20 3264 10 8\ndentry 7 8 192 1 1\n").unwrap();
        samples.look_at(&slabinfo, &block);
        std::thread::sleep(Duration::from_millis(2));
        fs::write(&slabinfo, "kcopyd_job 5 20 3264 10 8\n").unwrap();
        samples.look_at(&slabinfo, &block);
        let counters = samples.counters();
        assert_eq!(counters["slab.kcopyd_job.objects_max"], 12);
        assert_eq!(counters["in_flight_max"], 3, "not somebody's");
        assert!(counters["oldest_in_flight_ns_max"] >= 2_000_000, "{counters:?}");
        assert_eq!(counters.len(), 3, "{counters:?}");
        let words = samples.in_words();
        assert!(words.contains("the oldest on t for") && words.contains("kcopyd_job 12"), "{words}");
        disk("dm-0", Some("dmlab-1.2-t"), 1);
        samples.look_at(&slabinfo, &block);
        assert_eq!(samples.counters()["in_flight_max"], 3, "a peak stays");
    }
}
