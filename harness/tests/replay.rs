//! The round trip of a failing schedule: `explore` saves it, `replay` comes to the same end by the same steps, and a
//! file that is not what was recorded is told from it at the first difference.
//!
//! Not here: what is explored, and how (the engine's tests).

mod support;

use serde_json::{Value, json};
use support::{Ended, Folder};

const SAVED: &str = "dmlab-schedules/bio-rescuer-many-tasks_rescue=none_split=loop_gmr=fifo.schedule.json";

/// Deadlocks in every schedule, and does not say so.
const STARVED: &str = "\
scenario: t/starved
about: a file of its own that deadlocks
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\", \"16 8 linear $d 16\", \"24 8 linear $d 24\"] }
variants: { split: [clone-is-remainder] }
steps:
  - fault: { slab: { pool: \"t.*\", fail: always } }
  - stamp: { on: t, at: 0, sectors: 32 }
";

/// A folder in which the deadlock of S8 B was explored and saved.
fn explored() -> (Folder, Ended) {
    let folder = Folder::new();
    let ended = explore(&folder);
    (folder, ended)
}

fn explore(folder: &Folder) -> Ended {
    let ended = folder.dmlab(&["explore", "bio/rescuer-many-tasks", "--variant", "rescue=none", "--no-minimise"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// Replays the schedule that `change` makes of the saved one.
fn replay_changed(change: impl FnOnce(&mut Value)) -> Ended {
    let (folder, _) = explored();
    let mut schedule: Value = serde_json::from_str(&folder.read(SAVED)).unwrap();
    change(&mut schedule);
    let name = folder.with("changed.json", &schedule.to_string());
    folder.dmlab(&["replay", name])
}

/// The number of the first step of this operation.
fn step_of(schedule: &Value, op: &str) -> usize {
    let steps = schedule["steps"].as_array().unwrap();
    steps.iter().position(|step| step["op"] == op).unwrap_or_else(|| panic!("no step does {op}"))
}

/// The deadlock report in a text, without what `explore` puts before each line.
fn deadlock_of(text: &str) -> String {
    let unquoted = text.lines().map(|line| line.strip_prefix("  | ").unwrap_or(line).trim_end());
    let from_start = unquoted.skip_while(|line| !line.starts_with("deadlock: "));
    let report = from_start.take_while(|line| !line.contains("schedule saved") && !line.contains("all as recorded"));
    report.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[test]
fn a_saved_deadlock_is_reproduced_with_its_steps_and_its_report() {
    let (folder, explored) = explored();
    assert!(explored.out.contains(&format!("dmlab replay {SAVED}")), "{}", explored.out);
    let schedule: Value = serde_json::from_str(&folder.read(SAVED)).unwrap();
    let steps = schedule["steps"].as_array().unwrap();
    assert_eq!(schedule["verdict"], "deadlock");
    assert_eq!(schedule["signature"], "mempool_alloc t.bs");

    let replayed = folder.dmlab(&["replay", SAVED]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!(replayed.err, "");
    let lines: Vec<&str> = replayed.out.lines().collect();
    for (number, step) in steps.iter().enumerate() {
        let words = [&step["name"], &step["op"]].map(|word| word.as_str().unwrap());
        let line = lines[number].trim_start();
        assert!(line.starts_with(&format!("{number}  {}: {}", words[0], words[1])), "step {number}: {line}");
        assert!(line.contains(step["object"].as_str().unwrap_or_default()), "step {number}: {line}");
    }
    assert!(replayed.out.ends_with(&format!("{} steps, all as recorded\nreproduced: deadlock\n", steps.len())));
    let (told, again) = (deadlock_of(&explored.out), deadlock_of(&replayed.out));
    assert!(told.starts_with("deadlock: 2 tasks wait for each other: "), "{told}");
    assert_eq!(told, again);
}

#[test]
fn a_replay_gives_the_same_text_every_time_and_leaves_nothing_behind() {
    let (folder, _) = explored();
    let before = folder.names("");
    let replays: Vec<Ended> = (0..3).map(|_| folder.dmlab(&["replay", SAVED])).collect();
    assert!(replays.iter().all(|replay| replay.code == Some(0) && replay.out == replays[0].out));
    assert_eq!(folder.names(""), before);
    assert_eq!(folder.names("dmlab-schedules").len(), 1);
}

#[test]
fn a_quiet_replay_tells_the_report_and_not_the_steps() {
    let (folder, _) = explored();
    let quiet = folder.dmlab(&["replay", "--quiet", SAVED]);
    assert_eq!(quiet.code, Some(0));
    assert!(quiet.out.contains("deadlock: 2 tasks") && quiet.out.contains("reproduced: deadlock"), "{}", quiet.out);
    assert!(!quiet.out.contains("down_write _hash_lock"), "{}", quiet.out);
}

#[test]
fn a_schedule_needs_neither_the_catalogue_nor_the_file_that_it_came_from() {
    let folder = Folder::new();
    folder.with("gone.yaml", STARVED);
    assert_eq!(folder.dmlab(&["run", "gone.yaml", "--clock", "virtual", "--save", "kept"]).code, Some(5));
    std::fs::remove_file(folder.path().join("gone.yaml")).unwrap();
    let names = folder.names("kept");
    assert_eq!(names, ["t-starved_split=clone-is-remainder.schedule.json"]);
    let replayed = folder.dmlab(&["replay", &format!("kept/{}", names[0])]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
}

#[test]
fn a_schedule_of_a_file_with_a_long_path_is_saved_too() {
    let folder = Folder::new();
    let path = format!("{}/{}/starved.yaml", "deep".repeat(40), "deeper".repeat(25));
    folder.with(&path, STARVED);
    let ended = folder.dmlab(&["run", &path, "--clock", "virtual", "--quiet"]);
    assert_eq!((ended.code, &*ended.err), (Some(5), ""), "{ended:?}");
    assert_eq!(folder.names("dmlab-schedules").len(), 1);
}

#[test]
fn another_operation_at_a_step_is_named_as_the_first_difference() {
    let mut number = 0;
    let ended = replay_changed(|schedule| {
        number = step_of(schedule, "mempool_alloc");
        schedule["steps"][number]["op"] = json!("mutex_lock");
    });
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = ended.out.lines().find(|line| line.starts_with("the run is not the recorded one from "));
    let said = said.unwrap_or_else(|| panic!("no difference was named: {}", ended.out));
    assert!(said.contains(&format!("from step {number}: expected ")) && said.contains(": mutex_lock "), "{said}");
    assert!(ended.out.contains("not reproduced: ") && ended.out.contains("; recorded: deadlock"), "{}", ended.out);
}

#[test]
fn a_renamed_object_is_named_as_the_first_difference() {
    let mut number = 0;
    let ended = replay_changed(|schedule| {
        number = step_of(schedule, "mempool_alloc");
        schedule["steps"][number]["object"] = json!("t.other");
    });
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = format!("the run is not the recorded one from step {number}: expected ");
    assert!(ended.out.contains(&said), "{}", ended.out);
    assert!(ended.out.contains("mempool_alloc t.other") && ended.out.contains("not reproduced"), "{}", ended.out);
}

#[test]
fn a_renamed_task_is_named_as_the_first_difference() {
    let ended = replay_changed(|schedule| schedule["steps"][3]["name"] = json!("somebody"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("from step 3: expected somebody: "), "{}", ended.out);
}

#[test]
fn a_step_of_a_task_that_is_not_there_is_told_in_words_that_show_the_difference() {
    let ended = replay_changed(|schedule| schedule["steps"][5]["task"] = json!(4_000_000_000_u32));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = ended.out.lines().find_map(|line| line.split_once("from step 5: expected ")).expect("step 5 differs").1;
    let (expected, found) = said.split_once(", found ").unwrap();
    assert_ne!(expected, found, "both sides read the same, which explains nothing");
}

#[test]
fn a_recording_that_is_too_short_or_too_long_is_no_reproduction() {
    let shorter = replay_changed(|schedule| drop(schedule["steps"].as_array_mut().unwrap().pop()));
    assert_eq!(shorter.code, Some(1), "{shorter:?}");
    assert!(shorter.out.contains("expected the end of the recording, found "), "{}", shorter.out);
    let longer = replay_changed(|schedule| {
        let steps = schedule["steps"].as_array_mut().unwrap();
        steps.push(steps[0].clone());
    });
    assert_eq!(longer.code, Some(1), "{longer:?}");
    assert!(longer.out.contains("found the end of the run"), "{}", longer.out);
    let none = replay_changed(|schedule| schedule["steps"] = json!([]));
    assert_eq!(none.code, Some(1), "{none:?}");
}

#[test]
fn another_verdict_or_signature_than_the_recorded_one_is_no_reproduction() {
    let verdict = replay_changed(|schedule| schedule["verdict"] = json!("hang"));
    assert_eq!(verdict.code, Some(1), "{verdict:?}");
    assert!(verdict.out.contains("not reproduced: deadlock; recorded: hang"), "{}", verdict.out);
    let signature = replay_changed(|schedule| schedule["signature"] = json!("mempool_alloc t.io_pool"));
    assert_eq!(signature.code, Some(1), "{signature:?}");
    // Verdict and steps are the same: what differs must be told.
    assert!(signature.out.contains("t.io_pool"), "{}", signature.out);
}

#[test]
fn a_scenario_that_was_changed_in_the_file_is_a_difference() {
    let ended = replay_changed(|schedule| {
        let text =
            schedule["scenario"].as_str().unwrap().replace("sectors: 16 } }\n      high", "sectors: 8 } }\n      high");
        assert_ne!(text, schedule["scenario"]);
        schedule["scenario"] = json!(text);
    });
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("the run is not the recorded one from the start: "), "{}", ended.out);
    assert!(ended.out.contains("; then from step "), "{}", ended.out);
}

#[test]
fn another_hash_of_the_configuration_is_told_with_both_values() {
    let mut recorded = String::new();
    let ended = replay_changed(|schedule| {
        recorded = schedule["config"].as_str().unwrap().to_owned();
        schedule["config"] = json!("0123456789abcdef");
    });
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = ended.out.lines().find(|line| line.starts_with("the run is not the recorded one from the start: "));
    let said = said.unwrap_or_else(|| panic!("no difference was named: {}", ended.out));
    assert!(said.contains(&format!("has the hash {recorded}, what was recorded had 0123456789abcdef")), "{said}");
    assert!(!said.contains("; then from"), "the steps are the recorded ones: {said}");
}

#[test]
fn another_cell_than_the_recorded_one_is_a_difference_even_where_the_steps_are_the_same() {
    let ended = replay_changed(|schedule| schedule["cell"][2][1] = json!("sorted"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("the run is not the recorded one from the start: "), "{}", ended.out);
}

#[test]
fn another_count_of_preemptions_is_a_difference() {
    let ended = replay_changed(|schedule| schedule["preemptions"] = json!(4_000));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("from its end: ") && ended.out.contains("the recording says 4000"), "{}", ended.out);
}

#[test]
fn a_file_of_version_1_is_still_replayed_step_by_step() {
    let to_version_1 = |schedule: &mut Value| {
        schedule["version"] = json!(1);
        schedule.as_object_mut().unwrap().remove("config");
    };
    let ended = replay_changed(to_version_1);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.ends_with("reproduced: deadlock\n"), "{}", ended.out);
    let changed = replay_changed(|schedule| {
        to_version_1(schedule);
        schedule["steps"][3]["name"] = json!("somebody");
    });
    assert_eq!(changed.code, Some(1), "{changed:?}");
    let mixed = replay_changed(|schedule| schedule["version"] = json!(1));
    assert_eq!((mixed.code, &*mixed.out), (Some(2), ""), "{mixed:?}");
    assert!(mixed.err.contains("version 1 has no `config`"), "{}", mixed.err);
}

#[test]
fn another_format_version_is_refused_and_named() {
    for version in [0_u64, 3, 4_294_967_297] {
        let ended = replay_changed(|schedule| schedule["version"] = json!(version));
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{ended:?}");
        let said =
            format!("changed.json: the schedule has format version {version}; this dmlab reads versions 1 and 2");
        assert!(ended.err.contains(&said), "{}", ended.err);
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    let (folder, _) = explored();
    let whole = folder.read(SAVED);
    folder.with("cut.json", &whole[..whole.len() / 2]);
    folder.with("empty.json", "");
    folder.with("other.json", "{ \"format\": \"dmlab-record\", \"version\": 1 }");
    folder.with("extra.json", &whole.replacen("\"version\": 2", "\"version\": 2, \"colour\": \"red\"", 1));
    folder.with("op.json", &whole.replacen("\"op\": \"down_write\"", "\"op\": \"down_right\"", 1));
    folder.with("scenario.json", &whole.replacen("devices:", "device:", 1));
    folder.with("config.json", &whole.replacen("\"config\": \"", "\"config\": \"0x", 1));
    let mut without: Value = serde_json::from_str(&whole).unwrap();
    without.as_object_mut().unwrap().remove("config");
    folder.with("no-config.json", &without.to_string());
    let edits = "\"edits\": [ { \"at\": \"steps[77]\", \"line\": 9, \"change\": \"drop\" } ], \"seed\":";
    folder.with("edit.json", &whole.replacen("\"seed\":", edits, 1));
    folder.with("change.json", &whole.replacen("\"seed\":", &edits.replacen("drop", "double", 1), 1));
    for (name, reason) in [
        ("config.json", "`config` is not 16 lower-case hexadecimal digits"),
        ("no-config.json", "it has no `config`"),
        ("edit.json", "edit 0 (steps[77]: dropped (line 9)): the scenario has no such place"),
        ("change.json", "unknown variant `double`"),
        ("cut.json", "this is not a dmlab schedule: EOF while parsing"),
        ("empty.json", "this is not a dmlab schedule"),
        ("other.json", "it does not say \"format\": \"dmlab-schedule\""),
        ("extra.json", "unknown field `colour`"),
        ("op.json", "there is no operation \"down_right\""),
        ("scenario.json", "\"device\" is not a key of a scenario"),
        ("missing.json", "No such file"),
    ] {
        let ended = folder.dmlab(&["replay", name]);
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{name}: {ended:?}");
        assert!(ended.err.contains(name) && ended.err.contains(reason), "{name}: {}", ended.err);
    }
}

#[test]
fn a_second_exploration_saves_beside_the_first() {
    let (folder, _) = explored();
    let first = folder.read(SAVED);
    let second = explore(&folder);
    let names = folder.names("dmlab-schedules");
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(folder.read(SAVED), first);
    let other = names.iter().find(|name| !SAVED.ends_with(&***name)).expect("the second has another name");
    assert!(second.out.contains(&format!("dmlab replay dmlab-schedules/{other}")), "{}", second.out);
    assert_eq!(folder.read(&format!("dmlab-schedules/{other}")), first, "the same seed finds the same schedule");
    assert_eq!(folder.dmlab(&["replay", &format!("dmlab-schedules/{other}")]).code, Some(0));
}
