//! `dmlab cow inspect` as a user types it: text, JSON, exit codes.
//!
//! Not here: what is found in damaged stores (the unit tests of `cow`).

use std::path::PathBuf;
use std::process::{Command, Output};

use dmlab_engine::stores::format::{Exception, Header};

/// A store of three exceptions in chunks of 4 KiB.
fn store(name: &str, change: impl FnOnce(&mut [u8])) -> PathBuf {
    let mut image = vec![0; 64 * 4096];
    image[..16].copy_from_slice(&Header::new(true, 8).encode());
    for (index, old_chunk) in [5, 6, 9].into_iter().enumerate() {
        Exception { old_chunk, new_chunk: 2 + index as u64 }.encode(&mut image[4096..8192], index);
    }
    change(&mut image);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, image).unwrap();
    path
}

fn inspect(args: &[&str], path: &PathBuf) -> Output {
    let dmlab = env!("CARGO_BIN_EXE_dmlab");
    Command::new(dmlab).args(["cow", "inspect"]).args(args).arg(path).output().unwrap()
}

#[test]
fn an_intact_store_is_printed_and_the_exit_code_is_0() {
    let path = store("intact.cow", |_| ());
    let output = inspect(&["--limit", "2"], &path);
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = "512 sectors\nheader: valid, version 1, chunks of 8 sectors\narea 0 in chunk 1: 3 of 256 exceptions\n\
                  3 exceptions, next free chunk 5, 0 chunks unreferenced\n  5 -> 2\n  6 -> 3\n  … 1 more (--limit)\n";
    assert!(text.ends_with(wanted), "{text}");
    assert_eq!(output.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&inspect(&["--json"], &path).stdout).unwrap();
    assert_eq!(json["list"][2]["old_chunk"], 9);
    assert_eq!(json["header"]["chunk_size"], 8);
}

#[test]
fn a_damaged_store_is_told_with_its_place_and_the_exit_code_is_1() {
    let path = store("damaged.cow", |image| image[4096 + 8] = 200);
    let output = inspect(&[], &path);
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = "wrong: area 0, exception 0: chunk 5 went to chunk 200, but the store ends with chunk 64\n";
    assert!(text.contains(wanted), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_store_that_cannot_be_read_is_a_failed_set_up() {
    let output = inspect(&[], &PathBuf::from("no-such-store.cow"));
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such-store.cow"));
}
