//! What users get wrong, as they meet it: every mistake of a file at once, files that are no files, texts at the edge
//! of what YAML is.
//!
//! Invariant: each of these ends with code 2 and a place or a file's name, and none waits or panics. Files that are too
//! large are made larger than any memory: a dmlab that reads them does not end.
//! Not here: what exactly is said of each mistake (`dmlab-scenarios`), random texts (`parsers.rs`).

mod support;

use std::fs::File;
use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;
use support::{Ended, Folder};

const GOOD: &str = "scenario: t/good\nabout: nothing is wrong\ndevices:\n  d: { ram: 64KiB }\nsteps:\n  - sleep: 0\n";

/// Ten mistakes of ten kinds; behind each the place where it stands and what must be said of it.
const TEN: &str = "\
scenario: t/Ten
about: ten different mistakes
runs: [explorer, kernel]
deadline: 2s
variants: { split: [loop, looop] }
devices:
  d: { ram: 1000 }
  t: { dm: [\"0 8 linear $e 0\"] }
steps:
  - stamp: { on: d, at: 0, sektors: 8 }
  - load: { on: d, iodepth: 0 }
  - sleep: 1ms
    heal: all
  - fault: { slab: { pool: d.*, fail: { rate: 101% } } }
expect:
  - { when: { split: trim }, verdict: pass }
";

const SAID: [(&str, &str); 10] = [
    ("1:11", "\"t/Ten\" is not the name of a scenario"),
    ("3:18", "\"kernel\" is not a runtime"),
    ("5:27", "`split` has no value `looop`"),
    ("7:13", "\"1000\" is not a multiple of 512 bytes"),
    ("8:25", "\"e\" is not a declared device"),
    ("10:28", "\"sektors\" is not a key of a `stamp` step"),
    ("11:29", "\"0\" is not a whole number from 1 to 1024"),
    ("13:5", "\"heal\" is a second key of a step"),
    ("14:47", "\"101%\" is not a rate"),
    ("16:22", "\"trim\" is not among the values of `split`"),
];

#[test]
fn a_file_with_ten_mistakes_yields_ten_located_errors_in_one_go() {
    let folder = Folder::new();
    folder.with("ten.yaml", TEN);
    let ended = folder.dmlab(&["validate", "ten.yaml"]);
    assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{ended:?}");
    assert_eq!(ended.err.matches("error: ").count(), SAID.len(), "{}", ended.err);
    let reports: Vec<&str> = ended.err.split("\n\n").collect();
    assert_eq!(reports.len(), SAID.len(), "{}", ended.err);
    for ((place, message), report) in SAID.iter().zip(&reports) {
        assert!(report.contains(&format!("--> ten.yaml:{place}\n")), "{place} is not the place of\n{report}");
        assert!(report.contains(message), "{message:?} is not in\n{report}");
        let line: usize = place.split(':').next().unwrap().parse().unwrap();
        assert!(report.contains(TEN.lines().nth(line - 1).unwrap()), "the line is not shown:\n{report}");
        assert!(report.lines().any(|line| line.contains(" ^")), "there is no caret:\n{report}");
    }
    // Near misses come with what was meant.
    assert!(reports[5].contains("did you mean `sectors`?"), "{}", reports[5]);
    // Running it says the same, and runs nothing.
    let run = folder.dmlab(&["run", "ten.yaml"]);
    assert_eq!((run.code, &*run.out, &*run.err), (Some(2), "", &*ended.err));
}

#[track_caller]
fn refused(folder: &Folder, name: &str, reason: &str) {
    for command in ["validate", "run", "explore", "compare", "list"] {
        let ended = folder.dmlab(&[command, name]);
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{command} {name}: {ended:?}");
        assert!(ended.err.contains(name) && ended.err.contains(reason), "{command} {name}: {}", ended.err);
    }
}

#[test]
fn files_larger_than_any_memory_are_refused_unread() {
    let folder = Folder::new();
    // A hole of four tebibytes takes no place on a disk.
    File::create(folder.path().join("large.yaml")).unwrap().set_len(1 << 42).unwrap();
    refused(&folder, "large.yaml", "the file has 4398046511104 bytes, more than the 1048576 allowed");
    for command in ["replay", "merge"] {
        let ended = folder.dmlab(&[command, "large.yaml"]);
        assert!(ended.code == Some(2) && ended.err.contains("more than the 1073741824 allowed"), "{ended:?}");
    }
    folder.with("hundred.yaml", &"# a comment\n".repeat(100 << 20 >> 3));
    refused(&folder, "hundred.yaml", "more than the 1048576 allowed");
}

#[test]
fn pipes_sockets_devices_and_folders_keep_nobody_waiting() {
    let folder = Folder::new();
    nix::unistd::mkfifo(&folder.path().join("pipe.yaml"), Mode::S_IRWXU).unwrap();
    refused(&folder, "pipe.yaml", "this is a pipe, not a file");
    let _listener = UnixListener::bind(folder.path().join("socket.yaml")).unwrap();
    refused(&folder, "socket.yaml", "this is a socket, not a file");
    refused(&folder, "/dev/zero", "this is a device, not a file");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    refused(&folder, "empty", "there is no .yaml file in this folder");
    for command in ["replay", "merge"] {
        for (name, reason) in
            [("pipe.yaml", "a pipe"), ("/dev/zero", "a device"), ("empty", "a folder"), ("gone", "No such")]
        {
            let ended = folder.dmlab(&[command, name]);
            assert!(ended.code == Some(2) && ended.err.contains(reason), "{command} {name}: {ended:?}");
        }
    }
}

#[test]
fn a_folder_that_is_linked_into_itself_is_read_once() {
    let folder = Folder::new();
    folder.with("all/good.yaml", GOOD);
    std::os::unix::fs::symlink(folder.path().join("all"), folder.path().join("all/again")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("all/dangling")).unwrap();
    let ended = folder.dmlab(&["validate", "all"]);
    assert_eq!((ended.code, &*ended.out), (Some(0), "1 scenario(s), 2 cells: valid\n"), "{ended:?}");
}

fn validated(text: &[u8]) -> Ended {
    let folder = Folder::new();
    std::fs::write(folder.path().join("x.yaml"), text).unwrap();
    folder.dmlab(&["validate", "x.yaml"])
}

#[test]
fn texts_at_the_edge_of_yaml_are_refused_with_their_place() {
    let nested = format!("{GOOD}expect: {}{}\n", "[".repeat(100), "]".repeat(100));
    let bomb = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: [*c, *c, *c, *c]\n";
    let twice = format!("{GOOD}devices:\n  e: {{ ram: 1k }}\n");
    let two = format!("{GOOD}---\n{GOOD}");
    let marked = format!("\u{feff}{GOOD}");
    let nul = GOOD.replace("nothing", "no\0thing");
    let escape = GOOD.replace("nothing", "\u{1b}[31mno");
    let itself = GOOD.replace("64KiB }", "64KiB }\n  t: { dm: '0 8 linear $t 0' }");
    let circle = GOOD.replace("64KiB }", "64KiB }\n  t: { dm: '0 8 linear $u 0' }\n  u: { dm: '0 8 linear $t 0' }");
    let cases: [(&str, &[u8], &str); 13] = [
        ("empty", b"", "x.yaml:1:1"),
        ("blank", b"\n\n  \n", "the file is empty"),
        ("only a comment", b"# nothing\n", "the file is empty"),
        ("not UTF-8", b"scenario: a\nabout: \xff\n", "this is not UTF-8 text (byte 19)"),
        ("nested", nested.as_bytes(), "nested more than the 64 levels allowed"),
        ("aliases", bomb.as_bytes(), "anchors and aliases are not part of the language"),
        ("a key twice", twice.as_bytes(), "\"devices\" is given twice, first in line 3"),
        ("two documents", two.as_bytes(), "x.yaml:7:1"),
        ("a byte order mark", marked.as_bytes(), "the character U+FEFF is not allowed"),
        ("a NUL", nul.as_bytes(), "x.yaml:2:10"),
        ("an escape", escape.as_bytes(), "the character U+001B is not allowed"),
        ("a device on itself", itself.as_bytes(), "\"t\" is declared only in line 5"),
        ("devices in a circle", circle.as_bytes(), "\"u\" is declared only in line 6"),
    ];
    for (name, text, said) in cases {
        let ended = validated(text);
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{name}: {ended:?}");
        assert!(ended.err.contains(said), "{name}: {said:?} is not in {}", ended.err);
        assert!(!ended.err.contains(['\0', '\u{1b}']), "{name}: {:?}", ended.err);
    }
}

#[test]
fn lines_may_end_as_they_do_elsewhere() {
    let ended = validated(GOOD.replace('\n', "\r\n").as_bytes());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn numbers_that_are_none_or_too_large_are_refused_where_they_stand() {
    let sizes = [
        "NaN",
        ".nan",
        ".inf",
        "-.inf",
        "-1",
        "-64k",
        "1e9",
        "0",
        "1.5k",
        "0x40",
        "99999999999999999999",
        "18446744073709551615t",
    ];
    for size in sizes {
        let ended = validated(GOOD.replace("64KiB", size).as_bytes());
        assert!(ended.code == Some(2) && ended.err.contains("x.yaml:4:13"), "{size}: {ended:?}");
    }
    for duration in ["NaN", "inf", "-1s", "1", "1.5s", "99999999999999999999s", "18446744073709551615m", "s", "1 h"] {
        let ended = validated(GOOD.replace("sleep: 0", &format!("sleep: {duration}")).as_bytes());
        assert!(ended.code == Some(2) && ended.err.contains("x.yaml:6:12"), "{duration}: {ended:?}");
    }
}

fn table_of(lines: usize) -> String {
    let table: String = (0..lines).map(|line| format!("    {line} 1 zero\n")).collect();
    format!(
        "scenario: t/long\nabout: x\nruns: [threads]\ndevices:\n  t:\n    dm: |\n{}steps:\n  \
         - submit: {{ on: t, op: read, at: {}, sectors: 1 }}\n",
        table.replace("    ", "      "),
        lines - 1
    )
}

#[test]
fn a_table_as_long_as_a_file_may_be_works_and_a_longer_one_is_refused() {
    let folder = Folder::new();
    folder.with("long.yaml", &table_of(50_000));
    let ended = folder.dmlab(&["run", "long.yaml", "--quiet"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    folder.with("long.yaml", &table_of(100_000));
    refused(&folder, "long.yaml", "more than the 1048576 allowed");
}
