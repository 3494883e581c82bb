//! Tests of `merge`.
//! Not here: strengths by themselves (`strength`).

use super::*;
use crate::{ExitCode, exit_code, testing};

/// Shard `index` of `of` of a run of one cell, which is exhausted.
fn proved(index: u32, of: u32) -> Record {
    let mut record = testing::record();
    record.command = vec!["dmlab".to_owned(), format!("--shard={index}/{of}")];
    record.cells = vec![testing::proved()];
    let exploration = exploration_of(&mut record);
    (exploration.shard, exploration.learnt) = (Some(ShardRecord { index, of }), Some("0123".repeat(8)));
    record
}

/// The same, of a cell that was sampled.
fn sampled(index: u32, of: u32) -> Record {
    let mut record = proved(index, of);
    record.cells[0].expected_strength = None;
    let exploration = exploration_of(&mut record);
    (exploration.strategy, exploration.states, exploration.pruned) = ("portfolio".to_owned(), None, None);
    exploration.strength = Strength::NotFound { schedules: exploration.schedules };
    record
}

/// The same, of a cell in which a deadlock was found in schedule `schedule`.
fn deadlocked(index: u32, of: u32, schedule: u64) -> Record {
    let mut record = sampled(index, of);
    let cell = &mut record.cells[0];
    (cell.verdict, cell.ok) = (Verdict::Deadlock, false);
    cell.mismatches = vec!["line 1: verdict deadlock, expected pass".to_owned()];
    cell.report = Some(format!("deadlock of shard {index}"));
    let exploration = exploration_of(&mut record);
    exploration.strength = Strength::Found { schedule, preemptions: None };
    exploration.deadlocks = 1;
    exploration.signatures =
        vec![SignatureCount { signature: format!("cycle of {schedule}"), schedules: 1, first_schedule: schedule }];
    record
}

fn exploration_of(record: &mut Record) -> &mut Exploration {
    record.cells[0].exploration.as_mut().unwrap()
}

fn merged(records: &[Record]) -> (CellRecord, Exploration) {
    let cell = merge(records).unwrap_or_else(|error| panic!("{error}")).cells.remove(0);
    let exploration = cell.exploration.clone().unwrap();
    (cell, exploration)
}

#[test]
fn counts_are_summed_and_extremes_kept() {
    let (mut one, mut two) = (proved(1, 2), proved(2, 2));
    let exploration = exploration_of(&mut two);
    (exploration.schedules, exploration.steps, exploration.steps_max_seen) = (5, 100, 50);
    (exploration.states, exploration.pruned, exploration.depth_max) = (Some(1), Some(3), Some(7));
    exploration.strength = Strength::Proved { schedules: 5, states: 1 };
    let pool = |peak_in_use, waits| PoolRecord {
        name: "t.bs".to_owned(),
        reserve: 16,
        peak_in_use,
        slab_failures: 0,
        waits,
        rescued: 0,
    };
    (one.cells[0].pools, two.cells[0].pools) = (vec![pool(3, 1)], vec![pool(2, 4)]);
    let (cell, found) = merged(&[one, two]);
    assert_eq!((found.schedules, found.steps, found.steps_max_seen), (150, 5030, 50));
    assert_eq!((found.states, found.pruned, found.depth_max), (Some(210), Some(80), Some(19)));
    assert_eq!(found.strength, Strength::Proved { schedules: 150, states: 210 });
    assert_eq!((found.shard, cell.wall_ns), (None, Some(3_000_000)));
    assert_eq!(found.schedules_per_sec, Some(Number::per_second(150, 3_000_000)));
    assert_eq!(cell.pools, [pool(3, 4)]);
}

#[test]
fn the_order_of_the_records_makes_no_difference() {
    let mut cut_short = sampled(2, 4);
    cut_short.interrupted = true;
    cut_short.cells[0].verdict = Verdict::Skip;
    let mut far = deadlocked(4, 4, 3);
    far.environment.cpus = Some(96);
    let records = [deadlocked(1, 4, 9), cut_short, sampled(3, 4), far];
    let wanted = merge(&records).unwrap();
    for order in [[0, 1, 3, 2], [1, 0, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 0, 2], [3, 0, 2, 1]] {
        let shuffled = order.map(|place| records[place].clone());
        assert_eq!(merge(&shuffled).unwrap().to_json(), wanted.to_json(), "{order:?}");
    }
}

#[test]
fn a_proof_needs_every_shard() {
    let all: Vec<Record> = (1..=3).map(|index| proved(index, 3)).collect();
    let whole = merge(&all).unwrap();
    assert_eq!(exit_code(&whole), ExitCode::Ok);
    assert_eq!(missing_shards(&all), Ok(Vec::new()));

    let some = [all[0].clone(), all[2].clone()];
    let (cell, found) = merged(&some);
    assert_eq!(found.strength.to_string(), "not proved: shard 2/3 is missing (290 schedules, 418 states)");
    let complaint = format!("strength {}, expected proved", found.strength);
    assert_eq!((cell.ok, cell.mismatches), (false, vec![complaint]));
    assert_eq!(exit_code(&merge(&some).unwrap()), ExitCode::ExpectationFailed);
    assert_eq!(missing_shards(&some), Ok(vec![ShardRecord { index: 2, of: 3 }]));

    let (_, found) = merged(&all[2..]);
    assert_eq!(found.strength.short(), "not proved: shard 1/3 is missing; shard 2/3 is missing");
    let mut unwanted = all[0].clone();
    unwanted.cells[0].expected_strength = None;
    assert!(merged(&[unwanted]).0.ok, "nobody has asked for a proof");
}

#[test]
fn a_proof_needs_every_shard_to_be_proved() {
    let mut full = proved(2, 2);
    let reason = "cache full at 100 states".to_owned();
    exploration_of(&mut full).strength = Strength::NotProved { reason, schedules: 145, states: 209 };
    let (_, found) = merged(&[proved(1, 2), full]);
    assert_eq!(
        found.strength.to_string(),
        "not proved: shard 2/2: cache full at 100 states (290 schedules, 418 states)"
    );

    let mut odd = proved(2, 2);
    exploration_of(&mut odd).strength = Strength::NotFound { schedules: 145 };
    assert_eq!(merged(&[proved(1, 2), odd]).1.strength.short(), "not proved: shard 2/2 was only sampled");
}

#[test]
fn a_proof_needs_shards_that_learnt_the_same() {
    let learnt = |index, learnt: Option<&str>| {
        let mut record = proved(index, 3);
        exploration_of(&mut record).learnt = learnt.map(str::to_owned);
        record
    };
    let strength = |third| merged(&[learnt(1, Some("a")), learnt(2, Some("a")), learnt(3, third)]).1.strength;
    assert_eq!(strength(Some("a")), Strength::Proved { schedules: 435, states: 627 });
    for third in [Some("b"), None] {
        let wanted = "not proved: shards learnt of different conflicts (435 schedules, 627 states)";
        assert_eq!(strength(third).to_string(), wanted);
    }
    let none = merged(&[1, 2, 3].map(|index| learnt(index, None))).1;
    assert_eq!((none.strength.short(), none.learnt), ("not proved: shards learnt of different conflicts".into(), None));
    let mut alone = proved(1, 1);
    exploration_of(&mut alone).learnt = None;
    assert_eq!(merged(&[alone]).1.strength, Strength::Proved { schedules: 145, states: 209 });

    let mut bounded = learnt(3, Some("b"));
    exploration_of(&mut bounded).strength = Strength::ProvedUpTo { preemptions: 1, schedules: 145, states: 209 };
    let found = merged(&[learnt(1, Some("a")), learnt(2, Some("a")), bounded]).1;
    assert_eq!(found.strength.short(), "not proved: shards learnt of different conflicts");
}

#[test]
fn a_bound_is_the_lowest_of_all_shards() {
    let bounded = |index, preemptions| {
        let mut record = proved(index, 2);
        exploration_of(&mut record).strength = Strength::ProvedUpTo { preemptions, schedules: 145, states: 209 };
        record
    };
    let wanted = |preemptions| Strength::ProvedUpTo { preemptions, schedules: 290, states: 418 };
    assert_eq!(merged(&[bounded(1, 3), bounded(2, 2)]).1.strength, wanted(2));
    assert_eq!(merged(&[bounded(1, 3), proved(2, 2)]).1.strength, wanted(3), "proved is proved up to 3 too");
}

#[test]
fn what_was_sampled_is_summed_also_where_shards_are_missing() {
    let (_, found) = merged(&[sampled(1, 3), sampled(3, 3)]);
    assert_eq!(found.strength, Strength::NotFound { schedules: 290 });
}

#[test]
fn the_gravest_verdict_counts_and_the_lowest_schedule_tells() {
    let mut leak = deadlocked(2, 4, 1);
    leak.cells[0].verdict = Verdict::Leak;
    leak.cells[0].mismatches = vec!["line 1: verdict leak, expected pass".to_owned()];
    let (cell, found) = merged(&[sampled(1, 4), leak, deadlocked(3, 4, 20), deadlocked(4, 4, 5)]);
    assert_eq!((cell.verdict, cell.report.as_deref()), (Verdict::Deadlock, Some("deadlock of shard 4")));
    assert_eq!(found.strength, Strength::Found { schedule: 5, preemptions: None });
    assert_eq!(
        cell.mismatches,
        ["line 1: verdict deadlock, expected pass", "shard 2/4: line 1: verdict leak, expected pass"]
    );
}

#[test]
fn a_failure_that_was_expected_need_not_be_found_by_every_shard() {
    let mut found = deadlocked(2, 2, 7);
    let mut not_found = sampled(1, 2);
    for record in [&mut found, &mut not_found] {
        record.cells[0].expected = "deadlock".to_owned();
    }
    (found.cells[0].ok, found.cells[0].mismatches) = (true, Vec::new());
    not_found.cells[0].ok = false;
    not_found.cells[0].mismatches = vec!["line 1: verdict pass, expected deadlock".to_owned()];
    let (cell, _) = merged(&[not_found.clone(), found]);
    assert!(cell.ok && cell.mismatches.is_empty(), "{cell:?}");
    let mut other = not_found.clone();
    exploration_of(&mut other).shard = Some(ShardRecord { index: 2, of: 2 });
    let (cell, _) = merged(&[not_found, other]);
    assert_eq!((cell.ok, cell.mismatches.len()), (false, 1), "no shard has found it");
}

#[test]
fn signatures_are_united_and_lock_orders_too() {
    let (mut one, mut two) = (deadlocked(1, 2, 9), deadlocked(2, 2, 9));
    let count = |signature: &str, schedules, first_schedule| SignatureCount {
        signature: signature.to_owned(),
        schedules,
        first_schedule,
    };
    exploration_of(&mut one).signatures = vec![count("a", 2, 9), count("b", 1, 11)];
    exploration_of(&mut two).signatures = vec![count("c", 1, 4), count("a", 3, 6)];
    exploration_of(&mut one).lock_order = vec!["x after y".to_owned()];
    exploration_of(&mut two).lock_order = vec!["x after y".to_owned(), "a after b".to_owned()];
    let (_, found) = merged(&[one, two]);
    assert_eq!(found.signatures, [count("c", 1, 4), count("a", 5, 6), count("b", 1, 11)]);
    assert_eq!(found.lock_order, ["a after b", "x after y"]);
}

#[test]
fn an_interrupted_shard_leaves_the_whole_interrupted_and_nothing_proved() {
    let mut short = proved(2, 2);
    short.interrupted = true;
    short.cells[0].verdict = Verdict::Skip;
    exploration_of(&mut short).strength =
        Strength::NotProved { reason: "interrupted".to_owned(), schedules: 3, states: 4 };
    let record = merge(&[proved(1, 2), short.clone()]).unwrap();
    assert_eq!((record.cells[0].verdict, exit_code(&record)), (Verdict::Pass, ExitCode::Interrupted));
    let strength = &record.cells[0].exploration.as_ref().unwrap().strength;
    assert_eq!(strength.short(), "not proved: shard 2/2: interrupted");

    // A second cell that the interrupted shard never came to.
    let mut whole = proved(1, 2);
    whole.cells.push(whole.cells[0].clone());
    let record = merge(&[short, whole]).unwrap();
    let strength = &record.cells[1].exploration.as_ref().unwrap().strength;
    assert_eq!(strength.short(), "not proved: shard 2/2 was not searched");
}

#[test]
fn what_machines_have_in_common_is_kept_and_the_rest_is_left_out() {
    let (one, mut two) = (proved(1, 2), proved(2, 2));
    two.environment.cpus = Some(96);
    let record = merge(&[one.clone(), two]).unwrap();
    assert_eq!(record.environment, Environment { cpus: None, ..one.environment.clone() });
    assert!(record.command.is_empty(), "no one command has made it");
    assert_eq!(merge(std::slice::from_ref(&one)).unwrap().command, one.command);
}

#[test]
fn records_of_different_campaigns_are_refused_with_what_differs() {
    type Change = fn(&mut Record);
    let changes: [(Change, &str); 9] = [
        (|record| record.dmlab = "0.2.0".to_owned(), "dmlab is 0.2.0, but 0.1.0 in"),
        (|record| record.seed = 43, "seed is 43, but 42 in"),
        (|record| record.clock = "virtual".to_owned(), "clock is virtual, but default in"),
        (|record| record.cells[0].scenario = "other".to_owned(), "cells[0].cell is other cow_throttle=fixed"),
        (|record| record.cells[0].seed = 1, "cells[0].seed is 1, but 4711 in"),
        (|record| record.cells[0].expected = "hang".to_owned(), "cells[0].expected is hang, but pass in"),
        (|record| record.cells[0].expected_strength = None, "cells[0].expected_strength is none, but proved in"),
        (
            |record| record.cells[0].plan["steps"][0]["create"] = serde_json::json!("snap"),
            "cells[0].plan.steps[0].create is \"snap\", but \"origin\" in",
        ),
        (|record| record.cells[0].plan["extra"] = serde_json::json!(1), "cells[0].plan.extra is 1, but null in"),
    ];
    let names = |place: usize| ["a.json", "b.json"][place].to_owned();
    for (change, wanted) in changes {
        let mut other = proved(2, 2);
        change(&mut other);
        let found = merge(&[proved(1, 2), other]).unwrap_err().in_words(names);
        assert!(found.contains(wanted) && found.contains("a.json") && found.contains("b.json"), "{found}");
    }
    let mut strategy = proved(2, 2);
    exploration_of(&mut strategy).strategy = "icb".to_owned();
    let done = merge(&[proved(1, 2), strategy.clone()]).unwrap_err().to_string();
    assert!(done.contains("cells[0].exploration.strategy is icb"), "{done}");
    strategy.cells[0].plan["explore"] = serde_json::json!({ "bound": 1 });
    let planned = merge(&[proved(1, 2), strategy]).unwrap_err().to_string();
    assert!(planned.contains("cells[0].plan.explore"), "what was asked for is told before what was done: {planned}");
    let of = merge(&[proved(1, 2), proved(2, 3)]).unwrap_err();
    assert!(of.to_string().starts_with("record 2: the number of shards is 3, but 2 in record 1"), "{of}");
    let mut fewer = proved(2, 2);
    fewer.cells[0].exploration.as_mut().unwrap().shard = Some(ShardRecord { index: 2, of: 2 });
    let mut more = proved(1, 2);
    more.cells.push(more.cells[0].clone());
    let error = merge(&[more, fewer]).unwrap_err();
    assert!(error.to_string().starts_with("record 2: the number of cells is 1, but 2 in record 1"), "{error}");
}

#[test]
fn what_is_no_shard_is_refused() {
    let refused = |records: &[Record]| merge(records).unwrap_err().to_string();
    assert_eq!(refused(&[]), "there is no record to merge");
    assert_eq!(refused(&[proved(1, 2), proved(2, 2), proved(1, 2)]), "record 3: shard 1/2 is in record 1 already");
    let mut whole = proved(1, 2);
    exploration_of(&mut whole).shard = None;
    assert!(refused(&[whole]).starts_with("record 1: it is a whole exploration and no shard; `dmlab explore --shard"));
    let mut unexplored = proved(1, 2);
    unexplored.cells[0].exploration = None;
    assert!(refused(&[proved(2, 2), unexplored]).starts_with("record 2: no cell in it was explored"));
    assert_eq!(refused(&[proved(4, 3)]), "record 1: there is no shard 4/3; shards of 3 are 1/3 to 3/3");
    assert_eq!(refused(&[proved(0, 3)]), "record 1: there is no shard 0/3; shards of 3 are 1/3 to 3/3");
    let mut mixed = proved(1, 2);
    mixed.cells.push(proved(2, 2).cells.remove(0));
    assert_eq!(refused(&[mixed]), "record 1: it holds cells of shard 1/2 and of shard 2/2");
}
