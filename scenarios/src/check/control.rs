//! The steps that are dmsetup's verbs: create, reload, suspend, resume, remove; and unmount, which is no verb of it.
//!
//! Invariants: each names a dm device; what must come of it is said (`expect`), or it must succeed.
//! Not here: the lines of tables (`table`), what is printed (`printed`).

use super::scope::{Declared, Scope, Sort};
use super::table::{self, Lines};
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::{Action, Admin, Outcome, SuspendHow, Verb, values};

pub(super) fn create(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let (device, outcome) = verb(node, "a `create` step", scope, sink)?;
    Some(Action::Create { device, outcome })
}

pub(super) fn resume(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let (device, how, outcome) = flagged(node, "a `resume` step", scope, sink)?;
    Some(Action::Resume { device, how, outcome })
}

pub(super) fn remove(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    if let Kind::Scalar(_) = &node.kind {
        return Some(Action::Remove { device: scope.dm(node, sink)?.name, outcome: Outcome::Ok });
    }
    let mut fields = Fields::open(node, "a `remove` step", sink)?;
    let device = fields.required("device", |node, sink| scope.dm(node, sink));
    let deferred = fields.or("deferred", false, values::truth);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    let (device, outcome) = (device?.name, outcome?);
    Some(match deferred? {
        true => Action::Admin(Admin { device, verb: Verb::RemoveDeferred, outcome }),
        false => Action::Remove { device, outcome },
    })
}

/// A device, or a map of the device and what must come of the verb.
pub(super) fn verb(node: &Node, what: &'static str, scope: &Scope, sink: &mut Sink<'_>) -> Checked<(String, Outcome)> {
    if let Kind::Scalar(_) = &node.kind {
        return Some((scope.dm(node, sink)?.name, Outcome::Ok));
    }
    let mut fields = Fields::open(node, what, sink)?;
    let device = fields.required("device", |node, sink| scope.dm(node, sink));
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    Some((device?.name, outcome?))
}

pub(super) fn suspend(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let (device, how, outcome) = flagged(node, "a `suspend` step", scope, sink)?;
    Some(Action::Suspend { device, how, outcome })
}

/// As [`verb`], with how a device is suspended.
fn flagged(
    node: &Node,
    what: &'static str,
    scope: &Scope,
    sink: &mut Sink<'_>,
) -> Checked<(String, SuspendHow, Outcome)> {
    if let Kind::Scalar(_) = &node.kind {
        return Some((scope.dm(node, sink)?.name, SuspendHow::default(), Outcome::Ok));
    }
    let mut fields = Fields::open(node, what, sink)?;
    let device = fields.required("device", |node, sink| scope.dm(node, sink));
    let noflush = fields.or("noflush", false, values::truth);
    let nolockfs = fields.or("nolockfs", false, values::truth);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    Some((device?.name, SuspendHow { noflush: noflush?, nolockfs: nolockfs? }, outcome?))
}

pub(super) fn reload(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `reload` step", sink)?;
    let device = fields.required("device", |node, sink| scope.dm(node, sink));
    let stacked = device.as_ref().is_none_or(is_stacked);
    let table = fields.required("table", |node, sink| table::lines(node, Lines::Table, stacked, scope, sink));
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    Some(Action::Load { device: device?.name, table: table?, outcome: outcome? })
}

pub(super) fn unmount(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let (device, outcome) = verb(node, "an `unmount` step", scope, sink)?;
    Some(Action::Unmount { device, outcome })
}

/// Whether table lines of `device` may say `$below`.
pub(super) fn is_stacked(device: &Declared) -> bool {
    matches!(device.sort, Sort::Dm { stacked: true, .. } | Sort::Unknown)
}

#[cfg(test)]
mod tests;
