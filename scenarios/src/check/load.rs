//! The `load` step: fio's words with fio's meaning and defaults.
//!
//! Invariants: block size, offset and sizes are whole sectors; at least one block fits the range; the range lies
//! within the device where its size is known.
//! Not here: running loads (the harness), fio's options that a scenario has no use for: they are unknown keys.

use dmlab_units::{Bytes, Sectors};

use super::io::within;
use super::scope::Scope;
use crate::fields::{Checked, Fields};
use crate::node::Node;
use crate::sink::Sink;
use crate::{Action, Load, Outcome, Rw, values};

const BS: Bytes = Bytes::kib(4);
const BS_MAX: Bytes = Bytes::mib(64);
const IODEPTH_MAX: u32 = 1024;
const NUMJOBS_MAX: u32 = 256;
const RWMIXREAD: u32 = 50;

const RW: &values::Words<Rw> = &[
    ("read", Rw::Read),
    ("write", Rw::Write),
    ("randread", Rw::RandRead),
    ("randwrite", Rw::RandWrite),
    ("rw", Rw::ReadWrite),
    ("readwrite", Rw::ReadWrite),
    ("randrw", Rw::RandRw),
];

pub(super) fn load(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let some = Bytes(1)..=Bytes(u64::MAX);
    let mut fields = Fields::open(node, "a `load` step", sink)?;
    let on = fields.required("on", |node, sink| scope.device(node, sink));
    let rw = fields.or("rw", Rw::Read, |node, sink| values::word(node, "a pattern of fio's", RW, sink));
    let bs = fields.or("bs", BS, |node, sink| values::bytes(node, Bytes(1)..=BS_MAX, sink));
    let iodepth = fields.or("iodepth", 1, |node, sink| values::count(node, 1..=IODEPTH_MAX, sink));
    let numjobs = fields.or("numjobs", 1, |node, sink| values::count(node, 1..=NUMJOBS_MAX, sink));
    let offset =
        fields.or("offset", Bytes::ZERO, |node, sink| values::bytes(node, Bytes::ZERO..=Bytes(u64::MAX), sink));
    let size = fields.optional("size", |node, sink| values::bytes(node, some.clone(), sink));
    let io_size = fields.optional("io_size", |node, sink| values::bytes(node, some.clone(), sink));
    let runtime = fields.optional("runtime", values::span_of_time);
    let verify = fields.or("verify", false, values::truth);
    let rwmixread = fields.or("rwmixread", RWMIXREAD, |node, sink| values::count(node, 0..=100, sink));
    let randseed = fields.optional("randseed", values::seed);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    let (on, bs, offset, size) = (on?, bs?, offset?, size?);
    let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
    // Without a size the load goes to the end of the device, and one block must fit there.
    let range = size.unwrap_or(bs);
    if let (Some(at), Some(sectors)) = (Sectors::from_bytes(offset), Sectors::from_bytes(range)) {
        let key = if size.is_some() { "size" } else { "offset" };
        within(span(key), &on, at, sectors, sink)?;
    }
    if range < bs {
        let message = format!("a range of {range} has no room for one block of {bs}");
        return sink.refuse(span("size"), message);
    }
    Some(Action::Run(Load {
        on: on.name,
        rw: rw?,
        rwmixread: u8::try_from(rwmixread?).ok()?,
        bs,
        iodepth: iodepth?,
        numjobs: numjobs?,
        offset,
        size,
        io_size: io_size?,
        runtime: runtime?,
        verify: verify?,
        randseed: randseed?,
        outcome: outcome?,
    }))
}

#[cfg(test)]
mod tests;
