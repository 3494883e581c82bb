//! [`Edit`]: one thing less in a scenario, as data that can be read, saved and applied again.
//!
//! Invariants: an edit only ever drops something or makes a number smaller, and numbers stay ones that a scenario may
//! have (whole sectors, whole blocks, at least one); it says what it expects to find, and is refused where that is not
//! so; every edit that is proposed can be applied. Places are numbered as they are when the edit is applied, lines as
//! in the file.
//! Not here: whether an edit is worth it (`super::shrink`).

use std::fmt;

use dmlab_scenarios::{Action, DeviceKind, Extent, Load, MustBlock, PowerCut, Repeat, Scenario, Step};
use serde::{Deserialize, Serialize};

/// One thing less in a scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Where, e.g. `steps[2].parallel.high`.
    pub at: String,
    /// Line of the step in the scenario's file; a device has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// It is left out: a step, a branch, the checking of a load.
    Drop,
    /// It becomes less: a count, sectors, or bytes.
    Set {
        /// What it was.
        from: u64,
        /// What it becomes.
        to: u64,
    },
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Change::Drop => write!(f, "{}: dropped", self.at)?,
            Change::Set { from, to } => write!(f, "{}: {from} -> {to}", self.at)?,
        }
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// Why an edit cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no such place.
    #[error("edit {number} ({edit}): the scenario has no such place")]
    Place {
        /// Number of the edit, from 0.
        number: usize,
        /// The edit.
        edit: Edit,
    },
    /// There is something else.
    #[error("edit {number} ({edit}): {found}")]
    Refused {
        /// Number of the edit, from 0.
        number: usize,
        /// The edit.
        edit: Edit,
        /// What is there instead, or what would be right.
        found: String,
    },
}

/// `scenario` after all these edits, one after the other.
///
/// # Errors
/// [`EditError`] for the first that does not fit.
pub fn apply(scenario: &Scenario, edits: &[Edit]) -> Result<Scenario, EditError> {
    let mut edited = scenario.clone();
    for (number, edit) in edits.iter().enumerate() {
        let mut result = Err(EditError::Place { number, edit: edit.clone() });
        visit(&mut edited, &mut |at, line, place| {
            if at != edit.at {
                return false;
            }
            let wrong_line = || format!("it stands in line {}", line.unwrap_or_default());
            let fits = if line == edit.line { place.change(&edit.change) } else { Err(wrong_line()) };
            result = fits.map_err(|found| EditError::Refused { number, edit: edit.clone(), found });
            true
        });
        result?;
    }
    Ok(edited)
}

/// Every edit that could be applied to `scenario`: those that leave out most first, then in order of places.
pub fn proposals(scenario: &Scenario) -> Vec<Edit> {
    let mut proposals = Vec::new();
    visit(&mut scenario.clone(), &mut |at, line, place| {
        let rank = place.rank();
        let edit = |change| (rank, Edit { at: at.to_owned(), line, change });
        proposals.extend(place.changes().into_iter().map(edit));
        false
    });
    proposals.sort_by_key(|(rank, _)| *rank);
    proposals.into_iter().map(|(_, edit)| edit).collect()
}

/// Something that can be less.
enum Place<'a> {
    Branch(&'a mut Vec<(String, Vec<Step>)>, usize),
    Step(&'a mut Vec<Step>, usize),
    Count(&'a mut u32),
    /// A multiple of the second.
    Amount(&'a mut u64, u64),
    Check(&'a mut bool),
}

impl Place<'_> {
    const fn rank(&self) -> u8 {
        match self {
            Self::Branch(..) => 0,
            Self::Step(..) => 1,
            Self::Count(_) => 2,
            Self::Amount(..) => 3,
            Self::Check(_) => 4,
        }
    }

    fn changes(&self) -> Vec<Change> {
        let to_one_and_half = |from: u64, unit: u64| {
            let half = from / unit / 2 * unit;
            let mut to = vec![half];
            if unit == 1 && matches!(self, Self::Count(_)) && half > 1 {
                to.insert(0, 1);
            }
            to.retain(|to| *to >= unit);
            to.into_iter().map(|to| Change::Set { from, to }).collect()
        };
        match self {
            Self::Branch(branches, _) if branches.len() < 2 => Vec::new(),
            Self::Branch(..) | Self::Step(..) => vec![Change::Drop],
            Self::Count(count) => to_one_and_half(u64::from(**count), 1),
            Self::Amount(amount, unit) => to_one_and_half(**amount, *unit),
            Self::Check(true) => vec![Change::Drop],
            Self::Check(false) => Vec::new(),
        }
    }

    fn change(self, change: &Change) -> Result<(), String> {
        match (self, change) {
            (Self::Branch(branches, _), Change::Drop) if branches.len() < 2 => {
                Err("it is the only branch: the whole step can be dropped instead".to_owned())
            }
            (Self::Branch(branches, index), Change::Drop) => {
                branches.remove(index);
                Ok(())
            }
            (Self::Step(steps, index), Change::Drop) => {
                steps.remove(index);
                Ok(())
            }
            (Self::Check(verify @ true), Change::Drop) => {
                *verify = false;
                Ok(())
            }
            (Self::Check(false), Change::Drop) => Err("the load checks nothing".to_owned()),
            (Self::Count(count), Change::Set { from, to }) => {
                *count = less(u64::from(*count), *from, *to, 1)? as u32;
                Ok(())
            }
            (Self::Amount(amount, unit), Change::Set { from, to }) => {
                *amount = less(*amount, *from, *to, unit)?;
                Ok(())
            }
            (Self::Count(_) | Self::Amount(..), Change::Drop) => {
                Err("a number cannot be dropped, it can be set".to_owned())
            }
            (_, Change::Set { .. }) => Err("it is no number, it can be dropped".to_owned()),
        }
    }
}

fn less(found: u64, from: u64, to: u64, unit: u64) -> Result<u64, String> {
    if found != from {
        return Err(format!("it is {found}"));
    }
    if to < unit || to >= from || !to.is_multiple_of(unit) {
        return Err(format!("it can only be set to a multiple of {unit} below {from}"));
    }
    Ok(to)
}

/// Shows `see` every place with its path and line, until it has seen enough (and may then have changed it).
fn visit(scenario: &mut Scenario, see: &mut Seer<'_>) -> bool {
    for (index, device) in scenario.devices.iter_mut().enumerate() {
        if let DeviceKind::Dm { levels, .. } = &mut device.kind
            && see(&format!("devices[{index}].levels"), None, Place::Count(levels))
        {
            return true;
        }
    }
    visit_steps(&mut scenario.steps, "steps", see)
}

type Seer<'a> = dyn FnMut(&str, Option<u32>, Place<'_>) -> bool + 'a;

fn visit_steps(steps: &mut Vec<Step>, path: &str, see: &mut Seer<'_>) -> bool {
    for index in 0..steps.len() {
        let here = format!("{path}[{index}]");
        if see(&here, Some(steps[index].line), Place::Step(steps, index)) {
            return true;
        }
        let Step { line, action } = &mut steps[index];
        if visit_action(action, Some(*line), &here, see) {
            return true;
        }
    }
    false
}

fn visit_action(action: &mut Action, line: Option<u32>, path: &str, see: &mut Seer<'_>) -> bool {
    let sectors = |what: &str, extent: &mut Extent, see: &mut Seer<'_>| {
        see(&format!("{path}.{what}.sectors"), line, Place::Amount(&mut extent.sectors.0, 1))
    };
    match action {
        Action::Parallel(branches) => visit_branches(branches, line, &format!("{path}.parallel"), see),
        Action::Background(branches) => visit_branches(branches, line, &format!("{path}.background"), see),
        Action::Repeat(Repeat { times, steps, .. }) => {
            times.as_mut().is_some_and(|times| see(&format!("{path}.repeat.times"), line, Place::Count(times)))
                || visit_steps(steps, &format!("{path}.repeat"), see)
        }
        Action::Steps(steps) => visit_steps(steps, &format!("{path}.each"), see),
        Action::MustBlock(MustBlock { steps, .. }) => visit_steps(steps, &format!("{path}.must_block"), see),
        Action::PowerCut(PowerCut { steps, .. }) => visit_steps(steps, &format!("{path}.power_cut"), see),
        Action::Survives(survives) => sectors("survives", &mut survives.of, see),
        Action::Run(load) => visit_load(load, line, &format!("{path}.load"), see),
        Action::Submit(submit) => sectors("submit", &mut submit.extent, see),
        Action::Stamp(pass) => sectors("stamp", &mut pass.extent, see),
        Action::Verify(pass) => sectors("verify", &mut pass.extent, see),
        Action::Layout { of, .. } => sectors("layout", of, see),
        _ => false,
    }
}

fn visit_branches(branches: &mut Vec<(String, Vec<Step>)>, line: Option<u32>, path: &str, see: &mut Seer<'_>) -> bool {
    (0..branches.len()).any(|index| {
        let here = format!("{path}.{}", branches[index].0);
        see(&here, line, Place::Branch(branches, index))
            || branches.get_mut(index).is_some_and(|(_, steps)| visit_steps(steps, &here, see))
    })
}

fn visit_load(load: &mut Load, line: Option<u32>, path: &str, see: &mut Seer<'_>) -> bool {
    let block = load.bs.max().0;
    let amounts = [("io_size", &mut load.io_size), ("size", &mut load.size)];
    see(&format!("{path}.numjobs"), line, Place::Count(&mut load.numjobs))
        || see(&format!("{path}.iodepth"), line, Place::Count(&mut load.iodepth))
        || amounts.into_iter().any(|(what, bytes)| {
            let Some(bytes) = bytes else { return false };
            see(&format!("{path}.{what}"), line, Place::Amount(&mut bytes.0, block))
        })
        || see(&format!("{path}.verify"), line, Place::Check(&mut load.verify))
}

#[cfg(test)]
mod tests {
    use dmlab_scenarios::Document;

    use super::*;

    const BUSY: &str = "\
scenario: t/busy
about: something of everything
devices:
  r: { ram: 1MiB }
  t: { dm: [\"0 64 linear $below 0\"], over: $r, levels: 4 }
steps:
  - stamp: { on: t, at: 0, sectors: 9 }
  - parallel:
      low:
        - repeat: { times: 6, do: [ { verify: { on: t, at: 0, sectors: 9 } } ] }
      high: [ { load: { on: t, rw: randrw, bs: 4k, iodepth: 2, numjobs: 3, io_size: 20KiB, verify: true } } ]
";

    fn busy() -> Scenario {
        let document =
            Document::parse("t/busy.yaml", BUSY).unwrap_or_else(|found| panic!("{}", found.render(BUSY, false)));
        document.scenario(&document.cells()[0]).unwrap_or_else(|found| panic!("{}", found.render(BUSY, false)))
    }

    #[test]
    fn everything_that_can_be_less_is_proposed_branches_first() {
        let texts: Vec<String> = proposals(&busy()).iter().map(Edit::to_string).collect();
        let expected = [
            "steps[1].parallel.low: dropped (line 8)",
            "steps[1].parallel.high: dropped (line 8)",
            "steps[0]: dropped (line 7)",
            "steps[1]: dropped (line 8)",
            "steps[1].parallel.low[0]: dropped (line 10)",
            "steps[1].parallel.low[0].repeat[0]: dropped (line 10)",
            "steps[1].parallel.high[0]: dropped (line 11)",
            "devices[1].levels: 4 -> 1",
            "devices[1].levels: 4 -> 2",
            "steps[1].parallel.low[0].repeat.times: 6 -> 1 (line 10)",
            "steps[1].parallel.low[0].repeat.times: 6 -> 3 (line 10)",
            "steps[1].parallel.high[0].load.numjobs: 3 -> 1 (line 11)",
            "steps[1].parallel.high[0].load.iodepth: 2 -> 1 (line 11)",
            "steps[0].stamp.sectors: 9 -> 4 (line 7)",
            "steps[1].parallel.low[0].repeat[0].verify.sectors: 9 -> 4 (line 10)",
            "steps[1].parallel.high[0].load.io_size: 20480 -> 8192 (line 11)",
            "steps[1].parallel.high[0].load.verify: dropped (line 11)",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn every_proposal_can_be_applied_and_comes_to_an_end() {
        let mut scenario = busy();
        let mut applied = Vec::new();
        while let Some(edit) = proposals(&scenario).pop() {
            for other in proposals(&scenario) {
                assert_ne!(apply(&scenario, std::slice::from_ref(&other)).unwrap(), scenario, "{other}");
            }
            scenario = apply(&scenario, std::slice::from_ref(&edit)).unwrap();
            applied.push(edit);
        }
        assert!(scenario.steps.is_empty());
        assert_eq!(apply(&busy(), &applied).unwrap(), scenario, "all at once");
        let json = serde_json::to_string(&applied).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Edit>>(&json).unwrap(), applied);
    }

    #[test]
    fn an_edit_that_does_not_fit_is_refused_with_what_is_there() {
        let edit = |at: &str, line, change| Edit { at: at.to_owned(), line, change };
        let set = |from, to| Change::Set { from, to };
        for (edit, said) in [
            (edit("steps[7]", Some(7), Change::Drop), "no such place"),
            (edit("steps[0]", Some(9), Change::Drop), "it stands in line 7"),
            (edit("steps[0].stamp.sectors", Some(7), set(8, 4)), "it is 9"),
            (edit("steps[0].stamp.sectors", Some(7), set(9, 9)), "a multiple of 1 below 9"),
            (edit("steps[0].stamp.sectors", Some(7), set(9, 0)), "a multiple of 1 below 9"),
            (edit("steps[0].stamp.sectors", Some(7), Change::Drop), "it can be set"),
            (edit("steps[0]", Some(7), set(2, 1)), "it is no number"),
            (edit("steps[1].parallel.high[0].load.io_size", Some(11), set(20480, 5000)), "a multiple of 4096"),
        ] {
            let error = apply(&busy(), std::slice::from_ref(&edit)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("edit 0 ({edit}): ")) && error.contains(said), "{error}");
        }
        let low = edit("steps[1].parallel.low", Some(8), Change::Drop);
        let high = edit("steps[1].parallel.high", Some(8), Change::Drop);
        let error = apply(&busy(), &[low, high]).unwrap_err().to_string();
        assert!(error.contains("edit 1 ") && error.contains("the only branch"), "{error}");
    }
}
