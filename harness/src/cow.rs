//! [`inspect`]: what is in a persistent exception store, and what is wrong with it, read from any file or device.
//!
//! Says the same as the kernel would when it loads the store, and more: the kernel believes every number that it finds.
//! A store has no checksums, so damage shows only where numbers do not fit each other.
//!
//! Invariants: nothing is written; whatever the bytes are, reading ends (areas stand in ascending order within the size of
//! the device) and does not panic.
//! Not here: the format ([`dmlab_engine::stores::format`]), printing (the CLI).

use std::io::{self, Read, Seek, SeekFrom};

use dmlab_engine::stores::format::{
    Exception, FIRST_FREE, Geometry, HEADER_BYTES, Header, SNAP_MAGIC, SNAPSHOT_DISK_VERSION, check_chunk_size,
};

/// Problems that are told one by one.
const PROBLEMS_MAX: usize = 100;
const SECTOR_BYTES: u64 = 512;

/// What is in a store.
#[derive(Debug, Default, serde::Serialize)]
pub struct CowReport {
    /// Sectors of the file or device.
    pub sectors: u64,
    /// The header, if there is one.
    pub header: Option<CowHeader>,
    /// Areas that were read.
    pub areas: Vec<CowArea>,
    /// Exceptions in all of them.
    pub exceptions: u64,
    /// The first of these.
    pub list: Vec<CowException>,
    /// The chunk that would be handed out next.
    pub next_free: u64,
    /// Data chunks in front of it that no exception refers to: lost by a crash, or by a merge not yet at its end.
    pub unreferenced: u64,
    /// What is wrong, with the place.
    pub problems: Vec<String>,
}

/// The header, in words.
#[derive(Debug, serde::Serialize)]
pub struct CowHeader {
    /// Whether the snapshot can be used.
    pub valid: bool,
    /// Version of the format.
    pub version: u32,
    /// Sectors of a chunk.
    pub chunk_size: u32,
}

/// An area of exceptions.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct CowArea {
    /// Its number.
    pub number: u64,
    /// The chunk that it is.
    pub chunk: u64,
    /// Exceptions in it.
    pub used: u64,
    /// How many fit.
    pub of: u64,
}

/// An exception.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct CowException {
    /// Chunk of the origin.
    pub old_chunk: u64,
    /// Chunk of the store.
    pub new_chunk: u64,
}

impl CowReport {
    fn problem(&mut self, problem: String) {
        match self.problems.len() {
            n if n < PROBLEMS_MAX => self.problems.push(problem),
            PROBLEMS_MAX => self.problems.push(format!("more than {PROBLEMS_MAX} problems: the rest is not told")),
            _ => {}
        }
    }
}

/// Reads a store; at most `limit` exceptions are listed, all are counted and checked.
///
/// # Errors
/// When reading fails; a store that ends too early is a problem in the report, not an error.
pub fn inspect(store: &mut (impl Read + Seek), limit: u64) -> io::Result<CowReport> {
    let bytes = store.seek(SeekFrom::End(0))?;
    let mut report = CowReport { sectors: bytes / SECTOR_BYTES, next_free: FIRST_FREE, ..CowReport::default() };
    if bytes < HEADER_BYTES as u64 {
        report.problem(format!("{bytes} bytes are too few for a header of {HEADER_BYTES}"));
        return Ok(report);
    }
    let header = read_at(store, 0, HEADER_BYTES)?;
    let Some(header) = Header::decode(&header) else { return Ok(report) };
    if header.magic == 0 {
        report.problem("no store: the magic is 0, and a snapshot would make a new store here".to_owned());
        return Ok(report);
    }
    if header.magic != SNAP_MAGIC {
        let (magic, wanted) = (header.magic, SNAP_MAGIC);
        report.problem(format!("byte 0: the magic is {magic:#010x} instead of {wanted:#010x} (\"SnAp\")"));
        return Ok(report);
    }
    let Header { valid, version, chunk_size, .. } = header;
    report.header = Some(CowHeader { valid: valid != 0, version, chunk_size });
    if valid > 1 {
        report.problem(format!("byte 4: valid is {valid}; written are 0 and 1"));
    }
    if valid == 0 {
        report.problem("byte 4: the snapshot was invalidated; it cannot be used again".to_owned());
    }
    if version != SNAPSHOT_DISK_VERSION {
        report.problem(format!("byte 8: version {version}; known is {SNAPSHOT_DISK_VERSION}"));
        return Ok(report);
    }
    match Geometry::new(chunk_size) {
        Ok(geometry) => areas(store, geometry, limit, &mut report)?,
        Err(_) => {
            let wrong = check_chunk_size(chunk_size).err().unwrap_or_default();
            report.problem(format!("byte 12: chunk size {chunk_size}: {wrong}"));
        }
    }
    Ok(report)
}

fn read_at(store: &mut (impl Read + Seek), at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    store.seek(SeekFrom::Start(at))?;
    store.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads areas until one is not full.
fn areas(store: &mut (impl Read + Seek), geometry: Geometry, limit: u64, report: &mut CowReport) -> io::Result<()> {
    let chunks = report.sectors / geometry.chunk_sectors();
    let of = geometry.exceptions_per_area() as u64;
    let mut exceptions: Vec<Exception> = Vec::new();
    for number in 0.. {
        let Some(chunk) = geometry.area_chunk(number).filter(|chunk| *chunk < chunks) else {
            report.problem(format!(
                "area {number} lies beyond the end (chunk {chunks}): the area before it is full, and nothing ends the list"
            ));
            break;
        };
        let area = read_at(store, chunk * geometry.chunk_bytes() as u64, geometry.chunk_bytes())?;
        let first = exceptions.len();
        exceptions.extend(Exception::list(&area));
        let used = (exceptions.len() - first) as u64;
        report.areas.push(CowArea { number, chunk, used, of });
        for (index, exception) in exceptions[first..].iter().enumerate() {
            if let Some(wrong) = misplaced(*exception, geometry, chunks) {
                report.problem(format!("area {number}, exception {index}: {wrong}"));
            }
        }
        if used < of {
            let behind = area[used as usize * 16..].iter().position(|byte| *byte != 0);
            if let Some(behind) = behind {
                let index = used + behind as u64 / 16;
                report.problem(format!(
                    "area {number}, exception {used} ends the list, but exception {index} is not zero: nothing is written \
                     behind the end"
                ));
            }
            break;
        }
    }
    report.exceptions = exceptions.len() as u64;
    let listed = exceptions.iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
    report.list = listed.map(|e| CowException { old_chunk: e.old_chunk, new_chunk: e.new_chunk }).collect();
    let next_free = exceptions.iter().fold(FIRST_FREE, |next, exception| geometry.next_free(next, *exception));
    report.next_free = geometry.skip_metadata(next_free);
    twice(&mut exceptions, |e| e.old_chunk, "chunk of the origin", report);
    let distinct = twice(&mut exceptions, |e| e.new_chunk, "chunk of the store", report);
    let metadata =
        (0..).map_while(|number| geometry.area_chunk(number)).take_while(|chunk| *chunk < next_free.min(chunks));
    let data = next_free.min(chunks).saturating_sub(1).saturating_sub(metadata.count() as u64);
    report.unreferenced = data.saturating_sub(distinct);
    Ok(())
}

/// Why an exception's data cannot be where it says.
fn misplaced(exception: Exception, geometry: Geometry, chunks: u64) -> Option<String> {
    let Exception { old_chunk, new_chunk } = exception;
    if new_chunk >= chunks {
        return Some(format!("chunk {old_chunk} went to chunk {new_chunk}, but the store ends with chunk {chunks}"));
    }
    let metadata = geometry.is_metadata(new_chunk);
    metadata.then(|| format!("chunk {old_chunk} went to chunk {new_chunk}, which holds an area of exceptions"))
}

/// Tells which numbers stand in several exceptions; how many different ones there are. Sorts the list.
fn twice(list: &mut [Exception], number: fn(&Exception) -> u64, what: &str, report: &mut CowReport) -> u64 {
    list.sort_unstable_by_key(number);
    let mut distinct = 0;
    for same in list.chunk_by(|one, other| number(one) == number(other)) {
        distinct += 1;
        if same.len() > 1 {
            report.problem(format!("{what} {} stands in {} exceptions", number(&same[0]), same.len()));
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use dmlab_units::Seed;

    use super::*;

    /// Chunks of one sector, `count` exceptions in the order of their places, on 160 sectors.
    fn image(count: u64) -> Vec<u8> {
        let geometry = Geometry::new(1).unwrap();
        let mut image = vec![0; 160 * 512];
        image[..HEADER_BYTES].copy_from_slice(&Header::new(true, 1).encode());
        let mut new_chunk = FIRST_FREE;
        for number in 0..count {
            let area = geometry.area_chunk(number / 32).unwrap() as usize * 512;
            Exception { old_chunk: number * 3, new_chunk }.encode(&mut image[area..area + 512], number as usize % 32);
            new_chunk = geometry.skip_metadata(new_chunk + 1);
        }
        image
    }

    fn report(image: Vec<u8>) -> CowReport {
        inspect(&mut Cursor::new(image), 2).unwrap()
    }

    fn only_problem(change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut image = image(40);
        change(&mut image);
        let problems = report(image).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.into_iter().next().unwrap()
    }

    #[test]
    fn an_intact_store_is_told_in_full() {
        let report = report(image(40));
        assert_eq!(report.problems, Vec::<String>::new());
        let area = |number, chunk, used| CowArea { number, chunk, used, of: 32 };
        assert_eq!(report.areas, [area(0, 1, 32), area(1, 34, 8)]);
        assert_eq!((report.exceptions, report.list.len(), report.next_free, report.unreferenced), (40, 2, 43, 0));
    }

    #[test]
    fn damage_is_told_with_its_place() {
        assert!(only_problem(|image| image[0] = b's').starts_with("byte 0: the magic is 0x70416e73"));
        assert_eq!(only_problem(|image| image[8] = 2), "byte 8: version 2; known is 1");
        assert_eq!(only_problem(|image| image[12] = 3), "byte 12: chunk size 3: Chunk size is not a power of 2");
        assert!(only_problem(|image| image[4] = 0).contains("was invalidated"));
        assert!(only_problem(|image| image.truncate(10)).contains("too few for a header"));
        assert!(only_problem(|image| image.truncate(34 * 512)).contains("area 1 lies beyond the end (chunk 34)"));
        let beyond = only_problem(|image| image[512 + 9] = 1);
        assert_eq!(beyond, "area 0, exception 0: chunk 0 went to chunk 258, but the store ends with chunk 160");
        assert!(only_problem(|image| image[512 + 8] = 34).contains("holds an area of exceptions"));
        assert_eq!(only_problem(|image| image[512] = 3), "chunk of the origin 3 stands in 2 exceptions");
        assert_eq!(only_problem(|image| image[512 + 8] = 3), "chunk of the store 3 stands in 2 exceptions");
        let cut = only_problem(|image| image[512 + 16 * 3 + 8] = 0);
        assert!(cut.starts_with("area 0, exception 3 ends the list, but exception 3 is not zero"), "{cut}");
    }

    #[test]
    fn chunks_that_were_lost_are_counted() {
        let mut image = image(10);
        image[512 + 16 * 9..512 + 16 * 10].fill(0);
        image[512 + 16 * 8 + 8] = 20;
        assert_eq!(report(image).unreferenced, 10, "2 to 20, of which 9 are referred to");
    }

    #[test]
    fn a_list_that_nothing_ends_ends_with_the_store() {
        for byte in [0x01, 0xff] {
            let mut image = image(1);
            image[512..].fill(byte);
            let problems = report(image).problems;
            assert!(problems.last().is_some_and(|last| last.starts_with("more than")), "{problems:?}");
        }
    }

    /// Stores that are read with some bytes changed.
    const DAMAGED_STORES: u64 = 20_000;

    #[test]
    fn no_damage_panics_or_hangs() {
        let intact = image(70);
        let mut rng = Seed(11).rng();
        let mut silent = 0;
        for _ in 0..DAMAGED_STORES {
            let mut image = intact.clone();
            for _ in 0..=rng.below(8) {
                // Half of them where the loader looks: it is a small part of the store.
                let looked_at = [0, 1, 34, 67][rng.below(4) as usize];
                let sector = if rng.below(2) == 0 { looked_at } else { rng.below(160) as usize };
                let place = rng.below(if sector == 0 { 16 } else { 512 }) as usize;
                image[sector * 512 + place] = rng.below(256) as u8;
            }
            if rng.below(8) == 0 {
                image.truncate(rng.below(160 * 512) as usize);
            }
            silent += u64::from(report(image).problems.is_empty());
        }
        println!("{DAMAGED_STORES} damaged stores, of which {silent} look intact");
        assert!(silent < DAMAGED_STORES / 2, "data may be anything, the rest may not");
    }
}
