//! dmlab's explorer beside shuttle and loom: one model (the COW throttle of dm-snapshot), measured in one run.
//!
//! `cargo bench -p dmlab --bench explorer_peers -- [--quick] [--peer-seconds N]`. Three tables: schedules per second,
//! schedules until the first deadlock, and what it takes to run all schedules. Each engine uses the best that it offers:
//! dmlab its own primitives, shuttle a mutex and condition variable ("cv") or its own fair semaphore for everything
//! ("bs"), loom a mutex and condition variable.
//!
//! Invariants: the rates are medians of rounds in which the engines take turns, so that what else the machine does
//! falls on all of them; the counts of table b follow from the seeds alone, but for loom's time bound; what a bound cut
//! off is shown as such.
//! Not here: weak memory, which only loom explores; the time of a single schedule of whole scenarios (`explorer.rs`).

mod peers;
mod support;

use std::process::exit;
use std::time::Duration;

use peers::emulated::ShuttleCv;
use peers::model::Throttle;
use peers::on_shuttle::ShuttleBs;
use peers::{Bounds, Exhausted, Tally, child, on_dmlab, on_loom, on_shuttle, report};
use support::tables::print;

/// Some runs of an engine under one of its strategies, from a seed.
type Runs = fn(Throttle, u64, Bounds) -> Tally;
/// A search of all schedules of a fixed model, for at most so long.
type Search = fn(Throttle, Duration) -> Exhausted;

/// Table a. The first one is what the others are compared with; what samples comes before what enumerates.
const RATED: &[(&str, Runs)] = &[
    (DMLAB_RANDOM, on_dmlab::random),
    (DMLAB_PCT, on_dmlab::pct),
    ("dmlab portfolio", on_dmlab::portfolio),
    (DMLAB_ON_TWO, on_dmlab::random_on_two),
    ("shuttle cv random", on_shuttle::random::<ShuttleCv>),
    ("shuttle cv pct d=3", on_shuttle::pct::<ShuttleCv>),
    ("shuttle cv urw", on_shuttle::urw::<ShuttleCv>),
    ("shuttle cv dfs", on_shuttle::dfs::<ShuttleCv>),
    ("shuttle bs random", on_shuttle::random::<ShuttleBs>),
    ("shuttle bs pct d=3", on_shuttle::pct::<ShuttleBs>),
    ("shuttle bs urw", on_shuttle::urw::<ShuttleBs>),
    ("shuttle bs dfs", on_shuttle::dfs::<ShuttleBs>),
    (LOOM, on_loom::in_order),
];
const DMLAB_RANDOM: &str = "dmlab random";
const DMLAB_PCT: &str = "dmlab pct d=3";
const DMLAB_ON_TWO: &str = "dmlab random, two OS threads";
const LOOM: &str = "loom";

/// Table b, each in a child process. The staggered start is that of the peers (see `on_dmlab`); loom's own advice is to
/// bound preemptions by 2 or 3.
const SEEKERS: &[(&str, Peer, Runs)] = &[
    (DMLAB_RANDOM, Peer::Dmlab, on_dmlab::random),
    ("dmlab random, staggered start", Peer::Dmlab, on_dmlab::random_staggered),
    (DMLAB_PCT, Peer::Dmlab, on_dmlab::pct),
    ("dmlab portfolio", Peer::Dmlab, on_dmlab::portfolio),
    ("shuttle cv random", Peer::Shuttle, on_shuttle::random::<ShuttleCv>),
    ("shuttle cv pct d=3", Peer::Shuttle, on_shuttle::pct::<ShuttleCv>),
    ("shuttle bs random", Peer::Shuttle, on_shuttle::random::<ShuttleBs>),
    ("shuttle bs pct d=3", Peer::Shuttle, on_shuttle::pct::<ShuttleBs>),
    ("loom, 2 preemptions", Peer::Loom, on_loom::seek_within_two),
    (LOOM, Peer::Loom, on_loom::seek),
];
const BUGGY: [Throttle; 4] =
    [Throttle::buggy(2, 2, 1), Throttle::buggy(2, 3, 3), Throttle::buggy(2, 4, 4), Throttle::buggy(2, 4, 6)];
/// Table c, and whether it is a peer's.
const SEARCHES: [(&str, bool, Search); 5] = [
    ("dmlab exhaustive", false, on_dmlab::exhaust),
    ("dmlab exhaustive, two OS threads", false, on_dmlab::exhaust_on_two),
    ("shuttle cv dfs", true, on_shuttle::exhaust::<ShuttleCv>),
    ("shuttle bs dfs", true, on_shuttle::exhaust::<ShuttleBs>),
    (LOOM, true, on_loom::exhaust),
];
/// The models of table c, and whether the peers are tried on them: the larger ones are far beyond their reach.
const FIXED: [(Throttle, bool); 5] = [
    (Throttle::fixed(1, 1, 1), true),
    (Throttle::fixed(2, 1, 1), true),
    (Throttle::fixed(2, 2, 1), true),
    (Throttle::fixed(3, 3, 1), false),
    (Throttle::fixed(4, 4, 1), false),
];

/// Whose a row is: decides how long it may search.
#[derive(Clone, Copy)]
enum Peer {
    Dmlab,
    Shuttle,
    Loom,
}

/// How much is measured.
struct Effort {
    rounds: u64,
    round: Duration,
    seeds: u64,
    dmlab_schedules_max: u64,
    shuttle_schedules_max: u64,
    peer_time: Duration,
}

impl Effort {
    const FULL: Self = Self {
        rounds: 5,
        round: Duration::from_millis(500),
        seeds: 20,
        dmlab_schedules_max: 3_000_000,
        shuttle_schedules_max: 20_000,
        peer_time: Duration::from_secs(5),
    };

    /// Enough to see that everything works; the figures are worth little.
    const QUICK: Self = Self {
        rounds: 1,
        round: Duration::from_millis(50),
        seeds: 3,
        dmlab_schedules_max: 1_000,
        shuttle_schedules_max: 500,
        peer_time: Duration::from_millis(200),
    };
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == child::CHILD
    {
        return be_child(rest);
    }
    let effort = effort(&arguments).unwrap_or_else(|wrong| {
        eprintln!("explorer_peers: {wrong}; usage: [--quick] [--peer-seconds N]");
        exit(2);
    });
    rates(&effort);
    first_deadlocks(&effort);
    searches(&effort);
}

/// Searches for deadlocks as the parent asks, and answers once per seed.
fn be_child(arguments: &[String]) {
    let (wanted, model, seeds, bounds) = child::asked(arguments);
    let found = SEEKERS.iter().find(|(name, ..)| *name == wanted);
    let (_, _, runs) = found.unwrap_or_else(|| panic!("there is no row {wanted:?}"));
    (0..seeds).for_each(|seed| child::answer(&runs(model, seed, bounds)));
}

fn effort(arguments: &[String]) -> Result<Effort, String> {
    // `--test` is how criterion's benches are told to run once.
    let quick = arguments.iter().any(|argument| matches!(argument.as_str(), "--quick" | "--test"));
    let mut effort = if quick { Effort::QUICK } else { Effort::FULL };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--peer-seconds" => {
                let number = rest.next().ok_or("--peer-seconds needs a number of seconds")?;
                let seconds = number.parse().map_err(|_| format!("{number:?} is not a whole number of seconds"))?;
                effort.peer_time = Duration::from_secs(seconds);
            }
            // `--bench` comes from cargo.
            "--quick" | "--test" | "--bench" => {}
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    Ok(effort)
}

/// Table a: how fast.
fn rates(effort: &Effort) {
    let model = Throttle::fixed(2, 2, 1);
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); RATED.len()];
    for round in 0..effort.rounds {
        for ((name, runs), rates) in RATED.iter().zip(&mut rates) {
            let tally = runs(model, round, Bounds::time(effort.round));
            assert!(!tally.deadlock, "{name}: the fixed model does not deadlock");
            rates.push(tally.rate());
        }
    }
    let medians: Vec<f64> = rates.iter().map(|rates| report::median(rates, f64::total_cmp)).collect();
    let header = ["engine", "schedules/s", "lowest", "highest", "dmlab random : this"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (place, (name, _)) in RATED.iter().enumerate() {
        let lowest = rates[place].iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rates[place].iter().copied().fold(0.0, f64::max);
        let shown = [medians[place], lowest, highest].map(|rate| report::grouped(rate as u64));
        let ratio = format!("{:.2}", medians[0] / medians[place]);
        rows.push([vec![(*name).to_owned()], shown.to_vec(), vec![ratio]].concat());
    }
    let (rounds, round) = (effort.rounds, effort.round);
    print(
        &format!("a. Schedules per second, fixed {}, one OS thread; median of {rounds} x {round:?}", model.name()),
        rows,
    );
    let named: Vec<(&str, f64)> = RATED.iter().map(|(name, _)| *name).zip(medians).collect();
    ratios(&named);
}

/// What table a comes to. A scheduler that enumerates draws nothing and keeps less, so that only those which sample are
/// like dmlab's; the best of all is there as well, because it is the engine's speed.
fn ratios(medians: &[(&str, f64)]) {
    let best = |is_meant: &dyn Fn(&str) -> bool| {
        let those = medians.iter().copied().filter(|(name, _)| is_meant(name));
        those.max_by(|one, two| one.1.total_cmp(&two.1)).expect("somebody is meant")
    };
    let own = [DMLAB_RANDOM, DMLAB_PCT].map(|own| best(&|name| name == own));
    let is_shuttle = |name: &str| name.starts_with("shuttle");
    let mut rows = vec![vec!["compared with".to_owned()]];
    rows[0].extend(own.map(|(name, _)| format!("{name} : it")));
    for (what, (name, rate)) in [
        ("best of shuttle among random strategies", best(&|name| is_shuttle(name) && !name.ends_with("dfs"))),
        ("best of shuttle of any scheduler", best(&is_shuttle)),
        (LOOM, best(&|name| name == LOOM)),
    ] {
        let what = if what == name { what.to_owned() } else { format!("{what} ({name})") };
        let ratios = own.map(|(_, own)| format!("{:.2}", own / rate));
        rows.push(std::iter::once(what).chain(ratios).collect());
    }
    print("Ratios of the medians of table a", rows);
    println!("\ndmlab random, two OS threads : one = {:.2}", best(&|name| name == DMLAB_ON_TWO).1 / own[0].1);
}

/// Table b: how soon.
fn first_deadlocks(effort: &Effort) {
    let mut rows = vec![vec!["engine".to_owned()]];
    rows[0].extend(BUGGY.map(Throttle::name));
    for &(name, peer, _) in SEEKERS {
        let (seeds, bounds) = match peer {
            Peer::Dmlab => (effort.seeds, Bounds::schedules(effort.dmlab_schedules_max)),
            Peer::Shuttle => (effort.seeds, Bounds::schedules(effort.shuttle_schedules_max)),
            // It has no seeds, and ends its process with the first deadlock.
            Peer::Loom => (1, Bounds::time(effort.peer_time)),
        };
        let cells = BUGGY.iter().map(|&model| report::spread(&child::ask(name, model, seeds, bounds)));
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    print(
        &format!(
            "b. Schedules until the first deadlock, buggy; least / median / most of {} seeds, at most {} (dmlab) or {} \
             (shuttle) schedules each; loom has one order and {:?}",
            effort.seeds,
            report::grouped(effort.dmlab_schedules_max),
            report::grouped(effort.shuttle_schedules_max),
            effort.peer_time,
        ),
        rows,
    );
}

/// Table c: all of them.
fn searches(effort: &Effort) {
    let mut rows = vec![vec!["fixed model".to_owned()]];
    rows[0].extend(SEARCHES.map(|(name, ..)| name.to_owned()));
    for (model, with_peers) in FIXED {
        let cell = |(_, is_peer, search): (&str, bool, Search)| {
            if is_peer && !with_peers {
                return "not tried".to_owned();
            }
            report::extent(&search(model, effort.peer_time))
        };
        rows.push(std::iter::once(model.name()).chain(SEARCHES.map(cell)).collect());
    }
    let title = format!("c. Runs and time until all schedules are explored, fixed; {:?} per search", effort.peer_time);
    print(&title, rows);
}
