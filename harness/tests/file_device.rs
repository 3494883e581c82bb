//! File devices: data through a real file, on threads only, and nothing that was there before overwritten.
//!
//! Not here: the rules about paths one by one (`place.rs`), the catalogue's scenario over a file.

mod support;

use dmlab_results::Verdict;
use support::{Folder, complaints, parsed, records};

fn scenario(device: &str, steps: &[&str], more: &str) -> String {
    let steps: Vec<String> = steps.iter().map(|step| format!("  - {step}\n")).collect();
    format!("scenario: t/file\nabout: x\n{more}devices:\n  f: {{ file: {device} }}\nsteps:\n{}", steps.concat())
}

const THREADS: &str = "runs: threads\n";

#[test]
fn a_deep_load_reads_back_what_it_wrote_and_faults_work_as_on_every_leaf() {
    let steps = [
        "load: { on: f, rw: randrw, bs: 4k, iodepth: 32, numjobs: 2, verify: true }",
        "load: { on: f, rw: write, bs: 512, iodepth: 4, size: 64KiB, verify: true }",
        "submit: { on: f, op: flush }",
        "fault: { io: { on: f, op: read, sectors: 0..8, fail: always } }",
        "submit: { on: f, op: read, sectors: 8, expect: EIO }",
        "fault: { io: { on: f, op: write, hang: always } }",
        "parallel: { io: { submit: { on: f, op: write, sectors: 8 } }, nurse: [ { sleep: 5ms }, { release: f } ] }",
        "unplug: f",
        "submit: { on: f, op: read, at: 8, sectors: 8, expect: EIO }",
    ];
    // Whoever opens a disk that is gone gets ENXIO, so the last step fails; all before it do not.
    let text = scenario("{ size: 1MiB }", &steps, THREADS);
    for record in records(&parsed("x", &text), &[]) {
        assert_eq!(record.verdict, Verdict::Fail, "{}", complaints(&record));
        assert!(complaints(&record).contains("read of f 8+8: ENXIO"), "{}", complaints(&record));
    }
}

#[test]
fn it_is_skipped_with_a_reason_wherever_time_is_not_real() {
    let text = scenario("{ size: 64KiB }", &["stamp: { on: f, sectors: 8 }"], "");
    let found = records(&parsed("x", &text), &[]);
    let verdicts: Vec<Verdict> = found.iter().map(|record| record.verdict).collect();
    assert_eq!(verdicts, [Verdict::Skip, Verdict::Pass]);
    assert!(complaints(&found[0]).contains("it needs threads"), "{}", complaints(&found[0]));
}

#[test]
fn what_is_not_dmlabs_is_left_alone_and_what_it_makes_is_removed() {
    let folder = Folder::new();
    folder.with("thesis", "twenty years of work");
    let with = |name: &str| {
        let path = folder.path().join(name);
        let text = scenario(
            &format!("{{ size: 64KiB, path: {} }}", path.display()),
            &["stamp: { on: f, sectors: 8 }"],
            THREADS,
        );
        records(&parsed("x", &text), &[]).remove(0)
    };
    let refused = with("thesis");
    assert_eq!(refused.verdict, Verdict::Fail);
    assert!(complaints(&refused).contains("thesis exists and was not made by dmlab"), "{}", complaints(&refused));
    assert_eq!(folder.read("thesis"), "twenty years of work");
    assert!(with("disk").ok);
    assert_eq!(folder.names("."), ["thesis"]);
}
