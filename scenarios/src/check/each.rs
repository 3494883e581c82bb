//! The `each` step: the same steps for each of several numbers, written out when the scenario is read.
//!
//! `${name}` in its steps is the number; it hides an axis of that name. Since the steps are written out, whatever they name
//! is checked, and each number may have devices of its own.
//!
//! Invariant: how much is written out is bounded, over all `each` steps of a scenario together.
//! Not here: repetition at run time (`flow`).

use super::flow::{is_name, steps};
use super::power::report_nested;
use super::scope::{Scope, UNROLLED_MAX};
use crate::fields::{Checked, Fields};
use crate::matrix::Cell;
use crate::node::Node;
use crate::sink::Sink;
use crate::substitute::substitute;
use crate::{Action, Step, values};

const NAME: &str = "a name for the number: a-z, 0-9, `_` and `-`, a letter first";
const NUMBER_MAX: u64 = 1_000_000;

/// What an `each` step comes to.
pub(super) struct Each {
    name: String,
    /// The numbers, and the steps of each.
    pub(super) passes: Vec<(u64, Node)>,
    at_once: bool,
}

pub(super) fn each(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Action> {
    let Each { name, passes, at_once } = read(node, scope, sink)?;
    let of_pass = |(number, node): &(u64, Node), sink: &mut Sink<'_>| {
        let steps = steps(node, scope, sink)?;
        Some((format!("{name}{number}"), steps))
    };
    let passes = values::each(&passes, sink, of_pass)?;
    if at_once {
        passes.iter().try_for_each(|(_, steps): &(String, Vec<Step>)| report_nested(node, steps, sink))?;
    }
    Some(match at_once {
        true => Action::Parallel(passes),
        false => Action::Steps(passes.into_iter().flat_map(|(_, steps): (_, Vec<Step>)| steps).collect()),
    })
}

/// The step, with its steps written out but not read.
pub(super) fn read(node: &Node, scope: &Scope, sink: &mut Sink<'_>) -> Checked<Each> {
    let number = |least: u64| move |node: &Node, sink: &mut Sink<'_>| values::number(node, least..=NUMBER_MAX, sink);
    let mut fields = Fields::open(node, "an `each` step", sink)?;
    let name = fields.required("name", |node, sink| values::name(node, NAME, is_name, sink));
    let from = fields.or("from", 1, number(0));
    let to = fields.required("to", number(0));
    let by = fields.or("by", 1, number(1));
    let at_once = fields.or("at_once", false, values::truth);
    let body = fields.required("do", |node, _| Some(node));
    let span = fields.span();
    fields.finish()?;
    let (name, from, to, by, at_once, body) = (name?, from?, to?, by?, at_once?, body?);
    if from > to {
        let place = node.get("to").map_or(span, |node| node.span);
        return sink.refuse(place, format!("from {from} to {to} there is no number"));
    }
    let numbers = (from..=to).step_by(by as usize);
    if scope.unroll(body.count().saturating_mul(numbers.clone().count())).is_none() {
        let message = format!("these steps, written out, are more than the {UNROLLED_MAX} values allowed");
        sink.error_help(span, message, "`repeat` does steps again without writing them out");
        return None;
    }
    let mut passes = Vec::new();
    for number in numbers {
        let value = Cell::new(vec![(name.clone(), number.to_string())]);
        passes.push((number, substitute(body, &value, sink)));
    }
    Some(Each { name, passes, at_once })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, step};
    use crate::{Action, Step};

    fn lists(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| format!("{:?}", step.action)).collect()
    }

    #[test]
    fn steps_are_written_out_for_each_number() {
        let read = step("each: { name: i, from: 1, to: 5, by: 2, do: { remove: \"top.${i}\" } }");
        assert!(read.unwrap_err().contains("top.3"), "only two lower levels");
        let read = step("each: { name: i, to: 2, do: [{ sleep: \"${i}ms\" }, { heal: all }] }").unwrap();
        let Action::Steps(steps) = read else { panic!("{read:?}") };
        assert_eq!(lists(&steps), ["Sleep(Nanos(1000000))", "Heal", "Sleep(Nanos(2000000))", "Heal"]);
    }

    #[test]
    fn at_once_each_number_has_a_task() {
        let read = step("each: { name: t, to: 2, at_once: true, do: { sleep: 0 } }").unwrap();
        let Action::Parallel(tasks) = read else { panic!("{read:?}") };
        assert_eq!(tasks.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["t1", "t2"]);
    }

    #[test]
    fn numbers_within_numbers_are_both_put_in() {
        let inner = "{ each: { name: j, from: \"${i}\", to: 5, by: 2, do: { sleep: \"${i}${j}ms\" } } }";
        let read = step(&format!("each: {{ name: i, to: 2, do: {inner} }}")).unwrap();
        let text = format!("{read:?}");
        for found in ["11000000", "13000000", "15000000", "22000000", "24000000"] {
            assert!(text.contains(found), "{text}");
        }
    }

    #[test]
    fn what_makes_no_list_of_numbers_is_refused() {
        let many = "{ each: { name: j, to: 1000, do: { sleep: 0 } } }";
        assert_refused(
            step,
            &[
                ("each: { name: i, from: 2, to: 1, do: { sleep: 0 } }", "x:5:35: from 2 to 1 there is no number"),
                ("each: { name: I, to: 1, do: { sleep: 0 } }", "x:5:19: \"I\" is not a name for the number"),
                ("each: { name: i, to: 1, by: 0, do: { sleep: 0 } }", "x:5:33: \"0\" is not a whole number from 1"),
                ("each: { name: i, to: 1, do: { sleep: \"${j}\" } }", "x:5:43: \"j\" is not an axis"),
                (&format!("each: {{ name: i, to: 1000, do: {many} }}"), "x:5:"),
            ],
        );
    }
}
