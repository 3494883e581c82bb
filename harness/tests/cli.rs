//! The command line as a user meets it: exit codes, what goes to which stream, files, colours, mistakes in scenarios,
//! closed pipes and signals.
//!
//! Invariant: every process runs in a folder of its own, without a terminal.
//! Not here: `explore` and `merge` (`explore.rs`), `replay` (`replay.rs`), what the scenarios show (`mutations.rs`),
//! signals (`signals.rs`).

mod support;

use dmlab_results::Record;
use dmlab_scenarios::catalog;
use serde_json::Value;
use support::{Ended, Folder, binary};

const GOOD: &str = "\
scenario: t/good
about: a scenario that passes
tags: [mine]
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\", \"16 8 linear $d 16\", \"24 8 linear $d 24\"] }
steps:
  - stamp: { on: t, at: 0, sectors: 32 }
";

/// Deadlocks under `split=clone-is-remainder`, and does not say so.
const STARVED: &str = "\
scenario: t/starved
about: a scenario that deadlocks in one variant
devices:
  d: { ram: 64KiB }
  t: { dm: [\"0 8 linear $d 0\", \"8 8 linear $d 8\", \"16 8 linear $d 16\", \"24 8 linear $d 24\"] }
steps:
  - fault: { slab: { pool: \"t.*\", fail: always } }
  - stamp: { on: t, at: 0, sectors: 32 }
";

fn wrong_expectation() -> String {
    format!("{GOOD}expect:\n  - {{ counters: {{ ios: \"== 7\" }} }}\n")
}

/// Ends with `code`, says nothing on standard output, and `reason` on standard error.
#[track_caller]
fn assert_refused(ended: &Ended, code: i32, reason: &str) {
    assert_eq!((ended.code, &*ended.out), (Some(code), ""), "{ended:?}");
    assert!(ended.err.contains(reason), "{reason:?} is not in {}", ended.err);
}

fn record(text: &str) -> Record {
    Record::from_json(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_machine_whose_kernel_cannot_be_driven_is_told_why_and_where_else() {
    if std::fs::read_to_string("/proc/misc").is_ok_and(|misc| misc.contains("device-mapper")) {
        eprintln!("SKIPPED a machine whose kernel cannot be driven: this one's can");
        return;
    }
    let folder = Folder::new();
    let ended = folder.dmlab(&["run", "--backend", "kernel", "dm/linear-layout"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("dmlab doctor") && ended.err.contains("--backend guest"), "{ended:?}");
}

#[test]
fn the_whole_catalogue_runs_and_comes_out_as_expected_in_one_table_and_one_line() {
    let ended = Folder::new().dmlab(&["run", "--schedules", "1000"]);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    let columns = ["scenario", "variant", "runtime", "expected", "verdict", "strength", "time / schedules"];
    let others = ["throughput", "lat p50 / p99", "peak pool use", "result"];
    for column in columns.iter().chain(&others) {
        assert!(lines[1].contains(column), "{column} is not in {}", lines[1]);
    }
    for entry in catalog() {
        assert!(ended.out.contains(&format!("│ {} ", entry.id())), "{} is not in the table", entry.id());
    }
    let summary = lines.last().unwrap();
    let (cells, rest) = summary.split_once(" cells: ").unwrap();
    assert!(rest.starts_with(&format!("{cells} as expected; ")), "{summary}");
    assert!(summary.ends_with(" schedules, 0 unexpected deadlocks"), "{summary}");
    assert_eq!(lines.iter().filter(|line| line.ends_with(" ok     │")).count(), cells.parse::<usize>().unwrap());
}

#[test]
fn a_part_of_the_schedules_is_enough_for_the_catalogue() {
    let ended = Folder::new().dmlab(&["run", "--schedules", "250", "--quiet"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn an_expectation_that_is_not_met_is_code_1_and_told_with_its_line() {
    let folder = Folder::new();
    folder.with("wrong.yaml", &wrong_expectation());
    let ended = folder.dmlab(&["run", "wrong.yaml", "--schedules", "5"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("not met: line 10: ios is 0, expected == 7"), "{}", ended.out);
    assert!(ended.out.lines().last().unwrap().starts_with("2 cells: 0 as expected, 2 not (t/good "), "{}", ended.out);
}

#[test]
fn a_deadlock_that_nobody_expects_is_code_5_with_its_report_and_its_schedule() {
    let folder = Folder::new();
    folder.with("starved.yaml", STARVED);
    let ended = folder.dmlab(&["run", "starved.yaml", "--variant", "split=clone-is-remainder"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    for told in
        ["not met: line 1: verdict deadlock, expected pass", "t.bio_split", "__split_and_process_bio", "dmlab replay "]
    {
        assert!(ended.out.contains(told), "{told:?} is not in {}", ended.out);
    }
    assert_eq!(folder.names("dmlab-schedules").len(), 1);
    assert_eq!(folder.dmlab(&["run", "starved.yaml", "--schedules", "5"]).code, Some(0));
}

#[test]
fn a_hang_that_nobody_expects_is_code_5() {
    let folder = Folder::new();
    folder.with("hang.yaml", &GOOD.replace("  - stamp:", "  - suspend: t\n  - stamp:"));
    assert_eq!(folder.dmlab(&["run", "hang.yaml"]).code, Some(5));
}

#[test]
fn what_is_wrong_with_the_arguments_is_code_2_with_what_would_be_right() {
    let folder = Folder::new();
    folder.with("good.yaml", GOOD);
    for (args, reason) in [
        (&["run", "--bogus"][..], "unexpected argument '--bogus'"),
        (&["run", "--variant", "split"], "expected AXIS=VALUE"),
        (&["run", "--variant", "split=lop"], "loop, depth-first, clone-is-remainder, trim"),
        (&["run", "--seed", "x"], "\"x\" is not a seed"),
        (&["run", "--schedules", "0"], "invalid value '0'"),
        (&["run", "--clock", "sundial"], "possible values: wall, virtual"),
        (&["run", "bio/split-head"], "neither a file nor a scenario of the catalogue"),
        (&["run", "no/such.yaml"], "neither a file nor a scenario of the catalogue"),
        (&["run", "--tag", "nope"], "no scenario has the tag \"nope\"; tags are: background, bioset, "),
        (&["explore", "perf/ramdisk-overhead-ladder"], "none of these scenarios runs on the explorer"),
        (&["replay", "missing.json"], "missing.json: No such file"),
        (&["launch"], "unrecognized subcommand 'launch'"),
        (&[], "Usage: dmlab"),
    ] {
        assert_refused(&folder.dmlab(args), 2, reason);
    }
    assert!(folder.names("dmlab-schedules").is_empty());
}

#[test]
fn an_axis_that_neither_the_engine_nor_any_scenario_has_is_refused() {
    let folder = Folder::new();
    let ended = folder.dmlab(&["run", "bio/split-entry-order", "--schedules", "5", "--variant", "splitt=loop"]);
    assert_refused(&ended, 2, "splitt");
}

#[test]
fn a_selection_that_leaves_nothing_to_run_says_so_and_is_no_success() {
    let folder = Folder::new();
    let excluded = ["run", "bio/two-bios-one-barrier", "--variant", "gmr=recurse", "--variant", "split=depth-first"];
    assert_refused(&folder.dmlab(&excluded), 2, "bio/two-bios-one-barrier");
}

#[test]
fn cells_that_the_clock_leaves_out_are_skipped_with_a_reason() {
    let ended = Folder::new().dmlab(&["run", "bio/rescuer-many-tasks", "--clock", "wall", "--json", "-"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record = record(&ended.out);
    assert_eq!(record.cells.len(), 3, "nothing is left out in silence");
    assert!(record.cells.iter().all(|cell| cell.is_skipped() && cell.report.is_some()));
}

#[test]
fn a_parameter_of_a_scenario_can_be_set_like_an_axis() {
    let folder = Folder::new();
    let ended = folder.dmlab(&["run", "bio/split-stacked-fifo", "--variant", "depth=3", "--variant", "gmr=sorted"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("gmr=sorted split=depth-first depth=3"), "{}", ended.out);
    let wrong = folder.dmlab(&["run", "bio/split-stacked-fifo", "--variant", "depth=many"]);
    assert_refused(&wrong, 2, "many");
}

#[test]
fn a_report_that_cannot_be_written_is_code_3_and_names_the_file() {
    let folder = Folder::new();
    for option in ["--json", "--junit", "--markdown"] {
        let ended = folder.dmlab(&["run", "dm/table-refusals", option, "no/such/folder/file"]);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains("no/such/folder/file: No such file"), "{}", ended.err);
    }
}

#[test]
fn json_to_standard_output_is_the_only_thing_there() {
    let folder = Folder::new();
    folder.with("starved.yaml", STARVED);
    for args in [
        &["run", "dm/table-refusals", "--json", "-"][..],
        &["run", "starved.yaml", "--variant", "split=clone-is-remainder", "--json", "-"],
        &["run", "dm/table-refusals", "--quiet", "--color", "always", "--json", "-"],
        &["explore", "dm/table-refusals", "--json", "-"],
    ] {
        let ended = folder.dmlab(args);
        assert!(!record(&ended.out).cells.is_empty(), "{args:?}");
        assert_eq!(ended.err, "", "{args:?}");
    }
}

#[test]
fn all_reports_of_one_run_speak_of_the_same_cells() {
    let folder = Folder::new();
    folder.with("wrong.yaml", &wrong_expectation());
    let files = ["--json", "r.json", "--junit", "r.xml", "--markdown", "r.md"];
    let ended = folder.dmlab(&[&["run", "wrong.yaml", "dm/table-refusals", "--schedules", "5"], &files[..]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let record = record(&folder.read("r.json"));
    assert_eq!(record.cells.len(), 4);
    assert_eq!(record.cells.iter().filter(|cell| cell.ok).count(), 2);
    assert_eq!(record.command[1..4], ["run", "wrong.yaml", "dm/table-refusals"]);
    assert!(!record.interrupted && record.clock == "default" && record.seed == 1);
    let junit = folder.read("r.xml");
    assert!(junit.starts_with("<?xml") && junit.contains("tests=\"4\"") && junit.contains("failures=\"2\""), "{junit}");
    let markdown = folder.read("r.md");
    assert_eq!(markdown.lines().filter(|line| line.starts_with("| t/good") || line.starts_with("| dm/")).count(), 4);
    assert!(!markdown.contains('\u{1b}'));
    let left = ["dmlab-schedules", "r.json", "r.md", "r.xml", "wrong.yaml"];
    assert_eq!(folder.names(""), left, "no temporary file is left");
}

#[test]
fn the_same_seed_gives_the_same_bytes_under_the_virtual_clock_wherever_they_go() {
    let (here, there) = (Folder::new(), Folder::new());
    let run = |folder: &Folder, name: &str, seed: &str| {
        // Some of the catalogue; the gate `determinism` compares two runs of all of it.
        let some = ["run", "mempool", "targets", "snapshot/point-in-time", "snapshot/create-storm"];
        let args = [&some[..], &["--clock", "virtual", "--schedules", "250", "--seed", seed, "--json", name]].concat();
        assert_eq!(folder.dmlab(&args).code, Some(0));
        folder.read(name)
    };
    let first = run(&here, "a.json", "7");
    assert_eq!(first, run(&there, "another-name.json", "7"));
    assert_eq!(first, run(&here, "a.json", "0x7"));
    let other = run(&here, "b.json", "8");
    // Also beside the seeds themselves: other schedules were tried.
    let unseeded = |text: &str| text.lines().filter(|line| !line.contains("\"seed\"")).collect::<Vec<_>>().join("\n");
    assert_ne!(unseeded(&first), unseeded(&other));
}

#[test]
fn a_failure_is_the_same_bytes_too_though_its_schedule_was_saved_before() {
    let folder = Folder::new();
    folder.with("starved.yaml", STARVED);
    let run = || {
        let args =
            ["run", "starved.yaml", "--variant", "split=clone-is-remainder", "--clock", "virtual", "--json", "-"];
        folder.dmlab(&args)
    };
    let (first, second) = (run(), run());
    assert_eq!(first.code, Some(5));
    assert_eq!(folder.names("dmlab-schedules").len(), 2);
    assert_eq!(first.out, second.out);
}

#[test]
fn a_dry_run_prints_the_plan_as_yaml_and_runs_nothing() {
    let folder = Folder::new();
    let ended = folder.dmlab(&["run", "--dry-run", "--json", "r.json", "--schedules", "7"]);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    let plans: Vec<Value> = serde_yaml::from_str(&ended.out).expect("the plan is YAML");
    assert!(plans.len() >= catalog().len());
    for plan in &plans {
        for key in ["engine", "run_on", "schedules", "seed", "scenario"] {
            assert!(plan.get(key).is_some(), "{key} is not in {plan}");
        }
        assert_eq!(plan["schedules"], 7);
    }
    assert!(folder.names("").is_empty(), "{:?}", folder.names(""));
    let bad = folder.dmlab(&["run", "--dry-run", "nowhere"]);
    assert_eq!(bad.code, Some(2));
}

#[test]
fn the_list_has_every_scenario_with_its_cells() {
    let folder = Folder::new();
    let (text, json) = (folder.dmlab(&["list"]), folder.dmlab(&["list", "--json"]));
    assert_eq!((text.code, json.code), (Some(0), Some(0)));
    let entries: Vec<Value> = serde_json::from_str(&json.out).expect("the list is JSON");
    let names: Vec<&str> = entries.iter().map(|entry| entry["scenario"].as_str().unwrap()).collect();
    assert_eq!(names, catalog().iter().map(|entry| entry.id()).collect::<Vec<_>>());
    for entry in &entries {
        let head = format!("{}  ({} cells)", entry["scenario"].as_str().unwrap(), entry["cells"]);
        assert!(text.out.lines().any(|line| line == head), "{head} is not in {}", text.out);
    }
    assert!(text.out.lines().all(|line| line.chars().count() <= 140), "{}", text.out);
}

#[test]
fn the_list_can_be_narrowed_by_tag_and_by_name() {
    let folder = Folder::new();
    let names = |args: &[&str]| {
        let ended = folder.dmlab(args);
        let entries: Vec<Value> = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        entries.iter().map(|entry| entry["scenario"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let rescuers = names(&["list", "--tag", "rescuer", "--json"]);
    assert!(
        rescuers.contains(&"bio/rescuer-one-task".to_owned()) && rescuers.contains(&"mempool/starve-stack".to_owned())
    );
    assert!(!rescuers.contains(&"dm/linear-layout".to_owned()));
    assert!(names(&["list", "dm", "--json"]).iter().all(|name| name.starts_with("dm/")));
    assert_eq!(names(&["list", "dm/table-refusals", "--json"]), ["dm/table-refusals"]);
    assert_refused(&folder.dmlab(&["list", "--tag", "nope"]), 2, "tags are:");
    assert_refused(&folder.dmlab(&["list", "nope"]), 2, "see `dmlab list`");
}

#[test]
fn the_variants_are_told_with_their_kernels_and_commits() {
    let ended = Folder::new().dmlab(&["variants"]);
    assert_eq!(ended.code, Some(0));
    for axis in dmlab_engine::variants::Variants::AXES {
        assert!(ended.out.contains(&format!("{}: {} (default {})", axis.name, axis.about, axis.default)));
        for value in axis.values {
            let told = |line: &str| {
                let words = line.trim_start().strip_prefix(value.name);
                words.is_some_and(|words| words.contains(value.kernels) && words.contains(value.commit))
            };
            assert!(ended.out.lines().any(told), "{} is not in {}", value.name, ended.out);
        }
    }
}

#[test]
fn a_kernel_is_told_by_its_algorithms() {
    let folder = Folder::new();
    let out = folder.dmlab(&["variants", "--as-of", "4.9", "gmr", "rescue"]).out;
    let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    let names: Vec<_> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["fifo", "punt-own"]);
    let json = folder.dmlab(&["variants", "--as-of", "4.9", "gmr", "--json"]).out;
    let data: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&data["as_of"], &data["axes"][0]["values"][0]["value"]), (&"4.9".into(), &"fifo".into()));
    let all: Value = serde_json::from_str(&folder.dmlab(&["variants", "--json"]).out).unwrap();
    assert_eq!(all.as_array().unwrap().len(), dmlab_engine::variants::Variants::AXES.len());
    assert_refused(&folder.dmlab(&["variants", "--as-of", "7.1"]), 2, "known are 2.6.0 to 2.6.39");
    assert_refused(&folder.dmlab(&["variants", "gmrr"]), 2, "rescue");
    let targets = folder.dmlab(&["variants", "--targets"]).out;
    assert!(
        targets.contains("\nlinear           v1.4.0\n") && targets.contains("\nzero             v1.2.0\n"),
        "{targets}"
    );
    let targets = folder.dmlab(&["variants", "--targets", "--as-of", "6.1"]).out;
    assert!(
        targets.contains("\nlinear           v1.4.0\n") && targets.contains("\nzero             v1.1.0\n"),
        "{targets}"
    );
    let json = folder.dmlab(&["variants", "--targets", "--json", "--as-of", "4.9"]).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["as_of"], &json["targets"][0]["version"]), (&Value::from("4.9"), &Value::Null));
}

#[test]
fn good_files_and_the_catalogue_are_valid() {
    let folder = Folder::new();
    folder.with("some/good.yaml", GOOD);
    folder.with("some/deeper/starved.yml", STARVED);
    folder.with("some/notes.txt", "not a scenario");
    let ended = folder.dmlab(&["validate", "some"]);
    assert_eq!((ended.code, &*ended.out, &*ended.err), (Some(0), "2 scenario(s), 4 cells: valid\n", ""));
    let catalogue = folder.dmlab(&["validate"]);
    assert!(catalogue.out.starts_with(&format!("{} scenario(s), ", catalog().len())), "{catalogue:?}");
    folder.with("empty/readme.txt", "");
    assert_refused(&folder.dmlab(&["validate", "empty"]), 2, "there is no .yaml file in this folder");
}

#[test]
fn every_bad_file_of_a_folder_is_reported_whatever_is_wrong_with_it() {
    let step = GOOD.replace("on: t, at", "on: u, at");
    let head = GOOD.replace("tags:", "tag:");
    let syntax = GOOD.replace("{ ram: 64KiB }", "{ ram: 64KiB");
    let axis = format!("{GOOD}variants: {{ split: [lop] }}\n");
    for (first, second) in [(&step, &step), (&head, &syntax), (&head, &step), (&axis, &head), (&axis, &step)] {
        let folder = Folder::new();
        folder.with("bad/one.yaml", first);
        folder.with("bad/two.yaml", second);
        folder.with("bad/zzz.yaml", GOOD);
        for command in ["validate", "run"] {
            let ended = folder.dmlab(&[command, "bad"]);
            assert_refused(&ended, 2, "one.yaml:");
            assert_refused(&ended, 2, "two.yaml:");
        }
    }
}

#[test]
fn ten_mistakes_in_a_file_are_ten_errors_each_with_its_place_and_a_caret() {
    let text = "\
scenario: T/Bad
about: ten mistakes
tag: [x]
runs: [explorer, fibers]
deadline: soon
devices:
  d: { ram: 64KB! }
  t: { dm: [\"0 8 linear $e 0\"] }
steps:
  - stamp: { on: u, at: 0, sectors: 8 }
  - submit: { on: d, op: wriite, at: 0, sectors: 8 }
  - explode: d
expect:
  - { verdict: passed }
";
    let folder = Folder::new();
    folder.with("bad.yaml", text);
    for command in ["validate", "run"] {
        let ended = folder.dmlab(&[command, "bad.yaml"]);
        assert_refused(&ended, 2, "bad.yaml:1:11");
        let heads = ended.err.lines().filter(|line| line.starts_with("error: ")).count();
        let places: Vec<&str> = ended.err.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect();
        let carets = ended.err.lines().filter(|line| line.contains("| ") && line.contains('^')).count();
        assert_eq!((heads, places.len(), carets), (10, 10, 10), "{}", ended.err);
        for line in [1, 3, 4, 5, 7, 8, 10, 11, 12, 14] {
            let place = format!("bad.yaml:{line}:");
            assert!(places.iter().any(|found| found.starts_with(&place)), "{place} is not in {places:?}");
        }
        assert!(ended.err.contains("write"), "the nearest right word is offered: {}", ended.err);
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    assert_refused(&folder.dmlab(&["run", "binary.yaml"]), 2, "binary.yaml: this is not UTF-8 text");
    folder.with("empty.yaml", "");
    assert_refused(&folder.dmlab(&["run", "empty.yaml"]), 2, "empty.yaml");
}

#[test]
fn there_is_no_escape_sequence_in_a_pipe_unless_asked_for() {
    let folder = Folder::new();
    folder.with("wrong.yaml", &wrong_expectation());
    let colored = |args: &[&str], no_color: Option<&str>| {
        let mut command = folder.command();
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let output = command.args(args).output().unwrap();
        [output.stdout, output.stderr].concat().contains(&0x1b)
    };
    for args in [&["run", "wrong.yaml"][..], &["run", "nope"], &["run", "--bogus"], &["--help"], &["list"]] {
        assert!(!colored(args, None) && !colored(args, Some("1")), "{args:?}");
    }
    for args in [&["run", "wrong.yaml"][..], &["run", "nope"]] {
        let always = [args, &["--color", "always"]].concat();
        assert!(colored(&always, None) && colored(&always, Some("1")), "{always:?}");
        assert!(!colored(&[args, &["--color", "never"]].concat(), None), "{args:?}");
    }
}

#[test]
fn a_quiet_run_says_what_went_wrong_and_sums_up() {
    let folder = Folder::new();
    folder.with("wrong.yaml", &wrong_expectation());
    let good = folder.dmlab(&["run", "--quiet", "dm/table-refusals"]);
    assert_eq!((good.code, good.out.lines().count(), &*good.err), (Some(0), 1, ""), "{good:?}");
    let wrong = folder.dmlab(&["run", "-q", "wrong.yaml", "--schedules", "5"]);
    assert!(wrong.out.contains("not met: line 10") && !wrong.out.contains('│'), "{}", wrong.out);
}

#[test]
fn every_command_explains_itself() {
    let folder = Folder::new();
    let help = folder.dmlab(&["--help"]);
    assert_eq!((help.code, &*help.err), (Some(0), ""));
    for told in ["Examples:", "Exit codes: 0 all as expected", "Options:", "Commands:"] {
        assert!(help.out.contains(told), "{told}");
    }
    for command in ["run", "explore", "merge", "replay", "list", "validate", "variants"] {
        assert!(help.out.contains(&format!("  {command} ")), "{command} is not in {}", help.out);
        let own = folder.dmlab(&[command, "--help"]);
        assert_eq!((own.code, &*own.err), (Some(0), ""), "{command}");
        assert!(own.out.contains(&format!("Usage: dmlab {command}")) && own.out.contains("Options:"), "{}", own.out);
    }
    let version = folder.dmlab(&["--version"]);
    assert_eq!(version.out, concat!("dmlab ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    for args in
        ["list", "variants", "run dm/linear-layout --schedules 2", "run dm --dry-run", "run dm/table-refusals --json -"]
    {
        // The reader is gone before anything is written.
        let script = format!("( sleep 0.1; \"$DMLAB\" {args}; echo \"code $?\" >&2 ) | true");
        let mut shell = assert_cmd::Command::new("sh");
        let output = shell.args(["-c", &script]).env("DMLAB", binary()).current_dir(folder.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "code 0\n", "{args}");
    }
    let script = "\"$DMLAB\" list | head -n 1";
    let mut shell = assert_cmd::Command::new("sh");
    let output = shell.args(["-c", script]).env("DMLAB", binary()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
