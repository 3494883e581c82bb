//! A record for the tests of this crate, with something in every field.
//!
//! Invariant: the values are constants; the texts in `golden/` depend on them.
//! Not here: anything that product code may use (the module exists in test builds only).

use std::collections::BTreeMap;
use std::path::Path;

use crate::{
    CellRecord, Direction, Environment, Exploration, Histogram, LoadRecord, Number, PoolRecord, Proof, Record,
    SignatureCount, Strength, TableOptions, Verdict,
};

/// A thousand writes of 4 KiB at 12.3 k IOPS.
pub(crate) fn load() -> LoadRecord {
    let mut latencies = Histogram::new();
    (1..=1000_u64).for_each(|n| latencies.record(n.div_ceil(100) * 130_000));
    let runtime_ns = 81_300_813;
    let mut write = Direction::new(4096 * 1000, 1000, runtime_ns, &latencies);
    (write.iops, write.bw_bytes) = (Number::new(12_300.0).unwrap(), 50_380_800);
    LoadRecord {
        jobname: "writers".to_owned(),
        phase: Some("after".to_owned()),
        on: "origin".to_owned(),
        numjobs: 2,
        iodepth: 8,
        bs: 4096,
        rw: "randwrite".to_owned(),
        read: Direction::default(),
        write,
        trim: None,
        sync: None,
        errors: 0,
        runtime_ns,
        stalls: Vec::new(),
        oldest_inflight_ns: None,
    }
}

/// A cell that passed on OS threads.
pub(crate) fn cell() -> CellRecord {
    let pool = |name: &str, peak_in_use, reserve| PoolRecord {
        name: name.to_owned(),
        reserve,
        peak_in_use,
        slab_failures: 4,
        waits: 1,
        rescued: 0,
    };
    CellRecord {
        scenario: "snapshot/cow-throttle".to_owned(),
        variant: vec![("cow_throttle".to_owned(), "wait".to_owned()), ("snapshots".to_owned(), "8".to_owned())],
        backend: "engine".to_owned(),
        runtime: "threads".to_owned(),
        seed: 4711,
        plan: serde_json::json!({ "steps": [{ "create": "origin" }], "rate": 0.1, "none": null }),
        expected: "pass".to_owned(),
        expected_strength: None,
        verdict: Verdict::Pass,
        ok: true,
        mismatches: Vec::new(),
        report: None,
        trace_file: None,
        wall_ns: Some(1_234_567_890),
        virtual_ns: None,
        exploration: None,
        loads: vec![load()],
        pools: vec![pool("t.bs", 3, 16), pool("t.bio_split", 2, 2), pool("idle", 0, 8)],
        counters: BTreeMap::from([("kcopyd.jobs".to_owned(), 2050), ("bios".to_owned(), 1000)]),
        entry_order: vec!["w0".to_owned(), "w1".to_owned()],
        cycle: None,
        trace: None,
    }
}

/// A cell that met a deadlock under the explorer where none was expected.
pub(crate) fn deadlocked() -> CellRecord {
    CellRecord {
        variant: vec![("cow_throttle".to_owned(), "semaphore".to_owned())],
        runtime: "explorer".to_owned(),
        verdict: Verdict::Deadlock,
        ok: false,
        mismatches: vec!["expected pass, found deadlock".to_owned()],
        report: Some("w0 holds <origins_lock> & waits for cow_count\n\x1b[1mw1\x1b[0m holds cow_count".to_owned()),
        trace_file: Some("traces/cow-throttle.trace".to_owned()),
        wall_ns: Some(20_165_432_110),
        exploration: Some(Exploration {
            strategy: "portfolio".to_owned(),
            schedules: 240_000,
            steps: 9_000_000,
            steps_max_seen: 120,
            depth_max: None,
            deadlocks: 1,
            strength: Strength::Found { schedule: 240_000, preemptions: Some(2) },
            states: None,
            pruned: None,
            signatures: vec![SignatureCount {
                signature: "down cow_count | read origins_lock".to_owned(),
                schedules: 1,
                first_schedule: 240_000,
            }],
            lock_order: vec!["origins_lock after cow_count".to_owned()],
            shard: None,
            learnt: None,
            schedules_per_sec: Number::new(11_901.5),
        }),
        loads: Vec::new(),
        pools: Vec::new(),
        ..cell()
    }
}

/// A cell of which nothing but a pass is possible, as the scenario wants it.
pub(crate) fn proved() -> CellRecord {
    CellRecord {
        variant: vec![("cow_throttle".to_owned(), "fixed".to_owned())],
        runtime: "explorer".to_owned(),
        expected_strength: Some(Proof::Complete),
        wall_ns: Some(1_500_000),
        exploration: Some(Exploration {
            strategy: "exhaustive".to_owned(),
            schedules: 145,
            steps: 4_930,
            steps_max_seen: 34,
            depth_max: Some(19),
            deadlocks: 0,
            strength: Strength::Proved { schedules: 145, states: 209 },
            states: Some(209),
            pruned: Some(77),
            signatures: Vec::new(),
            lock_order: Vec::new(),
            shard: None,
            learnt: None,
            schedules_per_sec: Number::new(96_666.7),
        }),
        loads: Vec::new(),
        pools: Vec::new(),
        ..cell()
    }
}

/// A cell that was not run.
pub(crate) fn skipped() -> CellRecord {
    CellRecord {
        scenario: "mpath/failover".to_owned(),
        variant: Vec::new(),
        backend: "kernel".to_owned(),
        verdict: Verdict::Skip,
        report: Some("no root".to_owned()),
        wall_ns: None,
        loads: Vec::new(),
        pools: Vec::new(),
        ..cell()
    }
}

/// A run with one cell of each kind.
pub(crate) fn record() -> Record {
    let environment = Environment {
        os: Some("Debian 13".to_owned()),
        kernel: Some("6.1.0".to_owned()),
        arch: Some("x86_64".to_owned()),
        cpu_model: Some("a processor".to_owned()),
        cpus: Some(2),
        memory_bytes: Some(8 << 30),
        rustc: Some("1.95.0".to_owned()),
        commit: Some("0123abc".to_owned()),
    };
    let command = ["dmlab", "run", "snapshot/*"].map(str::to_owned).to_vec();
    let mut record = Record::new("0.1.0", 42, "default", environment, command);
    record.cells = vec![cell(), deadlocked(), proved(), skipped()];
    record
}

/// With UPDATE_GOLDEN set in the environment the files are written anew: read the difference before believing it.
#[test]
fn the_golden_files_are_what_the_reports_write() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let table = |color, width| crate::table(&record(), TableOptions { color, width });
    for (name, text) in [
        ("record.json", record().to_json()),
        ("table.txt", table(false, None)),
        ("table-color.txt", table(true, None)),
        ("table-120.txt", table(false, Some(120))),
        ("table.md", crate::markdown(&record())),
        ("junit.xml", crate::junit(&record())),
    ] {
        let path = folder.join(name);
        if update {
            crate::write_atomically(&path, text.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{name}");
    }
}
