//! The steps that are single bios and patterns: submit, stamp, verify, layout, mount.
//!
//! Invariants: an extent is not empty and ends within its device where the size of the device is known without
//! asking a table; a flush has no extent.
//! Not here: loads (`load`).

use dmlab_units::{SECTOR_BYTES, Sectors};

use super::scope::{Declared, Scope};
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::{Action, Extent, IoFlag, IoOp, Outcome, Pass, Span, Stomp, Submit, values};

/// The kernel counts a bio's bytes in 32 bits (`bi_size`).
const BIO_SECTORS_MAX: u64 = u32::MAX as u64 / SECTOR_BYTES;

/// What a part of a device is counted in where nothing is said: 4 KiB.
const BLOCK: Sectors = Sectors(8);
/// As many sectors as one I/O of a stamp has.
const BLOCK_MAX: u64 = 2048;

const OPS: &values::Words<IoOp> = &[
    ("read", IoOp::Read),
    ("write", IoOp::Write),
    ("flush", IoOp::Flush),
    ("discard", IoOp::Discard),
    ("secure-erase", IoOp::SecureErase),
    ("write-zeroes", IoOp::WriteZeroes),
];

const FLAGS: &values::Words<IoFlag> = &[
    ("fua", IoFlag::Fua),
    ("preflush", IoFlag::Preflush),
    ("sync", IoFlag::Sync),
    ("rahead", IoFlag::Rahead),
    ("nowait", IoFlag::Nowait),
    ("swap", IoFlag::Swap),
];

pub(super) fn submit(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `submit` step", sink)?;
    let on = fields.required("on", |node, sink| scope.device(node, sink));
    let op = fields.required("op", |node, sink| values::word(node, "an operation", OPS, sink));
    let read_at = |node: &Node, sink: &mut Sink<'_>| values::sectors(node, 0, sink);
    let read_sectors = |node: &Node, sink: &mut Sink<'_>| values::number(node, 1..=BIO_SECTORS_MAX, sink).map(Sectors);
    let (at, sectors) = if op == Some(IoOp::Flush) {
        for key in ["at", "sectors"] {
            if let Some(node) = fields.node(key) {
                fields.error(node.span, format!("a flush has no place; `{key}` is for the other operations"));
            }
        }
        (Some(Sectors::ZERO), Some(Sectors::ZERO))
    } else {
        let at = fields.or("at", Sectors::ZERO, read_at);
        // Without a readable operation, it is not known whether sectors are wanted.
        let sectors = if op.is_some() {
            fields.required("sectors", read_sectors)
        } else {
            fields.or("sectors", Sectors::ZERO, read_sectors)
        };
        (at, sectors)
    };
    let flags = fields.or("flags", Vec::new(), flags);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    let extent = extent(node, on?, at?, sectors?, sink)?;
    Some(Action::Submit(Submit { op: op?, flags: flags?, extent, outcome: outcome? }))
}

/// A set of flags; the order in which they are written means nothing.
fn flags(node: &Node, sink: &mut Sink<'_>) -> Checked<Vec<IoFlag>> {
    let read = |item: &Node, sink: &mut Sink<'_>| values::word(item, "a flag", FLAGS, sink);
    let mut flags = values::one_or_more(node, "flags", sink, read)?;
    flags.sort_unstable();
    if let Some(pair) = flags.windows(2).find(|pair| pair[0] == pair[1]) {
        let (word, _) = FLAGS.iter().find(|(_, flag)| *flag == pair[0]).expect("every flag has a word");
        return sink.refuse(node.span, format!("the flag `{word}` is named twice"));
    }
    Some(flags)
}

/// A range, or so much of the device, in blocks.
pub(super) fn stamp(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `stamp` step", sink)?;
    let on = fields.required("on", |node, sink| scope.device(node, sink));
    let at = fields.or("at", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
    let sectors = fields.optional("sectors", |node, sink| values::sectors(node, 1, sink));
    let percent = fields.optional("percent", |node, sink| values::count(node, 1..=100, sink));
    let block = fields.or("block", BLOCK, |node, sink| values::number(node, 1..=BLOCK_MAX, sink).map(Sectors));
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    let span = fields.span();
    fields.finish()?;
    let (on, at, sectors, percent, block, outcome) = (on?, at?, sectors?, percent?, block?, outcome?);
    let other = |keys: [&'static str; 2]| keys.into_iter().find_map(|key| Some((key, node.get(key)?)));
    match (sectors, percent) {
        (Some(sectors), None) => match other(["percent", "block"]) {
            None => Some(Action::Stamp(Pass { extent: extent(node, on, at, sectors, sink)?, outcome })),
            Some((key, node)) => sink.refuse(node.span, format!("`{key}` goes with `percent`; here is a range")),
        },
        (None, Some(percent)) => match other(["at", "sectors"]) {
            None => Some(Action::Stomp(Stomp { device: on.name, percent, block, outcome })),
            Some((key, node)) => {
                sink.refuse(node.span, format!("`{key}` says where; `percent` leaves that to the seed"))
            }
        },
        (Some(_), Some(_)) => {
            sink.refuse(span, "a `stamp` step has a range (`sectors`) or a part (`percent`); here are both")
        }
        (None, None) => sink.refuse(span, "a `stamp` step has a range (`sectors`) or a part (`percent`); here is none"),
    }
}

/// All of a device that was ever stamped, or a range of it.
pub(super) fn verify(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    match &node.kind {
        Kind::Scalar(_) => Some(Action::VerifyAll(scope.device(node, sink)?.name)),
        _ => pattern(node, "a `verify` step", Scope::device, scope, sink).map(Action::Verify),
    }
}

pub(super) fn mount(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    pattern(node, "a `mount` step", Scope::dm, scope, sink).map(Action::Mount)
}

fn pattern(
    node: &Node,
    what: &'static str,
    device: impl FnOnce(&Scope, &Node, &mut Sink<'_>) -> Checked<Declared>,
    scope: &Scope,
    sink: &mut Sink<'_>,
) -> Checked<Pass> {
    let mut fields = Fields::open(node, what, sink)?;
    let on = fields.required("on", |node, sink| device(scope, node, sink));
    let at = fields.or("at", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
    let sectors = fields.required("sectors", |node, sink| values::sectors(node, 1, sink));
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    let extent = extent(node, on?, at?, sectors?, sink)?;
    Some(Pass { extent, outcome: outcome? })
}

pub(super) fn layout(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `layout` step", sink)?;
    let of = fields.required("of", |node, sink| scope.device(node, sink));
    let from = fields.or("at", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
    let sectors = fields.required("sectors", |node, sink| values::sectors(node, 1, sink));
    let is = fields.required("is", |node, sink| {
        let mut fields = Fields::open(node, "the place in a `layout` step", sink)?;
        let on = fields.required("on", |node, sink| scope.device(node, sink));
        let at = fields.or("at", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
        fields.finish()?;
        Some((on?, at?, node))
    });
    fields.finish()?;
    let sectors = sectors?;
    let of = extent(node, of?, from?, sectors, sink);
    let (on, at, place) = is?;
    let there = extent(place, on, at, sectors, sink)?;
    Some(Action::Layout { of: of?, on: there.device, at })
}

/// An extent that lies within its device, as far as that is known.
pub(super) fn extent(
    node: &Node,
    device: Declared,
    at: Sectors,
    sectors: Sectors,
    sink: &mut Sink<'_>,
) -> Checked<Extent> {
    let place = |key: &str| node.get(key).map(|node| node.span);
    let span = place("sectors").or_else(|| place("at")).unwrap_or(node.span);
    within(span, &device, at, sectors, sink)?;
    Some(Extent { device: device.name, at, sectors })
}

/// Reports an extent that ends behind its device.
pub(super) fn within(span: Span, device: &Declared, at: Sectors, sectors: Sectors, sink: &mut Sink<'_>) -> Checked<()> {
    let end = at.checked_add(sectors).filter(|end| end.0 <= values::SECTOR_MAX);
    let size = device.size.unwrap_or(Sectors(values::SECTOR_MAX));
    match end {
        Some(end) if end <= size => Some(()),
        Some(end) => {
            let message = format!("sectors {at}..{end} do not lie within `{}`, which has {size}", device.name);
            sink.refuse(span, message)
        }
        None => sink.refuse(span, format!("{sectors} sectors from {at}: no device is that large")),
    }
}

#[cfg(test)]
mod tests;
