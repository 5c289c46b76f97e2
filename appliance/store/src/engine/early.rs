//! Writing to the card ahead of a flush (sync_file_range(2)).
//! It only helps: nothing is on stable storage before the flush.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc::{
    SYNC_FILE_RANGE_WAIT_AFTER, SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE, sync_file_range,
};

/// Lets the card begin with some octets of a file.
pub(crate) fn begin(file: &File, offset: u64, octets: u64) {
    range(file, offset, octets, SYNC_FILE_RANGE_WRITE);
}

/// Writes some octets of a file, 0 for all behind the offset, and waits for it.
/// False when the file system can't.
pub(crate) fn write(file: &File, offset: u64, octets: u64) -> bool {
    range(
        file,
        offset,
        octets,
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER,
    )
}

fn range(file: &File, offset: u64, octets: u64, how: u32) -> bool {
    let (Ok(offset), Ok(octets)) = (i64::try_from(offset), i64::try_from(octets)) else {
        return false;
    };
    // SAFETY: the descriptor is open; the call changes no memory.
    unsafe { sync_file_range(file.as_raw_fd(), offset, octets, how) == 0 }
}
