//! The steps that talk to a dm device: message, wait_event, events, clear, rename, set_uuid, deps.
//!
//! Invariants: each names a dm device; what must come of it is said (`expect`), or it must succeed.
//! Not here: create, reload, suspend, resume, remove (`control`), what is printed (`printed`).

use dmlab_units::Sectors;

use super::control::verb;
use super::scope::Scope;
use crate::fields::{Checked, Fields};
use crate::node::Node;
use crate::sink::Sink;
use crate::{Action, Admin, Outcome, Verb, values};

const CURRENT: &str = "current";

/// Opens the fields of a step, reads its device (`of`) and what must come of it, and what `read` reads.
fn admin(
    (node, what, of): (&Node, &'static str, &'static str),
    scope: &Scope,
    sink: &mut Sink<'_>,
    read: impl FnOnce(&mut Fields<'_, '_, '_>) -> Checked<Verb>,
) -> Checked<Action> {
    let mut fields = Fields::open(node, what, sink)?;
    let device = fields.required(of, |node, sink| scope.dm(node, sink));
    let verb = read(&mut fields);
    let outcome = fields.or("expect", Outcome::Ok, values::outcome);
    fields.finish()?;
    Some(Action::Admin(Admin { device: device?.name, verb: verb?, outcome: outcome? }))
}

pub(super) fn message(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    admin((node, "a `message` step", "to"), scope, sink, |fields| {
        let sector = fields.or("sector", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
        let text = fields.required("text", values::filled);
        let reply = fields.optional("reply", values::filled);
        Some(Verb::Message { sector: sector?, text: text?, reply: reply? })
    })
}

pub(super) fn wait_event(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    admin((node, "a `wait_event` step", "on"), scope, sink, |fields| {
        let after = fields.or("after", None, |node, sink| {
            if node.text() == Some(CURRENT) { Some(None) } else { values::count(node, 0..=u32::MAX, sink).map(Some) }
        });
        Some(Verb::WaitEvent { after: after? })
    })
}

pub(super) fn events(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    admin((node, "an `events` step", "of"), scope, sink, |fields| {
        let is = fields.required("is", |node, sink| values::count(node, 0..=u32::MAX, sink));
        Some(Verb::Events { is: is? })
    })
}

pub(super) fn rename(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    admin((node, "a `rename` step", "device"), scope, sink, |fields| {
        let to = fields.required("to", |node, sink| scope.dm(node, sink));
        Some(Verb::Rename { to: to?.name })
    })
}

pub(super) fn set_uuid(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    admin((node, "a `set_uuid` step", "device"), scope, sink, |fields| {
        let uuid = fields.required("uuid", values::filled);
        Some(Verb::SetUuid { uuid: uuid? })
    })
}

pub(super) fn deps(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    admin((node, "a `deps` step", "of"), scope, sink, |fields| {
        let inactive = fields.or("inactive", false, values::truth);
        let device = |node: &Node, sink: &mut Sink<'_>| Some(format!("${}", scope.reference(node, sink)?.name));
        let is = fields.required("is", |node, sink| values::one_or_more(node, "devices", sink, device));
        Some(Verb::Deps { inactive: inactive?, is: is? })
    })
}

pub(super) fn clear(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let (device, outcome) = verb(node, "a `clear` step", scope, sink)?;
    Some(Action::Admin(Admin { device, verb: Verb::Clear, outcome }))
}

#[cfg(test)]
mod tests;
