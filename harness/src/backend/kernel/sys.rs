//! The ioctls that neither std nor nix has a safe form of: device-mapper, loop devices, partitions, discards.
//!
//! Invariants: each function hands the kernel memory of the size that the command moves, and nothing lives longer than
//! the call.
//! Not here: what they are for (`dm`, `leaves`, `io`).

#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

use super::wire::{Buffer, HEAD};

/// `DM_IOCTL`.
const DM_IOCTL: u64 = 0xfd;

/// A command to device-mapper: `nr` as in `enum` of the kernel's header.
///
/// # Errors
/// What the kernel answered.
pub(super) fn dm_ioctl(control: &File, nr: u8, buffer: &mut Buffer) -> Result<(), Errno> {
    let code = nix::request_code_readwrite!(DM_IOCTL, nr, HEAD);
    let words = buffer.words();
    // SAFETY: the buffer is aligned for `struct dm_ioctl` and says its own length in `data_size`, beyond which the
    // kernel neither reads nor writes; it is borrowed for the call.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), code as _, words.as_mut_ptr()) };
    Errno::result(result).map(drop)
}

/// A command without an argument, or with a number as its argument; gives its answer.
///
/// # Errors
/// What the kernel answered.
fn plain_ioctl(file: BorrowedFd<'_>, code: u64, argument: libc::c_ulong) -> Result<i32, Errno> {
    // SAFETY: the callers' commands take no pointer.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), code as _, argument) };
    Errno::result(result)
}

const LOOP_SET_FD: u64 = 0x4c00;
const LOOP_CLR_FD: u64 = 0x4c01;
const LOOP_SET_STATUS64: u64 = 0x4c04;
const LOOP_CTL_GET_FREE: u64 = 0x4c82;

/// `LOOP_CTL_GET_FREE`: the number of a loop device that nobody uses.
///
/// # Errors
/// What the kernel answered.
pub(super) fn loop_free(control: BorrowedFd<'_>) -> Result<u32, Errno> {
    plain_ioctl(control, LOOP_CTL_GET_FREE, 0).map(|number| number.unsigned_abs())
}

/// `LOOP_SET_FD`.
///
/// # Errors
/// `EBUSY` when somebody else was first.
pub(super) fn loop_set_fd(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Result<(), Errno> {
    plain_ioctl(device, LOOP_SET_FD, file.as_raw_fd() as libc::c_ulong).map(drop)
}

/// `LOOP_CLR_FD`: at once, or when the last user has gone.
///
/// # Errors
/// What the kernel answered.
pub(super) fn loop_clear(device: BorrowedFd<'_>) -> Result<(), Errno> {
    plain_ioctl(device, LOOP_CLR_FD, 0).map(drop)
}

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const _: () = assert!(size_of::<LoopInfo>() == 232);

/// `LO_FLAGS_AUTOCLEAR`: the device lets its file go when its last user has.
const AUTOCLEAR: u32 = 4;

/// `LOOP_SET_STATUS64`: how the device is called, and that it goes by itself.
///
/// # Errors
/// What the kernel answered.
pub(super) fn loop_name(device: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let mut file_name = [0; 64];
    let len = name.len().min(file_name.len() - 1);
    file_name[..len].copy_from_slice(&name.as_bytes()[..len]);
    let info = LoopInfo {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        sizelimit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: AUTOCLEAR,
        file_name,
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    // SAFETY: the kernel reads one `struct loop_info64`, whose size is asserted above.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_SET_STATUS64 as _, &raw const info) };
    Errno::result(result).map(drop)
}

/// `struct blkpg_partition`.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: i32,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct PartitionCall {
    op: i32,
    flags: i32,
    data_len: i32,
    data: *const Partition,
}

const _: () = assert!(size_of::<Partition>() == 152 && size_of::<PartitionCall>() == 24);

const BLKPG: u64 = 0x1269;
const BLKPG_ADD_PARTITION: i32 = 1;
const BLKPG_DEL_PARTITION: i32 = 2;

fn partition(disk: BorrowedFd<'_>, op: i32, number: i32, length: i64) -> Result<(), Errno> {
    let partition = Partition { start: 0, length, number, device_name: [0; 64], volume_name: [0; 64] };
    let data_len = size_of::<Partition>() as i32;
    let call = PartitionCall { op, flags: 0, data_len, data: &raw const partition };
    // SAFETY: the kernel reads one `struct blkpg_ioctl_arg` and the `struct blkpg_partition` that it points to, both of
    // which live until the call is over and have their sizes asserted above.
    let result = unsafe { libc::ioctl(disk.as_raw_fd(), BLKPG as _, &raw const call) };
    Errno::result(result).map(drop)
}

/// Makes partition `number` of the first `bytes` bytes of a disk.
///
/// # Errors
/// `EBUSY` when there is one.
pub(super) fn add_partition(disk: BorrowedFd<'_>, number: i32, bytes: i64) -> Result<(), Errno> {
    partition(disk, BLKPG_ADD_PARTITION, number, bytes)
}

/// Removes partition `number`.
///
/// # Errors
/// `ENXIO` when there is none, `EBUSY` while it is open.
pub(super) fn remove_partition(disk: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    partition(disk, BLKPG_DEL_PARTITION, number, 0)
}

/// What is done with a range of a block device without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeOp {
    /// `BLKDISCARD`.
    Discard,
    /// `BLKSECDISCARD`.
    SecureErase,
    /// `BLKZEROOUT`.
    WriteZeroes,
}

const BLKDISCARD: u64 = 0x1277;
const BLKSECDISCARD: u64 = 0x127d;
const BLKZEROOUT: u64 = 0x127f;

/// Discards, erases or zeroes `len` bytes from `at`.
///
/// # Errors
/// What the device answered.
pub(super) fn range(device: BorrowedFd<'_>, op: RangeOp, at: u64, len: u64) -> Result<(), Errno> {
    let code = match op {
        RangeOp::Discard => BLKDISCARD,
        RangeOp::SecureErase => BLKSECDISCARD,
        RangeOp::WriteZeroes => BLKZEROOUT,
    };
    let range: [u64; 2] = [at, len];
    // SAFETY: the kernel reads two 64-bit numbers, which live until the call is over.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), code as _, range.as_ptr()) };
    Errno::result(result).map(drop)
}

/// The task's number in the kernel, under which its stack and its state are found in /proc.
pub(super) fn gettid() -> i32 {
    // SAFETY: takes nothing and always succeeds.
    unsafe { libc::gettid() }
}
