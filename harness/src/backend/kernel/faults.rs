//! Faults of a scenario as what a kernel has in their place: [`lower`] gives the table of the dm device that stands
//! between a leaf and its users (its *shim*), or says why there is none. The list is in `harness/README.md`.
//!
//! Fault model: what fails always is an `error` segment, or a `flakey` one that is always down; what is late goes through
//! `delay`; what hangs is late by [`HOLD`], and a suspend of the shim lets it go. Which of several I/Os is struck, and
//! an error other than `EIO`, no target of the kernel can be told; for a whole device `fail_make_request` draws or counts.
//! Allocations behind a pool fail by `failslab` or `fail_page_alloc`, or for want of memory.
//!
//! Invariants: pure; segments are gapless, and those without a fault are linear.
//! Not here: loading the table (`shims`), files below `/sys` (`injection`).

use std::collections::BTreeSet;

use dmlab_faults::{Effect, FaultOp, IoFault, When};
use dmlab_scenarios::{Errno, Fault};
use dmlab_units::{Nanos, Sectors};

use super::nodes::Dev;
use super::pools::{self, Behind};

/// How long `delay` holds what is to hang: longer than any run.
const HOLD: Nanos = Nanos::secs(3600);
/// Nanoseconds in `delay`'s unit.
const MILLISECOND: u64 = 1_000_000;

/// What the running kernel's targets can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    /// `flakey` and its `error_writes`.
    pub flakey: bool,
    /// `flakey`'s `error_reads` (since 6.5).
    pub error_reads: bool,
    /// `delay`.
    pub delay: bool,
    /// `fail_make_request`, set through debugfs.
    pub fail_make_request: bool,
    /// `failslab`, likewise.
    pub failslab: bool,
    /// `fail_page_alloc`, likewise.
    pub fail_page_alloc: bool,
    /// All memory may be taken: this is a guest.
    pub hog: bool,
}

/// What is drawn by the kernel's fault injection rather than told by a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    /// Percent of the events that it may strike.
    pub probability: u32,
    /// It may strike every so many events.
    pub interval: u32,
    /// How many fail at most.
    pub times: Option<u32>,
}

/// Longer intervals take too many I/Os to count to.
const INTERVAL_MAX: u64 = 10_000;

/// The leaf that a fault is about.
pub(super) fn leaf_of(fault: &Fault) -> Option<&str> {
    match fault {
        Fault::Io { device, .. } => Some(device),
        Fault::Slab { .. } => None,
    }
}

/// What a fault of a whole device is in draws, if it is one: every I/O alike, `EIO`, and not always.
pub(super) fn draw(fault: &Fault) -> Option<Draw> {
    let Fault::Io { fault, errno: Errno::EIO, .. } = fault else { return None };
    let everywhere = fault.start == Sectors::ZERO && fault.end.is_none();
    if fault.op != FaultOp::Any || fault.effect != Effect::Fail || !everywhere || fault.when == When::Always {
        return None;
    }
    draw_of(&fault.when)
}

/// A choice among events as the kernel's fault injection has it, if it can be told.
fn draw_of(when: &When) -> Option<Draw> {
    const PERCENT: u32 = 10_000_000;
    let draw = Draw { probability: 100, interval: 1, times: None };
    match when {
        When::Always | When::Every(1) => Some(draw),
        When::Rate { ppb } => ppb.is_multiple_of(PERCENT).then_some(Draw { probability: ppb / PERCENT, ..draw }),
        // The first ones, in a row.
        When::Nth(numbers) if numbers.iter().copied().eq(1..=numbers.len() as u64) => {
            Some(Draw { times: u32::try_from(numbers.len()).ok(), ..draw })
        }
        When::Nth(numbers) => match numbers[..] {
            [nth] => Some(Draw { interval: interval(nth)?, times: Some(1), ..draw }),
            _ => None,
        },
        When::Every(n) => Some(Draw { interval: interval(*n)?, ..draw }),
        When::Any { at_most } => Some(Draw { probability: 50, times: Some(*at_most), ..draw }),
    }
}

fn interval(n: u64) -> Option<u32> {
    u32::try_from(n).ok().filter(|_| n <= INTERVAL_MAX)
}

/// What lets allocations behind `pool` fail: draws, or `None` where memory runs short.
///
/// # Errors
/// Which choice has no form on this kernel, and why.
pub(super) fn lower_slab(pool: &str, when: &When, can: Abilities) -> Result<Option<Draw>, String> {
    let behind = pools::behind(pool);
    if behind.iter().all(|behind| *behind == Behind::Anything) {
        return Err(format!("no cache of a kernel stands behind {pool} alone"));
    }
    let (kind, has) = match behind[..] {
        [Behind::Pages] => ("fail_page_alloc", can.fail_page_alloc),
        _ => ("failslab", can.failslab),
    };
    if !has {
        return match when {
            When::Any { .. } if can.hog => Ok(None),
            _ if can.hog => Err(format!("without {kind} a kernel can only be short of memory, and fails as it likes")),
            _ => Err(format!("allocations can fail only in a kernel with {kind}, set through debugfs")),
        };
    }
    match when {
        // Numbered from the making of the pool, which no kernel tells.
        When::Nth(_) => Err("which allocation fails cannot be told to a kernel".to_owned()),
        when => match draw_of(when) {
            Some(draw) => Ok(Some(draw)),
            None => Err(format!("{kind} draws in whole percents, and counts to {INTERVAL_MAX}")),
        },
    }
}

/// The table of the shim over `real`, of `sectors` sectors, under `faults` (those of this leaf).
///
/// # Errors
/// Which fault has no form on this kernel, and why.
pub(super) fn lower(faults: &[&Fault], real: Dev, sectors: Sectors, can: Abilities) -> Result<Vec<String>, String> {
    let mut told = Vec::new();
    for fault in faults {
        let Fault::Io { fault: io, errno, .. } = fault else { continue };
        if draw(fault).is_some() {
            if !can.fail_make_request {
                return Err("a kernel without fail_make_request cannot draw or count which I/O fails".to_owned());
            }
            continue;
        }
        if io.when != When::Always {
            return Err("which of several I/Os is struck can be told to a kernel for a whole device only, for every \
                 operation alike, in whole percents, as the first ones, one alone or every n-th, and that they fail"
                .to_owned());
        }
        if io.effect == Effect::Fail && *errno != Errno::EIO {
            return Err(format!("the kernel's targets fail I/O with EIO only, not with {errno:?}"));
        }
        told.push(io);
    }
    let mut edges: BTreeSet<Sectors> = BTreeSet::from([Sectors::ZERO, sectors]);
    for io in &told {
        edges.extend([Some(io.start), io.end].into_iter().flatten().filter(|edge| *edge < sectors));
    }
    let edges: Vec<Sectors> = edges.into_iter().collect();
    let segment = |pair: &[Sectors]| {
        let here: Vec<&IoFault> =
            told.iter().copied().filter(|io| io.start <= pair[0] && io.end.is_none_or(|end| end > pair[0])).collect();
        Ok(format!("{} {} {}", pair[0], pair[1] - pair[0], target(&here, real, pair[0], can)?))
    };
    edges.windows(2).map(segment).collect()
}

/// The target of a segment that begins at `at` and on which these faults lie.
fn target(here: &[&IoFault], (major, minor): Dev, at: Sectors, can: Abilities) -> Result<String, String> {
    let place = format!("{major}:{minor} {at}");
    let of = |op: FaultOp| here.iter().filter(move |io| io.op == op || io.op == FaultOp::Any).map(|io| io.effect);
    if let Some(io) = here.iter().find(|io| {
        matches!(io.op, FaultOp::Discard | FaultOp::SecureErase | FaultOp::WriteZeroes)
            || (io.op == FaultOp::Flush && io.effect == Effect::Fail)
    }) {
        return Err(format!("no target of the kernel strikes {:?} alone", io.op).to_lowercase());
    }
    let fails = |op| of(op).any(|effect| effect == Effect::Fail);
    let fails_any = here.iter().any(|io| io.op == FaultOp::Any && io.effect == Effect::Fail);
    let late = |op| {
        let times = of(op).filter_map(|effect| match effect {
            Effect::Fail => None,
            Effect::Hang => Some(HOLD),
            Effect::Delay(by) => Some(by),
        });
        times.max().map_or(0, |by| by.0.div_ceil(MILLISECOND))
    };
    let (read, write, flush) = (late(FaultOp::Read), late(FaultOp::Write), late(FaultOp::Flush));
    let is_late = read + write + flush > 0;
    match (fails_any, fails(FaultOp::Read), fails(FaultOp::Write)) {
        (false, false, false) if !is_late => Ok(format!("linear {place}")),
        (false, false, false) if can.delay => Ok(format!("delay {place} {read} {place} {write} {place} {flush}")),
        (false, false, false) => Err("this kernel has no target delay".to_owned()),
        _ if is_late => Err("no target of the kernel both fails and delays".to_owned()),
        (true, ..) => Ok("error".to_owned()),
        (_, _, true) if !can.flakey => Err("this kernel has no target flakey".to_owned()),
        (_, true, _) if !can.flakey || !can.error_reads => {
            Err("failing reads alone needs error_reads of flakey (since 6.5)".to_owned())
        }
        (_, true, true) => Ok(format!("flakey {place} 0 1 2 error_reads error_writes")),
        (_, true, false) => Ok(format!("flakey {place} 0 1 1 error_reads")),
        (_, false, _) => Ok(format!("flakey {place} 0 1 1 error_writes")),
    }
}

#[cfg(test)]
mod tests {
    use dmlab_faults::SlabFault;

    use super::*;

    const ALL: Abilities = Abilities {
        flakey: true,
        error_reads: true,
        delay: true,
        fail_make_request: true,
        failslab: true,
        fail_page_alloc: true,
        hog: true,
    };
    const NOTHING: Abilities = Abilities {
        flakey: false,
        error_reads: false,
        delay: false,
        fail_make_request: false,
        failslab: false,
        fail_page_alloc: false,
        hog: false,
    };

    fn fault(op: FaultOp, range: (u64, Option<u64>), when: When, effect: Effect) -> Fault {
        let fault = IoFault { op, start: Sectors(range.0), end: range.1.map(Sectors), when, effect };
        Fault::Io { device: "d".to_owned(), fault, errno: Errno::EIO }
    }

    fn table(faults: &[Fault], can: Abilities) -> Result<Vec<String>, String> {
        lower(&faults.iter().collect::<Vec<_>>(), (1, 0), Sectors(128), can)
    }

    fn always(op: FaultOp, range: (u64, Option<u64>), effect: Effect) -> Fault {
        fault(op, range, When::Always, effect)
    }

    #[test]
    fn what_fails_always_is_a_segment_and_the_rest_is_linear() {
        assert_eq!(table(&[], ALL).unwrap(), ["0 128 linear 1:0 0"]);
        let any = always(FaultOp::Any, (8, Some(16)), Effect::Fail);
        let writes = always(FaultOp::Write, (64, None), Effect::Fail);
        let wanted = ["0 8 linear 1:0 0", "8 8 error", "16 48 linear 1:0 16", "64 64 flakey 1:0 64 0 1 1 error_writes"];
        assert_eq!(table(&[any, writes], ALL).unwrap(), wanted);
        let both = [FaultOp::Read, FaultOp::Write].map(|op| always(op, (0, None), Effect::Fail));
        assert_eq!(table(&both, ALL).unwrap(), ["0 128 flakey 1:0 0 0 1 2 error_reads error_writes"]);
    }

    #[test]
    fn what_is_late_or_hangs_goes_through_delay() {
        let slow = always(FaultOp::Write, (0, None), Effect::Delay(Nanos(1_000_001)));
        assert_eq!(table(&[slow], ALL).unwrap(), ["0 128 delay 1:0 0 0 1:0 0 2 1:0 0 0"], "never less than asked for");
        let hangs = always(FaultOp::Any, (0, None), Effect::Hang);
        assert_eq!(table(&[hangs], ALL).unwrap(), ["0 128 delay 1:0 0 3600000 1:0 0 3600000 1:0 0 3600000"]);
    }

    #[test]
    fn what_no_target_can_do_is_refused_with_the_reason() {
        let writes = always(FaultOp::Write, (0, None), Effect::Fail);
        assert!(table(std::slice::from_ref(&writes), NOTHING).unwrap_err().contains("no target flakey"));
        let reads = always(FaultOp::Read, (0, None), Effect::Fail);
        assert!(table(&[reads], Abilities { error_reads: false, ..ALL }).unwrap_err().contains("since 6.5"));
        let late = always(FaultOp::Write, (0, None), Effect::Hang);
        assert!(table(std::slice::from_ref(&late), NOTHING).unwrap_err().contains("no target delay"));
        assert!(table(&[writes, late], ALL).unwrap_err().contains("both fails and delays"));
        let discards = always(FaultOp::Discard, (0, None), Effect::Fail);
        assert!(table(&[discards], ALL).unwrap_err().contains("discard alone"));
        let second = fault(FaultOp::Write, (0, None), When::Nth(vec![2]), Effect::Fail);
        assert!(table(&[second], ALL).unwrap_err().contains("which of several"));
    }

    #[test]
    fn an_error_that_no_target_gives_is_refused() {
        let Fault::Io { device, fault, .. } = always(FaultOp::Any, (0, None), Effect::Fail) else { unreachable!() };
        let full = Fault::Io { device, fault, errno: Errno::ENOSPC };
        assert!(table(&[full], ALL).unwrap_err().contains("not with ENOSPC"));
    }

    #[test]
    fn draws_are_for_whole_devices_and_every_operation() {
        const DRAW: Draw = Draw { probability: 100, interval: 1, times: None };
        let everything = |when| fault(FaultOp::Any, (0, None), when, Effect::Fail);
        let rate = everything(When::Rate { ppb: 250_000_000 });
        assert_eq!(draw(&rate), Some(Draw { probability: 25, ..DRAW }));
        assert_eq!(table(std::slice::from_ref(&rate), ALL).unwrap(), ["0 128 linear 1:0 0"], "the leaf itself fails");
        assert!(table(&[rate], Abilities { fail_make_request: false, ..ALL }).is_err());
        assert_eq!(draw(&everything(When::Nth(vec![1, 2]))), Some(Draw { times: Some(2), ..DRAW }));
        assert_eq!(draw(&everything(When::Nth(vec![3]))), Some(Draw { interval: 3, times: Some(1), ..DRAW }));
        assert_eq!(draw(&everything(When::Every(4))), Some(Draw { interval: 4, ..DRAW }));
        assert_eq!(draw(&everything(When::Nth(vec![2, 4]))), None);
        assert_eq!(draw(&everything(When::Nth(vec![INTERVAL_MAX + 1]))), None, "too far to count to");
        assert_eq!(draw(&everything(When::Rate { ppb: 1 })), None, "less than a percent");
        assert_eq!(draw(&everything(When::Always)), None, "that is a table of errors");
        assert_eq!(draw(&fault(FaultOp::Write, (0, None), When::Any { at_most: 1 }, Effect::Fail)), None);
        assert_eq!(draw(&Fault::Slab { pool: "*".to_owned(), fault: SlabFault { when: When::Always } }), None);
    }

    #[test]
    fn allocations_fail_by_injection_or_else_for_want_of_memory() {
        let any = When::Any { at_most: 2 };
        let stock = Abilities { hog: true, ..NOTHING };
        let wanted = Draw { probability: 100, interval: 1, times: None };
        assert_eq!(lower_slab("t.bs", &When::Always, ALL), Ok(Some(wanted)));
        assert_eq!(lower_slab("t.bs", &any, ALL), Ok(Some(Draw { probability: 50, times: Some(2), ..wanted })));
        assert_eq!(lower_slab("t.bs", &any, stock), Ok(None));
        let refused = |pool: &str, when: &When, can: Abilities| lower_slab(pool, when, can).unwrap_err();
        assert!(refused("t.bs", &When::Always, stock).contains("short of memory"));
        assert!(refused("t.bs", &any, NOTHING).contains("with failslab"));
        assert!(refused("s.kcopyd.pages", &any, NOTHING).contains("with fail_page_alloc"));
        assert!(refused("t.bs", &When::Nth(vec![1]), ALL).contains("which allocation fails"));
        assert!(refused("t.flakey", &any, ALL).contains("no cache of a kernel"));
        assert!(refused("t.bs", &When::Rate { ppb: 1 }, ALL).contains("whole percents"));
    }

    /// Every fault that a scenario can name: a new operation, effect or choice does not compile until it stands here.
    fn all_faults() -> Vec<Fault> {
        let ops = [
            FaultOp::Read,
            FaultOp::Write,
            FaultOp::Flush,
            FaultOp::Discard,
            FaultOp::SecureErase,
            FaultOp::WriteZeroes,
            FaultOp::Any,
        ];
        let effects = [Effect::Fail, Effect::Hang, Effect::Delay(Nanos::secs(1))];
        let whens = [
            When::Always,
            When::Rate { ppb: 500_000_000 },
            When::Nth(vec![1]),
            When::Nth(vec![3]),
            When::Nth(vec![3, 5]),
            When::Every(2),
            When::Any { at_most: 1 },
        ];
        for op in ops {
            match op {
                FaultOp::Read | FaultOp::Write | FaultOp::Flush | FaultOp::Discard => {}
                FaultOp::SecureErase | FaultOp::WriteZeroes | FaultOp::Any => {}
            }
        }
        for effect in effects {
            match effect {
                Effect::Fail | Effect::Hang | Effect::Delay(_) => {}
            }
        }
        for when in &whens {
            match when {
                When::Always | When::Rate { .. } | When::Nth(_) | When::Every(_) | When::Any { .. } => {}
            }
        }
        let mut all = Vec::new();
        for when in &whens {
            for (op, effect) in ops.iter().flat_map(|op| effects.iter().map(move |effect| (*op, *effect))) {
                all.extend([(0, None), (8, Some(16))].map(|range| fault(op, range, when.clone(), effect)));
            }
            for (pool, _) in pools::BEHIND {
                let pool = format!("t.{pool}");
                all.push(Fault::Slab { pool, fault: SlabFault { when: when.clone() } });
            }
        }
        all
    }

    /// The row of the README's table that a fault belongs to: what it becomes, or why it is skipped.
    fn row(fault: &Fault, can: Abilities) -> Result<&'static str, String> {
        match fault {
            Fault::Slab { pool, fault } => {
                lower_slab(pool, &fault.when, can).map(|draw| match (draw, pools::behind(pool)[0]) {
                    (None, _) => "memory hog",
                    (_, Behind::Pages) => "`fail_page_alloc`",
                    _ => "`failslab`",
                })
            }
            Fault::Io { .. } if draw(fault).is_some() => {
                table(std::slice::from_ref(fault), can).map(|_| "`fail_make_request`")
            }
            Fault::Io { .. } => {
                let lines = table(std::slice::from_ref(fault), can)?;
                let forms = [("flakey", "`flakey"), ("delay", "`delay`"), ("error", "`error` segment")];
                let form = forms.iter().find(|(word, _)| lines.iter().any(|line| line.contains(word)));
                Ok(form.unwrap_or_else(|| panic!("{fault:?} was lost: {lines:?}")).1)
            }
        }
    }

    #[test]
    fn every_fault_has_a_form_or_a_reason_and_the_readme_names_all_forms() {
        let readme = include_str!("../../../README.md");
        let mut forms = BTreeSet::new();
        for fault in all_faults() {
            for can in [ALL, Abilities { hog: true, ..NOTHING }, NOTHING] {
                match row(&fault, can) {
                    Ok(form) => _ = forms.insert(form),
                    Err(why) => assert!(why.len() > 20, "{fault:?}: {why:?} is no reason"),
                }
            }
        }
        let wanted =
            ["`delay`", "`error` segment", "`fail_make_request`", "`fail_page_alloc`", "`failslab`", "`flakey"];
        assert_eq!(forms.iter().copied().collect::<Vec<_>>(), [&wanted[..], &["memory hog"]].concat());
        for form in forms {
            assert!(readme.contains(form), "harness/README.md says nothing of {form}");
        }
    }
}
