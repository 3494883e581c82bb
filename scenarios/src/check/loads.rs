//! `loads` of an expectation: bounds on the figures of loads, `{ load: after, iops: ">= 0.8 * before" }`.
//!
//! Invariants: a name that is compared belongs to a load step, and a phase to a `phase` step, of the same cell; a bound is
//! written in the unit of its figure; every item bounds something.
//! Not here: what the figures are (the harness).

use dmlab_units::{Bytes, Nanos};

use super::bound;
use super::flow::is_name;
use crate::fields::{Checked, Fields};
use crate::nearest;
use crate::node::Node;
use crate::sink::{Sink, shown};
use crate::{Action, Amount, Figure, FigureBound, FigureUnit, Load, LoadBound, LoadRef, Step, values};

const WHAT: &str = "a bound on a load";
const LOAD: &str = "a load, written `name` or `name@phase`";
const FACTOR_DIGITS_MAX: usize = 3;

/// The loads and phases of a cell.
#[derive(Default)]
pub(super) struct Named {
    loads: Vec<NamedLoad>,
    /// A load without a name is there, which nothing can be said of.
    has_unnamed: bool,
    phases: Vec<String>,
    /// The steps could not be read: every name is believed.
    open: bool,
}

struct NamedLoad {
    name: String,
    has_rate: bool,
}

impl Named {
    /// What `steps` have; of steps that could not be read everything is believed.
    pub(super) fn of(steps: Option<&[Step]>) -> Self {
        let mut named = Self { open: steps.is_none(), ..Self::default() };
        named.gather(steps.unwrap_or_default());
        named
    }

    fn gather(&mut self, steps: &[Step]) {
        for step in steps {
            match &step.action {
                Action::Run(load) => self.load(load),
                Action::Phase(name) => self.phases.push(name.clone()),
                Action::Parallel(tasks) | Action::Background(tasks) => {
                    tasks.iter().for_each(|(_, steps)| self.gather(steps));
                }
                Action::Steps(steps) => self.gather(steps),
                Action::Repeat(repeat) => self.gather(&repeat.steps),
                Action::MustBlock(must_block) => self.gather(&must_block.steps),
                Action::PowerCut(cut) => self.gather(&cut.steps),
                _ => {}
            }
        }
    }

    fn load(&mut self, load: &Load) {
        let Some(name) = &load.name else {
            self.has_unnamed = true;
            return;
        };
        let has_rate = load.rate.is_some();
        match self.loads.iter_mut().find(|known| known.name == *name) {
            Some(known) => known.has_rate |= has_rate,
            None => self.loads.push(NamedLoad { name: name.clone(), has_rate }),
        }
    }

    /// Reports a load or phase that is not there; `place` gives the place of bytes of the reference.
    fn check(&self, load: &LoadRef, place: impl Fn(usize, usize) -> crate::Span, sink: &mut Sink<'_>) -> Checked<()> {
        if self.open {
            return Some(());
        }
        let end = load.name.len();
        if !self.loads.iter().any(|known| known.name == load.name) {
            let known: Vec<&str> = self.loads.iter().map(|known| known.name.as_str()).collect();
            let meant = nearest::nearest(&load.name, &known).map(|word| format!("did you mean `{word}`? "));
            let unnamed = if self.has_unnamed { "; a `load` step gets one with `name`" } else { "" };
            let help = format!("{}{}{unnamed}", meant.unwrap_or_default(), nearest::list("names of loads", &known));
            sink.error_help(place(0, end), format!("no load of this cell is called {}", shown(&load.name)), help);
            return None;
        }
        if let Some(phase) = load.phase.as_ref().filter(|phase| !self.phases.contains(phase)) {
            let known: Vec<&str> = self.phases.iter().map(String::as_str).collect();
            let message = format!("this cell has no phase {}", shown(phase));
            sink.error_help(place(end + 1, end + 1 + phase.len()), message, nearest::help(phase, &known));
            return None;
        }
        Some(())
    }

    /// Whether I/Os of this load are due at some time.
    fn has_rate(&self, name: &str) -> bool {
        self.open || self.loads.iter().any(|known| known.name == name && known.has_rate)
    }
}

/// One item of the list.
pub(super) fn bounds(node: &Node, named: &Named, sink: &mut Sink<'_>) -> Checked<LoadBound> {
    let mut fields = Fields::open(node, WHAT, sink)?;
    let load = fields.required("load", |node, sink| {
        let text = values::text_as(node, LOAD, sink)?;
        let Some(load) = reference(text) else {
            sink.wanted(node, LOAD);
            return None;
        };
        named.check(&load, |start, end| node.part(start, end), sink)?;
        Some(load)
    });
    let mut figures = Some(Vec::new());
    for figure in Figure::ALL {
        let found = fields.optional(figure.name(), |node, sink| {
            let bound = figure_bound(figure, node, named, sink)?;
            let loads = load.iter().chain(match &bound.amount {
                Amount::Times(_, other) => Some(other),
                Amount::Fixed(_) => None,
            });
            for load in loads {
                fits(figure, load, named, node, sink)?;
            }
            Some(bound)
        });
        figures = match (figures, found) {
            (Some(mut figures), Some(found)) => {
                figures.extend(found.map(|bound| (figure, bound)));
                Some(figures)
            }
            _ => None,
        };
    }
    fields.finish()?;
    let (load, figures) = (load?, figures?);
    if figures.is_empty() {
        let known: Vec<&str> = Figure::ALL.iter().map(|figure| figure.name()).collect();
        sink.error_help(node.span, "this bounds nothing: name a figure", nearest::list("figures", &known));
        return None;
    }
    Some(LoadBound { line: node.span.line, load, figures })
}

/// Reports a figure that a load does not have.
fn fits(figure: Figure, load: &LoadRef, named: &Named, node: &Node, sink: &mut Sink<'_>) -> Checked<()> {
    match figure {
        Figure::Lat(_) if !named.has_rate(&load.name) => {
            let message = format!("no I/O of {} is due at any time: its loads have no rate", shown(&load.name));
            sink.error_help(node.span, message, "give the load `rate` or `rate_iops`, or bound `clat_ns_…`");
            None
        }
        Figure::MaxStall if load.phase.is_some() => {
            let message = "the longest stall is that of a whole load";
            sink.error_help(node.span, message, format!("write `{}`, without a phase", load.name));
            None
        }
        _ => Some(()),
    }
}

/// A relation, and a value in the unit of `figure` or a multiple of a load.
fn figure_bound(figure: Figure, node: &Node, named: &Named, sink: &mut Sink<'_>) -> Checked<FigureBound> {
    let wanted = match figure.unit() {
        FigureUnit::Number => "a bound such as \">= 1000\" or \">= 0.8 * before\"",
        FigureUnit::Bytes => "a bound such as \">= 100MiB\" or \">= 0.8 * before\"",
        FigureUnit::Nanos => "a bound such as \"<= 5ms\" or \"<= 1.5 * before\"",
    };
    let text = values::text_as(node, wanted, sink)?;
    let parsed = bound::split(text).and_then(|(relation, rest)| Some((relation, amount(figure, rest)?, rest)));
    let Some((relation, amount, rest)) = parsed else {
        sink.wanted(node, wanted);
        return None;
    };
    if let Amount::Times(_, load) = &amount {
        // Behind the sign, and behind the factor if there is one.
        let begin = text.len() - rest.len() + rest.rfind('*').map_or(0, |star| star + 1);
        let begin = begin + text[begin..].len() - text[begin..].trim_start().len();
        named.check(load, |from, to| node.part(begin + from, begin + to), sink)?;
    }
    Some(FigureBound { relation, amount })
}

fn amount(figure: Figure, text: &str) -> Option<Amount> {
    if let Some((factor, load)) = text.split_once('*') {
        return Some(Amount::Times(thousandths(factor.trim())?, reference(load.trim())?));
    }
    if let Some(load) = reference(text) {
        return Some(Amount::Times(1000, load));
    }
    Some(Amount::Fixed(match figure.unit() {
        FigureUnit::Number => values::parse_number(text)?,
        FigureUnit::Bytes => text.parse::<Bytes>().ok()?.0,
        FigureUnit::Nanos => text.parse::<Nanos>().ok()?.0,
    }))
}

/// `name` or `name@phase`.
fn reference(text: &str) -> Option<LoadRef> {
    let (name, phase) = text.split_once('@').map_or((text, None), |(name, phase)| (name, Some(phase)));
    let fits = is_name(name) && phase.is_none_or(is_name);
    fits.then(|| LoadRef { name: name.to_owned(), phase: phase.map(str::to_owned) })
}

/// 800 for `0.8`; above 0.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if part.is_empty() || part.len() > FACTOR_DIGITS_MAX || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = values::parse_number(&format!("{part:0<3}"))?;
    let all = values::parse_number(whole)?.checked_mul(1000)?.checked_add(part)?;
    u32::try_from(all).ok().filter(|all| *all > 0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, scenario};
    use super::*;
    use crate::Relation;

    /// The bounds of a list of expectations that begins in line 9.
    fn read(list: &str) -> Result<Vec<LoadBound>, String> {
        let steps = "  - phase: calm\n  - repeat: { times: 2, do: { load: { name: before, on: d } } }\n  \
                     - parallel: { io: { load: { name: after, on: d, rate_iops: 9 } } }\n";
        let head = "scenario: a/b\nabout: x\ndevices: { d: { ram: 64KiB } }\nsteps:";
        let found = scenario(&format!("{head}\n{steps}expect:\n  - {list}\n"))?;
        Ok(found.expect.into_iter().flat_map(|expectation| expectation.loads).collect())
    }

    fn load(name: &str, phase: Option<&str>) -> LoadRef {
        LoadRef { name: name.to_owned(), phase: phase.map(str::to_owned) }
    }

    #[test]
    fn figures_are_bounded_by_numbers_in_their_units_and_by_other_loads() {
        let found = read(
            "{ loads: [{ load: after, iops: '>= 0.8 * before@calm', max_stall: '<= 2s' }, { load: before@calm, \
             io_bytes: '== 64KiB', clat_ns_p99: '<after@calm', errors: '== 0' }] }",
        );
        let bound = |relation, amount| FigureBound { relation, amount };
        let first = LoadBound {
            line: 9,
            load: load("after", None),
            figures: vec![
                (Figure::Iops, bound(Relation::AtLeast, Amount::Times(800, load("before", Some("calm"))))),
                (Figure::MaxStall, bound(Relation::AtMost, Amount::Fixed(2_000_000_000))),
            ],
        };
        let found = found.unwrap();
        assert_eq!(found[0], first);
        let figures: Vec<String> = found[1].figures.iter().map(|(figure, bound)| bound.shown(*figure)).collect();
        assert_eq!(figures, ["== 64KiB", "== 0", "< after@calm"]);
    }

    #[test]
    fn names_that_are_not_there_are_refused_where_they_stand() {
        assert_refused(
            read,
            &[
                (
                    "{ loads: [{ load: aftre, iops: '> 1' }] }",
                    "x:9:23: no load of this cell is called \"aftre\" (did you mean `after`? names of loads: before, after)",
                ),
                (
                    "{ loads: [{ load: after, iops: '>= 0.8 * befor' }] }",
                    "x:9:46: no load of this cell is called \"befor\" (did you mean `before`?",
                ),
                (
                    "{ loads: [{ load: after@clam, iops: '> 1' }] }",
                    "x:9:29: this cell has no phase \"clam\" (did you mean `calm`? allowed here: calm)",
                ),
                ("{ loads: [{ load: after, iops: '> before@storm' }] }", "x:9:46: this cell has no phase \"storm\""),
            ],
        );
    }

    #[test]
    fn bounds_that_are_none_are_refused() {
        assert_refused(
            read,
            &[
                ("{ loads: [] }", "x:9:5: this expects nothing"),
                ("{ loads: [{ load: after }] }", "x:9:15: this bounds nothing: name a figure (figures: iops, "),
                ("{ loads: [{ iops: '> 1' }] }", "x:9:15: `load` is missing in a bound on a load"),
                ("{ loads: [{ load: after, iop: '> 1' }] }", "x:9:30: \"iop\" is not a key of a bound on a load"),
                ("{ loads: [{ load: after, iops: 5 }] }", "x:9:36: \"5\" is not a bound such as \">= 1000\""),
                ("{ loads: [{ load: after, iops: '> 5ms' }] }", "x:9:36: \"> 5ms\" is not a bound"),
                ("{ loads: [{ load: after, iops: '> -1' }] }", "x:9:36: \"> -1\" is not a bound"),
                ("{ loads: [{ load: after, iops: '> 0 * before' }] }", "x:9:36: \"> 0 * before\" is not a bound"),
                ("{ loads: [{ load: after, iops: '> 1.2345 * before' }] }", "x:9:36: \"> 1.2345 * before\" is not"),
                (
                    "{ loads: [{ load: after, clat_ns_p99: '< 5' }] }",
                    "x:9:43: \"< 5\" is not a bound such as \"<= 5ms\"",
                ),
                ("{ loads: [{ load: After, iops: '> 1' }] }", "x:9:23: \"After\" is not a load, written `name` or"),
                (
                    "{ loads: [{ load: before, lat_ns_p99: '< 5ms' }] }",
                    "x:9:43: no I/O of \"before\" is due at any time: its loads have no rate (give the load `rate`",
                ),
                (
                    "{ loads: [{ load: after@calm, max_stall: '< 5ms' }] }",
                    "x:9:46: the longest stall is that of a whole load (write `after`, without a phase)",
                ),
                (
                    "{ on: explorer, loads: [{ load: after, iops: '> 1' }] }",
                    "x:9:28: time stands still in explored schedules, and loads have no figures (say `on: threads`",
                ),
            ],
        );
    }
}
