//! A whole scenario, and one mistake each: what a person would write wrong, and who can see it.
//!
//! Invariant: a mistake in the structure (a key, a word, a form) is seen by the schema and by dmlab; one that takes
//! several values to see (whether a device exists, whether a range fits) by dmlab alone.

/// Who sees a mistake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An editor with the schema, and dmlab.
    ByBoth,
    /// dmlab.
    ByDmlab,
}

/// A mistake.
pub(crate) struct Row {
    /// What it is.
    pub(crate) name: &'static str,
    /// What stands in [`WHOLE`].
    pub(crate) from: &'static str,
    /// What stands there instead.
    pub(crate) to: &'static str,
    /// Who sees it.
    pub(crate) seen: Seen,
    /// What dmlab says of it.
    pub(crate) told: &'static str,
}

const fn row(seen: Seen, name: &'static str, from: &'static str, to: &'static str, told: &'static str) -> Row {
    Row { name, from, to, seen, told }
}

use Seen::{ByBoth, ByDmlab};

/// A scenario without a mistake.
pub(crate) const WHOLE: &str = r#"scenario: my/whole
about: Nothing is wrong with it.
commits: [18a25da84354]
tags: [example]
runs: [explorer, threads]
deadline: 2s
explore: { schedules: 20, strategy: icb, bound: 2 }
params: { reserved_bio_based_ios: 1 }
variants: { split: [loop, trim], depth: [16, 32] }
exclude: [{ split: loop, depth: 32 }]
devices:
  d: { ram: 64KiB }
  m: { barrier: $d }
  t: { dm: ["0 64 linear $d 0"] }
steps:
  - create: t
  - reload: { device: t, table: "0 64 linear $d 8" }
  - suspend: { device: t, noflush: true }
  - resume: t
  - stamp: { on: t, at: 0, sectors: 8 }
  - submit: { on: t, op: read, sectors: 8, expect: EIO }
  - load: { on: d, rw: randrw, bs: 4k, iodepth: 4, size: 16k, runtime: 5s, rwmixread: 30 }
  - fault: { slab: { pool: t.*, fail: { rate: 50% } } }
  - fault: { io: { on: d, op: write, sectors: 0..8, fail: always } }
  - heal: all
  - snapshot: { of: t, as: "s{1..2}", cow: auto, store: PO, chunk: 16 }
  - each: { name: i, to: 2, do: { drop: "s${i}" } }
  - snapshot: { of: t, as: last, cow: d }
  - stamp: { on: last, percent: 20, block: 4 }
  - merge: { snapshot: last, within: 1s }
  - parallel: { io: { sleep: 1ms } }
  - repeat: { times: 2, do: [{ sleep: 2ms }] }
expect:
  - { when: { split: loop }, on: explorer, verdict: deadlock, cycle: [t.bs] }
  - { when: { split: trim }, strength: proved }
  - { peak: { t.bs: "<= 2" }, entry_order: ["t 0+16"] }
"#;

/// Mistakes.
pub(crate) const BROKEN: &[Row] = &[
    // Keys.
    row(ByBoth, "a misspelt key at the top", "expect:\n", "expects:\n", "did you mean `expect`?"),
    row(ByBoth, "a key of another language", "tags:", "labels:", "\"labels\" is not a key of a scenario"),
    row(ByBoth, "no name", "scenario: my/whole\n", "", "`scenario` is missing"),
    row(ByBoth, "no purpose", "about: Nothing is wrong with it.\n", "", "`about` is missing"),
    row(ByBoth, "an unknown device", "d: { ram: 64KiB }", "d: { disk: 64KiB }", "\"disk\" is not a key of a device"),
    row(ByBoth, "two devices in one", "d: { ram: 64KiB }", "d: { ram: 64KiB, null: 1MiB }", "here is ram and null"),
    row(ByBoth, "a device of nothing", "d: { ram: 64KiB }", "d: {}", "here is none"),
    row(ByBoth, "a step that is none", "- create: t", "- make: t", "not the key of a step"),
    row(ByBoth, "two actions in one step", "- create: t", "- { create: t, resume: t }", "a second key"),
    row(ByBoth, "an empty step", "- create: t", "- {}", "an empty map is not a step"),
    row(ByBoth, "fio's other word", "iodepth: 4", "io_depth: 4", "did you mean `iodepth`?"),
    row(ByBoth, "a load without a device", "load: { on: d, ", "load: { ", "`on` is missing in a `load` step"),
    row(ByBoth, "a stamp without a length", "at: 0, sectors: 8 }", "at: 0 }", "here is none"),
    row(ByBoth, "a fault of what", "fault: { slab:", "fault: { memory:", "not the key of a `fault` step"),
    row(ByBoth, "when it fails", "{ rate: 50% }", "{ often: 50% }", "not the key of what fails"),
    row(ByBoth, "an unknown parameter", "reserved_bio_based_ios: 1", "reserved_ios: 1", "not a module parameter"),
    row(ByBoth, "an unknown key of a search", "schedules: 20", "schedule: 20", "did you mean `schedules`?"),
    row(ByBoth, "an unknown expectation", "cycle: [t.bs]", "cycles: [t.bs]", "did you mean `cycle`?"),
    row(ByBoth, "a key given twice", "deadline: 2s", "deadline: 2s\ndeadline: 3s", "given twice"),
    // Words.
    row(ByBoth, "an unknown runtime", "runs: [explorer, threads]", "runs: [explorer, virtual]", "is not a runtime"),
    row(ByBoth, "an unknown strategy", "strategy: icb", "strategy: dfs", "is not a strategy"),
    row(ByBoth, "an unknown pattern", "rw: randrw", "rw: random", "is not a pattern of fio's"),
    row(ByBoth, "an unknown operation", "op: read, sectors", "op: erase, sectors", "is not an operation"),
    row(ByBoth, "an unknown error", "expect: EIO", "expect: EFAULT", "is not `ok` or an error"),
    row(ByBoth, "an unknown verdict", "verdict: deadlock", "verdict: stuck", "is not a verdict"),
    row(ByBoth, "half a truth", "noflush: true", "noflush: yes please", "is not true or false"),
    row(ByBoth, "healing a part", "heal: all", "heal: io", "is not what can be healed"),
    row(ByBoth, "an unknown strength", "strength: proved }", "strength: certain }", "is not a strength"),
    row(
        ByBoth,
        "a moment of failing",
        "sectors: 0..8, fail: always",
        "sectors: 0..8, fail: sometimes",
        "`always` or `any`",
    ),
    // Forms.
    row(ByBoth, "a name with a space", "scenario: my/whole", "scenario: my whole", "is not the name of a scenario"),
    row(ByBoth, "a commit that is none", "18a25da84354", "v6.12", "is not a commit"),
    row(ByBoth, "a duration without a unit", "deadline: 2s", "deadline: 2", "is not a duration"),
    row(ByBoth, "a negative size", "size: 16k", "size: -16k", "is not a size"),
    row(ByBoth, "a size that is no number", "ram: 64KiB", "ram: .nan", "is not a size"),
    row(ByBoth, "a size in words", "bs: 4k", "bs: 4 kilobytes", "is not a size"),
    row(ByBoth, "a number with a point", "iodepth: 4", "iodepth: 4.5", "is not a whole number"),
    row(ByBoth, "a number out of range", "rwmixread: 30", "rwmixread: 130", "is not a whole number from 0 to 100"),
    row(ByBoth, "no preemptions below none", "bound: 2", "bound: -1", "is not a whole number"),
    row(ByBoth, "a reference without a mark", "barrier: $d", "barrier: d", "write `$d`"),
    row(ByBoth, "a table line of two words", "\"0 64 linear $d 8\"", "\"0 64\"", "is not a line of a table"),
    row(ByBoth, "a pool without a device", "pool: t.*", "pool: bs", "is not a pool"),
    row(ByBoth, "a rate above all", "rate: 50%", "rate: 150%", "is not a rate"),
    row(ByBoth, "a range the wrong way", "sectors: 0..8", "sectors: 0-8", "is not a range of sectors"),
    row(ByBoth, "a bound without a sign", "\"<= 2\"", "\"2\"", "is not a bound"),
    row(ByBoth, "an entry in words", "\"t 0+16\"", "\"t 0 to 16\"", "is not a bio entering a device"),
    row(ByBoth, "a list for a map", "params: { reserved_bio_based_ios: 1 }", "params: [1]", "is not a map of module"),
    row(ByBoth, "a text for a list", "exclude: [{ split: loop, depth: 32 }]", "exclude: none", "is not a list of"),
    row(ByBoth, "nothing for a list", "tags: [example]", "tags:", "is not a list of tags"),
    row(ByBoth, "a task with a space", "{ io: { sleep", "{ the io: { sleep", "is not the name of a task"),
    row(ByBoth, "a device in capitals", "  m: { barrier", "  M: { barrier", "is not a name of a device"),
    row(ByBoth, "a brace too few", "tags: [example]", "tags: [example", "not YAML"),
    row(ByBoth, "requires misspelt", "tags: [example]", "requires: { target: linear }", "is not a key of `requires`"),
    row(ByBoth, "a budget without a unit", "tags: [example]", "budget: { wall: 30 }", "is not a duration"),
    row(ByBoth, "a budget of what", "tags: [example]", "budget: { step: 1s }", "is not a key of `budget`"),
    row(ByDmlab, "a budget of nothing", "tags: [example]", "budget: { }", "this bounds nothing"),
    row(ByBoth, "a kernel alone", "tags: [example]", "requires: { kernel: v4.18 }", "is not a bound on the kernel"),
    row(
        ByBoth,
        "a stamp that may what",
        "stamp: { on: t,",
        "stamp: { on: t, expect: EWHAT,",
        "is not `ok` or an error",
    ),
    row(
        ByBoth,
        "a second document",
        "tags: [example]",
        "tags: [example]\n...\n---\na: b",
        "a second document begins here",
    ),
    row(ByBoth, "a snapshot of nothing", "snapshot: { of: t, as: last,", "snapshot: { as: last,", "`of` is missing"),
    row(ByBoth, "a snapshot without a name", "as: last, ", "", "`as` is missing in a `snapshot` step"),
    row(ByBoth, "an unknown store", "store: PO", "store: PX", "is not an exception store"),
    row(ByBoth, "a key of LVM's", "store: PO", "size: 1m", "\"size\" is not a key of a `snapshot` step"),
    row(ByBoth, "snapshots in brackets", "as: \"s{1..2}\"", "as: \"s[1..2]\"", "is not the name of a snapshot"),
    row(ByBoth, "a part of nothing", "percent: 20", "percent: 0", "is not a whole number from 1 to 100"),
    row(ByBoth, "a part and a range", "percent: 20, block: 4", "percent: 20, sectors: 4", "here are both"),
    row(ByBoth, "each without an end", "name: i, to: 2, do", "name: i, do", "`to` is missing in an `each` step"),
    // What takes several values to know.
    row(
        ByDmlab,
        "a snapshot of a leaf",
        "snapshot: { of: t, as: last",
        "snapshot: { of: d, as: last",
        "only dm devices",
    ),
    row(
        ByDmlab,
        "an unknown volume",
        "snapshot: { of: t, as: last",
        "snapshot: { of: u, as: last",
        "not a declared device",
    ),
    row(ByDmlab, "a snapshot of a snapshot", "of: t, as: last", "of: s1, as: last", "`s1` is a snapshot itself"),
    row(ByDmlab, "a snapshot like a device", "as: last", "as: m", "\"m\" is a device of `devices` already"),
    row(ByDmlab, "names that do not count up", "\"s{1..2}\"", "\"s{2..1}\"", "is not the name of a snapshot"),
    row(ByDmlab, "a chunk that is no power", "chunk: 16", "chunk: 57", "a chunk of 57 sectors is not a power of two"),
    row(ByDmlab, "a chunk beyond all", "chunk: 16", "chunk: 4194304", "is too large"),
    row(ByDmlab, "no chunk size at all", "store: PO, chunk: 16", "store: N, chunk: 0", "no chunk size of its own"),
    row(ByDmlab, "a cow too small", "cow: auto", "cow: 8k", "too few for one exception"),
    row(ByDmlab, "one cow for two", "cow: auto", "cow: d", "holds the copies of one snapshot, not of 2"),
    row(ByDmlab, "a cow on itself", "cow: d }", "cow: t }", "`t` cannot hold the copies"),
    row(ByDmlab, "a drop of an unknown one", "drop: \"s${i}\"", "drop: \"z${i}\"", "no step takes a snapshot \"z1\""),
    row(
        ByDmlab,
        "a merge of an unknown one",
        "snapshot: last, within",
        "snapshot: lost, within",
        "did you mean `last`?",
    ),
    row(ByDmlab, "each of nothing", "name: i, to: 2", "name: i, to: 0", "from 1 to 0 there is no number"),
    row(ByDmlab, "each without end", "name: i, to: 2", "name: i, to: 1000000", "written out"),
    row(ByDmlab, "repeat without an end", "times: 2, do", "do", "a `repeat` step without an end"),
    row(ByDmlab, "a device that is not there", "stamp: { on: t", "stamp: { on: u", "is not a declared device"),
    row(ByDmlab, "a device on itself", "linear $d 0", "linear $t 0", "declared only in line"),
    row(ByDmlab, "a device on a later one", "barrier: $d", "barrier: $t", "declared only in line"),
    row(ByDmlab, "a size of half a sector", "size: 16k", "size: 300", "is not a multiple of 512 bytes"),
    row(ByDmlab, "a size beyond 64 bits", "size: 16k", "size: 99999999999999999999t", "is not a size"),
    row(ByDmlab, "a range without a block", "size: 16k", "size: 2k", "has no room for one block"),
    row(ByDmlab, "beyond the end", "sectors: 0..8", "sectors: 0..800", "does not lie within `d`"),
    row(ByDmlab, "I/O that fails in dm", "io: { on: d", "io: { on: t", "is a dm device"),
    row(ByDmlab, "a table on a ramdisk", "reload: { device: t", "reload: { device: d", "only dm devices can do this"),
    row(ByDmlab, "a bound without its strategy", "strategy: icb", "strategy: pct", "`bound` counts preemptions"),
    row(ByDmlab, "a value that no cell has", "when: { split: trim }", "when: { split: depth-first }", "is not among"),
    row(ByDmlab, "an axis that is none", "when: { split: trim }", "when: { gmr: fifo }", "is not an axis of this"),
    row(ByDmlab, "a cell that is excluded", "when: { split: trim }", "when: { split: loop, depth: 32 }", "no cell"),
    row(ByDmlab, "an axis that is not there", "size: 16k", "size: \"${deep}k\"", "is not an axis of this scenario"),
    row(ByDmlab, "a proof of a failure", "split: trim }, strength", "split: loop }, strength", "expected to fail"),
];
