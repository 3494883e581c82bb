//! [`Pooled`]: the loads of one name as one, over all of the time or in one phase.
//!
//! Invariants: time counts while at least one of the loads ran, once, however many of them did; an I/O counts in the phase
//! in which it ended.
//! Not here: loads by themselves (`findings`).

use dmlab_results::Histogram;
use dmlab_units::Nanos;

use super::findings::Findings;
use super::phases::time_in;

/// What the loads of one name did.
#[derive(Default)]
pub struct Pooled {
    /// How long at least one of them ran.
    pub time: Nanos,
    /// Reads, writes and discards.
    pub ios: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// I/Os of any kind that failed.
    pub errors: u64,
    /// From submission to end.
    pub clat: Histogram,
    /// From the time they were due to their end; empty without a rate.
    pub lat: Histogram,
    /// The longest time, in all phases, that a job had I/O in flight of which none ended.
    pub longest_stall: Nanos,
}

impl Findings {
    /// The loads called `name`, in the phases called `phase` or in all; `None` if none has ended.
    pub fn pooled(&self, name: &str, phase: Option<&str>) -> Option<Pooled> {
        let mut loads = self.loads.iter().filter(|finding| finding.load.name.as_deref() == Some(name)).peekable();
        loads.peek()?;
        let mut pooled = Pooled::default();
        let mut spans = Vec::new();
        for job in loads.flat_map(|finding| &finding.jobs) {
            spans.push(job.span);
            pooled.longest_stall = pooled.longest_stall.max(job.longest_stall);
            for tally in job.phases.iter().filter(|tally| phase.is_none() || tally.phase.as_deref() == phase) {
                pooled.errors += tally.errors;
                for counted in [&tally.reads, &tally.writes, &tally.trims] {
                    pooled.ios += counted.ios;
                    pooled.bytes += counted.bytes;
                    counted.clat.iter().for_each(|clat| pooled.clat.merge(clat));
                    counted.lat.iter().for_each(|lat| pooled.lat.merge(lat));
                }
            }
        }
        let length = |span: (Nanos, Nanos)| match phase {
            Some(_) => time_in(&self.phases, phase, span),
            None => span.1.saturating_sub(span.0),
        };
        pooled.time = Nanos(joined(spans).into_iter().map(|span| length(span).0).sum());
        Some(pooled)
    }
}

/// The same times, each once.
fn joined(mut spans: Vec<(Nanos, Nanos)>) -> Vec<(Nanos, Nanos)> {
    spans.sort_unstable();
    let mut joined: Vec<(Nanos, Nanos)> = Vec::new();
    for span in spans {
        match joined.last_mut().filter(|last| span.0 <= last.1) {
            Some(last) => last.1 = last.1.max(span.1),
            None => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_at_once_count_once() {
        let spans = [(5, 9), (0, 3), (2, 4), (9, 10)].map(|(begin, end)| (Nanos(begin), Nanos(end)));
        let found: Vec<_> = joined(spans.to_vec()).into_iter().map(|(begin, end)| (begin.0, end.0)).collect();
        assert_eq!(found, [(0, 4), (5, 10)]);
    }
}
