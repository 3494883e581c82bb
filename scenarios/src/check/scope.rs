//! [`Scope`]: the devices that a scenario has declared, and what may be done with each.
//!
//! Invariants: a device is found only after its declaration has been read; of a device that was declared with a
//! mistake everything is believed, so that the mistake is reported once.
//! Not here: reading declarations (`devices`), table lines (`table`).

use std::cell::Cell;
use std::fmt;

use dmlab_units::Sectors;

use crate::fields::Checked;
use crate::nearest;
use crate::node::Node;
use crate::sink::{Sink, shown};
use crate::{Span, values};

/// Values that the `each` steps of a scenario may make: as many as a file may have.
pub(super) const UNROLLED_MAX: usize = 100_000;

/// What is known about a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A device with nothing below it: it can be made to fail.
    Leaf,
    /// A barrier.
    Barrier,
    /// A dm device.
    Dm {
        /// Whether its table may say `$below`.
        stacked: bool,
        /// How many of it there are.
        levels: u32,
    },
    /// It was declared with a mistake.
    Unknown,
}

/// A declared device.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) sort: Sort,
    /// Its size, where it does not take a table to know it.
    pub(super) size: Option<Sectors>,
    /// The size that its declared table gives a dm device.
    pub(super) tabled: Option<Sectors>,
}

/// The devices so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    declared: Vec<Declared>,
    /// What steps make: snapshots and their layers.
    made: Vec<Declared>,
    /// Every snapshot and the volume that it is of.
    snapshots: Vec<(String, String)>,
    /// Values that `each` steps have made so far.
    unrolled: Cell<usize>,
    /// Every name of the file with its line, also those that come later.
    names: Vec<(String, u32)>,
    /// There is no readable list of devices: every name is believed.
    open: bool,
}

impl Scope {
    pub(super) fn new(names: Vec<(String, u32)>) -> Self {
        Self { names, ..Self::default() }
    }

    /// The scope of a scenario whose devices cannot be read: every name is believed.
    pub(super) fn of_anything() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Whether names are believed, as there is no list of devices to hold them against.
    pub(super) fn is_of_anything(&self) -> bool {
        self.open
    }

    pub(super) fn declare(&mut self, device: Declared) {
        self.declared.push(device);
    }

    /// What a step makes of this name, once.
    pub(super) fn make(&mut self, name: String, sort: Sort) {
        if self.made.iter().all(|made| made.name != name) {
            self.made.push(Declared { name, sort, size: None, tabled: None });
        }
    }

    /// A snapshot of the volume `of`; the first volume of a name counts.
    pub(super) fn make_snapshot(&mut self, name: &str, of: &str) {
        if self.volume_of(name).is_none() {
            self.snapshots.push((name.to_owned(), of.to_owned()));
        }
    }

    /// The volume that a snapshot is of, if some step takes a snapshot of this name.
    pub(super) fn volume_of(&self, snapshot: &str) -> Option<&str> {
        self.snapshots.iter().find(|(name, _)| name == snapshot).map(|(_, of)| of.as_str())
    }

    /// The names of all snapshots.
    pub(super) fn snapshots(&self) -> Vec<&str> {
        self.snapshots.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Whether `devices` has it.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.declared.iter().any(|device| device.name == name)
    }

    /// Counts values that an `each` step makes; `None` when they are too many.
    pub(super) fn unroll(&self, values: usize) -> Checked<()> {
        self.unrolled.set(self.unrolled.get().saturating_add(values));
        (self.unrolled.get() <= UNROLLED_MAX).then_some(())
    }

    /// The device that `name` stands for: a declared one, or a lower level of a stacked one (`top.1`).
    pub(super) fn find(&self, name: &str) -> Option<Declared> {
        let exact = |name: &str| self.declared.iter().chain(&self.made).find(|device| device.name == name);
        if let Some(device) = exact(name) {
            return Some(device.clone());
        }
        if self.open {
            return Some(Declared { name: name.to_owned(), sort: Sort::Unknown, size: None, tabled: None });
        }
        let (base, level) = name.split_once('.')?;
        let device = exact(base)?;
        let level = values::parse_number(level).filter(|number| number.to_string() == level)?;
        match device.sort {
            Sort::Dm { levels, .. } if (1..u64::from(levels)).contains(&level) => {
                Some(Declared { name: name.to_owned(), ..device.clone() })
            }
            Sort::Unknown => Some(Declared { name: name.to_owned(), ..device.clone() }),
            _ => None,
        }
    }

    /// Reports that `name` at `span` is no device, and why.
    pub(super) fn report_unknown(&self, name: &str, span: Span, sink: &mut Sink<'_>) {
        let known: Vec<&str> = self.declared.iter().chain(&self.made).map(|device| device.name.as_str()).collect();
        if let Some((_, line)) = self.names.iter().find(|(later, _)| later == name) {
            let message = format!("{} is declared only in line {line}; a device stands on earlier ones", shown(name));
            return sink.error_help(span, message, nearest::list("declared so far", &known));
        }
        let bare = name.strip_prefix('$').filter(|bare| self.find(bare).is_some());
        let help = match bare {
            Some(bare) => format!("here, devices are named without `$`: {bare}"),
            None => {
                let meant = nearest::nearest(name, &known).map(|word| format!("did you mean `{word}`? "));
                format!("{}{}", meant.unwrap_or_default(), nearest::list("declared devices", &known))
            }
        };
        sink.error_help(span, format!("{} is not a declared device", shown(name)), help);
    }

    /// A device, named as it is.
    pub(super) fn device(&self, node: &Node, sink: &mut Sink<'_>) -> Checked<Declared> {
        let name = values::text_as(node, "the name of a device", sink)?;
        let found = self.find(name);
        if found.is_none() {
            self.report_unknown(name, node.span, sink);
        }
        found
    }

    /// A device written `$name`, as in tables.
    pub(super) fn reference(&self, node: &Node, sink: &mut Sink<'_>) -> Checked<Declared> {
        let text = values::text_as(node, "a device, written `$name`", sink)?;
        let Some(name) = text.strip_prefix('$') else {
            let help = self.find(text).map(|device| format!("write `${}`", device.name));
            let message = format!("{} is not a device, written `$name`", shown(text));
            match help {
                Some(help) => sink.error_help(node.span, message, help),
                None => sink.error(node.span, message),
            }
            return None;
        };
        let found = self.find(name);
        if found.is_none() {
            self.report_unknown(name, node.span, sink);
        }
        found
    }

    /// A dm device.
    pub(super) fn dm(&self, node: &Node, sink: &mut Sink<'_>) -> Checked<Declared> {
        let device = self.device(node, sink)?;
        match device.sort {
            Sort::Dm { .. } | Sort::Unknown => Some(device),
            sort => sink.refuse(node.span, format!("{} is {sort}; only dm devices can do this", node.shown())),
        }
    }

    /// A device with nothing below it.
    pub(super) fn leaf(&self, node: &Node, sink: &mut Sink<'_>) -> Checked<Declared> {
        let device = self.device(node, sink)?;
        match device.sort {
            Sort::Leaf | Sort::Unknown => Some(device),
            sort => sink.refuse(
                node.span,
                format!("{} is {sort}; this is for leaf devices only: ram, null, timed and file", node.shown()),
            ),
        }
    }

    /// A memory pool, `<device>.<pool>`, with `*` for all in either part.
    pub(super) fn pool(&self, node: &Node, sink: &mut Sink<'_>) -> Checked<String> {
        const WANTED: &str = "a pool, written `<device>.<pool>` with `*` for all, e.g. `t.bs` or `*.io_bs`";
        let text = values::text_as(node, WANTED, sink)?;
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let is_pool = |pool: &str| pool == "*" || pool.split('.').all(is_word);
        let Some((device, _)) = device_and_pool(text).filter(|(_, pool)| is_pool(pool)) else {
            sink.wanted(node, WANTED);
            return None;
        };
        if device != "*" && self.find(device).is_none() {
            self.report_unknown(device, node.part(0, device.len()), sink);
            return None;
        }
        Some(text.to_owned())
    }
}

/// The device and the rest of a pool's name: `t` and `kcopyd.jobs`. A device that is a lower level of a stack holds a dot
/// itself, with a number behind it: `top.1` and `bs`.
pub fn device_and_pool(pool: &str) -> Option<(&str, &str)> {
    let is_level = |at: &usize| pool[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let dot = pool.match_indices('.').map(|(at, _)| at).find(|at| !is_level(at))?;
    Some((&pool[..dot], &pool[dot + 1..]))
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaf => "a leaf device",
            Self::Barrier => "a barrier",
            Self::Dm { .. } => "a dm device",
            Self::Unknown => "a device",
        })
    }
}
