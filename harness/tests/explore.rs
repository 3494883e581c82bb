//! `dmlab explore` and `dmlab merge` as a user meets them: arguments, what they do to the plan, shards put together.
//!
//! Invariant: every process runs in a folder of its own, without a terminal.
//! Not here: what a search finds (`replay.rs`, `checkers.rs`), the rules of merging (`dmlab-results`).

mod support;

use dmlab::plan::RunOn;
use dmlab_results::{CellRecord, Record, Strength};
use support::{Ended, Folder, catalogued, plans, run};

const GOOD: &str = "\
scenario: t/good
about: a scenario that passes
explore: { schedules: 10 }
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\"] }
steps:
  - stamp: { on: t, at: 0, sectors: 16 }
";

/// Fails one of the allocations, or none.
const OPEN: &str = "\
scenario: t/open
about: any one allocation may fail
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\"] }
steps:
  - fault: { slab: { pool: t.io_bs, fail: any, at_most: 2 } }
  - repeat: { times: 20, do: { stamp: { on: t, at: 0, sectors: 16 } } }
expect:
  - { counters: { slab_failures: \"<= 2\" } }
";

/// A cell of `bio/rescuer-one-task` of which a proof takes a fraction of a second.
const PUNT_OWN: [&str; 4] = ["--variant", "rescue=punt-own", "--variant", "gmr=fifo"];

#[track_caller]
fn assert_refused(ended: &Ended, reason: &str) {
    assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains(reason), "{reason:?} is not in {}", ended.err);
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.with("good.yaml", GOOD);
    folder
}

fn read(folder: &Folder, name: &str) -> Record {
    Record::from_json(&folder.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn explore(folder: &Folder, args: &[&str]) -> CellRecord {
    let ended = folder.dmlab(&[&["explore", "good.yaml", "--json", "r.json"], args].concat());
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    read(folder, "r.json").cells.remove(0)
}

/// The records of three shards, changed by `change`, as `1.json` to `3.json`.
fn shards(folder: &Folder, change: impl Fn(u32, &mut Record)) {
    for index in 1..=3 {
        let (shard, name) = (format!("{index}/3"), format!("{index}.json"));
        let ended = folder.dmlab(&["explore", "good.yaml", "--shard", &shard, "--json", &name]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut record = read(folder, &name);
        change(index, &mut record);
        folder.with(&name, &record.to_json());
    }
}

/// As an exhaustive search of its part would leave it.
fn prove(_: u32, record: &mut Record) {
    let exploration = record.cells[0].exploration.as_mut().unwrap();
    (exploration.states, exploration.learnt) = (Some(5), Some("0123".repeat(8)));
    exploration.strength = Strength::Proved { schedules: exploration.schedules, states: 5 };
}

#[test]
fn what_is_wrong_with_the_arguments_is_told_with_what_would_be_right() {
    let folder = folder();
    for (args, reason) in [
        (&["--strategy", "exhaustiv"][..], "possible values: portfolio, random, pct, pos, urw, exhaustive, icb"),
        (&["--strategy", "exhaustive", "--bound", "2"], "--bound 2 with --strategy exhaustive: an exhaustive search"),
        (&["--strategy", "exhaustive", "--bound", "2"], "use --strategy icb, which --bound alone implies"),
        (&["--strategy", "pct", "--bound", "2"], "--bound 2 with --strategy pct: this strategy samples"),
        (&["--bound", "-1"], "unexpected argument '-1'"),
        (&["--bound", "1001"], "1001 is not in 0..=1000"),
        (&["--time", "30"], "expected a duration above 0 with its unit, such as 500ms, 30s or 10m"),
        (&["--time", "0s"], "expected a duration above 0"),
        (&["--shard", "0/3"], "the parts of 3 are numbered from 1/3 to 3/3"),
        (&["--shard", "4/3"], "the parts of 3 are numbered from 1/3 to 3/3"),
        (&["--shard", "1of3"], "such as 1/3, 2/3 and 3/3"),
        (&["--jobs", "0"], "0 is not in 1..=1024"),
        (&["--cache", "4k"], "expected a size from 1MiB to 1TiB, such as 256MiB or 2GiB"),
        (&["--schedules", "0"], "invalid value '0'"),
    ] {
        assert_refused(&folder.dmlab(&[&["explore", "good.yaml"], args].concat()), reason);
    }
    assert_eq!(folder.names(""), ["good.yaml"], "nothing was run");
}

#[test]
fn what_was_asked_for_is_in_the_plan_of_the_record() {
    let folder = folder();
    let plan = |args: &[&str]| explore(&folder, args).plan["explore"].clone();
    let own = plan(&[]);
    assert_eq!((&own["strategy"], &own["bound"]), (&"portfolio".into(), &serde_json::Value::Null));
    assert_eq!((&own["cache"], &own["runs"]), (&(256 << 20).into(), &1_000_000.into()));
    let bounded = plan(&["--bound", "2", "--cache", "1GiB", "--schedules", "7", "--keep-going"]);
    assert_eq!((&bounded["strategy"], &bounded["bound"]), (&"icb".into(), &2.into()));
    assert_eq!((&bounded["cache"], &bounded["runs"]), (&(1 << 30).into(), &7.into()));
    assert_eq!(bounded["keep_going"], true);
    assert_eq!(plan(&["--strategy", "icb", "--bound", "0"])["bound"], 0);
    assert_eq!(
        plan(&["--time", "10ms", "--jobs", "2", "--shard", "1/2", "--no-minimise"]),
        own,
        "no matter of the campaign"
    );
}

#[test]
fn an_explored_pass_says_in_every_report_what_it_is_worth() {
    let folder = folder();
    let cell = explore(&folder, &["--schedules", "7"]);
    let exploration = cell.exploration.unwrap();
    assert_eq!(exploration.strength, Strength::NotFound { schedules: 7 });
    assert_eq!((exploration.strategy.as_str(), exploration.shard), ("portfolio", None));
    let args = ["run", "good.yaml", "--schedules", "7", "--junit", "r.xml", "--markdown", "r.md"];
    let ended = folder.dmlab(&args);
    for text in [&ended.out, &folder.read("r.xml"), &folder.read("r.md")] {
        assert!(text.contains("not found in 7 schedules"), "{text}");
    }
    assert!(ended.out.lines().last().unwrap().contains("; 1 not found; "), "{}", ended.out);
}

#[test]
fn an_exhaustive_search_proves_and_goes_the_same_way_each_time_on_one_thread() {
    let folder = Folder::new();
    let exploration = || {
        let args = ["explore", "dm/lock-order", "--strategy", "exhaustive", "--jobs", "1", "--json", "-"];
        let ended = folder.dmlab(&args);
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
        let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        let mut exploration = json["cells"][0]["exploration"].clone();
        exploration.as_object_mut().unwrap().remove("schedules_per_sec");
        exploration
    };
    let first = exploration();
    let strength = &first["strength"];
    assert_eq!((&first["strategy"], &strength["kind"]), (&"exhaustive".into(), &"proved".into()));
    assert_eq!((&strength["schedules"], &strength["states"]), (&first["schedules"], &first["states"]));
    assert!(first["schedules"].as_u64() > Some(1) && first["states"].as_u64() > Some(1), "{first}");
    let depth = first["depth_max"].as_u64();
    assert!(depth > Some(0) && depth < first["steps_max_seen"].as_u64(), "{first}");
    assert_eq!(exploration(), first);
}

#[test]
fn a_proof_takes_all_shards_of_an_exhaustive_search() {
    let folder = Folder::new();
    for (shard, name) in [("1/2", "1.json"), ("2/2", "2.json")] {
        let args = ["--strategy", "exhaustive", "--shard", shard, "--jobs", "1", "--json", name];
        let ended = folder.dmlab(&[&["explore", "bio/rescuer-one-task"], &PUNT_OWN[..], &args].concat());
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    }
    let parts = ["1.json", "2.json"].map(|name| read(&folder, name).cells.remove(0).exploration.unwrap());
    let ended = folder.dmlab(&["merge", "2.json", "1.json", "--json", "whole.json"]);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    let whole = read(&folder, "whole.json").cells.remove(0).exploration.unwrap();
    let schedules = parts.iter().map(|part| part.schedules).sum();
    let states = parts.iter().filter_map(|part| part.states).sum();
    assert_eq!(whole.strength, Strength::Proved { schedules, states });

    assert_eq!((parts[0].learnt.as_ref().unwrap().len(), &parts[1].learnt), (32, &parts[0].learnt));

    let ended = folder.dmlab(&["merge", "1.json", "--json", "part.json"]);
    assert_eq!((ended.code, &*ended.err), (Some(1), "not everything was searched; missing: shard 2/2\n"), "{ended:?}");
    let part = read(&folder, "part.json").cells.remove(0).exploration.unwrap();
    assert_eq!(part.strength.short(), "not proved: shard 2/2 is missing");

    let mut other = read(&folder, "2.json");
    other.cells[0].exploration.as_mut().unwrap().learnt = Some("0".repeat(32));
    folder.with("2.json", &other.to_json());
    let ended = folder.dmlab(&["merge", "1.json", "2.json"]);
    assert_eq!(ended.code, Some(1), "a proof is expected: {ended:?}");
    assert!(ended.out.contains("not proved: shards learnt of different conflicts"), "{}", ended.out);
}

#[test]
fn a_search_whose_states_outgrow_the_cache_proves_nothing_and_says_so() {
    let overrides = [("rescue", "punt-own"), ("gmr", "fifo")];
    let mut plans = plans(&catalogued("bio/rescuer-one-task"), &overrides, None);
    plans.retain(|plan| plan.run_on == RunOn::Explorer);
    let [plan] = &mut plans[..] else { panic!("one cell is meant, not {}", plans.len()) };
    // Far less than `--cache` takes: a search that fills that takes its time.
    plan.explore.cache_bytes_max = 1 << 10;
    let record = run(plan).record;
    let strength = record.exploration.as_ref().unwrap().strength.clone();
    let Strength::NotProved { reason, states, .. } = &strength else { panic!("{strength}") };
    assert_eq!(*reason, format!("cache full at {states} states"));
    assert!(!record.ok && record.mismatches[0].contains("cache full at"), "a proof is expected: {record:?}");
}

#[test]
fn a_bound_covers_every_schedule_of_so_few_preemptions_and_no_other() {
    let folder = Folder::new();
    let strength = |bound: &str| {
        let args = ["explore", "bio/rescuer-many-tasks", "--variant", "rescue=none", "--jobs", "1", "--json", "r.json"];
        let code = folder.dmlab(&[&args[..], &["--bound", bound]].concat()).code;
        (code, read(&folder, "r.json").cells.remove(0).exploration.unwrap().strength)
    };
    // Each task must come to a halt between its two clones while the other takes one: the first is preempted, the second
    // is not, because it waits.
    let (code, none) = strength("0");
    assert!(matches!(none, Strength::ProvedUpTo { preemptions: 0, .. }), "{none}");
    assert_eq!(code, Some(1), "a deadlock is expected");
    for bound in ["1", "2"] {
        let (code, one) = strength(bound);
        assert!(matches!(one, Strength::Found { preemptions: Some(1), .. }), "--bound {bound}: {one}");
        assert_eq!(code, Some(0));
    }
}

#[test]
fn a_search_that_goes_on_counts_every_schedule_of_a_deadlock() {
    let folder = Folder::new();
    let exploration = |args: &[&str]| {
        let which = ["explore", "bio/rescuer-many-tasks", "--variant", "rescue=none", "--json", "r.json"];
        let ended = folder.dmlab(&[&which, args].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        read(&folder, "r.json").cells.remove(0).exploration.unwrap()
    };
    let first = exploration(&["--schedules", "200"]);
    assert_eq!((first.deadlocks, first.signatures.len()), (1, 1), "{first:?}");
    let all = exploration(&["--schedules", "200", "--keep-going"]);
    assert_eq!((all.schedules, &all.strength), (200, &first.strength), "the first is the one that is shown");
    let [only] = &all.signatures[..] else { panic!("one deadlock in several schedules: {all:?}") };
    assert_eq!((&only.signature, only.schedules), (&first.signatures[0].signature, all.deadlocks));
    assert!(only.schedules > 1 && only.first_schedule == first.schedules, "{only:?}");
}

#[test]
fn a_bounded_search_that_goes_on_keeps_what_it_found_at_the_bounds_before() {
    let folder = Folder::new();
    let exploration = |args: &[&str]| {
        let which =
            ["explore", "bio/rescuer-many-tasks", "--variant", "rescue=none", "--jobs", "1", "--json", "r.json"];
        let ended = folder.dmlab(&[&which, args].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        read(&folder, "r.json").cells.remove(0).exploration.unwrap()
    };
    let first = exploration(&["--bound", "3"]);
    let [one, two, three] = ["1", "2", "3"].map(|bound| exploration(&["--bound", bound, "--keep-going"]));
    for (all, fewer) in [(&one, &first), (&two, &one)] {
        assert!(all.schedules > fewer.schedules && all.deadlocks > fewer.deadlocks, "{all:?} after {fewer:?}");
        assert_eq!(all.strength, first.strength, "the first is the one that is shown");
        assert_eq!(all.signatures[0].first_schedule, first.schedules);
    }
    assert_eq!((three.schedules, three.deadlocks), (two.schedules, two.deadlocks), "there are no more with three");
}

#[test]
fn what_was_found_is_drawn_where_it_was_asked_for() {
    let folder = Folder::new();
    let args = ["explore", "bio/rescuer-one-task", "--variant", "gmr=fifo", "--html", "page.html"];
    let ended = folder.dmlab(&[&args[..], &["--variant", "rescue=none"]].concat());
    assert_eq!((ended.code, &*ended.err), (Some(0), "drawn in page.html\n"), "{ended:?}");
    let page = folder.read("page.html");
    assert!(page.starts_with("<!") && page.trim_end().ends_with("</html>"), "{page}");
    for text in ["bio/rescuer-one-task", "rescue=none", "mempool_alloc", "t.bs", "main"] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    folder.dmlab(&[&args[..], &["--variant", "rescue=none"]].concat());
    assert_eq!(folder.read("page.html"), page, "no file that is there is replaced");

    let nothing = Folder::new();
    let ended = nothing.dmlab(&["explore", "dm/lock-order", "--html", "page.html"]);
    assert_eq!((ended.code, &*ended.err), (Some(0), "nothing failed, so that there is nothing to draw\n"), "{ended:?}");
    assert_eq!(nothing.names(""), [""; 0]);
}

#[test]
fn what_is_sampled_does_not_depend_on_the_number_of_threads() {
    let folder = Folder::new();
    let exploration = |jobs: &str, seed: &str| {
        let which = ["explore", "bio/rescuer-many-tasks", "--variant", "rescue=none", "--schedules", "300"];
        let how = ["--keep-going", "--jobs", jobs, "--seed", seed, "--json", "r.json"];
        let ended = folder.dmlab(&[&which[..], &how].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let cell = read(&folder, "r.json").cells.remove(0);
        let mut exploration = cell.exploration.unwrap();
        exploration.schedules_per_sec = None;
        (exploration, cell.pools)
    };
    let alone = exploration("1", "1");
    assert_eq!(exploration("2", "1"), alone);
    assert_ne!(exploration("1", "2").0, alone.0, "the seed is what decides");
}

#[test]
fn shards_are_put_together_in_any_order_and_reported_as_one_run() {
    let folder = folder();
    shards(&folder, prove);
    assert!(folder.dmlab(&["explore", "good.yaml", "--shard", "2/3"]).out.contains("shard 2/3"), "a part says so");
    let ended = folder.dmlab(&["merge", "1.json", "2.json", "3.json", "--json", "whole.json"]);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains("│ t/good ") && ended.out.contains("│ proved "), "{}", ended.out);
    assert!(ended.out.lines().last().unwrap().starts_with("1 cell: 1 as expected; 1 proved; "), "{}", ended.out);
    let whole = read(&folder, "whole.json");
    let exploration = whole.cells[0].exploration.as_ref().unwrap();
    assert_eq!((exploration.shard, exploration.states), (None, Some(15)));
    let other = folder.dmlab(&["merge", "3.json", "1.json", "2.json", "--json", "-"]);
    assert_eq!((other.out, other.err), (folder.read("whole.json"), String::new()));
    let quiet = folder.dmlab(&["merge", "-q", "1.json", "2.json", "3.json"]);
    assert_eq!(quiet.out.lines().count(), 1, "{}", quiet.out);
}

#[test]
fn a_missing_shard_is_named_and_nothing_is_proved_without_it() {
    let folder = folder();
    shards(&folder, prove);
    let ended = folder.dmlab(&["merge", "3.json", "1.json", "--json", "part.json"]);
    assert_eq!(ended.code, Some(0), "nobody expects a proof of this scenario: {ended:?}");
    assert_eq!(ended.err, "not everything was searched; missing: shard 2/3\n");
    assert!(ended.out.contains("not proved: shard 2/3 is missing"), "{}", ended.out);
    let exploration = read(&folder, "part.json").cells[0].exploration.clone().unwrap();
    assert!(matches!(exploration.strength, Strength::NotProved { .. }), "{exploration:?}");

    shards(&folder, |index, record| {
        prove(index, record);
        record.cells[0].expected_strength = Some(dmlab_results::Proof::Complete);
    });
    assert_eq!(folder.dmlab(&["merge", "1.json", "3.json"]).code, Some(1), "somebody does");
    assert_eq!(folder.dmlab(&["merge", "1.json", "3.json", "2.json"]).code, Some(0));
}

#[test]
fn the_exit_code_of_a_merge_is_that_of_a_run() {
    let folder = folder();
    shards(&folder, |index, record| {
        if index == 2 {
            (record.cells[0].verdict, record.cells[0].ok) = (dmlab_results::Verdict::Deadlock, false);
            record.cells[0].mismatches = vec!["line 1: verdict deadlock, expected pass".to_owned()];
        }
    });
    let ended = folder.dmlab(&["merge", "1.json", "2.json", "3.json"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.out.contains("not met: line 1: verdict deadlock, expected pass"), "{}", ended.out);
    shards(&folder, |index, record| record.interrupted = index == 3);
    assert_eq!(folder.dmlab(&["merge", "1.json", "2.json", "3.json"]).code, Some(130));
}

#[test]
fn files_that_do_not_belong_together_are_refused_with_file_and_field() {
    let folder = folder();
    shards(&folder, |index, record| record.seed = if index == 2 { 7 } else { 1 });
    assert_refused(&folder.dmlab(&["merge", "1.json", "2.json"]), "2.json: seed is 7, but 1 in 1.json");
    assert_refused(&folder.dmlab(&["merge", "1.json", "3.json", "1.json"]), "1.json: shard 1/3 is in 1.json already");
    folder.dmlab(&["explore", "good.yaml", "--shard", "2/3", "--bound", "1", "--json", "other.json"]);
    assert_refused(
        &folder.dmlab(&["merge", "1.json", "other.json"]),
        "other.json: cells[0].plan.explore.bound is 1, but null in 1.json",
    );
    folder.dmlab(&["explore", "good.yaml", "--json", "whole.json"]);
    assert_refused(&folder.dmlab(&["merge", "whole.json"]), "whole.json: it is a whole exploration and no shard");
    folder.dmlab(&["run", "good.yaml", "--clock", "wall", "--json", "run.json"]);
    assert_refused(&folder.dmlab(&["merge", "1.json", "run.json"]), "run.json: no cell in it was explored");
    folder.with("notes.json", "{}");
    assert_refused(&folder.dmlab(&["merge", "1.json", "notes.json"]), "notes.json: not a dmlab record");
    assert_refused(&folder.dmlab(&["merge", "1.json", "gone.json"]), "gone.json: No such file");
    assert_refused(&folder.dmlab(&["merge"]), "<FILE>...");
}

#[test]
fn both_commands_explain_themselves_with_examples() {
    let folder = folder();
    for (command, example) in [
        ("explore", "dmlab explore my.yaml --strategy exhaustive"),
        ("explore", "--shard 1/3"),
        ("merge", "dmlab merge 1.json 2.json 3.json"),
    ] {
        let help = folder.dmlab(&[command, "--help"]).out;
        assert!(help.contains("Examples:") && help.contains(example), "{example} is not in {help}");
    }
}

#[test]
fn an_open_fault_fails_no_more_events_than_it_may_wherever_it_runs() {
    let folder = Folder::new();
    folder.with("open.yaml", OPEN);
    let mut failures = Vec::new();
    for (clock, seed) in [("wall", "1"), ("virtual", "1"), ("virtual", "2"), ("virtual", "3")] {
        let args = ["run", "open.yaml", "--clock", clock, "--seed", seed, "--schedules", "20", "--json", "-"];
        let ended = folder.dmlab(&args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let record = Record::from_json(&ended.out).unwrap();
        let run = record.cells.iter().filter(|cell| !cell.is_skipped());
        failures.extend(run.map(|cell| cell.counters["slab_failures"]));
    }
    assert!(failures.iter().all(|&failures| failures == 2), "drawn until the budget is used: {failures:?}");
}
