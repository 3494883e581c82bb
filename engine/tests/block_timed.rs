//! The timed device holds what queueing theory says of it, to the nanosecond, where the CPU costs nothing; and stays
//! close where it does.
//!
//! Not here: faults (`block_late.rs`), the model's arithmetic by itself (`timed.rs`).

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dmlab_engine::block::{Bio, BioOp, BlkStatus, EndIo, ServiceModel, Spread, submit_bio};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::explorer::{CostTable, Explorer, Fair};
use dmlab_engine::sched::{Outcome, RunResult, Task};
use dmlab_engine::sync::Completion;
use dmlab_engine::variants::Variants;
use dmlab_units::{Bytes, Nanos, Sectors, Seed};

use support::{explore_once, limits, on_threads};

const READ: Nanos = Nanos(80_000);
const WRITE: Nanos = Nanos(20_000);

fn model(depth: u32) -> ServiceModel {
    ServiceModel {
        depth,
        read: READ,
        write: WRITE,
        flush: None,
        discard: Nanos::ZERO,
        bandwidth: None,
        spread: Spread::Constant,
        cache_unit: None,
    }
}

/// When each I/O was submitted and when its end was seen, in order of submission.
type Times = Vec<(Nanos, Nanos)>;

struct Ends {
    ended: Completion,
    seen: Mutex<Vec<(u64, Nanos)>>,
}

impl EndIo for Ends {
    fn end_io(self: Arc<Self>, current: &Task, status: BlkStatus, cookie: u64) {
        assert_eq!(status, BlkStatus::Ok);
        self.seen.lock().unwrap().push((cookie, current.now()));
        self.ended.complete(current);
    }
}

/// A closed loop: `total` I/Os of 4 KiB, `iodepth` of them at any time.
fn closed_loop(
    model: ServiceModel,
    op: BioOp,
    iodepth: u64,
    total: u64,
    times: &Arc<Mutex<Times>>,
) -> impl FnOnce(&Task) + Send + use<> {
    let times = Arc::clone(times);
    move |current| {
        let machine = Machine::new(current, Variants::default(), false);
        let device = machine.add_timed(current, "d", Sectors(1024), model, Seed(7));
        let ended = Completion::new(current.runtime(), "ended");
        let ends = Arc::new(Ends { ended, seen: Mutex::default() });
        let mut submitted = Vec::new();
        for number in 0..total {
            if number >= iodepth {
                ends.ended.wait(current);
            }
            submitted.push(current.now());
            let hook = (Arc::clone(&ends) as Arc<dyn EndIo>, number);
            submit_bio(current, Bio::new(current, op, Arc::clone(&device), (Sectors(0), Sectors(8)), None, hook));
        }
        for _ in 0..iodepth.min(total) {
            ends.ended.wait(current);
        }
        let seen: BTreeMap<u64, Nanos> = ends.seen.lock().unwrap().drain(..).collect();
        *times.lock().unwrap() = submitted.into_iter().zip(seen.into_values()).collect();
    }
}

fn without_costs(model: ServiceModel, op: BioOp, iodepth: u64, total: u64) -> Times {
    let times = Arc::default();
    let run = Explorer::new(limits()).run(&mut Fair::new(Seed(1)), closed_loop(model, op, iodepth, total, &times));
    assert_eq!(run.outcome, Outcome::Finished);
    times.lock().unwrap().clone()
}

fn with_costs(model: ServiceModel, op: BioOp, iodepth: u64, total: u64) -> (Times, RunResult) {
    let times = Arc::default();
    let mut explorer = Explorer::with_cost(limits(), CostTable::default());
    let run = explorer.run(&mut Fair::new(Seed(1)), closed_loop(model, op, iodepth, total, &times));
    assert_eq!(run.outcome, Outcome::Finished);
    (times.lock().unwrap().clone(), run)
}

fn end_of(times: &Times) -> Nanos {
    times.iter().map(|(_, end)| *end).max().unwrap()
}

#[test]
fn throughput_is_depth_over_service_time_or_what_the_load_keeps_in_flight_over_it() {
    for depth in [1, 2, 4, 32] {
        for iodepth in [1, 2, 8, 64] {
            let busy = u64::from(depth).min(iodepth);
            let times = without_costs(model(depth), BioOp::Read, iodepth, 128);
            assert_eq!(end_of(&times), Nanos(READ.0 * 128 / busy), "depth {depth}, iodepth {iodepth}");
        }
    }
}

#[test]
fn latency_is_the_queue_over_the_throughput() {
    // Eight in flight on two channels: each waits for the three rounds before its own.
    let times = without_costs(model(2), BioOp::Read, 8, 64);
    let late: Vec<u64> = times.iter().map(|(begin, end)| end.0 - begin.0).collect();
    assert_eq!(late[..8], [1, 1, 2, 2, 3, 3, 4, 4].map(|rounds| rounds * READ.0), "while the queue fills");
    assert!(late[8..].iter().all(|&late| late == 4 * READ.0), "{late:?}");
}

#[test]
fn littles_law_holds_to_the_nanosecond_whatever_the_spread() {
    for spread in [Spread::Constant, Spread::Uniform, Spread::Exponential] {
        let times = without_costs(ServiceModel { spread, ..model(4) }, BioOp::Read, 10, 500);
        // The I/Os in the device, integrated over time, from the order of events alone.
        let mut events: Vec<(Nanos, i64)> = times.iter().flat_map(|(begin, end)| [(*begin, 1), (*end, -1)]).collect();
        events.sort();
        let (mut inside, mut area, mut last) = (0_i64, 0_i64, Nanos::ZERO);
        for (at, change) in events {
            area += inside * (at.0 - last.0) as i64;
            (inside, last) = (inside + change, at);
        }
        let late: u64 = times.iter().map(|(begin, end)| end.0 - begin.0).sum();
        assert_eq!(area, late as i64, "{spread:?}: L = λ W, times the time it was looked at");
        // A closed loop keeps ten inside until the last ten drain.
        let last_submitted = times.iter().map(|(begin, _)| begin.0).max().unwrap();
        assert!(area >= 10 * last_submitted as i64, "{spread:?}");
    }
}

#[test]
fn bytes_take_their_share_of_the_bandwidth() {
    // 4 KiB at 4 GiB/s shared by two channels: 1908 ns (rounded up) beside the fixed part.
    let model = ServiceModel { bandwidth: Some(Bytes(4 << 30)), ..model(2) };
    assert_eq!(model.service(BioOp::Read, Bytes::kib(4), Seed(1), 0), Nanos(READ.0 + 1908));
    let times = without_costs(model, BioOp::Write, 2, 100);
    assert_eq!(end_of(&times), Nanos((WRITE.0 + 1908) * 50));
    // Without a fixed part, the bandwidth alone counts, however deep the queue: 8 MiB take 8/4096 s.
    for depth in [1, 4, 16] {
        let model = ServiceModel { read: Nanos::ZERO, depth, ..model };
        let end = end_of(&without_costs(model, BioOp::Read, 32, 2048)).0;
        assert!((1_953_125..=1_953_125 + 2048 * u64::from(depth)).contains(&end), "depth {depth}: {end}");
    }
}

#[test]
fn a_spread_is_the_same_in_every_run_and_another_under_another_seed() {
    for spread in [Spread::Uniform, Spread::Exponential] {
        let model = ServiceModel { spread, ..model(3) };
        assert_eq!(without_costs(model, BioOp::Read, 7, 200), without_costs(model, BioOp::Read, 7, 200));
        let draws = |seed| (0..50).map(|n| model.service(BioOp::Read, Bytes::ZERO, Seed(seed), n)).collect::<Vec<_>>();
        assert_ne!(draws(1), draws(2));
        let mean = (0..20_000).map(|n| model.service(BioOp::Read, Bytes::ZERO, Seed(3), n).0).sum::<u64>() / 20_000;
        assert!(mean.abs_diff(READ.0) < READ.0 / 50, "{spread:?}: {mean}");
    }
}

#[test]
fn a_busy_device_is_as_fast_where_the_cpu_costs_something() {
    // Sixteen in flight on eight channels: the next is always there when a channel is free.
    let (times, run) = with_costs(model(8), BioOp::Read, 16, 400);
    let ideal = READ.0 * 400 / 8;
    let end = end_of(&times).0;
    assert!(
        (ideal..ideal + READ.0 / 2).contains(&end),
        "{end} for {ideal}: ends are noticed late, but this does not add up"
    );
    assert_eq!(with_costs(model(8), BioOp::Read, 16, 400).1.now, run.now, "and they are the same in every run");
}

#[test]
fn on_threads_an_io_takes_at_least_its_time() {
    let times = Arc::default();
    let run = on_threads(closed_loop(model(2), BioOp::Read, 4, 20, &times));
    assert_eq!(run.outcome, Outcome::Finished);
    let times = times.lock().unwrap().clone();
    assert!(times.iter().all(|(begin, end)| end.0 - begin.0 >= READ.0), "{times:?}");
    assert!(end_of(&times).0 - times[0].0.0 >= READ.0 * 10);
}

#[test]
fn a_flush_reaches_a_device_with_a_write_cache_only() {
    for (flush, wanted) in [(None, Nanos::ZERO), (Some(Nanos::millis(1)), Nanos::millis(1))] {
        let run = explore_once(move |current| {
            let machine = Machine::new(current, Variants::default(), false);
            let model = ServiceModel { flush, ..model(1) };
            let device = machine.add_timed(current, "d", Sectors(8), model, Seed(1));
            let ended = Completion::new(current.runtime(), "ended");
            let ends = Arc::new(Ends { ended, seen: Mutex::default() });
            let hook = (Arc::clone(&ends) as Arc<dyn EndIo>, 0);
            submit_bio(current, Bio::new(current, BioOp::Flush, device, (Sectors(0), Sectors(0)), None, hook));
            ends.ended.wait(current);
        });
        assert_eq!((run.outcome, run.now), (Outcome::Finished, wanted));
    }
}
