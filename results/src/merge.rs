//! [`merge`]: the shards of one exploration, put together into the record that a single run would have left.
//!
//! Invariants: the order of the records makes no difference; only shards of the same campaign (version, seed, clock,
//! plans) are put together, each at most once; a proof is one only when every shard is there and has proved its part, and
//! all of them learnt of the same conflicts: otherwise the parts are parts of different trees of choices.
//! Not here: which records belong together (`parts`), reading files and dividing the work (the harness).

mod parts;

use std::cmp::Reverse;

pub use self::parts::MergeError;
use self::parts::{Part, check_cells, missing, parts};
use crate::cell::{ShardRecord, SignatureCount};
use crate::{CellRecord, Environment, Exploration, Number, PoolRecord, Record, Strength, Verdict};

/// A shard and what it has of one thing; nothing when it was interrupted before.
type Share<'a, T> = (ShardRecord, Option<&'a T>);

/// Puts the shards of one campaign together: counts are summed, signatures united, the gravest verdict counts, and of
/// the schedules that came to it the one with the lowest number tells. Shards may be missing: what was searched is
/// told, and nothing is called proved ([`missing_shards`] says which they are).
///
/// # Errors
/// [`MergeError`], when a record is no shard, is of another campaign, or the same shard as another.
pub fn merge(records: &[Record]) -> Result<Record, MergeError> {
    let parts = parts(records)?;
    let longest = parts.iter().min_by_key(|part| Reverse(part.record.cells.len())).ok_or(MergeError::Nothing)?;
    for part in &parts {
        check_cells(part, longest)?;
    }
    let missing = missing(&parts);
    let first = parts[0].record;
    let one_command = parts.iter().all(|part| part.record.command == first.command);
    let command = if one_command { first.command.clone() } else { Vec::new() };
    let mut merged = Record::new(&first.dmlab, first.seed, &first.clock, environment(&parts), command);
    merged.interrupted = parts.iter().any(|part| part.record.interrupted);
    merged.cells = (0..longest.record.cells.len())
        .map(|index| {
            let cells: Vec<Share<'_, CellRecord>> =
                parts.iter().map(|part| (part.shard, part.record.cells.get(index))).collect();
            merged_cell(&cells, &missing)
        })
        .collect();
    Ok(merged)
}

/// The shards that no record brings.
///
/// # Errors
/// As [`merge`].
pub fn missing_shards(records: &[Record]) -> Result<Vec<ShardRecord>, MergeError> {
    parts(records).map(|parts| missing(&parts))
}

/// What all machines have in common.
fn environment(parts: &[Part<'_>]) -> Environment {
    fn common<T: Clone + PartialEq>(parts: &[Part<'_>], field: fn(&Environment) -> &Option<T>) -> Option<T> {
        let first = field(&parts[0].record.environment);
        parts.iter().all(|part| field(&part.record.environment) == first).then(|| first.clone()).flatten()
    }
    Environment {
        os: common(parts, |environment| &environment.os),
        kernel: common(parts, |environment| &environment.kernel),
        arch: common(parts, |environment| &environment.arch),
        cpu_model: common(parts, |environment| &environment.cpu_model),
        cpus: common(parts, |environment| &environment.cpus),
        memory_bytes: common(parts, |environment| &environment.memory_bytes),
        rustc: common(parts, |environment| &environment.rustc),
        commit: common(parts, |environment| &environment.commit),
    }
}

fn merged_cell(shares: &[Share<'_, CellRecord>], missing: &[ShardRecord]) -> CellRecord {
    let there = || shares.iter().filter_map(|&(shard, cell)| cell.map(|cell| (shard, cell)));
    // Of equals the first, which is the one of the lowest shard.
    let (_, telling) = there()
        .min_by_key(|(_, cell)| (u8::MAX - gravity(cell.verdict), cell.ok, found_in(cell)))
        .expect("a cell is in the longest record at least");
    let mut cell = telling.clone();
    cell.exploration = exploration(shares, telling, missing);
    cell.pools = pools(there().map(|(_, cell)| cell));
    cell.wall_ns = there().filter_map(|(_, cell)| cell.wall_ns).reduce(u64::saturating_add);
    if let (Some(exploration), Some(ns)) = (&mut cell.exploration, cell.wall_ns) {
        exploration.schedules_per_sec = Some(Number::per_second(exploration.schedules, ns));
    }
    for (shard, other) in there().filter(|(_, other)| !other.ok) {
        // A shard without the failure that another has found was not to find it.
        if other.verdict == Verdict::Skip || (other.verdict == Verdict::Pass && telling.verdict != Verdict::Pass) {
            continue;
        }
        let more = other.mismatches.iter().filter(|what| !telling.mismatches.contains(what));
        cell.mismatches.extend(more.map(|what| format!("shard {shard}: {what}")));
        cell.ok = false;
    }
    if let (Some(exploration), Some(wanted)) = (&cell.exploration, cell.expected_strength)
        && cell.verdict == Verdict::Pass
        && cell.ok
        && !exploration.strength.meets(wanted)
    {
        cell.mismatches.push(format!("strength {}, expected {wanted}", exploration.strength));
        cell.ok = false;
    }
    cell
}

/// The number of the schedule that told; behind all others if there is none.
fn found_in(cell: &CellRecord) -> u64 {
    match cell.exploration.as_ref().map(|exploration| &exploration.strength) {
        Some(Strength::Found { schedule, .. }) => *schedule,
        _ => u64::MAX,
    }
}

/// How much a verdict says: the gravest of several shards is the verdict of all.
const fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Skip => 0,
        Verdict::Pass => 1,
        Verdict::Leak => 2,
        Verdict::Fail => 3,
        Verdict::Corruption => 4,
        Verdict::StepLimit => 5,
        Verdict::Livelock => 6,
        Verdict::Hang => 7,
        Verdict::Deadlock => 8,
        Verdict::Crash => 9,
        Verdict::Error => 10,
        Verdict::Panic => 11,
    }
}

fn exploration(shares: &[Share<'_, CellRecord>], telling: &CellRecord, missing: &[ShardRecord]) -> Option<Exploration> {
    let of = |cell: Option<&'_ CellRecord>| cell.and_then(|cell| cell.exploration.clone());
    let parts: Vec<(ShardRecord, Option<Exploration>)> =
        shares.iter().map(|&(shard, cell)| (shard, of(cell))).collect();
    let there = || parts.iter().filter_map(|(_, part)| part.as_ref());
    let first = there().next()?;
    let sum = |field: fn(&Exploration) -> u64| there().map(field).fold(0, u64::saturating_add);
    let known = |field: fn(&Exploration) -> Option<u64>| there().filter_map(field).reduce(u64::saturating_add);
    let mut lock_order: Vec<String> = there().flat_map(|part| part.lock_order.clone()).collect();
    lock_order.sort();
    lock_order.dedup();
    Some(Exploration {
        strategy: first.strategy.clone(),
        schedules: sum(|part| part.schedules),
        steps: sum(|part| part.steps),
        steps_max_seen: there().map(|part| part.steps_max_seen).max().unwrap_or(0),
        depth_max: there().filter_map(|part| part.depth_max).max(),
        deadlocks: sum(|part| part.deadlocks),
        strength: strength(&parts, telling, missing),
        states: known(|part| part.states),
        pruned: known(|part| part.pruned),
        signatures: signatures(there()),
        lock_order,
        shard: None,
        learnt: None,
        schedules_per_sec: None,
    })
}

/// What the shards are worth together.
fn strength(parts: &[(ShardRecord, Option<Exploration>)], telling: &CellRecord, missing: &[ShardRecord]) -> Strength {
    let there = || parts.iter().filter_map(|(_, part)| part.as_ref());
    let own = telling.exploration.as_ref().map(|exploration| &exploration.strength).into_iter();
    let found =
        own.chain(there().map(|part| &part.strength)).find(|strength| matches!(strength, Strength::Found { .. }));
    if let Some(found) = found {
        return found.clone();
    }
    let schedules = there().map(|part| part.schedules).fold(0, u64::saturating_add);
    if there().all(|part| matches!(part.strength, Strength::NotFound { .. })) {
        return Strength::NotFound { schedules };
    }
    let states = there().filter_map(|part| part.states).fold(0, u64::saturating_add);
    let mut holes: Vec<String> = missing.iter().map(|shard| format!("shard {shard} is missing")).collect();
    let mut bound = None;
    for (shard, part) in parts {
        match part.as_ref().map(|part| &part.strength) {
            Some(Strength::Proved { .. }) => {}
            Some(Strength::ProvedUpTo { preemptions, .. }) => {
                bound = Some(bound.map_or(*preemptions, |bound: u32| bound.min(*preemptions)));
            }
            Some(Strength::NotProved { reason, .. }) => holes.push(format!("shard {shard}: {reason}")),
            Some(_) => holes.push(format!("shard {shard} was only sampled")),
            None => holes.push(format!("shard {shard} was not searched")),
        }
    }
    if holes.is_empty() && !learnt_the_same(there()) {
        holes.push("shards learnt of different conflicts".to_owned());
    }
    match bound {
        _ if !holes.is_empty() => Strength::NotProved { reason: holes.join("; "), schedules, states },
        Some(preemptions) => Strength::ProvedUpTo { preemptions, schedules, states },
        None => Strength::Proved { schedules, states },
    }
}

/// Whether all shards divided the same tree of choices. A shard that does not say what it learnt is as good as another.
fn learnt_the_same<'a>(mut parts: impl Iterator<Item = &'a Exploration>) -> bool {
    let first = parts.next().and_then(|part| part.learnt.as_ref());
    parts.all(|part| first.is_some() && part.learnt.as_ref() == first)
}

/// Every deadlock once, by the order in which they were first seen.
fn signatures<'a>(parts: impl Iterator<Item = &'a Exploration>) -> Vec<SignatureCount> {
    let mut all: Vec<SignatureCount> = Vec::new();
    for count in parts.flat_map(|part| &part.signatures) {
        match all.iter_mut().find(|known| known.signature == count.signature) {
            Some(known) => {
                known.schedules = known.schedules.saturating_add(count.schedules);
                known.first_schedule = known.first_schedule.min(count.first_schedule);
            }
            None => all.push(count.clone()),
        }
    }
    all.sort_by(|one, two| (one.first_schedule, &one.signature).cmp(&(two.first_schedule, &two.signature)));
    all
}

/// The highest that any shard saw of each pool.
fn pools<'a>(cells: impl Iterator<Item = &'a CellRecord>) -> Vec<PoolRecord> {
    let mut all: Vec<PoolRecord> = Vec::new();
    for pool in cells.flat_map(|cell| &cell.pools) {
        match all.iter_mut().find(|known| known.name == pool.name) {
            Some(known) => {
                known.peak_in_use = known.peak_in_use.max(pool.peak_in_use);
                known.slab_failures = known.slab_failures.max(pool.slab_failures);
                known.waits = known.waits.max(pool.waits);
                known.rescued = known.rescued.max(pool.rescued);
            }
            None => all.push(pool.clone()),
        }
    }
    all
}

#[cfg(test)]
mod tests;
