//! Property tests of the mempool's state machine against a small reference model.
//!
//! Not here: the mempool under the two drivers (`engine/tests`).

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sched::Frame;

const TASKS: u32 = 4;

fn site(task: u32) -> Site {
    Site { task: TaskId(task), frame: Frame::root(), at: std::panic::Location::caller() }
}

/// Fails the attempts whose place in the script says so, over and over.
#[derive(Clone, Debug)]
struct Script {
    fails: Vec<bool>,
    permanent: bool,
}

impl Script {
    const fn dead() -> Self {
        Self { fails: Vec::new(), permanent: true }
    }
}

impl Allocator for Script {
    fn fails(&self, event: u64) -> bool {
        self.fails.get(event as usize % self.fails.len().max(1)).copied().unwrap_or(true)
    }

    fn is_permanent(&self) -> bool {
        self.permanent
    }
}

#[derive(Clone, Debug)]
enum Do {
    Alloc(Gfp, bool),
    Free(usize),
    SetAllocator(Option<Script>),
    TimeOut,
}

fn op() -> impl Strategy<Value = Do> {
    let script = (vec(prop::bool::weighted(0.7), 0..6), prop::bool::ANY)
        .prop_map(|(fails, permanent)| Script { fails, permanent });
    prop_oneof![
        4 => Just(Do::Alloc(Gfp::NoIo, false)),
        1 => Just(Do::Alloc(Gfp::NoIo, true)),
        2 => Just(Do::Alloc(Gfp::NoWait, false)),
        5 => (0..99_usize).prop_map(Do::Free),
        1 => proptest::option::of(script).prop_map(Do::SetAllocator),
        1 => Just(Do::TimeOut)
    ]
}

/// What `mempool_alloc` must do, spelt out from dm-spec §1.2.
#[derive(Debug, PartialEq, Eq)]
enum Alloc {
    Element,
    Null,
    Sleeps(Wait),
}

struct Model {
    reserve_max: u64,
    reserve: u64,
    in_use: u64,
    events: u64,
    failures: u64,
    allocator: Option<Script>,
    waiters: VecDeque<u32>,
}

impl Model {
    fn allocator_gives(&mut self) -> bool {
        let fails = self.allocator.as_ref().is_some_and(|allocator| allocator.fails(self.events));
        // How often one that is said never to recover was asked is not counted.
        self.events += u64::from(self.allocator.as_ref().is_none_or(|allocator| !allocator.permanent));
        self.failures += u64::from(fails);
        !fails
    }

    fn alloc(&mut self, gfp: Gfp, again: bool) -> Alloc {
        let without_waiting = self.allocator_gives();
        let from_reserve = !without_waiting && self.reserve > 0;
        self.reserve -= u64::from(from_reserve);
        // After a sleep, the one try was made with waiting already.
        let with_waiting = gfp == Gfp::NoIo && !again;
        let found = without_waiting || from_reserve || (with_waiting && self.allocator_gives());
        self.in_use += u64::from(found);
        let permanent = self.allocator.as_ref().is_some_and(|allocator| allocator.permanent);
        match (found, gfp) {
            (true, _) => Alloc::Element,
            (false, Gfp::NoWait) => Alloc::Null,
            (false, Gfp::NoIo) if permanent => Alloc::Sleeps(Wait { timeout: None, idle: false }),
            (false, Gfp::NoIo) => Alloc::Sleeps(Wait { timeout: Some(Nanos::secs(5)), idle: false }),
        }
    }
}

proptest! {
    #[test]
    fn a_pool_does_what_the_specification_says(reserve in 0..4_u64, steps in vec((0..TASKS, op()), 1..150)) {
        let mut state = PoolState::new(reserve);
        let mut model = Model {
            reserve_max: reserve,
            reserve,
            in_use: 0,
            events: 0,
            failures: 0,
            allocator: None,
            waiters: VecDeque::new(),
        };
        let mut elements = Vec::new();
        for (task, op) in steps {
            let (mut wakes, mut woken) = (Wakes::new(), Vec::new());
            let waits = model.waiters.contains(&task);
            match op {
                Do::Alloc(gfp, again) if !waits => {
                    let found = match state.apply(site(task), PoolOp::Alloc { gfp, again, fails: None }, &mut wakes) {
                        Step::Granted(PoolGrant::Element(element)) => {
                            elements.push(element);
                            Alloc::Element
                        }
                        Step::Granted(PoolGrant::Null) => Alloc::Null,
                        Step::Granted(PoolGrant::Again) => panic!("an allocation starts over only after a wait"),
                        Step::Wait(wait) => {
                            model.waiters.push_back(task);
                            Alloc::Sleeps(wait)
                        }
                    };
                    prop_assert_eq!(found, model.alloc(gfp, again));
                }
                Do::Free(which) if !elements.is_empty() => {
                    let element = elements.swap_remove(which % elements.len());
                    let step = state.apply(site(task), PoolOp::Free(element), &mut wakes);
                    prop_assert_eq!(step, Step::Granted(PoolGrant::Null));
                    if let Some(waiter) = model.waiters.pop_front() {
                        woken.push(TaskId(waiter));
                        let PoolGrant::Element(element) = state.collect(TaskId(waiter)) else {
                            panic!("what was freed goes to the longest waiter");
                        };
                        elements.push(element);
                    } else {
                        model.in_use -= 1;
                        model.reserve = (model.reserve + 1).min(model.reserve_max);
                    }
                }
                Do::SetAllocator(script) => {
                    let allocator = script.clone().map(|script| Arc::new(script) as Arc<dyn Allocator>);
                    model.allocator = script;
                    state.apply(site(TASKS), PoolOp::SetAllocator(allocator), &mut wakes);
                    woken.extend(model.waiters.drain(..).map(TaskId));
                    for waiter in &woken {
                        prop_assert_eq!(state.collect(*waiter), PoolGrant::Again);
                    }
                }
                Do::TimeOut if waits => {
                    prop_assert_eq!(state.time_out(TaskId(task)), Some(PoolGrant::Again));
                    model.waiters.retain(|waiter| *waiter != task);
                }
                _ => continue,
            }
            prop_assert_eq!(wakes.to_vec(), woken);
            let PoolStats { in_use, slab_failures, peak, .. } = state.stats();
            prop_assert_eq!((in_use, slab_failures), (model.in_use, model.failures));
            prop_assert_eq!((state.reserve, in_use), (model.reserve, elements.len() as u64));
            prop_assert!(peak >= in_use);
            prop_assert_eq!(state.holders(TaskId(0)).len(), elements.len());
            let at_rest = elements.is_empty() && state.reserve == reserve && model.waiters.is_empty();
            prop_assert_eq!(state.at_rest(), at_rest);
        }
        prop_assert!(state.granted.is_empty());
    }

    #[test]
    fn under_a_dead_allocator_the_reserve_is_conserved_and_everybody_gets_his_turn(
        reserve in 1..4_u64,
        steps in vec((0..TASKS, prop::bool::ANY), 1..100),
    ) {
        let mut state = PoolState::new(reserve);
        let mut wakes = Wakes::new();
        state.apply(site(0), PoolOp::SetAllocator(Some(Arc::new(Script::dead()))), &mut wakes);
        let (mut held, mut waiters) = (VecDeque::<Element>::new(), VecDeque::new());
        for (task, takes) in steps {
            if waiters.contains(&task) {
                continue;
            }
            wakes.clear();
            if takes {
                let had = state.reserve;
                match state.apply(site(task), PoolOp::Alloc { gfp: Gfp::NoIo, again: false, fails: None }, &mut wakes) {
                    Step::Granted(PoolGrant::Element(element)) => held.push_back(element),
                    Step::Granted(_) => panic!("with direct reclaim an allocation never fails"),
                    Step::Wait(wait) => {
                        prop_assert_eq!((had, wait), (0, Wait::FOREVER));
                        waiters.push_back(task);
                    }
                }
            } else if let Some(element) = held.pop_front() {
                state.apply(site(task), PoolOp::Free(element), &mut wakes);
            }
            prop_assert_eq!(state.reserve + state.stats().in_use, reserve);
            for task in &wakes {
                prop_assert_eq!(Some(task.0), waiters.pop_front());
                let PoolGrant::Element(element) = state.collect(*task) else { panic!("a freed element") };
                held.push_back(element);
            }
        }
        // When everything is given back, nobody is left.
        while let Some(element) = held.pop_front() {
            wakes.clear();
            state.apply(site(0), PoolOp::Free(element), &mut wakes);
            for task in &wakes {
                prop_assert_eq!(Some(task.0), waiters.pop_front());
                let PoolGrant::Element(element) = state.collect(*task) else { panic!("a freed element") };
                held.push_back(element);
            }
        }
        prop_assert!(waiters.is_empty());
        prop_assert!(state.at_rest());
    }
}

#[test]
fn a_grant_that_crosses_with_the_timeout_is_kept() {
    let (mut state, mut wakes) = (PoolState::new(1), Wakes::new());
    let failing = Script { fails: vec![true], permanent: false };
    state.apply(site(0), PoolOp::SetAllocator(Some(Arc::new(failing))), &mut wakes);
    let Step::Granted(PoolGrant::Element(element)) =
        state.apply(site(1), PoolOp::Alloc { gfp: Gfp::NoIo, again: false, fails: None }, &mut wakes)
    else {
        panic!("the reserve is not empty")
    };
    let wait = Wait::at_most(MEMPOOL_RETRY);
    assert_eq!(
        state.apply(site(2), PoolOp::Alloc { gfp: Gfp::NoIo, again: false, fails: None }, &mut wakes),
        Step::Wait(wait)
    );
    state.apply(site(1), PoolOp::Free(element), &mut wakes);
    assert_eq!(wakes.to_vec(), [TaskId(2)]);
    assert_eq!(state.time_out(TaskId(2)), None);
    assert!(matches!(state.collect(TaskId(2)), PoolGrant::Element(_)));
}

#[test]
fn an_allocation_without_direct_reclaim_tries_once_and_does_not_sleep() {
    let (mut state, mut wakes) = (PoolState::new(0), Wakes::new());
    // The second attempt would succeed.
    let script = Script { fails: vec![true, false], permanent: false };
    state.apply(site(0), PoolOp::SetAllocator(Some(Arc::new(script.clone()))), &mut wakes);
    assert_eq!(
        state.apply(site(1), PoolOp::Alloc { gfp: Gfp::NoWait, again: false, fails: None }, &mut wakes),
        Step::Granted(PoolGrant::Null)
    );
    assert_eq!(state.stats().slab_failures, 1);
    let mut state = PoolState::new(0);
    state.apply(site(0), PoolOp::SetAllocator(Some(Arc::new(script))), &mut wakes);
    let step = state.apply(site(1), PoolOp::Alloc { gfp: Gfp::NoIo, again: false, fails: None }, &mut wakes);
    assert!(matches!(step, Step::Granted(PoolGrant::Element(_))), "direct reclaim found memory");
    // Attempt 2 of the script fails again: a try after a sleep asks once.
    let step = state.apply(site(1), PoolOp::Alloc { gfp: Gfp::NoIo, again: true, fails: None }, &mut wakes);
    assert_eq!((step, state.stats().slab_failures), (Step::Wait(Wait::at_most(MEMPOOL_RETRY)), 2));
}

#[test]
#[should_panic(expected = "an element is freed once")]
fn freeing_an_element_twice_is_a_panic() {
    let (mut state, mut wakes) = (PoolState::new(1), Wakes::new());
    state.apply(site(1), PoolOp::Alloc { gfp: Gfp::NoIo, again: false, fails: None }, &mut wakes);
    state.apply(site(1), PoolOp::Free(Element(0)), &mut wakes);
    state.apply(site(1), PoolOp::Free(Element(0)), &mut wakes);
}
