//! Room on the disk: what mail may use, and what is kept back so that deleting always works.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};

use crate::error::{Error, Result};

/// The file system that a folder is on, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// For whoever is not root.
    pub free: u64,
    pub used: u64,
    pub all: u64,
    /// Files that may still be made; 0 of 0 where their number is not fixed.
    pub free_files: u64,
    pub all_files: u64,
}

/// Files that must be left on a disk for mail to be taken on: a large message needs one.
const LEAST_FILES: u64 = 256;

impl Disk {
    /// Whether files are short, whatever octets there are.
    /// Some file systems have no fixed number of files and say 0 of 0.
    pub fn is_short_of_files(&self) -> bool {
        self.all_files > 0 && self.free_files < LEAST_FILES
    }

    /// `None` when the system does not say.
    #[allow(clippy::unnecessary_cast)] // 32-bit systems tell in narrower numbers
    pub fn of(folder: &Path) -> Option<Disk> {
        let facts = nix::sys::statvfs::statvfs(folder).ok()?;
        let octets = |blocks: u64| blocks.saturating_mul(facts.fragment_size() as u64);
        let (all, free) = (facts.blocks() as u64, facts.blocks_free() as u64);
        Some(Disk {
            free: octets(facts.blocks_available() as u64),
            used: octets(all.saturating_sub(free)),
            all: octets(all),
            free_files: facts.files_available() as u64,
            all_files: facts.files() as u64,
        })
    }
}

/// Octets kept back at most.
/// A deletion copies the pages on its way before it lets old ones go: a few hundred KiB.
const KEPT_BACK: u64 = 8 << 20;

/// A file whose only use is its size: it is let go when a deletion finds no room, and made again when there is some.
pub(crate) struct Reserve {
    path: PathBuf,
    octets: u64,
}

impl Reserve {
    /// `octets`: what of the disk is to stay free; an eighth of it is kept back here.
    pub fn new(dir: &Path, octets: u64) -> Reserve {
        Reserve { path: dir.join("reserve"), octets: (octets / 8).min(KEPT_BACK) }
    }

    /// Gives the room up; false when there was none.
    pub fn release(&self) -> bool {
        let held = std::fs::metadata(&self.path).map_or(0, |facts| facts.len());
        held > 0
            && OpenOptions::new()
                .write(true)
                .open(&self.path)
                .and_then(|file| file.set_len(0).and_then(|()| file.sync_all()))
                .is_ok()
    }

    /// Takes the room again; without enough of it the next time will do.
    pub fn refill(&self) {
        if self.octets == 0
            || std::fs::metadata(&self.path).is_ok_and(|facts| facts.len() >= self.octets)
        {
            return;
        }
        let Ok(file) = File::create(&self.path) else { return };
        if fallocate(&file, FallocateFlags::empty(), 0, self.octets as i64).is_err() {
            // What is not all there does not help.
            let _ = file.set_len(0);
        }
    }
}

/// What a disk has left for mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// Files would fit, octets don't.
    NoOctets,
    NoFiles,
}

/// Whether `octets` more may be written to a folder's disk, of which `reserve` octets are to stay free.
pub(crate) fn look(folder: &Path, octets: u64, reserve: u64) -> Room {
    // Where the system does not say, the write itself will.
    let Some(disk) = Disk::of(folder) else { return Room::Enough };
    if reserve > 0 && disk.is_short_of_files() {
        return Room::NoFiles;
    }
    if disk.free >= octets.saturating_add(reserve) { Room::Enough } else { Room::NoOctets }
}

/// The same for a new file, as an error.
pub(crate) fn check(folder: &Path, octets: u64, reserve: u64) -> Result<()> {
    if look(folder, octets, reserve) == Room::Enough { Ok(()) } else { Err(Error::Full) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_let_go_once_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path(), 64 << 20);
        assert!(!reserve.release(), "nothing was kept back yet");
        reserve.refill();
        assert_eq!(std::fs::metadata(dir.path().join("reserve")).unwrap().len(), KEPT_BACK);
        assert!(reserve.release() && !reserve.release());
        reserve.refill();
        assert!(reserve.release());
        let none = Reserve::new(&dir.path().join("none"), 0);
        none.refill();
        assert!(!none.release());
    }

    #[test]
    fn files_are_short_by_their_number_where_there_is_one() {
        let of = |free_files, all_files| {
            Disk { free_files, all_files, ..Disk::default() }.is_short_of_files()
        };
        assert_eq!(
            [of(255, 1000), of(256, 1000), of(0, 1000), of(0, 0)],
            [true, false, true, false]
        );
    }

    #[test]
    fn files_count_as_octets_do() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path(), 0, 0), Room::Enough);
        assert_eq!(look(dir.path(), u64::MAX, 0), Room::NoOctets);
        assert!(check(dir.path(), 1, u64::MAX - 1).is_err());
    }
}
