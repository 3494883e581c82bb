//! What splitting costs: a 1 MiB bio over a null device, cut into 4 KiB and 64 KiB pieces by a table of that many linear
//! targets, under each split and submission variant. `loop` over the same submission is the baseline.
//!
//! The reserve is large enough that no variant ever waits. `cargo bench -p dmlab --bench splitting`

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmlab_engine::machine::Machine;
use dmlab_units::{Bytes, Sectors};

use support::{add_dm, on_threads, submit_repeatedly, variants};

const WHOLE: Sectors = Sectors(2048);

fn splitting(criterion: &mut Criterion) {
    for piece in [Bytes::kib(4), Bytes::kib(64)] {
        let sectors = Sectors::from_bytes(piece).expect("whole sectors");
        let mut group = criterion.benchmark_group(format!("1MiB bio into {piece} pieces"));
        group.throughput(Throughput::Elements(WHOLE.0 / sectors.0));
        for gmr in ["recurse", "fifo", "sorted"] {
            for split in ["loop", "depth-first", "clone-is-remainder", "trim"] {
                let id = BenchmarkId::new(gmr, split);
                group.bench_function(id, |bencher| {
                    let variants = variants(&[("split", split), ("gmr", gmr)]);
                    bencher.iter_custom(|iterations| {
                        on_threads(move |current| {
                            let machine = Machine::new(current, variants, false);
                            let null = machine.add_null(current, "n", WHOLE);
                            let line = |start| format!("{start} {sectors} linear {} {start}", null.id());
                            let lines: Vec<String> = (0..WHOLE.0).step_by(sectors.0 as usize).map(line).collect();
                            let top = add_dm(current, &machine, "t", &lines);
                            submit_repeatedly(current, &top, WHOLE, iterations)
                        })
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, splitting);
criterion_main!(benches);
