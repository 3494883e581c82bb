//! What state machines claim of themselves towards an exhaustive search, put to the test: operations whose modes do not
//! conflict commute, and states of one digest go on alike.
//!
//! Verified: all nine state machines, and that wrong ones are caught. Not here: the search (`search_modes.rs`).

mod exhaustive;

use std::sync::Arc;

use dmlab_engine::sched::object::Object;
use dmlab_engine::sched::{Digest, Mode, Release, StateMachine, Task};
use dmlab_engine::sync::lock::{LockOp, LockState, Sleeping};
use dmlab_engine::sync::mempool::PoolState;
use dmlab_engine::sync::refcount::{RefOp, RefState};
use dmlab_engine::sync::rwsem::{RwOp, RwState};
use dmlab_engine::sync::semaphore::{SemaphoreOp, SemaphoreState};
use dmlab_engine::sync::wait_queue::WaitQueueState;
use dmlab_engine::sync::{Mutex, Variable};

use exhaustive::program::Draw;
use exhaustive::rigs::{
    Bend, Bent, BentRig, CompletionRig, LockRig, Play, PoolRig, RefRig, Rig, RwRig, SemaphoreRig, SrcuRig, TASKS,
    WaitQueueRig, WqRig,
};
use exhaustive::{Body, Compared, Log, compare, plain};

type Acts = Vec<(u32, u8)>;

fn acts(draw: &mut Draw, length: u64) -> Acts {
    (0..draw.below(length)).map(|_| (draw.below(u64::from(TASKS)) as u32, draw.below(256) as u8)).collect()
}

/// Whether the claim is that the order of the two does not matter.
const fn independent(first: Mode, second: Mode) -> bool {
    match (first, second) {
        (Mode::Peek, _) | (_, Mode::Peek) => false,
        (Mode::Free, _) | (_, Mode::Free) | (Mode::Shared, Mode::Shared) => true,
        _ => false,
    }
}

/// Two plays must go on alike.
fn alike<R: Rig>(variant: u64, one: &Acts, other: &Acts, then: &Acts) -> Result<(), String> {
    let (mut first, mut second) = (Play::<R>::of(variant, one), Play::<R>::of(variant, other));
    for &(who, act) in then {
        let both = (first.act(who, act), second.act(who, act));
        if both.0 != both.1 || first.told != second.told || first.digest() != second.digest() {
            return Err(format!("{who} does {act} after {one:?} or {other:?}: {:?} or {:?}", first.told, second.told));
        }
    }
    Ok(())
}

/// Operations that are said to be independent, in both orders; the number of pairs that were.
fn commutes<R: Rig>(seed: u64) -> Result<u64, String> {
    let (mut draw, mut pairs) = (Draw(seed), 0);
    for _ in 0..4000 {
        let variant = draw.below(64);
        let before = acts(&mut draw, 14);
        let mut pair = || (draw.below(u64::from(TASKS)) as u32, draw.below(256) as u8);
        let (one, two) = (pair(), pair());
        let mode = |(who, act)| Play::<R>::of(variant, &before).mode(who, act);
        let (Some(first), Some(second)) = (mode(one), mode(two)) else { continue };
        if one.0 == two.0 || !independent(first, second) {
            continue;
        }
        pairs += 1;
        let order = |pair: [(u32, u8); 2]| [before.clone(), pair.to_vec()].concat();
        let (forwards, backwards) = (order([one, two]), order([two, one]));
        let plays = [&forwards, &backwards].map(|acts| Play::<R>::of(variant, acts));
        if plays[0].told != plays[1].told || plays[0].digest() != plays[1].digest() {
            return Err(format!("{one:?} {first:?} and {two:?} {second:?} after {before:?}, variant {variant}"));
        }
        alike::<R>(variant, &forwards, &backwards, &acts(&mut draw, 12))?;
    }
    Ok(pairs)
}

/// Other orders of the same acts: where every task was told the same and the digest is the same, all goes on alike. The
/// number of pairs that were.
fn digests_tell<R: Rig>(seed: u64) -> Result<u64, String> {
    let (mut draw, mut pairs) = (Draw(seed), 0);
    for _ in 0..4000 {
        let variant = draw.below(64);
        let one = acts(&mut draw, 14);
        let mut other = one.clone();
        for _ in 0..draw.below(8) {
            // Neighbours change places, unless they are of one task.
            let place = draw.below(other.len().max(2) as u64 - 1) as usize;
            if other.len() > 1 && other[place].0 != other[place + 1].0 {
                other.swap(place, place + 1);
            }
        }
        let plays = [&one, &other].map(|acts| Play::<R>::of(variant, acts));
        if one == other || plays[0].told != plays[1].told || plays[0].digest() != plays[1].digest() {
            continue;
        }
        pairs += 1;
        alike::<R>(variant, &one, &other, &acts(&mut draw, 16))?;
    }
    Ok(pairs)
}

/// A state machine keeps what it claims.
#[track_caller]
fn keeps<R: Rig>(has_independent: bool) {
    for seed in [1, 2] {
        let pairs = commutes::<R>(seed).unwrap_or_else(|told| panic!("{told}"));
        assert_eq!(pairs > 100, has_independent, "{pairs} pairs");
        let pairs = digests_tell::<R>(seed).unwrap_or_else(|told| panic!("{told}"));
        assert!(pairs > 100, "{pairs} pairs");
    }
}

#[test]
fn a_lock_keeps_what_it_claims() {
    keeps::<LockRig>(true);
}

#[test]
fn an_rw_semaphore_keeps_what_it_claims() {
    keeps::<RwRig>(true);
}

#[test]
fn a_semaphore_keeps_what_it_claims() {
    keeps::<SemaphoreRig>(true);
}

#[test]
fn a_completion_keeps_what_it_claims() {
    keeps::<CompletionRig>(true);
}

#[test]
fn a_wait_queue_keeps_what_it_claims() {
    keeps::<WaitQueueRig>(false);
}

#[test]
fn a_refcount_keeps_what_it_claims() {
    keeps::<RefRig>(true);
}

#[test]
fn an_srcu_domain_keeps_what_it_claims() {
    keeps::<SrcuRig>(true);
}

#[test]
fn a_mempool_keeps_what_it_claims() {
    keeps::<PoolRig>(true);
}

#[test]
fn a_workqueue_keeps_what_it_claims() {
    keeps::<WqRig>(false);
}

/// Caught by one of the two properties.
#[track_caller]
fn is_caught<R: Rig>() {
    let told = (1..9).find_map(|seed| commutes::<R>(seed).err().or_else(|| digests_tell::<R>(seed).err()));
    assert!(told.is_some(), "a mutant went through");
}

struct WritersShare;

impl Bend for WritersShare {
    type S = RwState;
    fn mode(state: &RwState, op: &RwOp) -> Mode {
        if *op == RwOp::DownWrite { Mode::Shared } else { state.mode(op) }
    }
}

struct DownIsFree;

impl Bend for DownIsFree {
    type S = SemaphoreState;
    fn mode(state: &SemaphoreState, op: &SemaphoreOp) -> Mode {
        if *op == SemaphoreOp::Down { Mode::Free } else { state.mode(op) }
    }
}

struct TryingIsTaking;

impl Bend for TryingIsTaking {
    type S = LockState<Sleeping>;
    fn mode(state: &Self::S, op: &LockOp) -> Mode {
        if *op == LockOp::TryLock { Mode::Exclusive } else { state.mode(op) }
    }
}

struct NoQueue;

impl Bend for NoQueue {
    type S = LockState<Sleeping>;
    fn digest(_: &Self::S, _: &mut Digest<'_>) {}
}

struct NoUnits;

impl Bend for NoUnits {
    type S = SemaphoreState;
    fn digest(_: &Self::S, _: &mut Digest<'_>) {}
}

struct NobodyWoken;

impl Bend for NobodyWoken {
    type S = WaitQueueState;
    fn digest(_: &Self::S, _: &mut Digest<'_>) {}
}

struct EmptyPool;

impl Bend for EmptyPool {
    type S = PoolState;
    fn digest(_: &Self::S, _: &mut Digest<'_>) {}
}

struct LastLooksLikeAny;

impl Bend for LastLooksLikeAny {
    type S = RefState;
    fn observed(_: &Option<u64>) -> u64 {
        1
    }
}

struct OwnedUnits;

impl Bend for OwnedUnits {
    type S = SemaphoreState;
    const RELEASE: Release = Release::Owned;
}

#[test]
fn a_wrong_mode_or_digest_is_caught_by_playing() {
    is_caught::<BentRig<RwRig, WritersShare>>();
    is_caught::<BentRig<SemaphoreRig, DownIsFree>>();
    is_caught::<BentRig<LockRig, TryingIsTaking>>();
    // What nobody has to wait for is known from what tasks were told; the order of waiting is not.
    is_caught::<BentRig<LockRig, NoQueue>>();
    is_caught::<BentRig<SemaphoreRig, NoUnits>>();
    is_caught::<BentRig<WaitQueueRig, NobodyWoken>>();
    is_caught::<BentRig<PoolRig, EmptyPool>>();
}

fn searched(make: exhaustive::Make<'_>) -> Result<Compared, String> {
    compare(make, &plain(), 10_000, &[1], &[])
}

/// One task does `first` and one `second`, which are to write down what they see.
fn two<X: Send + Sync + 'static>(
    log: Log,
    make: impl FnOnce(&Task) -> X + Send + 'static,
    first: impl FnOnce(&X, &Task, &Log) + Send + 'static,
    second: impl FnOnce(&X, &Task, &Log) + Send + 'static,
) -> Body {
    Box::new(move |current| {
        let shared = Arc::new(make(current));
        let (here, there) = ((Arc::clone(&shared), log.clone()), (shared, log));
        current.spawn("first", move |task| first(&here.0, task, &here.1));
        current.spawn("second", move |task| second(&there.0, task, &there.1));
    })
}

/// One holds a lock, the other tries it, and writes down whether it got it.
fn tries<S: StateMachine<Op = LockOp, Grant = bool>>(log: Log, fresh: fn() -> S) -> Body {
    let make = move |current: &Task| {
        let runtime = current.runtime();
        (Object::new(runtime, "lock", fresh()), Mutex::new(runtime, "other", ()))
    };
    let holds = |(lock, other): &(Arc<Object<S>>, Mutex<()>), task: &Task, _: &Log| {
        lock.perform(task, LockOp::Lock);
        lock.perform(task, LockOp::Unlock);
        drop(other.lock(task));
    };
    let tries = |(lock, other): &(Arc<Object<S>>, Mutex<()>), task: &Task, log: &Log| {
        let taken = lock.perform(task, LockOp::TryLock);
        if taken {
            lock.perform(task, LockOp::Unlock);
        }
        drop(other.lock(task));
        log.note("second", u64::from(taken));
    };
    two(log, make, holds, tries)
}

/// Both drop a reference, and write down whether it was the last.
fn puts<S: StateMachine<Op = RefOp, Grant = Option<u64>>>(log: Log, fresh: fn() -> S) -> Body {
    let make = move |current: &Task| Object::new(current.runtime(), "references", fresh());
    let body = |name: &'static str| {
        move |references: &Arc<Object<S>>, task: &Task, log: &Log| {
            let last = references.perform(task, RefOp::Put) == Some(0);
            log.note(name, u64::from(last));
        }
    };
    two(log, make, body("first"), body("second"))
}

/// A unit is given back after something was written, but there is another one.
fn units<S: StateMachine<Op = SemaphoreOp, Grant = bool>>(log: Log, fresh: fn() -> S) -> Body {
    let make = move |current: &Task| {
        let runtime = current.runtime();
        (Object::new(runtime, "units", fresh()), Mutex::new(runtime, "other", ()), Variable::new(runtime, "flag", 0))
    };
    type Shared<S> = (Arc<Object<S>>, Mutex<()>, Variable);
    let gives = |(units, other, flag): &Shared<S>, task: &Task, _: &Log| {
        let held = other.lock(task);
        flag.set(1);
        drop(held);
        units.perform(task, SemaphoreOp::Up);
    };
    let takes = |(units, _, flag): &Shared<S>, task: &Task, log: &Log| {
        units.perform(task, SemaphoreOp::Down);
        log.note("second", flag.get());
    };
    two(log, make, gives, takes)
}

/// Both write a word and look at it later.
fn words(log: Log, reports: bool) -> Body {
    use std::sync::atomic::{AtomicU64, Ordering};
    let make = |current: &Task| (Variable::new(current.runtime(), "word", 0), AtomicU64::new(0));
    let body = move |name: &'static str, word: u64| {
        move |(reported, silent): &(Variable, AtomicU64), task: &Task, log: &Log| {
            task.choose("the only way", 1);
            if reports {
                reported.set(word)
            } else {
                silent.store(word, Ordering::Relaxed)
            }
            task.choose("the only way", 1);
            log.note(name, if reports { reported.get() } else { silent.load(Ordering::Relaxed) });
        }
    };
    two(log, make, body("first", 1), body("second", 2))
}

#[test]
fn what_playing_cannot_catch_is_caught_by_searching() {
    let same = |make: exhaustive::Make<'_>| matches!(searched(make), Ok(Compared::Same { ends: 2.., .. }));
    assert!(same(&|log| tries(log, LockState::<Sleeping>::default)));
    assert!(same(&|log| puts(log, || RefState::new(2))));
    assert!(searched(&|log| puts(log, || Bent::<LastLooksLikeAny>(RefState::new(2)))).is_err());
    assert!(searched(&|log| tries(log, || Bent::<TryingIsTaking>(LockState::default()))).is_err());
    assert!(same(&|log| units(log, || SemaphoreState::new(1))));
    assert!(searched(&|log| units(log, || Bent::<OwnedUnits>(SemaphoreState::new(1)))).is_err());
    assert!(same(&|log| words(log, true)));
    assert!(searched(&|log| words(log, false)).is_err());
}
