//! Content of messages: how it is cut into rows, and the head that describes it.

pub(crate) mod pool;
pub(crate) mod read;
pub(crate) mod spool;
pub(crate) mod stream;
pub(crate) mod write;

use pillarbox_vocabulary::Timestamp;

use crate::engine::codec::{Cursor, FixedKey, Record, Value};
use crate::engine::snapshot::Snapshot;
use crate::engine::table::{Raw, tables};
use crate::error::{Error, Result};
use crate::ids::{BlobId, MessageId};

tables! {
    /// Content of messages.
    /// `content` is one of the three tables that each delivery touches.
    Tables {
        /// Heads (part 0) and parts of message content.
        content: Raw<'e, ContentKey>,
        /// Number of folder entries that share a message, where it is more than one.
        shares: Raw<'e, MessageId>,
        /// Messages whose content is in a file of its own, by the file's name.
        blobs: Raw<'e, BlobId>,
        /// Octets of content that messages still refer to, by segment of the journal.
        journal: Raw<'e, u64>,
    }
}

/// A piece of a message's content: part 0 is the head, parts from 1 are page-sized pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentKey {
    pub message: MessageId,
    pub part: u16,
}

impl FixedKey for ContentKey {
    const WIDTH: usize = 10;
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        out.extend_from_slice(&self.part.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(ContentKey { message: MessageId::read(octets)?, part: octets.u16()? })
    }
}

/// Octets of content in one full part.
/// A value of this size fills exactly one LMDB overflow page (4,096 less the page header), so no content ever needs
/// neighbouring free pages: a long free list is never searched for a run, and nothing is wasted on half-used pages.
#[cfg(test)]
pub const PART_OCTETS: usize = 4096 - PAGE_HEADER;

/// LMDB's page header in octets; on 32-bit machines it is shorter.
#[cfg(test)]
const PAGE_HEADER: usize = 16;

/// A remainder up to this long rides in the head's row instead of taking a page of its own.
#[cfg(test)]
pub const TAIL_OCTETS: usize = 1024;

/// Content up to this long always waits in memory for its commit, and is read as a whole; longer content is read in
/// pieces.
pub const INLINE_OCTETS: usize = 256 * 1024;

/// The most octets that can be put in front of content once all of it is there.
pub const PREFIX_OCTETS: usize = 64 * 1024;

/// Where the content is.
/// The first kind was written up to format 3 of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In parts 1 to `parts`, and then this tail.
    Inline { parts: u16, tail: Vec<u8> },
    /// This prefix, and then a file of its own.
    File { blob: BlobId, prefix: Vec<u8> },
    /// In a segment of the journal, from an octet on.
    Journal { segment: u64, offset: u32 },
}

/// The head row of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentHead {
    /// When the box took responsibility.
    pub received_at: Timestamp,
    /// Whole size with CRLF line ends.
    pub octets: u64,
    /// CRC-32 of the whole content, so that a bad card is noticed and not served.
    pub crc32: u32,
    /// Octets at the front (Return-Path) that belong to final delivery and not to a relayed copy.
    pub delivery_octets: u16,
    pub location: Location,
}

impl Record for ContentHead {
    /// Version 1 knew no place in the journal.
    const VERSION: u8 = 2;
    fn write(&self, out: &mut Vec<u8>) {
        self.received_at.write(out);
        out.extend_from_slice(&self.octets.to_be_bytes());
        out.extend_from_slice(&self.crc32.to_be_bytes());
        out.extend_from_slice(&self.delivery_octets.to_be_bytes());
        match &self.location {
            Location::Inline { parts, tail } => {
                out.push(0);
                out.extend_from_slice(&parts.to_be_bytes());
                out.extend_from_slice(tail);
            }
            Location::File { blob, prefix } => {
                out.push(1);
                blob.write(out);
                out.extend_from_slice(prefix);
            }
            Location::Journal { segment, offset } => {
                out.push(2);
                out.extend_from_slice(&segment.to_be_bytes());
                out.extend_from_slice(&offset.to_be_bytes());
            }
        }
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(ContentHead {
            received_at: Timestamp::read(octets)?,
            octets: octets.u64()?,
            crc32: octets.u32()?,
            delivery_octets: octets.u16()?,
            location: match octets.u8()? {
                0 => Location::Inline { parts: octets.u16()?, tail: octets.rest().to_vec() },
                // Before there were prefixes the row ended here.
                1 => Location::File { blob: BlobId::read(octets)?, prefix: octets.rest().to_vec() },
                2 => Location::Journal { segment: octets.u64()?, offset: octets.u32()? },
                _ => return None,
            },
        })
    }
}

/// Cuts inline content into full parts and a tail, as stores up to format 3 keep it; the tail is short enough for the
/// head's row, or empty when the remainder became a part of its own.
#[cfg(test)]
pub(crate) fn cut(content: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let remainder = content.len() % PART_OCTETS;
    let (body, tail) = match remainder <= TAIL_OCTETS {
        true => content.split_at(content.len() - remainder),
        false => (content, &[][..]),
    };
    (body.chunks(PART_OCTETS).collect(), tail)
}

/// A count of octets, as the table `journal` has them.
pub(crate) fn count(row: &[u8]) -> Result<u64> {
    row.try_into().map(u64::from_be_bytes).map_err(|_| Error::damaged("a count of octets"))
}

impl Tables<'static> {
    pub(crate) fn head(&self, txn: &Snapshot, message: MessageId) -> Result<Option<ContentHead>> {
        let key = ContentKey { message, part: 0 };
        self.content
            .remap_data_type::<Value<ContentHead>>()
            .get(txn, &key)
            .map_err(Error::lmdb("reading a message head"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_pieces_make_the_whole_and_fit_their_places() {
        for length in [
            0,
            1,
            1024,
            1025,
            PART_OCTETS,
            PART_OCTETS + 1,
            PART_OCTETS + 1024,
            PART_OCTETS + 1025,
            262_144,
        ] {
            let content: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (parts, tail) = cut(&content);
            assert!(tail.len() <= TAIL_OCTETS);
            assert!(parts.iter().all(|p| !p.is_empty() && p.len() <= PART_OCTETS));
            assert_eq!([parts.concat(), tail.to_vec()].concat(), content);
        }
    }
}
