//! The `load` step: fio's words with fio's meaning and defaults.
//!
//! Invariants: block sizes, offset and sizes are whole sectors; at least one block fits the range; the range of every job
//! lies within the device where its size is known; words that mean nothing without another one stand beside it.
//! Not here: words of several parts (`words`), running loads (the harness), fio's options that a scenario has no use for:
//! they are unknown keys.

use dmlab_units::{Bytes, Nanos, Sectors};

use super::flow::is_name;
use super::io::within;
use super::scope::{Declared, Scope};
use crate::fields::{Checked, Fields};
use crate::node::Node;
use crate::sink::Sink;
use crate::{Action, BlockSizes, Distribution, Load, Outcome, Rate, Rw, Think, values};

mod words;

const BS: Bytes = Bytes::kib(4);
const BS_MAX: Bytes = Bytes::mib(64);
const IODEPTH_MAX: u32 = 1024;
const NUMJOBS_MAX: u32 = 256;
const RWMIXREAD: u32 = 50;
const COUNT_MAX: u32 = 1_000_000_000;
const NAME: &str = "the name of a load: a-z, 0-9, `_` and `-`, a letter first";

const RW: &values::Words<Rw> = &[
    ("read", Rw::Read),
    ("write", Rw::Write),
    ("randread", Rw::RandRead),
    ("randwrite", Rw::RandWrite),
    ("rw", Rw::ReadWrite),
    ("readwrite", Rw::ReadWrite),
    ("randrw", Rw::RandRw),
    ("trim", Rw::Trim),
    ("randtrim", Rw::RandTrim),
    ("trimwrite", Rw::TrimWrite),
];

pub(super) fn load(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let some = || Bytes(1)..=Bytes(u64::MAX);
    let any = || Bytes::ZERO..=Bytes(u64::MAX);
    let count = |most: u32| move |node: &Node, sink: &mut Sink<'_>| values::count(node, 1..=most, sink);
    let mut fields = Fields::open(node, "a `load` step", sink)?;
    let name = fields.optional("name", |node, sink| values::name(node, NAME, is_name, sink));
    let on = fields.required("on", |node, sink| scope.device(node, sink));
    let rw = fields.or("rw", Rw::Read, |node, sink| values::word(node, "a pattern of fio's", RW, sink));
    let rwmixread = fields.or("rwmixread", RWMIXREAD, |node, sink| values::count(node, 0..=100, sink));
    let bs = fields.optional("bs", |node, sink| values::bytes(node, Bytes(1)..=BS_MAX, sink));
    let bsrange = fields.optional("bsrange", |node, sink| words::bsrange(node, BS_MAX, sink));
    let bssplit = fields.optional("bssplit", |node, sink| words::bssplit(node, BS_MAX, sink));
    let iodepth = fields.or("iodepth", 1, count(IODEPTH_MAX));
    let batch_submit = fields.or("iodepth_batch_submit", 1, count(IODEPTH_MAX));
    let batch_complete = fields.or("iodepth_batch_complete", 1, count(IODEPTH_MAX));
    let numjobs = fields.or("numjobs", 1, count(NUMJOBS_MAX));
    let offset = fields.or("offset", Bytes::ZERO, |node, sink| values::bytes(node, any(), sink));
    let offset_increment = fields.or("offset_increment", Bytes::ZERO, |node, sink| values::bytes(node, any(), sink));
    let size = fields.optional("size", |node, sink| values::bytes(node, some(), sink));
    let io_size = fields.optional("io_size", |node, sink| values::bytes(node, some(), sink));
    let runtime = fields.optional("runtime", values::span_of_time);
    let time_based = fields.or("time_based", false, values::truth);
    let ramp_time = fields.or("ramp_time", Nanos::ZERO, values::nanos);
    let rate = fields.optional("rate", |node, sink| values::memory(node, some(), sink));
    let rate_iops = fields.optional("rate_iops", count(COUNT_MAX));
    let poisson = fields.optional("rate_process", words::rate_process);
    let random_distribution = fields.or("random_distribution", Distribution::Random, words::distribution);
    let norandommap = fields.or("norandommap", false, values::truth);
    let randseed = fields.optional("randseed", values::seed);
    let fsync = fields.optional("fsync", count(COUNT_MAX));
    let fdatasync = fields.optional("fdatasync", count(COUNT_MAX));
    let verify = fields.or("verify", false, values::truth);
    let verify_backlog = fields.optional("verify_backlog", count(COUNT_MAX));
    let thinktime = fields.optional("thinktime", values::span_of_time);
    let thinktime_blocks = fields.optional("thinktime_blocks", count(COUNT_MAX));
    let percentile_list = fields.optional("percentile_list", words::percentiles);
    let max_stall = fields.optional("max_stall", values::span_of_time);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    let (bs, bsrange, bssplit) = (bs?, bsrange?, bssplit?);
    let sizes = bs.map(BlockSizes::One).or(bsrange).or(bssplit).unwrap_or(BlockSizes::One(BS));
    let rate = match (rate?, rate_iops?, poisson? == Some(true)) {
        (Some(bytes), ..) => Some(Rate::Bytes(bytes)),
        (None, Some(ios), true) => Some(Rate::Poisson(ios)),
        (None, Some(ios), false) => Some(Rate::Ios(ios)),
        (None, None, _) => None,
    };
    let think = thinktime?
        .map(|time| (time, thinktime_blocks))
        .map_or(Some(None), |(time, blocks)| Some(Some(Think { time, blocks: blocks?.unwrap_or(1) })))?;
    let declared = on?;
    let load = Load {
        name: name?,
        on: declared.name.clone(),
        rw: rw?,
        rwmixread: u8::try_from(rwmixread?).ok()?,
        bs: sizes,
        iodepth: iodepth?,
        iodepth_batch_submit: batch_submit?,
        iodepth_batch_complete: batch_complete?,
        numjobs: numjobs?,
        offset: offset?,
        offset_increment: offset_increment?,
        size: size?,
        io_size: io_size?,
        runtime: runtime?,
        time_based: time_based?,
        ramp_time: ramp_time?,
        rate,
        random_distribution: random_distribution?,
        norandommap: norandommap?,
        randseed: randseed?,
        fsync: fsync?.or(fdatasync?),
        verify: verify?,
        verify_backlog: verify_backlog?,
        think,
        percentile_list: percentile_list?,
        max_stall: max_stall?,
        outcome: outcome?,
    };
    let together = check_together(node, &load, sink);
    let range = check_range(node, &load, &declared, sink);
    (together && range.is_some()).then_some(Action::Run(Box::new(load)))
}

/// Reports words that exclude each other, and words that mean nothing without another one.
fn check_together(node: &Node, load: &Load, sink: &mut Sink<'_>) -> bool {
    let mut clean = true;
    let mut wrong = |key: &str, message: String, help: &str| {
        let Some(at) = node.get(key) else { return };
        clean = false;
        sink.error_help(at.span, message, help);
    };
    let given = |key: &str| node.get(key).is_some();
    for (one, other) in
        [("bs", "bsrange"), ("bs", "bssplit"), ("bsrange", "bssplit"), ("rate", "rate_iops"), ("fsync", "fdatasync")]
    {
        if given(one) {
            wrong(other, format!("`{other}` says otherwise what `{one}` says"), "leave one of them out");
        }
    }
    let is_random = load.rw.is_random();
    let needs = [
        ("time_based", load.runtime.is_none(), "runtime"),
        ("rate_process", load.rate.is_none(), "rate_iops"),
        ("verify_backlog", !load.verify, "verify: true"),
        ("thinktime_blocks", load.think.is_none(), "thinktime"),
        ("random_distribution", !is_random, "a random pattern in `rw`"),
        ("norandommap", !is_random, "a random pattern in `rw`"),
        ("fsync", !load.rw.writes(), "a pattern in `rw` that writes"),
        ("fdatasync", !load.rw.writes(), "a pattern in `rw` that writes"),
    ];
    for (key, lacks, what) in needs {
        if lacks {
            wrong(key, format!("`{key}` means nothing without {what}"), "leave it out, or say the other");
        }
    }
    if matches!(load.rate, Some(Rate::Bytes(_))) && node.get("rate_process").and_then(Node::text) == Some("poisson") {
        let help = "write `rate_iops`, or leave `rate_process` out";
        wrong("rate_process", "a Poisson process counts I/Os, not bytes".to_owned(), help);
    }
    let batches =
        [("iodepth_batch_submit", load.iodepth_batch_submit), ("iodepth_batch_complete", load.iodepth_batch_complete)];
    for (key, batch) in batches {
        if batch > load.iodepth {
            let message = format!("a batch of {batch} is more than the {} I/Os in flight", load.iodepth);
            wrong(key, message, "make `iodepth` larger, or the batch smaller");
        }
    }
    let mixed = !matches!(load.bs, BlockSizes::One(_));
    if mixed && load.random_distribution != Distribution::Random {
        let message = "blocks of several sizes have no order of popularity".to_owned();
        wrong("random_distribution", message, "give all blocks one size with `bs`");
    }
    let apart = load.size.is_some_and(|size| size <= load.offset_increment);
    if load.verify && load.numjobs > 1 && load.offset_increment > Bytes::ZERO && !apart {
        let message = "with `verify` no two jobs may share a block, and these ranges overlap".to_owned();
        wrong("offset_increment", message, "make it at least `size`, or leave it out: the range is then shared out");
    }
    clean
}

/// Reports ranges that end behind the device, or have no room for a block.
fn check_range(node: &Node, load: &Load, on: &Declared, sink: &mut Sink<'_>) -> Checked<()> {
    let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
    // Without a size the load goes to the end of the device, and one block must fit there.
    let range = load.size.unwrap_or(load.bs.max());
    let last = load.offset_increment.0.checked_mul(u64::from(load.numjobs - 1));
    let at = last.and_then(|last| load.offset.0.checked_add(last)).map(Bytes);
    let Some(at) = at else {
        return sink.refuse(span("offset_increment"), "the range of the last job: no device is that large");
    };
    if let (Some(at), Some(sectors)) = (Sectors::from_bytes(at), Sectors::from_bytes(range)) {
        let of_jobs = load.offset_increment > Bytes::ZERO && load.numjobs > 1;
        let key = if of_jobs {
            "offset_increment"
        } else if load.size.is_some() {
            "size"
        } else {
            "offset"
        };
        within(span(key), on, at, sectors, sink)?;
    }
    if range < load.bs.max() {
        let message = format!("a range of {range} has no room for one block of {}", load.bs.max());
        return sink.refuse(span("size"), message);
    }
    Some(())
}

#[cfg(test)]
mod tests;
