//! The forms of single values: names, sizes, durations, and what else is written in one word or line.
//!
//! Invariant: a pattern accepts whatever the checker accepts, and refuses what no value of that kind can look like;
//! limits that a pattern cannot express (a size of whole sectors, say) are left to the checker.

use super::words::{Also, Text, Value, words};

/// Anything, so long as there is something in it.
pub(super) static FILLED: Text = Text { about: "a text", pattern: r"\S", also: Also::Scalars, examples: &[] };

pub(super) static AFTER: Text = Text {
    about: "the number of an event, or `current`",
    pattern: "^(current|\\+?[0-9]+)$",
    also: Also::Integers,
    examples: &["current", "0"],
};

pub(super) static ID: Text = Text {
    about: "words of a-z, 0-9 and `-`, with `/` between them",
    pattern: "^[a-z0-9-]+(/[a-z0-9-]+)*$",
    also: Also::Scalars,
    examples: &["my/example"],
};

pub(super) static COMMIT: Text = Text {
    about: "7 to 40 of 0-9 and a-f",
    pattern: "^[0-9a-f]{7,40}$",
    also: Also::Scalars,
    examples: &["18a25da84354"],
};

pub(super) static TAG: Text =
    Text { about: "a-z, 0-9 and `-`", pattern: "^[a-z0-9-]+$", also: Also::Scalars, examples: &["split", "deadlock"] };

pub(super) static AXIS: Text = Text {
    about: "a name: a-z, 0-9, `_` and `-`, a letter first",
    pattern: "^[a-z][a-z0-9_-]{0,63}$",
    also: Also::Nothing,
    examples: &["depth"],
};

pub(super) static AXIS_VALUE: Text = Text {
    about: "a value of an axis: up to 64 of A-Z, a-z, 0-9, `.`, `_`, `+`, `%` and `-`",
    pattern: "^[A-Za-z0-9._+%-]{1,64}$",
    also: Also::Scalars,
    examples: &["loop", "4k"],
};

pub(super) static SIZE: Text = Text {
    about: "a size in bytes: k, m, g, t are powers of 1024; most sizes are whole sectors of 512 bytes",
    pattern: "^[0-9]+([kKmMgGtT][iI]?[bB]?|[bB])?$",
    also: Also::Integers,
    examples: &["4096", "4k", "64KiB", "1m"],
};

pub(super) static DURATION: Text = Text {
    about: "a duration with its unit, which is mandatory unless it is 0",
    pattern: "^([0-9]+(ns|us|ms|s|m)|0+)$",
    also: Also::Zero,
    examples: &["500ns", "20us", "10ms", "5s", "2m"],
};

pub(super) static SEED: Text = Text {
    about: "a seed",
    pattern: r"^(0x\+?[0-9a-fA-F]+|\+?[0-9]+)$",
    also: Also::Integers,
    examples: &["42", "0x2a"],
};

pub(super) static DEVICE_NAME: Text = Text {
    about: "the name of a device: a-z, 0-9 and `_`, a letter first, not `below`",
    pattern: "^(?!below$)[a-z][a-z0-9_]{0,63}$",
    also: Also::Nothing,
    examples: &["d", "t"],
};

/// In steps devices are named as they are; `top.1` is a lower level of a stacked one, `snap0-cow` a layer of a snapshot.
pub(super) static DEVICE: Text = Text {
    about: "the name of a device, without `$`; `top.1` is a lower level of a stacked one, `vol-real`, `snap0-cow` and \
            `snap0-pv` are layers of snapshots",
    pattern: r"^[a-z][a-z0-9_]{0,63}(\.[1-9][0-9]*|-(cow|pv|real))?$",
    also: Also::Nothing,
    examples: &["t", "top.1"],
};

pub(super) static SNAPSHOTS: Text = Text {
    about: "the name of a snapshot: a-z, 0-9 and `_`, a letter first; or several, `snap{1..8}`",
    pattern: "^[a-z][a-z0-9_]*(\\{[0-9_]+\\.\\.[0-9_]+\\})?$",
    also: Also::Scalars,
    examples: &["snap0", "snap{1..8}"],
};

pub(super) static COW: Text = Text {
    about: "`auto`, a size in bytes, or a device",
    pattern: "^([0-9]+([kKmMgGtT][iI]?[bB]?|[bB])?|[a-z][a-z0-9_.-]*)$",
    also: Also::Scalars,
    examples: &["auto", "1MiB", "c"],
};

pub(super) static REFERENCE: Text = Text {
    about: "`$name` of an earlier device",
    pattern: r"^\$[a-z][a-z0-9_]{0,63}(\.[1-9][0-9]*)?$",
    also: Also::Nothing,
    examples: &["$d"],
};

/// A line of a table, or several in one text.
pub(super) static TABLE_LINE: Text = Text {
    about: "a table line in dmsetup's syntax, `start length type args`, or several with a line break between them; \
            `$name` stands for a device declared earlier, `$below` for the next lower level",
    pattern: r"^\s*[0-9]+\s+[0-9]+\s+\S",
    also: Also::Nothing,
    examples: &["0 128 linear $d 0", "0 64 striped 2 8 $a 0 $b 0"],
};

pub(super) static PRINTED_LINE: Text = Text {
    about: "a line exactly as `dmsetup status` or `dmsetup table` prints it; `$name` stands for a device",
    pattern: "^",
    also: Also::Scalars,
    examples: &["0 128 linear $d 0"],
};

pub(super) static PATTERN: Text = Text {
    about: "a regular expression, as in Rust, with ASCII classes; it must fit some place of the line",
    pattern: "^",
    also: Also::Scalars,
    examples: &["^0 128 linear", "1 A[AD]$"],
};

/// A word of a line, counted from 1.
pub(super) static WORD: Text = Text {
    about: "the number of a word, from 1",
    pattern: "^[0-9]+(_[0-9]+)*$",
    also: Also::Integers,
    examples: &["3"],
};

pub(super) static FIELD: Text = Text {
    about: "a word, `$name` of a device, or a bound on a number",
    pattern: r"\S",
    also: Also::Scalars,
    examples: &["striped", "$d", ">= 2"],
};

pub(super) static BSRANGE: Text = Text {
    about: "a range of block sizes, the larger a multiple of the smaller",
    pattern: "^[0-9]+([kKmMgG][iI]?[bB]?|[bB])?-[0-9]+([kKmMgG][iI]?[bB]?|[bB])?$",
    also: Also::Nothing,
    examples: &["4k-16k"],
};

pub(super) static BSSPLIT: Text = Text {
    about: "block sizes and their percents, multiples of the smallest, 100 in all",
    pattern: "^[^/:]+/[0-9_]+(:[^/:]+/[0-9_]+)*$",
    also: Also::Nothing,
    examples: &["4k/60:8k/40"],
};

pub(super) static DISTRIBUTION: Text = Text {
    about: "a distribution of fio's",
    pattern: r"^(random|(zipf|pareto|normal):[0-9]+(\.[0-9]{1,3})?|zoned:[0-9_]+/[0-9_]+(:[0-9_]+/[0-9_]+)*)$",
    also: Also::Nothing,
    examples: &["random", "zipf:1.2", "pareto:0.2", "normal:10", "zoned:60/10:40/90"],
};

pub(super) static PERCENTILE: Text = Text {
    about: "a percentile above 0, at most 100, with at most 3 digits behind the point",
    pattern: r"^[0-9]+(\.[0-9]{1,3})?$",
    also: Also::Scalars,
    examples: &["50", "99.9"],
};

pub(super) static POOL: Text = Text {
    about: "a memory pool, `<device>.<pool>` with `*` for all",
    pattern: r"^[^\s]+\.([a-z0-9_]+|\*)$",
    also: Also::Nothing,
    examples: &["t.bs", "*.io_bs", "t.*"],
};

pub(super) static TASK: Text = Text {
    about: "the name of a task: a-z, 0-9, `_` and `-`, a letter first",
    pattern: "^[a-z][a-z0-9_-]{0,63}$",
    also: Also::Nothing,
    examples: &["io", "admin"],
};

pub(super) static RATE: Text = Text {
    about: "a rate from 0% to 100%, with at most 7 digits behind the point",
    pattern: r"^(100(\.0{1,7})?|0*[0-9]{0,2}(\.[0-9]{1,7})?)\s*%$",
    also: Also::Nothing,
    examples: &["12.5%"],
};

pub(super) static SECTOR_RANGE: Text = Text {
    about: "a range of sectors, the last one not included",
    pattern: r"^(all|[0-9][0-9_]*\.\.([0-9][0-9_]*)?)$",
    also: Also::Nothing,
    examples: &["8..16", "8..", "all"],
};

pub(super) static BOUND: Text = Text {
    about: "a bound on a number",
    pattern: r"^(<=|>=|==|!=|<|>)\s*[0-9]+(_[0-9]+)*$",
    also: Also::Nothing,
    examples: &["<= 2", ">= 1", "== 0"],
};

pub(super) static TARGET: Text = Text {
    about: "the name of a target type: a-z, 0-9, `_` and `-`",
    pattern: "^[a-z0-9_-]+$",
    also: Also::Scalars,
    examples: &["snapshot", "snapshot-origin"],
};

pub(super) static MODULE: Text = Text {
    about: "the name of a kernel module: A-Z, a-z, 0-9, `_` and `-`",
    pattern: "^[A-Za-z0-9_-]+$",
    also: Also::Scalars,
    examples: &["dm_snapshot"],
};

pub(super) static KERNEL_BOUND: Text = Text {
    about: "a bound on a kernel",
    pattern: r"^(<=|>=|==|!=|<|>)\s*[0-9]\S*$",
    also: Also::Nothing,
    examples: &[">= 4.18", "< 4.11-rc1"],
};

pub(super) static LOAD_REF: Text = Text {
    about: "the name of a load, and perhaps of a phase: `name`, `name@phase`",
    pattern: "^[a-z][a-z0-9_-]{0,63}(@[a-z][a-z0-9_-]{0,63})?$",
    also: Also::Nothing,
    examples: &["after", "io@after"],
};

pub(super) static LOAD_NUMBER: Text = Text {
    about: "a bound: a number, or a multiple of the same figure of a load",
    pattern: r"^(<=|>=|==|!=|<|>)\s*([0-9]+(_[0-9]+)*|([0-9_.]+\s*\*\s*)?[a-z][a-z0-9_-]*(@[a-z0-9_-]+)?)$",
    also: Also::Nothing,
    examples: &[">= 1000", ">= 0.8 * before", "> io@before"],
};

pub(super) static LOAD_BYTES: Text = Text {
    about: "a bound: a size in bytes, or a multiple of the same figure of a load",
    pattern: r"^(<=|>=|==|!=|<|>)\s*([0-9][0-9_]*\s*[a-zA-Z]*|([0-9_.]+\s*\*\s*)?[a-z][a-z0-9_-]*(@[a-z0-9_-]+)?)$",
    also: Also::Nothing,
    examples: &[">= 100MiB", ">= 0.8 * before"],
};

pub(super) static LOAD_TIME: Text = Text {
    about: "a bound: a duration, or a multiple of the same figure of a load",
    pattern: r"^(<=|>=|==|!=|<|>)\s*(0+|[0-9][0-9_]*\s*(ns|us|ms|s|m)|([0-9_.]+\s*\*\s*)?[a-z][a-z0-9_-]*(@[a-z0-9_-]+)?)$",
    also: Also::Nothing,
    examples: &["<= 5ms", "<= 1.5 * before"],
};

pub(super) static RELATION: Text = Text {
    about: "two sums of counters, of multiples of counters and of numbers, and how they compare",
    pattern: r"^[a-z0-9_*+\s]+(<=|>=|==|!=|<|>)[a-z0-9_*+\s]+$",
    also: Also::Nothing,
    examples: &["punted_bios <= pool_waits", "ios >= 2 * io_errors + 1"],
};

pub(super) static ENTRY: Text = Text {
    about: "a bio that enters a driver: `<device> <first sector>+<sectors>`",
    pattern: r"^\S+ [0-9][0-9_]*\+[0-9][0-9_]*$",
    also: Also::Nothing,
    examples: &["t 0+16"],
};

pub(super) static STRENGTH: Text = Text {
    about: "`proved`, or `proved up to N preemptions`",
    pattern: "^proved( up to [0-9][0-9_]* preemptions?)?$",
    also: Also::Nothing,
    examples: &["proved", "proved up to 2 preemptions"],
};

/// A sector number: no larger one fits 64 bits in bytes.
pub(super) const AT: Value = Value::Number(0, crate::values::SECTOR_MAX);
/// A count of sectors.
pub(super) const SECTORS: Value = Value::Number(1, crate::values::SECTOR_MAX);
pub(super) const ON: Value = Value::Scalar(&DEVICE);
pub(super) const SIZE_VALUE: Value = Value::Scalar(&SIZE);
pub(super) const TRUTH: Value = Value::Words(&[("true", ""), ("false", "")]);
pub(super) const OUTCOME: Value = words!(
    "ok",
    "EPERM",
    "ENOENT",
    "ENXIO",
    "EIO",
    "ENOMEM",
    "EBUSY",
    "EEXIST",
    "ENODEV",
    "EINVAL",
    "ENOSPC",
    "EOPNOTSUPP",
    "EAGAIN",
    "refused",
    "any",
    "ok or EPERM",
    "ok or ENOENT",
    "ok or ENXIO",
    "ok or EIO",
    "ok or ENOMEM",
    "ok or EBUSY",
    "ok or EEXIST",
    "ok or ENODEV",
    "ok or EINVAL",
    "ok or ENOSPC",
    "ok or EOPNOTSUPP",
    "ok or EAGAIN",
);
pub(super) const ERRNO: Value = words!(
    "EPERM",
    "ENOENT",
    "ENXIO",
    "EIO",
    "ENOMEM",
    "EBUSY",
    "EEXIST",
    "ENODEV",
    "EINVAL",
    "ENOSPC",
    "EOPNOTSUPP",
    "EAGAIN",
);
