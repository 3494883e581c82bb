//! Small random programs over all primitives, for comparing ways to search.
//!
//! Invariants: a program is data and prints as such; what a task sees goes to the log under its own name; sections are
//! nested, so that nothing is given back twice.
//! Not here: what is done with programs.

use std::fmt::Write as _;
use std::sync::Arc;

use dmlab_engine::sched::digest::Content;
use dmlab_engine::sched::{Digest, Task};
use dmlab_engine::sync::mempool::Element;
use dmlab_engine::sync::{
    Allocator, Completion, Confided, Count, Gfp, Mempool, Mutex, RefCount, RwSem, Semaphore, SpinSection, Srcu,
    Variable, WaitQueue, Work, Workqueue, WqFlags,
};
use dmlab_units::Nanos;

use super::{Body, Log};

/// One thing that a task does. The first number is that of an object of its kind.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    Lock(u8, Vec<Do>),
    TryLock(u8, Vec<Do>),
    Read(u8, Vec<Do>),
    Write(u8, Vec<Do>),
    Down(u8),
    DownTry(u8),
    Up(u8),
    Count(u8),
    Section(u8),
    Push(u8),
    Pop(u8),
    Get(u8),
    Set(u8, u64),
    Add(u8),
    AtMost(u8, u64),
    Look(u8),
    Change(u8),
    Wait(u8),
    Complete(u8),
    CompleteAll(u8),
    WaitEvent(u8),
    WaitEventTimeout(u8),
    WakeUp(u8),
    WakeUpAll(u8),
    RefGet(u8),
    RefPut(u8),
    ReadWith(u8, Vec<Do>),
    Publish(u8, u64),
    Synchronize(u8),
    Alloc(u8, bool, Vec<Do>),
    Stash(u8, bool),
    FreeStashed(u8),
    SetAllocator(u8, u8),
    Queue(u8, u8),
    Poke(u8, u8),
    Flush(u8),
    Drain(u8),
    Choose(u8),
    Sleep(u64),
    Spawn(Vec<Do>),
}

/// Objects of each kind.
pub(crate) const EACH: usize = 2;

/// What objects are like, and what each task does.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Units of semaphores, 0 to 2.
    pub(crate) units: [u64; EACH],
    /// Allocators of the pools: 0 healthy, 1 failing for good, 2 failing at even events, 3 failing at the first three.
    pub(crate) allocators: [u8; EACH],
    /// Work items that may run at once, 1 or 2.
    pub(crate) active: [u32; EACH],
    /// Threads of the queues that cannot be started, from the first on.
    pub(crate) no_workers: [u64; EACH],
    /// What the work items do.
    pub(crate) works: Vec<Vec<Do>>,
    /// What the tasks do.
    pub(crate) tasks: Vec<Vec<Do>>,
    /// Data under locks, rather than nothing.
    pub(crate) data: bool,
}

struct Fails(u8);

impl Allocator for Fails {
    fn fails(&self, event: u64) -> bool {
        match self.0 {
            1 => true,
            2 => event.is_multiple_of(2),
            _ => event < 3,
        }
    }
    fn is_permanent(&self) -> bool {
        self.0 == 1
    }
}

pub(crate) fn allocator(number: u8) -> Option<Arc<dyn Allocator>> {
    (number > 0).then(|| Arc::new(Fails(number)) as Arc<dyn Allocator>)
}

/// Numbers of which a search is told what they are.
#[derive(Default)]
struct Stack(Vec<u64>);

impl Content for Stack {
    fn digest(&self, into: &mut Digest<'_>) {
        self.0.iter().for_each(|number| into.word(*number));
    }
}

struct World {
    plain_locks: [Mutex<()>; EACH],
    data_locks: [Mutex<u64>; EACH],
    plain_rws: [RwSem<()>; EACH],
    data_rws: [RwSem<u64>; EACH],
    semaphores: [Semaphore; EACH],
    counts: [SpinSection<u64>; EACH],
    tallies: [Count; EACH],
    sections: [SpinSection<Vec<u64>>; EACH],
    stacks: [SpinSection<Stack>; EACH],
    variables: [Variable; EACH],
    confided: [Confided<u64>; EACH],
    completions: [Completion; EACH],
    queues: [WaitQueue; EACH],
    refs: [RefCount; EACH],
    srcus: [Srcu<u64>; EACH],
    pools: [Mempool; EACH],
    stashes: [Confided<Vec<Element>>; EACH],
    workqueues: [Workqueue; EACH],
    data: bool,
    log: Log,
}

fn each<T>(what: &str, make: impl Fn(&str, usize) -> T) -> [T; EACH] {
    std::array::from_fn(|n| make(&format!("{what}{n}"), n))
}

impl Program {
    /// A root task that starts everything.
    pub(crate) fn body(&self, log: Log) -> Body {
        let program = self.clone();
        Box::new(move |current| {
            let runtime = current.runtime();
            let world = Arc::new(World {
                plain_locks: each("m", |name, _| Mutex::new(runtime, name, ())),
                data_locks: each("md", |name, _| Mutex::new(runtime, name, 0)),
                plain_rws: each("rw", |name, _| RwSem::new(runtime, name, ())),
                data_rws: each("rwd", |name, _| RwSem::new(runtime, name, 0)),
                semaphores: each("sem", |name, n| Semaphore::new(runtime, name, program.units[n])),
                counts: each("count", |name, _| SpinSection::new(runtime, name, 0)),
                tallies: each("tally", |name, _| Count::new(runtime, name)),
                sections: each("section", |name, _| SpinSection::new(runtime, name, Vec::new())),
                stacks: each("stack", |name, _| SpinSection::new(runtime, name, Stack::default())),
                variables: each("v", |name, _| Variable::new(runtime, name, 0)),
                confided: each("c", |name, _| Confided::new(runtime, name, 0)),
                completions: each("done", |name, _| Completion::new(runtime, name)),
                queues: each("wait", |name, _| WaitQueue::new(runtime, name)),
                refs: each("ref", |name, _| RefCount::new(runtime, name, 2)),
                srcus: each("srcu", |name, _| Srcu::new(runtime, name, 0)),
                pools: each("pool", |name, _| Mempool::new(runtime, name, 1)),
                stashes: each("stash", |name, _| Confided::new(runtime, name, Vec::new())),
                workqueues: each("wq", |name, n| {
                    let fails = program.no_workers[n];
                    let worker_fails =
                        (fails > 0).then(|| Arc::new(move |k| k < fails) as Arc<dyn Fn(u64) -> bool + Send + Sync>);
                    Workqueue::new(
                        runtime,
                        name,
                        WqFlags { max_active: program.active[n], mem_reclaim: n == 0, worker_fails },
                    )
                }),
                data: program.data,
                log,
            });
            for n in 0..EACH {
                if program.allocators[n] > 0 {
                    world.pools[n].set_allocator(current, allocator(program.allocators[n]));
                }
            }
            let works: Arc<Vec<Work>> = Arc::new(
                program
                    .works
                    .iter()
                    .enumerate()
                    .map(|(n, list)| {
                        let (world, list) = (Arc::clone(&world), list.clone());
                        Work::new(&format!("work{n}"), move |worker| {
                            world.log.note(worker.name(), 1000 + n as u64);
                            perform(&world, &Vec::new(), worker, worker.name(), &list);
                        })
                    })
                    .collect(),
            );
            for (n, list) in program.tasks.into_iter().enumerate() {
                let (world, works) = (Arc::clone(&world), Arc::clone(&works));
                let name = format!("t{n}");
                current.spawn(&name.clone(), move |task| perform(&world, &works, task, &name, &list));
            }
        })
    }
}

fn perform(world: &Arc<World>, works: &Vec<Work>, current: &Task, path: &str, list: &[Do]) {
    let note = |word: u64| world.log.note(path, word);
    let inner = |list: &[Do]| perform(world, works, current, path, list);
    let mut spawned = 0;
    for step in list {
        match step {
            Do::Lock(n, list) if world.data => {
                let mut guard = world.data_locks[*n as usize].lock(current);
                note(*guard);
                *guard += 1;
                inner(list);
            }
            Do::Lock(n, list) => {
                let _guard = world.plain_locks[*n as usize].lock(current);
                inner(list);
            }
            Do::TryLock(n, list) => {
                let guard = world.plain_locks[*n as usize].try_lock(current);
                note(u64::from(guard.is_some()));
                if guard.is_some() {
                    inner(list);
                }
            }
            Do::Read(n, list) if world.data => {
                let guard = world.data_rws[*n as usize].read(current);
                note(*guard);
                inner(list);
            }
            Do::Read(n, list) => {
                let _guard = world.plain_rws[*n as usize].read(current);
                inner(list);
            }
            Do::Write(n, list) if world.data => {
                let mut guard = world.data_rws[*n as usize].write(current);
                note(*guard);
                *guard += 1;
                inner(list);
            }
            Do::Write(n, list) => {
                let _guard = world.plain_rws[*n as usize].write(current);
                inner(list);
            }
            Do::Down(n) => world.semaphores[*n as usize].down(current),
            Do::DownTry(n) => note(u64::from(world.semaphores[*n as usize].down_trylock(current))),
            Do::Up(n) => world.semaphores[*n as usize].up(current),
            Do::Count(n) => note(u64::from(world.counts[*n as usize].with(current, |count| {
                *count += 1;
                *count % 2 == 0
            }))),
            Do::Section(n) => note(world.sections[*n as usize].with(current, |list| {
                list.push(u64::from(current.name().len() as u32) + list.len() as u64);
                list.len() as u64
            })),
            Do::Push(n) => {
                world.stacks[*n as usize].answer(current, |stack| stack.0.push(current.name().len() as u64));
            }
            Do::Pop(n) => note(world.stacks[*n as usize].answer(current, |stack| stack.0.pop()).unwrap_or(0)),
            Do::Get(n) => note(world.variables[*n as usize].get()),
            Do::Set(n, value) => world.variables[*n as usize].set(*value),
            Do::Add(n) => {
                let count = &world.tallies[*n as usize];
                note(u64::from(count.is_zero()));
                count.inc();
                count.dec(current);
            }
            Do::AtMost(n, limit) => {
                let count = &world.tallies[*n as usize];
                note(u64::from(count.looks_at_most(current, *limit)));
                count.inc();
            }
            Do::Look(n) => note(world.confided[*n as usize].look(current, |value| *value)),
            Do::Change(n) => note(world.confided[*n as usize].change(current, |value| {
                *value += 1;
                *value
            })),
            Do::Wait(n) => world.completions[*n as usize].wait(current),
            Do::Complete(n) => world.completions[*n as usize].complete(current),
            Do::CompleteAll(n) => world.completions[*n as usize].complete_all(current),
            Do::WaitEvent(n) => {
                world.queues[*n as usize]
                    .wait_event(current, || world.counts[*n as usize].with(current, |count| *count > 0));
            }
            Do::WaitEventTimeout(n) => {
                let condition = || world.counts[*n as usize].with(current, |count| *count > 0);
                note(u64::from(world.queues[*n as usize].wait_event_timeout(current, Nanos(10), condition)));
            }
            Do::WakeUp(n) => world.queues[*n as usize].wake_up(current),
            Do::WakeUpAll(n) => world.queues[*n as usize].wake_up_all(current),
            Do::RefGet(n) => world.refs[*n as usize].get(current),
            Do::RefPut(n) => note(u64::from(world.refs[*n as usize].put(current))),
            Do::ReadWith(n, list) => {
                let guard = world.srcus[*n as usize].read_lock(current);
                note(*guard);
                inner(list);
            }
            Do::Publish(n, value) => world.srcus[*n as usize].publish(current, *value),
            Do::Synchronize(n) => world.srcus[*n as usize].synchronize(current),
            Do::Alloc(n, waits, list) => {
                let gfp = if *waits { Gfp::NoIo } else { Gfp::NoWait };
                let element = world.pools[*n as usize].alloc(current, gfp);
                note(u64::from(element.is_some()));
                inner(list);
                if let Some(element) = element {
                    world.pools[*n as usize].free(current, element);
                }
            }
            Do::Stash(n, waits) => {
                let gfp = if *waits { Gfp::NoIo } else { Gfp::NoWait };
                let element = world.pools[*n as usize].alloc(current, gfp);
                note(u64::from(element.is_some()));
                world.stashes[*n as usize].change(current, |stash| stash.extend(element));
            }
            Do::FreeStashed(n) => {
                let element = world.stashes[*n as usize].change(current, Vec::pop);
                note(u64::from(element.is_some()));
                if let Some(element) = element {
                    world.pools[*n as usize].free(current, element);
                }
            }
            Do::SetAllocator(n, number) => world.pools[*n as usize].set_allocator(current, allocator(*number)),
            Do::Queue(n, work) => {
                if let Some(work) = works.get(*work as usize) {
                    note(u64::from(world.workqueues[*n as usize].queue(current, work)));
                }
            }
            Do::Poke(n, work) => {
                if let Some(work) = works.get(*work as usize) {
                    world.workqueues[*n as usize].poke(current, work);
                }
            }
            Do::Flush(n) => world.workqueues[*n as usize].flush(current),
            Do::Drain(n) => world.workqueues[*n as usize].drain(current),
            Do::Choose(options) => note(u64::from(current.choose("a way", u32::from(*options)))),
            Do::Sleep(time) => current.sleep(Nanos(*time)),
            Do::Spawn(list) => {
                let mut path = path.to_owned();
                let _ = write!(path, ".{spawned}");
                spawned += 1;
                let (world, works, list) = (Arc::clone(world), works.clone(), list.clone());
                current.spawn(&path.clone(), move |task| perform(&world, &works, task, &path, &list));
            }
        }
    }
}

/// Draws programs.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ word >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }

    fn list(&mut self, kinds: &[u8], length: u64, depth: u32) -> Vec<Do> {
        (0..length).map(|_| self.step(kinds, depth)).collect()
    }

    fn inside(&mut self, kinds: &[u8], depth: u32) -> Vec<Do> {
        let length = if depth == 0 { 0 } else { self.below(3) };
        self.list(kinds, length, depth.saturating_sub(1))
    }

    fn step(&mut self, kinds: &[u8], depth: u32) -> Do {
        let n = (self.below(3) / 2) as u8;
        let waits = self.below(2) == 0;
        match (kinds[self.below(kinds.len() as u64) as usize], self.below(4)) {
            (0, 3) => Do::TryLock(n, self.inside(kinds, depth)),
            (0, _) => Do::Lock(n, self.inside(kinds, depth)),
            (1, 0 | 1) => Do::Read(n, self.inside(kinds, depth)),
            (1, _) => Do::Write(n, self.inside(kinds, depth)),
            (2, 0 | 1) => Do::Down(n),
            (2, 2) => Do::DownTry(n),
            (2, _) => Do::Up(n),
            (3, 0) if waits => Do::Section(n),
            (3, 0) => Do::Push(n),
            (3, 1) if waits => Do::Pop(n),
            (3, _) => Do::Count(n),
            (4, 0 | 1) => Do::Get(n),
            (4, 2) => Do::Set(n, 7 + self.below(2)),
            (4, _) if waits => Do::Add(n),
            (4, _) => Do::AtMost(n, self.below(2)),
            (5, 0 | 1) => Do::Look(n),
            (5, _) => Do::Change(n),
            (6, 0 | 1) => Do::Wait(n),
            (6, 2) => Do::Complete(n),
            (6, _) if waits => Do::CompleteAll(n),
            (6, _) => Do::Complete(n),
            (7, 0) if waits => Do::WaitEventTimeout(n),
            (7, 0) => Do::WaitEvent(n),
            (7, 1) => Do::Count(n),
            (7, 2) => Do::WakeUp(n),
            (7, _) => Do::WakeUpAll(n),
            (8, 0) => Do::RefGet(n),
            (8, _) => Do::RefPut(n),
            (9, 0 | 1) => Do::ReadWith(n, self.inside(kinds, depth)),
            (9, 2) => Do::Publish(n, 1 + self.below(2)),
            (9, _) => Do::Synchronize(n),
            (10, 0 | 1) => Do::Alloc(n, waits, self.inside(kinds, depth)),
            (10, 2) => Do::Stash(n, waits),
            (10, _) if self.below(4) == 0 => Do::SetAllocator(n, self.below(4) as u8),
            (10, _) => Do::FreeStashed(n),
            (11, 0) => Do::Poke(n, self.below(2) as u8),
            (11, 1) => Do::Queue(n, self.below(2) as u8),
            (11, 2) => Do::Flush(n),
            (11, _) => Do::Drain(n),
            (12, 0) if waits => Do::Choose(2),
            (12, 0) => Do::Sleep(1 + self.below(2)),
            (12, _) => Do::Spawn(self.inside(kinds, depth)),
            (kind, _) => unreachable!("there is no kind {kind}"),
        }
    }

    /// A program of 2 or 3 tasks over 2 or 3 kinds of objects.
    pub(crate) fn program(&mut self) -> Program {
        let mut kinds: Vec<u8> = match self.below(4) {
            // Locks and what they should have guarded.
            0 => vec![0, self.below(4) as u8, 4],
            _ => (0..2 + self.below(2)).map(|_| self.below(13) as u8).collect(),
        };
        if self.below(2) == 0 {
            // What tasks share without a lock goes with everything.
            kinds.push(4 + self.below(2) as u8);
        }
        let tasks = 2 + self.below(2);
        let works = (0..2)
            .map(|_| {
                let length = self.below(2);
                let kinds: Vec<u8> = kinds.iter().copied().filter(|kind| *kind < 11).collect();
                if kinds.is_empty() { Vec::new() } else { self.list(&kinds, length, 0) }
            })
            .collect();
        Program {
            units: [self.below(3), self.below(2)],
            allocators: std::array::from_fn(|_| self.below(4) as u8),
            active: std::array::from_fn(|_| 1 + self.below(2) as u32),
            no_workers: std::array::from_fn(|_| self.below(3) / 2),
            works,
            tasks: (0..tasks)
                .map(|_| {
                    let length = 1 + self.below(if tasks == 2 { 4 } else { 3 });
                    self.list(&kinds, length, 1)
                })
                .collect(),
            data: self.below(2) == 0,
        }
    }
}

/// How many steps a list stands for.
fn weight(list: &[Do]) -> usize {
    list.iter().map(|step| 1 + inner(step).map_or(0, weight)).sum()
}

fn inner(step: &Do) -> Option<&[Do]> {
    match step {
        Do::Lock(_, list)
        | Do::TryLock(_, list)
        | Do::Read(_, list)
        | Do::Write(_, list)
        | Do::ReadWith(_, list)
        | Do::Alloc(_, _, list)
        | Do::Spawn(list) => Some(list),
        _ => None,
    }
}

/// Every list with one thing left out, or replaced by what is inside it.
fn smaller(list: &[Do]) -> Vec<Vec<Do>> {
    let mut all = Vec::new();
    for place in 0..list.len() {
        let (before, after) = (&list[..place], &list[place + 1..]);
        all.push([before, after].concat());
        if let Some(inside) = inner(&list[place]) {
            if !inside.is_empty() {
                all.push([before, inside, after].concat());
            }
            for inside in smaller(inside) {
                let mut step = list[place].clone();
                match &mut step {
                    Do::Lock(_, list)
                    | Do::TryLock(_, list)
                    | Do::Read(_, list)
                    | Do::Write(_, list)
                    | Do::ReadWith(_, list)
                    | Do::Alloc(_, _, list)
                    | Do::Spawn(list) => *list = inside,
                    _ => unreachable!("it has an inside"),
                }
                all.push([before, &[step], after].concat());
            }
        }
    }
    all
}

impl Program {
    /// How many things it does.
    pub(crate) fn weight(&self) -> usize {
        self.tasks.iter().chain(&self.works).map(|list| weight(list)).sum()
    }

    /// Programs that do one thing less.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for task in 0..self.tasks.len() {
            if self.tasks[task].is_empty() {
                let mut program = self.clone();
                program.tasks.remove(task);
                all.push(program);
            }
            for list in smaller(&self.tasks[task]) {
                let mut program = self.clone();
                program.tasks[task] = list;
                all.push(program);
            }
        }
        for work in 0..self.works.len() {
            for list in smaller(&self.works[work]) {
                let mut program = self.clone();
                program.works[work] = list;
                all.push(program);
            }
        }
        all
    }

    /// The smallest program of this kind that `fails`.
    pub(crate) fn shrink(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        while let Some(next) = self.smaller().into_iter().find(|program| fails(program)) {
            self = next;
        }
        self
    }
}
