//! The checkpoint: the state of LMDB that is on the card for certain.
//!
//! LMDB commits here without a flush, so after a power cut its file may hold any mixture of old and new pages.
//! That is made harmless by three things.
//! A read transaction pins the last checkpoint: LMDB never writes on pages that it uses.
//! All of its pages are flushed before it counts.
//! And its meta page is kept here, in a file of its own: recovery puts it back, which gives exactly that snapshot,
//! whatever the file's own meta pages say.
//! The journal has everything behind it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::engine::files::{Meta, PAGE, open_small};
use crate::engine::journal::record::Position;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"PBXCHKP1";
/// Octets in front of the meta page: magic, serial number, CRC-32 of the rest.
const HEAD: usize = 64;
const SLOT: usize = HEAD + PAGE as usize;
/// Slots are this far apart, so that a torn write of one can't touch the other.
const SLOT_DISTANCE: u64 = 4 * PAGE;

/// A read transaction that no thread owns.
pub(crate) type Pin = heed::RoTxn<'static, heed::WithoutTls>;

/// The checkpoint and what holds it: the server's keeper has them.
pub(crate) struct Anchor {
    pub checkpoint: Checkpoint,
    pub pin: Pin,
    /// Up to where the journal is in the checkpoint.
    pub folded: (Position, u64),
}

/// The kept meta pages.
/// Two slots in turn: a torn write leaves the other one.
pub(crate) struct Checkpoint {
    file: File,
    serial: u64,
}

impl Checkpoint {
    /// Opens the file beside LMDB's, and gives the last meta page that was kept.
    pub fn open(folder: &Path) -> Result<(Checkpoint, Option<Vec<u8>>)> {
        let file = open_small(&folder.join("checkpoint"))?;
        let newest = (0..2).filter_map(|slot| read(&file, slot)).max_by_key(|(serial, _)| *serial);
        let serial = newest.as_ref().map_or(0, |(serial, _)| *serial);
        Ok((Checkpoint { file, serial }, newest.map(|(_, page)| page)))
    }

    /// Keeps the meta page of a snapshot all of whose pages are flushed.
    /// Durable when it returns.
    pub fn keep(&mut self, page: &[u8]) -> Result<()> {
        let serial = self.serial + 1;
        let mut slot = vec![0; SLOT];
        slot[..8].copy_from_slice(MAGIC);
        slot[8..16].copy_from_slice(&serial.to_be_bytes());
        slot[HEAD..].copy_from_slice(page);
        let sum = crc32fast::hash(&[&slot[8..16], page].concat());
        slot[16..20].copy_from_slice(&sum.to_be_bytes());
        let doing = || Error::io("writing", Path::new("the checkpoint"));
        self.file
            .write_all_at(&slot, (serial % 2) * SLOT_DISTANCE)
            .and_then(|()| self.file.sync_data())
            .map_err(doing())?;
        self.serial = serial;
        Ok(())
    }
}

fn read(file: &File, slot: u64) -> Option<(u64, Vec<u8>)> {
    let mut octets = vec![0; SLOT];
    file.read_exact_at(&mut octets, slot * SLOT_DISTANCE).ok()?;
    let serial = u64::from_be_bytes(octets[8..16].try_into().ok()?);
    let sum = u32::from_be_bytes(octets[16..20].try_into().ok()?);
    let page = octets[HEAD..].to_vec();
    let is_right =
        octets[..8] == *MAGIC && crc32fast::hash(&[&octets[8..16], &page].concat()) == sum;
    (is_right && Meta::read(&page).is_some()).then_some((serial, page))
}

/// Puts a kept meta page back into both of the places where LMDB looks for its newest one.
/// Nobody may have the store open.
pub(crate) fn restore(data: &Path, page: &[u8]) -> Result<()> {
    let doing = || Error::io("recovering", data);
    let file = OpenOptions::new().read(true).write(true).open(data).map_err(doing())?;
    for slot in 0..2 {
        let mut own = page.to_vec();
        // A page bears its own number in front.
        own[..size_of::<usize>()].copy_from_slice(&(slot as usize).to_ne_bytes());
        file.write_all_at(&own, slot * PAGE).map_err(doing())?;
    }
    // A crash before the first checkpoint's pages were written leaves the file short; they are there, as holes.
    file.sync_data().map_err(doing())
}

/// LMDB's own meta page of a commit.
///
/// # Errors
/// [`Error::Damaged`] when neither is of that commit.
pub(crate) fn meta_page(data: &Path, commit: usize) -> Result<Vec<u8>> {
    let file = File::open(data).map_err(Error::io("opening", data))?;
    for slot in 0..2 {
        let mut page = vec![0; PAGE as usize];
        file.read_exact_at(&mut page, slot * PAGE).map_err(Error::io("reading", data))?;
        if Meta::read(&page).is_some_and(|meta| meta.txn == commit as u64) {
            return Ok(page);
        }
    }
    Err(Error::damaged("the head of data.mdb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (mut checkpoint, none) = Checkpoint::open(dir.path()).unwrap();
        assert_eq!(none, None);
        let page = |txn: u64| {
            let mut page = vec![0; PAGE as usize];
            page[16..20].copy_from_slice(&0xBEEF_C0DE_u32.to_ne_bytes());
            page[16 + 24 + 96 + 8..][..8].copy_from_slice(&txn.to_ne_bytes());
            page
        };
        for txn in 1..=3 {
            checkpoint.keep(&page(txn)).unwrap();
        }
        assert_eq!(Checkpoint::open(dir.path()).unwrap().1, Some(page(3)));
        // A torn write of the newest one.
        checkpoint.file.write_all_at(&[7; 100], SLOT_DISTANCE + 500).unwrap();
        let (mut again, found) = Checkpoint::open(dir.path()).unwrap();
        assert_eq!(found, Some(page(2)));
        again.keep(&page(4)).unwrap();
        assert_eq!(Checkpoint::open(dir.path()).unwrap().1, Some(page(4)));
    }
}
