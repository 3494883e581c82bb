//! Snapshots on damaged stores: whatever byte of header, areas or data is wrong, the snapshot is refused or works as far as
//! it can; nothing panics, nothing goes on for ever, nothing is left behind.
//!
//! A store is a list of areas at fixed places, so that the only way to go on for ever is a list that nothing ends: the end
//! of the device does.
//! Not here: stores alone (`stores.rs`), what is said of the damage (`dmlab cow inspect`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmlab_engine::block::{BioFlags, BioOp, BioVec, Buffer, Device, Opf};
use dmlab_engine::dm::io_client::{IoClient, IoRequest, Region};
use dmlab_engine::machine::Machine;
use dmlab_engine::sched::{Outcome, Task};
use dmlab_engine::stores::format::{Exception, FIRST_FREE, Geometry, Header};
use dmlab_engine::variants::Variants;
use dmlab_units::{Sectors, Seed};
use support::explore_once;

/// Sectors of the COW device; chunks are one sector, so that an area has 32 exceptions.
const COW: u64 = 160;
const ORIGIN: u64 = 128;
/// Sectors that the loader reads: the header, two full areas and a begun one.
const READ: [u64; 4] = [0, 1, 34, 67];
/// Stores with several bytes changed, anywhere.
const RANDOM_STORES: u64 = 1_500;

fn image() -> Vec<u8> {
    let geometry = Geometry::new(1).unwrap();
    let mut image = vec![0xa5; COW as usize * 512];
    for sector in READ {
        image[sector as usize * 512..][..512].fill(0);
    }
    image[..16].copy_from_slice(&Header::new(true, 1).encode());
    let mut new_chunk = FIRST_FREE;
    for number in 0..70 {
        let area = geometry.area_chunk(number / 32).unwrap() as usize * 512;
        Exception { old_chunk: number, new_chunk }.encode(&mut image[area..area + 512], number as usize % 32);
        new_chunk = geometry.skip_metadata(new_chunk + 1);
    }
    image
}

/// Carries out I/O, which may fail.
fn io(current: &Task, machine: &Machine, device: &Arc<Device>, op: BioOp, sector: u64, buffer: &Arc<Buffer>) -> bool {
    let client = IoClient::new(current, machine.core(), "test");
    let region = Region { dev: Arc::clone(device), sector: Sectors(sector), count: Sectors(buffer.len().0 / 512) };
    let memory = Some(BioVec::new(Arc::clone(buffer)));
    client.run(current, &IoRequest { opf: Opf::new(op, BioFlags::empty()), memory }, &[region]).is_ok()
}

/// Makes a snapshot on this store, reads all of it, writes to it, and removes it; whether it was not refused.
fn use_store(current: &Task, image: &[u8]) -> bool {
    let machine = Machine::new(current, Variants::default(), false);
    let origin = machine.add_ramdisk(current, "o", Sectors(ORIGIN));
    let cow = machine.add_ramdisk(current, "c", Sectors(COW));
    let buffer = Buffer::zeroed(Sectors(COW));
    buffer.with(current, |bytes| bytes.copy_from_slice(image));
    assert!(io(current, &machine, &cow, BioOp::Write, 0, &buffer), "a ramdisk does not fail");
    let snap = machine.dm().create(current, "s").unwrap();
    let line = format!("0 {ORIGIN} snapshot {} {} P 1", origin.id(), cow.id());
    let loaded = machine.dm().load(current, "s", &[line]).is_ok();
    if loaded {
        machine.dm().resume(current, "s").unwrap();
        let buffer = Buffer::zeroed(Sectors(ORIGIN));
        io(current, &machine, &snap, BioOp::Read, 0, &buffer);
        io(current, &machine, &snap, BioOp::Write, 64, &Buffer::zeroed(Sectors(16)));
        machine.dm().status(current, "s", false).unwrap();
    }
    machine.dm().remove(current, "s").unwrap();
    assert_eq!(machine.check_at_rest(current), Ok(()));
    loaded
}

/// Whether the store was not refused. A run that does not come to its end within the limit on steps fails.
fn survives(image: Vec<u8>, what: &str) -> bool {
    let loaded = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&loaded);
    let run = explore_once(move |current| {
        count.fetch_add(u64::from(use_store(current, &image)), Ordering::SeqCst);
    });
    assert_eq!(run.outcome, Outcome::Finished, "{what}");
    loaded.load(Ordering::SeqCst) == 1
}

#[test]
fn any_byte_that_the_loader_reads_may_be_wrong() {
    let intact = image();
    assert!(survives(intact.clone(), "intact"));
    let (mut stores, mut loaded) = (0, 0);
    for sector in READ {
        for place in 0..if sector == 0 { 16 } else { 512 } {
            let mut image = intact.clone();
            let byte = &mut image[sector as usize * 512 + place];
            *byte = [!*byte, 0xff, byte.wrapping_add(1), *byte ^ 0x80][place % 4];
            stores += 1;
            loaded += u64::from(survives(image, &format!("sector {sector}, byte {place}")));
        }
    }
    println!("{stores} stores with one wrong byte, of which {loaded} could be used");
    assert!(loaded > stores / 2 && loaded < stores, "{loaded} of {stores}");
}

#[test]
fn several_bytes_anywhere_may_be_wrong_data_included() {
    let intact = image();
    let mut rng = Seed(17).rng();
    let mut loaded = 0;
    for number in 0..RANDOM_STORES {
        let mut image = intact.clone();
        for _ in 0..=rng.below(8) {
            // Half of them where the loader looks: it is a small part of the store.
            let sector = if rng.below(2) == 0 { READ[rng.below(4) as usize] } else { rng.below(COW) };
            let place = rng.below(if sector == 0 { 16 } else { 512 }) as usize;
            image[sector as usize * 512 + place] = rng.below(256) as u8;
        }
        loaded += u64::from(survives(image, &format!("store {number}")));
    }
    println!("{RANDOM_STORES} stores with wrong bytes, of which {loaded} could be used");
    assert!(loaded > RANDOM_STORES / 4 && loaded < RANDOM_STORES, "{loaded}");
}

#[test]
fn a_list_that_nothing_ends_ends_with_the_device() {
    for byte in [0x01, 0x7f, 0xff] {
        let mut image = image();
        image[512..].fill(byte);
        assert!(!survives(image, "every area is full"), "areas beyond the end cannot be read");
    }
}
