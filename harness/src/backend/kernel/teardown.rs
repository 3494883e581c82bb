//! Removes a run's dm devices, whatever state they are in.
//!
//! A device that queues I/O for want of a path is told to fail it; what is suspended is resumed; upper devices hold lower
//! ones open, so that whoever cannot go yet goes in a later round; what is still held open by I/O that does not end gets a
//! table of errors in place of its own.
//!
//! Invariants: only names that begin with the run's prefix are touched; the number of rounds is bounded.
//! Not here: leaves (`leaves`), who waits for how long (`stage`).

use std::time::Duration;

use nix::errno::Errno;

use super::dm::{DmControl, SuspendHow, Which};
use super::journal::Left;

/// Rounds in which nothing could be removed, until it is given up.
const IDLE_ROUNDS_MAX: u32 = 20;
/// From the round on in which tables of errors are loaded.
const ERRORS_FROM: u32 = 5;
/// Between two rounds of which the first brought nothing: somebody may be about to close a device.
const PAUSE: Duration = Duration::from_millis(50);
/// In place of a stuck table: no I/O is waited for.
const AT_ONCE: SuspendHow = SuspendHow { noflush: true, nolockfs: true };

/// Removes all dm devices whose names begin with `prefix`, upper ones first; says what there was and what stays.
pub(super) fn remove_devices(dm: &DmControl, prefix: &str, dry_run: bool) -> Vec<Left> {
    let left = |name: &str, stays: Option<String>| Left { kind: "dm".to_owned(), name: name.to_owned(), stays };
    let mut names: Vec<String> = match dm.list() {
        Ok(all) => all.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(prefix)).collect(),
        Err(errno) => return vec![left(prefix, Some(format!("listing dm devices: {errno}")))],
    };
    if dry_run {
        return names.iter().map(|name| left(name, None)).collect();
    }
    names.iter().for_each(|name| let_go(dm, name));
    let mut removed = Vec::new();
    let mut idle = 0;
    while !names.is_empty() && idle < IDLE_ROUNDS_MAX {
        let before = names.len();
        names.retain(|name| match dm.remove(name, false) {
            Ok(()) | Err(Errno::ENXIO) => {
                removed.push(left(name, None));
                false
            }
            Err(_) => true,
        });
        if names.len() == before {
            idle += 1;
            if idle == ERRORS_FROM {
                names.iter().for_each(|name| fail_all(dm, name));
            }
            std::thread::sleep(PAUSE);
        }
    }
    let why = |name: &str| match dm.info(name) {
        Ok(info) => format!("{} have it open", info.open_count),
        Err(errno) => errno.to_string(),
    };
    removed.extend(names.iter().map(|name| left(name, Some(why(name)))));
    removed
}

/// Lets I/O go on, or fail, that a device keeps.
fn let_go(dm: &DmControl, name: &str) {
    let table = dm.table(name, Which::Live).unwrap_or_default();
    for line in table.iter().filter(|line| line.split(' ').nth(2) == Some("multipath")) {
        let sector = line.split(' ').next().and_then(|begin| begin.parse().ok()).unwrap_or(0);
        // What it queues would be waited for by every suspend and every close.
        let _ = dm.message(name, sector, "fail_if_no_path");
    }
    if table.iter().any(|line| line.split(' ').nth(2) == Some("delay")) {
        // A suspend lets all of it go that is held or late.
        let _ = dm.suspend(name, AT_ONCE);
    }
    let Ok(info) = dm.info(name) else { return };
    if info.has_inactive() {
        let _ = dm.clear(name);
    }
    // A resume that fails leaves it suspended; then the table of errors has to do.
    if info.is_suspended() && dm.resume(name, AT_ONCE).is_err() {
        fail_all(dm, name);
    }
}

/// A table in which all I/O fails, in place of whatever there is.
fn fail_all(dm: &DmControl, name: &str) {
    let sectors: u64 = dm
        .table(name, Which::Live)
        .unwrap_or_default()
        .iter()
        .filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok())
        .sum();
    if sectors > 0 && dm.load(name, &[format!("0 {sectors} error")]).is_ok() {
        let _ = dm.suspend(name, AT_ONCE);
        let _ = dm.resume(name, AT_ONCE);
    }
}
