//! Stores across sides, with an engine in the place of the kernel: an intact one is the same on both sides, a damaged one is
//! told.

use dmlab_results::ExitCode;

use super::*;
use crate::conform::explained::Explained;
use crate::conform::report::Conformance;
use crate::conform::{Aspect, differences};
use crate::script::Image;

fn newest() -> Kernel {
    *Kernel::all().last().unwrap()
}

fn across() -> Across {
    Across::new(Seed(1), &Arc::default()).unwrap_or_else(|why| panic!("{why}"))
}

/// What the engine sees when it writes a store.
fn written(across: &Across, name: &str) -> Seen {
    let id = format!("cow-store/{name}");
    let crossing = across.crossings.iter().find(|crossing| crossing.writer.id() == id).unwrap();
    perform(&crossing.writer, &crossing.writes, newest(), Seed(1), &Arc::default()).unwrap()
}

fn said(seen: &Seen, what: &str) -> Vec<String> {
    let events = &seen.trace.flows[READING];
    events.iter().find(|event| event.what == what).map(|event| event.lines.clone()).unwrap_or_default()
}

#[test]
fn every_store_is_written_as_its_name_says_and_is_the_same_on_the_other_side() {
    let across = across();
    let mut statuses = Vec::new();
    for case in cases() {
        let theirs = written(&across, case.name);
        assert_eq!(theirs.verdict, Verdict::Pass, "{}: {:?}", case.name, theirs.report);
        let (ours, theirs) = across.back(&case.id(), &theirs, newest(), &Arc::default()).unwrap();
        assert_eq!(differences(&ours, &theirs), [], "{}", case.name);
        let line = said(&ours, "status of again").join("");
        let words: Vec<&str> = line.split(' ').skip(3).collect();
        statuses.push(format!("{} {}", case.name, words.join(" ")));
        if case.name != "invalid" {
            let table = said(&ours, "table of again").join("");
            let found = format!("{}: {table}, {:?}", case.name, ours.trace.flows[READING]);
            assert!(table.ends_with(&format!("P {}", case.chunk)), "the header counts, not {OTHER_CHUNK}: {found}");
        }
    }
    assert_eq!(
        statuses,
        [
            "chunks-of-1 7/64 2",
            "chunks-of-8 56/128 16",
            "chunks-of-16 112/256 32",
            "chunks-of-64 448/1024 128",
            "empty 2/64 2",
            "areas-full 68/128 4",
            "areas-several 105/128 5",
            "full 32/32 2",
            "invalid Invalid",
            "overflowed 32/32 2",
            "merged 16/256 16",
            "merged-in-part 48/256 16",
        ]
    );
}

/// The aspects in which a store with some bytes changed differs from the intact one, when the engine opens both.
fn damaged(name: &str, leaf: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Aspect> {
    let across = across();
    let mut theirs = written(&across, name);
    let mut bytes = theirs.trace.images[leaf].bytes().unwrap();
    change(&mut bytes);
    theirs.trace.images.insert(leaf.to_owned(), Image::of(&bytes));
    let (ours, theirs) = across.back(&format!("cow-store/{name}"), &theirs, newest(), &Arc::default()).unwrap();
    let mut conformance = Conformance::default();
    conformance.compare(("cow-store", "6.12 -> engine", "6.12"), &ours, &theirs, &mut Explained::default());
    assert_eq!(conformance.exit_code(), ExitCode::ExpectationFailed, "{}", conformance.in_words());
    differences(&ours, &theirs).iter().map(|difference| difference.aspect).collect()
}

#[test]
fn a_damaged_store_is_a_difference() {
    // Chunks of 8 sectors: the header, an area, data.
    const AREA: usize = 4096;
    let name = "chunks-of-8";
    assert!(damaged(name, "c", |bytes| bytes[4] = 0).contains(&Aspect::Lines), "marked invalid");
    assert!(damaged(name, "c", |bytes| bytes[0] ^= 1).contains(&Aspect::Errnos), "no magic");
    assert!(damaged(name, "c", |bytes| bytes[12] = 16).contains(&Aspect::Lines), "another chunk size");
    assert!(damaged(name, "c", |bytes| bytes[AREA] = 5).contains(&Aspect::Data), "another chunk of the origin");
    assert!(damaged(name, "c", |bytes| bytes[AREA + 16 * 4 + 8] = 0).contains(&Aspect::Lines), "an exception less");
    assert_eq!(damaged(name, "c", |bytes| bytes[2 * AREA + 777] ^= 1), [Aspect::Data], "a bit of the data");
    assert_eq!(damaged(name, "o", |bytes| bytes[6 * AREA] ^= 1), [Aspect::Data], "a bit of the origin");
}

#[test]
fn a_store_that_was_never_written_is_a_difference() {
    let across = across();
    let mut theirs = written(&across, "full");
    theirs.trace.images.clear();
    let (ours, theirs) = across.back("cow-store/full", &theirs, newest(), &Arc::default()).unwrap();
    assert_ne!(differences(&ours, &theirs), []);
}

#[test]
fn rows_are_named_by_the_way_of_the_store() {
    let across = across();
    let title = |scenario: &str| across.title(scenario, "6.12");
    let named = |cell: &str| Some(("cow-store/full".to_owned(), cell.to_owned()));
    assert_eq!(title("cow-store/full"), named("written"));
    assert_eq!(title("cow-store/full-opened"), named("engine -> 6.12"));
    assert_eq!(title("dm/linear-layout"), None);
    assert!(across.back("cow-store/full-opened", &written(&across, "full"), newest(), &Arc::default()).is_none());
}
