//! Minimisation of failing schedules of the catalogue: what is left of them, that it still is the same failure, and that
//! nothing is taken for smaller that is another one.
//!
//! Not here: schedules of models without devices (the engine's tests), files (`replay.rs`).

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab::judge::Judgement;
use dmlab::minimise::{self, Budget, Edit, MinimalSchedule, signature};
use dmlab::plan::{Plan, RunOn};
use dmlab::schedule_file::{ScheduleError, ScheduleFile};
use dmlab_results::Verdict;
use support::{Overrides, catalogued, parsed, plans, run};

const BUDGET: Budget = Budget { tries_max: 3_000, schedules_per_edit: 30 };

fn explored(id: &str, overrides: Overrides<'_>) -> Plan {
    let plans = plans(&catalogued(id), overrides, None);
    plans.into_iter().find(|plan| plan.run_on == RunOn::Explorer).expect("it runs on the explorer")
}

/// What is left of the failure that `plan` comes to, and what may be said of every such result.
fn minimal(plan: &Plan, budget: Budget) -> MinimalSchedule {
    let told = run(plan);
    let trace = told.schedule.expect("some schedule fails");
    let minimal = minimise::minimise(plan, &trace, &told.judgement, budget, &Arc::default()).expect("it is a failure");
    assert_eq!(signature(&minimal.judgement), signature(&told.judgement));
    assert!(minimal.preemptions <= minimal.from_preemptions, "{} preemptions", minimal.preemptions);
    assert_eq!((minimal.from_steps, minimal.steps), (trace.len() as u64, minimal.trace.len() as u64));
    let edited = minimise::apply(&plan.scenario, &minimal.edits).expect("what was applied can be applied again");
    assert_eq!(edited, *minimal.plan.scenario);
    minimal
}

fn texts(minimal: &MinimalSchedule) -> Vec<String> {
    minimal.edits.iter().map(Edit::to_string).collect()
}

#[test]
fn one_task_that_waits_for_itself_needs_no_preemption_and_one_bio() {
    let minimal = minimal(&explored("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", "fifo")]), BUDGET);
    assert_eq!(minimal.preemptions, 0);
    assert_eq!(texts(&minimal), ["steps[0]: dropped (line 18)", "steps[1]: dropped (line 20)"]);
}

#[test]
fn a_bio_split_from_the_wrong_end_needs_all_its_pieces() {
    let cell: Overrides<'_> = &[("split", "clone-is-remainder"), ("sectors", "32")];
    let minimal = minimal(&explored("bio/split-head-or-remainder", cell), BUDGET);
    assert_eq!(minimal.preemptions, 0);
    // Half as many sectors are fewer pieces than the reserve holds out against.
    assert_eq!(texts(&minimal), ["steps[1]: dropped (line 17)"]);
}

#[test]
fn a_stack_that_starves_itself_comes_down_to_one_level_and_one_bio() {
    let cell: Overrides<'_> = &[("split", "loop"), ("rescue", "none"), ("depth", "6"), ("reserve", "1")];
    let minimal = minimal(&explored("mempool/starve-stack", cell), BUDGET);
    assert_eq!(minimal.preemptions, 0);
    assert!(minimal.steps * 3 < minimal.from_steps, "{} of {} steps", minimal.steps, minimal.from_steps);
    let texts = texts(&minimal);
    for edit in ["steps[2].parallel.high: dropped (line 24)", "devices[1].levels: 6 -> 1"] {
        assert!(texts.iter().any(|text| text == edit), "{edit} is not in {texts:?}");
    }
}

#[test]
fn a_suspend_that_lets_bios_through_is_left_with_one_suspend_and_one_bio() {
    let plan = explored("dm/suspend-under-io", &[("split", "trim"), ("planted", "maps-while-suspended")]);
    let minimal = minimal(&plan, BUDGET);
    assert!(minimal.preemptions <= 1, "{} preemptions", minimal.preemptions);
    let texts = texts(&minimal);
    for edit in [
        "steps[0].parallel.admin[0].repeat.times: 3 -> 1 (line 16)",
        "steps[0].parallel.io[0].load.io_size: 65536 -> 8192 (line 14)",
        "steps[0].parallel.io[0].load.verify: dropped (line 14)",
    ] {
        assert!(texts.iter().any(|text| text == edit), "{edit} is not in {texts:?}");
    }
}

#[test]
fn a_step_that_would_fail_so_on_any_engine_is_not_taken_for_the_bug() {
    let text = "\
scenario: t/loses
about: writes that are lost
runs: [explorer]
variants: { planted: [loses-writes] }
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 64 linear $d 0\"] }
steps:
  - stamp: { on: t, at: 0, sectors: 16 }
  - stamp: { on: t, at: 16, sectors: 16 }
  - verify: { on: t, at: 0, sectors: 32 }
expect: [ { verdict: corruption } ]
";
    let plan = plans(&parsed("t/loses.yaml", text), &[], None).remove(0);
    let minimal = minimal(&plan, BUDGET);
    // What is verified must still have been written, even though the bug loses the writes anyway.
    assert!(texts(&minimal).iter().all(|text| !text.contains("dropped (line 9)")), "{:?}", texts(&minimal));
    let honest = Plan { variants: dmlab_engine::variants::Variants::default(), ..minimal.plan.clone() };
    assert_eq!(run(&honest).judgement.verdict, Verdict::Pass, "{:?}", texts(&minimal));
}

#[test]
fn the_same_schedule_is_minimised_the_same_way_twice() {
    let plan = explored("bio/rescuer-many-tasks", &[("rescue", "none")]);
    let (first, second) = (minimal(&plan, BUDGET), minimal(&plan, BUDGET));
    assert_eq!(first.trace, second.trace);
    assert_eq!((first.tries, texts(&first)), (second.tries, texts(&second)));
    // Found by a walk that went back and forth; two tasks that fight for a pool need one switch.
    assert!(
        first.from_preemptions > 5 && first.preemptions == 1,
        "{} of {}",
        first.preemptions,
        first.from_preemptions
    );
}

#[test]
fn without_a_budget_or_when_interrupted_the_schedule_comes_back_as_it_was() {
    let plan = explored("bio/rescuer-many-tasks", &[("rescue", "none")]);
    let small = minimal(&plan, Budget { tries_max: 1, schedules_per_edit: 30 });
    assert_eq!((small.steps, small.preemptions), (small.from_steps, small.from_preemptions));
    assert!(small.edits.is_empty());
    let told = run(&plan);
    let interrupt = Arc::new(AtomicBool::new(true));
    let interrupted = minimise::minimise(&plan, &told.schedule.unwrap(), &told.judgement, BUDGET, &interrupt);
    assert!(interrupted.is_none(), "nothing was performed at all");
}

#[test]
fn what_is_no_failure_or_not_this_one_is_not_minimised() {
    let plan = explored("bio/rescuer-many-tasks", &[("rescue", "none")]);
    let told = run(&plan);
    let trace = told.schedule.unwrap();
    let try_it = |judgement: &Judgement| minimise::minimise(&plan, &trace, judgement, BUDGET, &Arc::default());
    assert!(try_it(&Judgement { verdict: Verdict::Pass, report: None, stuck: None }).is_none());
    let crash = Judgement { verdict: Verdict::Crash, report: Some("BUG: another".to_owned()), stuck: None };
    assert!(try_it(&crash).is_none());
}

#[test]
fn a_minimal_schedule_is_saved_with_its_edits_and_replayed() {
    let plan = explored("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", "fifo")]);
    let minimal = minimal(&plan, BUDGET);
    let text = ScheduleFile::of_minimal(&minimal).to_json();
    let replay = |text: &str| ScheduleFile::from_json(text).unwrap().replay(&Arc::default());
    let replayed = replay(&text).unwrap();
    assert!(replayed.reproduced, "{:?}", replayed.divergence);
    assert_eq!((&replayed.edits, replayed.preemptions), (&minimal.edits, minimal.preemptions));
    assert_eq!(replayed.trace, minimal.trace);

    // An edit that does not fit, one that does but is not the recorded one, and none at all.
    let moved = text.replacen("\"line\": 18", "\"line\": 17", 1);
    let error = replay(&moved).err().expect("the line is another").to_string();
    assert!(error.contains("edit 0 (steps[0]: dropped (line 17)): it stands in line 18"), "{error}");
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let others = [
        serde_json::json!([]),
        serde_json::json!([{ "at": "steps[2].stamp.sectors", "line": 20, "change": { "set": { "from": 24, "to": 12 } } }]),
    ];
    for edits in others {
        value["edits"] = edits;
        let replayed = replay(&value.to_string()).unwrap();
        let divergence = replayed.divergence.expect("the configuration is another");
        assert!(divergence.starts_with("the start: ") && !replayed.reproduced, "{divergence}");
    }
    let cut = &text[..text.len() / 2];
    assert!(matches!(ScheduleFile::from_json(cut), Err(ScheduleError::NotASchedule(_))));
}
