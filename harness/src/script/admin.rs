//! The steps that talk to a dm device: messages, events, names, dependencies.
//!
//! Invariants: what comes of the step is compared with its `expect` first, what was answered only after a success.
//! Not here: the verbs that every step list has (`steps`), comparing lines (`printed`).

use dmlab_scenarios::{Admin, Printed, Verb};

use super::steps::describe;
use super::{Flow, Script, Stopped};
use crate::backend::Control;

/// What a `status` step asks.
pub(super) fn status_of(printed: &Printed) -> Control<'_> {
    if printed.inactive { Control::InactiveStatus(&printed.device) } else { Control::Status(&printed.device) }
}

/// What a `table` step asks.
pub(super) fn table_of(printed: &Printed) -> Control<'_> {
    if printed.inactive { Control::InactiveTable(&printed.device) } else { Control::Table(&printed.device) }
}

impl Script {
    pub(super) fn admin(&self, flow: Flow<'_>, line: u32, admin: &Admin) -> Result<(), Stopped> {
        let (actor, device) = (flow.actor, &*admin.device);
        let operation = match &admin.verb {
            Verb::Message { sector, text, .. } => Control::Message { device, sector: *sector, text },
            Verb::Clear => Control::Clear(device),
            Verb::Rename { to } => Control::Rename(device, to),
            Verb::SetUuid { uuid } => Control::SetUuid(device, uuid),
            Verb::RemoveDeferred => Control::RemoveDeferred(device),
            Verb::WaitEvent { after } => Control::WaitEvent(device, *after),
            Verb::Events { .. } => Control::EventNr(device),
            Verb::Deps { inactive, .. } => Control::Deps(device, *inactive),
        };
        let what = describe(operation);
        let found = actor.control(operation);
        self.saw(flow, line, || what.clone(), &found);
        let answered = found.clone().unwrap_or_default();
        self.expect(line, &what, found.as_ref().map(|_| ()).map_err(|errno| *errno), admin.outcome)?;
        let wanted = match &admin.verb {
            Verb::Message { reply: Some(reply), .. } => vec![reply.clone()],
            Verb::Events { is } => vec![is.to_string()],
            Verb::Deps { is, .. } => is.iter().map(|name| actor.resolve(name)).collect(),
            _ => return Ok(()),
        };
        if found.is_err() || answered == wanted {
            return Ok(());
        }
        Err(self.fail(line, format!("{what}: found {answered:?}, expected {wanted:?}")))
    }
}
