//! One cell's scenario: the tree with the cell's values in it, checked against the model.
//!
//! Invariants: values are put in before anything is read, so that sizes and numbers are checked as they will be used;
//! of expectations, only those whose `when` fits the cell remain; a cell in which nothing says otherwise is expected
//! to pass.
//! Not here: what is the same in every cell (`head`).

use std::collections::BTreeMap;

use super::head::Head;
use super::loads::Named;
use super::{devices, expect, explore, flow, snapshot};
use crate::fields::Checked;
use crate::matrix::Cell;
use crate::node::{Kind, Node};
use crate::sink::{Sink, shown};
use crate::substitute::substitute;
use crate::{Scenario, nearest, values};

/// Module parameters that scenarios may set, with the largest value of each.
const PARAMS: &[(&str, u64)] = &[
    ("reserved_bio_based_ios", 1024),
    ("kcopyd_subjob_size_kb", 1024),
    ("snapshot_cow_threshold", u32::MAX as u64),
    ("snapshot_copy_throttle", 100),
];

/// The scenario of one cell.
pub(crate) fn cell(root: &Node, head: &Head, cell: &Cell, sink: &mut Sink<'_>) -> Checked<Scenario> {
    let mark = sink.mark();
    let scenario = scenario(root, head, cell, sink);
    sink.cell_since(mark, cell);
    scenario
}

fn scenario(root: &Node, head: &Head, cell: &Cell, sink: &mut Sink<'_>) -> Checked<Scenario> {
    let mut section = |key: &str| root.get(key).map(|node| substitute(node, cell, sink));
    let (param_nodes, explore_node, device_nodes) = (section("params"), section("explore"), section("devices"));
    let step_nodes = section("steps");
    let params = param_nodes.as_ref().map_or(Some(BTreeMap::new()), |node| params(node, sink));
    let explored = explore_node.as_ref().map_or(Some(explore::DEFAULT), |node| explore::explore(node, sink));
    let (mut scope, devices) = devices::devices(device_nodes.as_ref(), sink);
    step_nodes.iter().for_each(|node| snapshot::declare(node, &mut scope));
    let steps = step_nodes.as_ref().and_then(|node| {
        let steps = flow::list(node, &scope, sink)?;
        if steps.is_empty() {
            return sink.refuse(node.span, "a scenario without steps tests nothing");
        }
        Some(steps)
    });
    let expect = expect::expectations(root.get("expect"), head, cell, &scope, &Named::of(steps.as_deref()), sink);
    let (explore, steps_max) = explored?;
    let (mut devices, steps) = (devices?, steps?);
    devices.extend(snapshot::disks(&steps));
    Some(Scenario {
        id: head.id.clone(),
        about: head.about.clone(),
        commits: head.commits.clone(),
        tags: head.tags.clone(),
        runs: head.runs.clone(),
        explore,
        steps_max,
        deadline: head.deadline,
        as_of: head.as_of.clone(),
        requires: head.requires.clone(),
        budget: head.budget,
        params: params?,
        devices,
        steps,
        expect: expect?,
    })
}

fn params(node: &Node, sink: &mut Sink<'_>) -> Checked<BTreeMap<String, u64>> {
    let entries = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Broken => return None,
        Kind::Scalar(_) | Kind::Seq(_) => {
            sink.wanted(node, "a map of module parameters");
            return None;
        }
    };
    let params = values::each(entries, sink, |(key, value), sink| {
        let name = key.text()?;
        let Some(&(_, most)) = PARAMS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PARAMS.iter().map(|&(known, _)| known).collect();
            let message = format!("{} is not a module parameter that scenarios may set", shown(name));
            sink.error_help(key.span, message, nearest::help(name, &known));
            return None;
        };
        Some((name.to_owned(), values::number(value, 0..=most, sink)?))
    })?;
    Some(params.into_iter().collect())
}

#[cfg(test)]
mod tests;
