//! `loads` of an expectation: the figures of loads against their bounds.
//!
//! What is verified: that each figure of the named loads, pooled over all of the time or a phase, compares as the scenario
//! says. What did not run, or has no samples, breaks its bound: a figure that is not there proves nothing.
//! Not verified here: whether the figures are right (the tests of `script::load`).

use dmlab_results::{Histogram, Latency};
use dmlab_scenarios::{Amount, Figure, LoadBound, LoadRef, Statistic};

use crate::script::Findings;

/// Says which bounds do not hold.
pub(super) fn check(bounds: &LoadBound, findings: &Findings, complain: &mut dyn FnMut(String)) {
    for (figure, bound) in &bounds.figures {
        let (name, wanted) = (figure.name(), bound.shown(*figure));
        let found = match thousandths(*figure, &bounds.load, findings) {
            Ok(found) => found,
            Err(why) => {
                complain(format!("load {}: no {name}, expected {wanted}: {why}", bounds.load));
                continue;
            }
        };
        let mut missing = None;
        let amount = bound.thousandths(|load| {
            thousandths(*figure, load, findings).map_err(|why| missing = Some(format!("{load} has none: {why}"))).ok()
        });
        let shown = figure.shown(found);
        match amount {
            None => {
                let why = missing.unwrap_or_default();
                complain(format!("load {}: {name} is {shown}, expected {wanted}, but {why}", bounds.load));
            }
            Some(amount) if !bound.relation.holds(&found, &amount) => {
                let comes_to = match bound.amount {
                    Amount::Fixed(_) => String::new(),
                    Amount::Times(..) => format!(", which is {}", figure.shown(amount)),
                };
                complain(format!("load {}: {name} is {shown}, expected {wanted}{comes_to}", bounds.load));
            }
            Some(_) => {}
        }
    }
}

/// A figure in thousandths of its unit, or why there is none.
fn thousandths(figure: Figure, load: &LoadRef, findings: &Findings) -> Result<u128, String> {
    let pooled = findings.pooled(&load.name, load.phase.as_deref()).ok_or("no such load came to its end")?;
    let a_second = |amount: u64| match pooled.time.0 {
        0 => Err("it did not run then".to_owned()),
        time => Ok(u128::from(amount) * 1_000_000_000_000 / u128::from(time)),
    };
    match figure {
        Figure::Iops => a_second(pooled.ios),
        Figure::BwBytes => a_second(pooled.bytes),
        Figure::TotalIos => Ok(u128::from(pooled.ios) * 1000),
        Figure::IoBytes => Ok(u128::from(pooled.bytes) * 1000),
        Figure::Errors => Ok(u128::from(pooled.errors) * 1000),
        Figure::Clat(statistic) => latency(&pooled.clat, statistic),
        Figure::Lat(statistic) => latency(&pooled.lat, statistic),
        Figure::MaxStall => Ok(u128::from(pooled.longest_stall.0) * 1000),
    }
}

fn latency(samples: &Histogram, statistic: Statistic) -> Result<u128, String> {
    if samples.is_empty() {
        return Err("no I/O ended then".to_owned());
    }
    let at = |latency: &Latency| latency.percentile.values().next().copied().unwrap_or_default();
    Ok(match statistic {
        // The mean has three digits behind the point.
        Statistic::Mean => (samples.to_latency_at(&[]).mean.get() * 1000.0).round() as u128,
        Statistic::Percentile(percentile) => u128::from(at(&samples.to_latency_at(&[percentile]))) * 1000,
        Statistic::Max => u128::from(samples.to_latency_at(&[]).max) * 1000,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmlab_scenarios::Document;

    use crate::campaign;
    use crate::plan::{Clock, Plan, Wishes};

    /// What is amiss with a scenario of two loads on the virtual clock, where figures are the same on every machine: `one`
    /// makes 1000 I/Os a second before the phase `late`, and 4 in flight make 4000 in it.
    fn mismatches(bounds: &str, fault: &str) -> Vec<String> {
        let text = format!(
            "scenario: a/b\nabout: x\nruns: [threads]\n\
             devices: {{ d: {{ timed: {{ size: 64KiB, depth: 4, read: 1ms }} }} }}\nsteps:\n  \
             - load: {{ name: one, on: d, bs: 4k, expect: any }}\n  - phase: late\n{fault}  \
             - load: {{ name: many, on: d, bs: 4k, iodepth: 4, expect: any }}\nexpect:\n  - loads:\n    - {bounds}\n"
        );
        let document = Document::parse("x", &text).unwrap_or_else(|found| panic!("{found}"));
        let wishes = Wishes { clock: Clock::Virtual, ..Wishes::default() };
        let plans = Plan::of(&Arc::new(document), &wishes).unwrap_or_else(|found| panic!("{found}"));
        let record = campaign::run(&plans[0], &Arc::default()).record;
        assert_eq!(record.ok, record.mismatches.is_empty());
        record.mismatches
    }

    #[test]
    fn bounds_that_hold_are_met() {
        let found = mismatches(
            "{ load: many@late, iops: '>= 3.9 * one', total_ios: '== one', io_bytes: '== 64KiB', errors: '== 0', \
             clat_ns_p99: '<= 1.1 * one', clat_ns_mean: '>= 1ms' }",
            "",
        );
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(mismatches("{ load: many, max_stall: '< 2ms', bw_bytes: '> 15MiB' }", ""), Vec::<String>::new());
    }

    #[test]
    fn a_bound_that_does_not_hold_is_told_with_load_figure_and_bound() {
        let [found] = &mismatches("{ load: one, iops: '>= 0.5 * many@late' }", "")[..] else { panic!() };
        assert!(found.starts_with("line 11: load one: iops is 99"), "{found}");
        assert!(found.contains(", expected >= 0.5 * many@late, which is 19"), "{found}");
        let found = mismatches("{ load: one, max_stall: '< 1us', errors: '> 0' }", "");
        assert_eq!(found[0], "line 11: load one: errors is 0, expected > 0");
        assert!(found[1].starts_with("line 11: load one: max_stall is 1"), "{}", found[1]);
        assert!(found[1].ends_with("ns, expected < 1us"), "{}", found[1]);
    }

    #[test]
    fn a_figure_that_is_not_there_breaks_its_bound() {
        let [found] = &mismatches("{ load: one@late, iops: '>= 0' }", "")[..] else { panic!() };
        assert_eq!(found, "line 11: load one@late: no iops, expected >= 0: it did not run then");
        let [found] = &mismatches("{ load: many, clat_ns_p99: '<= one@late' }", "")[..] else { panic!() };
        assert!(found.ends_with("expected <= one@late, but one@late has none: no I/O ended then"), "{found}");
        let found = mismatches(
            "{ load: many, total_ios: '>= 0' }",
            "  - submit: { on: d, op: read, sectors: 1, expect: EIO }\n",
        );
        assert!(found.iter().any(|found| found.ends_with("expected >= 0: no such load came to its end")), "{found:?}");
    }
}
