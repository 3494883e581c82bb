//! What a dm level costs: one 4 KiB bio through 0 to 6 linear devices over a null device, on one core of the threads
//! runtime. Level 0 is the baseline; the cost of a level is the difference to the row above.
//!
//! `cargo bench -p dmlab --bench stacking`

mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dmlab_engine::machine::Machine;
use dmlab_units::Sectors;

use support::{add_dm, on_threads, submit_repeatedly, variants};

const LEVELS: u32 = 6;
const CAPACITY: Sectors = Sectors(1 << 20);

fn stacking(criterion: &mut Criterion) {
    for split in ["loop", "depth-first", "trim"] {
        let mut group = criterion.benchmark_group(format!("4KiB bio, linear over null, {split}"));
        for levels in 0..=LEVELS {
            group.bench_with_input(BenchmarkId::from_parameter(levels), &levels, |bencher, &levels| {
                let variants = variants(&[("split", split), ("gmr", "sorted")]);
                bencher.iter_custom(|iterations| {
                    on_threads(move |current| {
                        let machine = Machine::new(current, variants, false);
                        let mut top = machine.add_null(current, "n", CAPACITY);
                        for level in 0..levels {
                            let line = format!("0 {CAPACITY} linear {} 0", top.id());
                            top = add_dm(current, &machine, &format!("l{level}"), &[line]);
                        }
                        submit_repeatedly(current, &top, Sectors(8), iterations)
                    })
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, stacking);
criterion_main!(benches);
