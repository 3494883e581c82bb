//! Random small programs over all primitives: every combination of reductions finds the same ends as a plain enumeration.
//!
//! Verified: ends as tasks saw them and states at the end. A program that does not agree is made as small as it can be
//! before it is told of. Not here: models with a purpose (`search_modes.rs`).

mod exhaustive;

use dmlab_engine::sched::digest::Statistics;
use dmlab_engine::sched::explorer::search::SearchOptions;

use exhaustive::program::{Draw, Program};
use exhaustive::{Compared, compare, plain};

fn check(program: &Program, runs_max: u64, shards: &[u64]) -> Result<Compared, String> {
    // A program decides by itself how it is searched, so that a smaller one is searched in the same way.
    let special = program.units[0] == 1;
    let all = Statistics { peaks: true, counts: true };
    let statistics = if special && program.active[0] == 1 { all } else { Statistics::NONE };
    let timers_any = special && program.active[0] == 2;
    let base = SearchOptions { statistics, timers_any, ..plain() };
    compare(&|log| program.body(log), &base, runs_max, &[1], shards)
}

/// Programs drawn from these seeds agree, but for those with more than `runs_max` schedules; how many of them could be
/// compared, and how many ends they have.
fn agree(seeds: std::ops::Range<u64>, runs_max: u64, shards: &[u64]) -> (u64, usize) {
    let mut compared = (0, 0);
    for seed in seeds {
        let program = Draw(seed).program();
        match check(&program, runs_max, shards) {
            Ok(Compared::Same { ends, .. }) => compared = (compared.0 + 1, compared.1 + ends),
            Ok(_) => {}
            Err(_) => {
                let small = program.shrink(|program| check(program, runs_max, shards).is_err());
                panic!("seed {seed}: {small:?}\n{}", check(&small, runs_max, shards).unwrap_err());
            }
        }
    }
    compared
}

#[test]
fn random_programs_have_the_same_ends_however_they_are_searched() {
    let (programs, ends) = agree(0..600, 600, &[]);
    assert!(programs > 400 && ends > programs as usize, "{programs} programs, {ends} ends");
    agree(1_000_000..1_000_100, 200, &[2, 3]);
}
