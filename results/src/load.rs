//! [`LoadRecord`], [`Direction`], [`Latency`]: what one load did, under fio's names and in fio's units.
//!
//! Invariants: rates are zero when no time has passed; a latency without samples has no percentiles; `bins` hold all
//! samples, so that the latencies of two records can be merged or compared as distributions.
//! Not here: measuring, and the arithmetic of latencies (`histogram`).
//!
//! The names are fio's (`jobs[].read.clat_ns.percentile["99.000000"]`, `bins` as in its `json+`), so that the jq
//! one-liners and converters that people have for fio work on the entries of `loads`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::histogram::PERCENTILES;
use crate::{Histogram, Number};

/// What one load did in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// The name of the load step.
    pub jobname: String,
    /// The phase of the scenario during which this was measured (before a fault, during, after); `None` when the
    /// scenario has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The device that it ran on.
    pub on: String,
    /// Concurrent submitters.
    pub numjobs: u32,
    /// I/Os that each submitter keeps in flight.
    pub iodepth: u32,
    /// Bytes per I/O.
    pub bs: u64,
    /// The pattern, in fio's word: `randwrite`.
    pub rw: String,
    /// The reads.
    pub read: Direction,
    /// The writes.
    pub write: Direction,
    /// The discards, where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim: Option<Direction>,
    /// The flushes after writes (fio: `fsync`), where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<Direction>,
    /// I/Os that completed with an error.
    pub errors: u64,
    /// How long the load ran, on the clock of its runtime.
    pub runtime_ns: u64,
    /// The longest times of at least a millisecond in which a submitter had I/O in flight and none of it ended, the
    /// longest first, at most three. A stall belongs to the phase in which it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stalls: Vec<StallRecord>,
    /// The longest time that an I/O of the load was in flight, over all phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_inflight_ns: Option<u64>,
}

/// A time in which nothing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StallRecord {
    /// When it began, on the clock of the runtime.
    pub at_ns: u64,
    /// How long it lasted.
    pub length_ns: u64,
}

impl LoadRecord {
    /// I/Os in all directions.
    pub fn total_ios(&self) -> u64 {
        let trims = self.trim.as_ref().map_or(0, |trim| trim.total_ios);
        self.read.total_ios.saturating_add(self.write.total_ios).saturating_add(trims)
    }

    /// Bytes in all directions.
    pub fn io_bytes(&self) -> u64 {
        let trims = self.trim.as_ref().map_or(0, |trim| trim.io_bytes);
        self.read.io_bytes.saturating_add(self.write.io_bytes).saturating_add(trims)
    }

    /// The latency of reads and writes together, from their samples.
    pub fn latency(&self) -> Latency {
        let (read, write) = (&self.read.clat_ns, &self.write.clat_ns);
        match (read.samples, write.samples) {
            (_, 0) => read.clone(),
            (0, _) => write.clone(),
            _ => {
                let mut both = Histogram::from_latency(read);
                both.merge(&Histogram::from_latency(write));
                both.to_latency()
            }
        }
    }
}

/// The reads or the writes of a load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Bytes transferred.
    pub io_bytes: u64,
    /// I/Os completed.
    pub total_ios: u64,
    /// Bytes per second.
    pub bw_bytes: u64,
    /// I/Os per second.
    pub iops: Number,
    /// Time from submission to completion.
    pub clat_ns: Latency,
    /// Time from when the I/O was due to completion, where the load has a rate: a device that falls behind shows here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat_ns: Option<Latency>,
}

impl Direction {
    /// What was counted, with the rates that follow from it.
    pub fn new(io_bytes: u64, total_ios: u64, runtime_ns: u64, latencies: &Histogram) -> Self {
        Self::measured(io_bytes, total_ios, runtime_ns, latencies, None)
    }

    /// As [`Self::new`], with these percentiles (thousandths of a percent) in place of fio's default ones.
    pub fn measured(
        io_bytes: u64,
        total_ios: u64,
        runtime_ns: u64,
        latencies: &Histogram,
        percentiles: Option<&[u32]>,
    ) -> Self {
        let bw_bytes = if runtime_ns == 0 {
            0
        } else {
            u64::try_from(u128::from(io_bytes) * 1_000_000_000 / u128::from(runtime_ns)).unwrap_or(u64::MAX)
        };
        let iops = Number::per_second(total_ios, runtime_ns);
        Self { io_bytes, total_ios, bw_bytes, iops, clat_ns: latency(latencies, percentiles), lat_ns: None }
    }
}

impl Direction {
    /// With latencies from when I/Os were due.
    #[must_use]
    pub fn with_lat(self, latencies: Option<Histogram>, percentiles: Option<&[u32]>) -> Self {
        Self { lat_ns: latencies.map(|latencies| latency(&latencies, percentiles)), ..self }
    }
}

fn latency(latencies: &Histogram, percentiles: Option<&[u32]>) -> Latency {
    latencies.to_latency_at(percentiles.unwrap_or(&PERCENTILES))
}

/// A distribution of latencies in nanoseconds. Made by [`Histogram::to_latency`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The shortest, exactly; 0 without samples.
    pub min: u64,
    /// The longest, exactly; 0 without samples.
    pub max: u64,
    /// The mean.
    pub mean: Number,
    /// The standard deviation of the samples (not an estimate for a population).
    pub stddev: Number,
    /// How many samples; `N` in JSON, as in fio.
    #[serde(rename = "N")]
    pub samples: u64,
    /// fio's default percentiles under fio's keys, `"50.000000"` to `"99.990000"`; empty without samples.
    pub percentile: BTreeMap<String, u64>,
    /// The samples: value and count, values ascending. An object in JSON, as in fio's `json+`.
    #[serde(with = "bins")]
    pub bins: Vec<(u64, u64)>,
}

/// Bins as a JSON object from value to count, in the order of the values (text order would put 1000 before 2).
mod bins {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bins: &[(u64, u64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(bins.iter().copied())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u64, u64)>, D::Error> {
        Ok(BTreeMap::<u64, u64>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn loads_speak_the_words_of_fio() {
        let json = serde_json::to_value(testing::load()).unwrap();
        assert_eq!(json["jobname"], "writers");
        assert_eq!(json["write"]["total_ios"], 1000);
        assert_eq!(json["write"]["iops"], 12_300.0);
        assert_eq!(json["write"]["bw_bytes"], 50_380_800);
        assert_eq!(json["write"]["clat_ns"]["N"], 1000);
        assert!(json["write"]["clat_ns"]["percentile"]["99.000000"].is_u64());
        assert_eq!(json["read"]["clat_ns"]["percentile"], serde_json::json!({}));
    }

    #[test]
    fn bins_are_an_object_in_the_order_of_the_values() {
        let latency = Latency { bins: vec![(2, 1), (10, 3), (1000, 2)], ..Latency::default() };
        let json = serde_json::to_string(&latency).unwrap();
        assert!(json.ends_with(r#""bins":{"2":1,"10":3,"1000":2}}"#), "{json}");
        assert_eq!(serde_json::from_str::<Latency>(&json).unwrap(), latency);
    }

    #[test]
    fn a_load_that_took_no_time_has_no_rate() {
        let direction = Direction::new(4096, 1, 0, &Histogram::new());
        assert_eq!((direction.bw_bytes, direction.iops), (0, Number::ZERO));
        assert!(!serde_json::to_string(&direction).unwrap().contains("null"));
        let fast = Direction::new(u64::MAX, u64::MAX, 1, &Histogram::new());
        assert_eq!(fast.bw_bytes, u64::MAX);
    }

    #[test]
    fn the_latency_of_a_load_is_that_of_reads_and_writes_together() {
        let mut load = testing::load();
        assert_eq!(load.latency(), load.write.clat_ns);
        let mut reads = Histogram::new();
        (0..3000).for_each(|_| reads.record(50));
        load.read.clat_ns = reads.to_latency();
        let both = load.latency();
        assert_eq!((both.samples, both.min), (4000, 50));
        assert_eq!(both.max, load.write.clat_ns.max);
        assert_eq!(both.percentile["50.000000"], 50);
    }
}
