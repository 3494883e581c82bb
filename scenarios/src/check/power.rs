//! The steps about power: `power_cut`, `survives`.
//!
//! Invariants: a power cut stands in the first list of steps, not inside of another step, so that there is one at a time;
//! without steps of its own it has no moment to choose.
//! Not here: what is lost (the engine), the cache of a device (`devices`).

use dmlab_units::Sectors;

use super::flow::steps;
use super::io::extent;
use super::scope::Scope;
use super::steps::choice;
use crate::fields::{Checked, Fields};
use crate::node::{Kind, Node};
use crate::sink::Sink;
use crate::{Action, CutAt, Loses, PowerCut, Step, Survives, nearest, values};

const LOSES: &values::Words<Loses> = &[("any", Loses::Any), ("all", Loses::All), ("nothing", Loses::Nothing)];
/// Moments that a `within` chooses from.
const WITHIN_MAX: u32 = 1_000_000;

pub(super) fn power_cut(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `power_cut` step", sink)?;
    let at = fields.optional("at", moment);
    let loses = fields.or("loses", Loses::Any, |node, sink| values::word(node, "what is lost", LOSES, sink));
    let steps = fields.or("during", Vec::new(), |node, sink| steps(node, scope, sink));
    fields.finish()?;
    let (at, steps) = (at?, steps?);
    if let (Some(place), Some(at), true) = (node.get("at"), at, steps.is_empty())
        && at != CutAt::End
    {
        return sink.refuse(place.span, "there is no `during` that the power could go in: leave `at` out");
    }
    report_nested(node, &steps, sink)?;
    let at = at.unwrap_or(if steps.is_empty() { CutAt::End } else { CutAt::Any });
    Some(Action::PowerCut(PowerCut { at, loses: loses?, steps }))
}

/// `any`, `end`, or a map with one of nth and within.
fn moment(node: &Node, sink: &mut Sink<'_>) -> Checked<CutAt> {
    if let Kind::Scalar(_) = &node.kind {
        match node.text() {
            Some("any") => return Some(CutAt::Any),
            Some("end") => return Some(CutAt::End),
            _ => {}
        }
        let near = nearest::nearest(node.text().unwrap_or_default(), &["any", "end"]);
        let near = near.map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
        let help = format!("{near}or a map: {{ nth: 3 }} or {{ within: 100 }}");
        sink.error_help(node.span, format!("{} is not `any` or `end`", node.shown()), help);
        return None;
    }
    type Reader = fn(&Node, &mut Sink<'_>) -> Checked<CutAt>;
    let choices: &values::Words<Reader> = &[("nth", nth), ("within", within)];
    let (read, value) = choice(node, "when the power goes", choices, sink)?;
    read(value, sink)
}

fn nth(node: &Node, sink: &mut Sink<'_>) -> Checked<CutAt> {
    values::number(node, 1..=u64::MAX, sink).map(CutAt::Nth)
}

fn within(node: &Node, sink: &mut Sink<'_>) -> Checked<CutAt> {
    values::count(node, 1..=WITHIN_MAX, sink).map(CutAt::Within)
}

/// Reports a power cut inside of a step that holds `steps`.
pub(super) fn report_nested(node: &Node, steps: &[Step], sink: &mut Sink<'_>) -> Checked<()> {
    match steps.iter().find(|step| matches!(step.action, Action::PowerCut(_))) {
        Some(inner) => {
            let message = format!("the `power_cut` in line {} stands inside of another step", inner.line);
            sink.error_help(node.span, message, "it stops everything, so it stands in the first list of steps");
            None
        }
        None => Some(()),
    }
}

pub(super) fn survives(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let mut fields = Fields::open(node, "a `survives` step", sink)?;
    let of = fields.required("of", |node, sink| scope.device(node, sink));
    let from = fields.or("at", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
    let sectors = fields.required("sectors", |node, sink| values::sectors(node, 1, sink));
    let over = fields.optional("over", |node, sink| scope.device(node, sink));
    let is = fields.optional("is", |node, sink| {
        let mut fields = Fields::open(node, "the place in a `survives` step", sink)?;
        let on = fields.required("on", |node, sink| scope.device(node, sink));
        let at = fields.or("at", Sectors::ZERO, |node, sink| values::sectors(node, 0, sink));
        fields.finish()?;
        Some((on?, at?, node))
    });
    fields.finish()?;
    let (device, from, sectors, over) = (of?, from?, sectors?, over?);
    let of = extent(node, device.clone(), from, sectors, sink);
    let (on, at, place) = is?.unwrap_or((device, from, node));
    let there = extent(place, on, at, sectors, sink)?;
    Some(Action::Survives(Survives { of: of?, over: over.map(|over| over.name), on: there.device, at }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::step;
    use super::*;

    #[test]
    fn a_power_cut_has_its_moment_and_its_loss() {
        let Ok(Action::PowerCut(cut)) = step("power_cut: { during: { sleep: 1ms } }") else { panic!() };
        assert_eq!((cut.at, cut.loses, cut.steps.len()), (CutAt::Any, Loses::Any, 1));
        let Ok(Action::PowerCut(cut)) = step("power_cut: { loses: all }") else { panic!() };
        assert_eq!((cut.at, cut.loses, cut.steps.len()), (CutAt::End, Loses::All, 0));
        for (at, wanted) in [("end", CutAt::End), ("{ nth: 3 }", CutAt::Nth(3)), ("{ within: 9 }", CutAt::Within(9))] {
            let read = step(&format!("power_cut: {{ at: {at}, during: {{ sleep: 1ms }} }}"));
            let Ok(Action::PowerCut(cut)) = read else { panic!("{read:?}") };
            assert_eq!(cut.at, wanted);
        }
    }

    #[test]
    fn moments_that_cannot_be_are_refused() {
        let refused = [
            ("power_cut: { at: any }", "there is no `during` that the power could go in"),
            ("power_cut: { at: ende, during: { sleep: 1ms } }", "\"ende\" is not `any` or `end`"),
            ("power_cut: { at: { nth: 0 }, during: { sleep: 1ms } }", "\"0\" is not a whole number"),
            (
                "power_cut: { at: { every: 2 }, during: { sleep: 1ms } }",
                "\"every\" is not the key of when the power goes",
            ),
            ("repeat: { times: 2, do: { power_cut: {} } }", "stands inside of another step"),
            ("parallel: { a: { power_cut: {} } }", "stands inside of another step"),
            ("power_cut: { during: { power_cut: {} } }", "stands inside of another step"),
        ];
        for (text, wanted) in refused {
            let found = step(text).unwrap_err();
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn what_survives_is_looked_for_where_it_was_written_unless_a_place_is_named() {
        let Ok(Action::Survives(survives)) = step("survives: { of: t, at: 8, sectors: 2 }") else { panic!() };
        assert_eq!((survives.on.as_str(), survives.at, survives.over), ("t", Sectors(8), None));
        let read = step("survives: { of: t, sectors: 2, over: d, is: { on: d, at: 4 } }");
        let Ok(Action::Survives(survives)) = read else { panic!("{read:?}") };
        assert_eq!((survives.on.as_str(), survives.at, survives.over.as_deref()), ("d", Sectors(4), Some("d")));
    }
}
