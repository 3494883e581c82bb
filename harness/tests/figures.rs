//! Figures that are checked in are what their command makes, and show what their text says.
//!
//! Not here: how a page or a picture is drawn (tests of `dmlab-results`).

use std::path::Path;
use std::sync::Arc;

use dmlab::figure::cow_throttle;
use dmlab_results::figure::cow_throttle::{CowThrottle, Series};

fn assert_same(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/figures").join(name);
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = kept.lines().zip(made.lines()).enumerate();
    let first =
        lines.filter(|(_, (kept, made))| kept != made).map(|(number, both)| format!("line {}: {both:?}", number + 1));
    let first: Vec<String> = first.take(3).collect();
    assert!(kept == made, "{name} is not what `{}` makes (on purpose? run it): {first:#?}", cow_throttle::COMMAND);
}

/// Why the figure does not show what its text says.
fn contradiction(figure: &CowThrottle) -> Option<String> {
    let [half, whole, throttled @ ..] = &figure.series[..] else { return Some("too few series".to_owned()) };
    let unbounded = |series: &Series| series.rows.iter().map(|row| row.jobs).collect::<Vec<_>>();
    let (half, whole_jobs) = (unbounded(half), unbounded(whole));
    for (index, snapshots) in figure.snapshots.iter().enumerate() {
        let (half, most) = (half[index], whole_jobs[index]);
        // All but what is copied while the writers still write.
        let dirty = whole.dirty_chunks * snapshots;
        if most * 10 < dirty * 9 || most > dirty {
            return Some(format!("{most} of {dirty} copies in flight without a throttle"));
        }
        if most * 10 < half * 18 {
            return Some(format!("{half} copies become {most} when twice as much is dirty"));
        }
        for series in throttled.iter().filter(|series| series.is_bounded) {
            let jobs = series.rows[index].jobs;
            if jobs > figure.bound(*snapshots) || jobs < snapshots * figure.threshold {
                return Some(format!("{}: {jobs} copies of {snapshots} snapshots", series.name));
            }
        }
        let times = figure.series.iter().filter(|series| series.dirty_chunks == whole.dirty_chunks);
        let times: Vec<u64> = times.map(|series| series.rows[index].runtime_ns).collect();
        let (least, most) = (times.iter().min()?, times.iter().max()?);
        if most * 100 > least * 101 {
            return Some(format!("times differ by more than a hundredth: {times:?}"));
        }
    }
    None
}

#[test]
fn the_figure_of_throttled_copies_is_what_is_checked_in() {
    let mut figure = cow_throttle::measure(&Arc::default(), &|_| {}).unwrap();
    assert_same("cow-throttle.md", &figure.markdown());
    assert_same("cow-throttle.svg", &figure.svg());
    assert_eq!(contradiction(&figure), None);
    // What the check is worth: a throttled series that is not bounded, and an unbounded one that is.
    let rows = figure.series[3].rows.clone();
    figure.series[3].rows = figure.series[1].rows.clone();
    assert!(contradiction(&figure).is_some_and(|why| why.starts_with("wait: ")), "{:?}", contradiction(&figure));
    figure.series[1].rows = rows;
    assert!(contradiction(&figure).is_some_and(|why| why.contains("without a throttle")));
}
