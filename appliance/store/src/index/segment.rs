//! One file of the search index: sorted terms of some messages of one account, written once in one piece.
//!
//! A file is made of frames: kind, length, payload, CRC-32.
//! In order:
//!
//! 1. eight octets that name format and version,
//! 2. a head: account, tier, number of messages, the lowest and the highest message,
//! 3. the messages, as distances in ascending order; postings name them by their place in this list,
//! 4. blocks of terms of about [`BLOCK`] octets, each term without what it shares with the one before, with its
//!    postings.
//!    Between them stand blocks of the directory: first term and offset of each block below, up to one root,
//! 5. a foot of fixed size: where the root is.
//!
//! A term is a word and an octet for its field behind it, so that a word is found in all fields, and all words with the
//! same beginning, in one run.
//! A term or a beginning is found with one read for each level of the directory, of which there are two in a file of
//! 65,536 messages, and one for each block of terms it extends over.
//!
//! Reading takes the memory of one frame, at most [`FRAME`] octets, and four octets for each message; a merge a frame
//! of each file and at most a mebibyte for the messages.
//! Files are not mapped: what is read of them counts for the page cache and not for the process, and a card's error is
//! an error and no signal.
//! Damage is [`Error::Damaged`] and nothing worse, whatever the octets are.

pub(crate) mod batch;
pub(crate) mod check;
pub(crate) mod merge;
pub(crate) mod postings;
pub(crate) mod read;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use crate::engine::codec::{Cursor, put_varint};
use crate::error::Error;
use crate::ids::AccountId;
use crate::index::TERM_OCTETS;

/// What every file begins with; the last octet is the format's version.
const MAGIC: [u8; 8] = *b"PBINDEX\x01";

/// Messages of one file at most: a set of them takes 8 KiB at most, and what may stand in one frame is bounded.
pub(crate) const MESSAGES: usize = 65_536;

/// Octets after which a block is complete.
const BLOCK: usize = 4096;

/// Octets of a frame's payload at most: a block, and one more term with as many postings as there can be.
const FRAME: usize = 32 * 1024;

/// Octets before and behind a frame's payload: kind and length, and the checksum.
const BEFORE: usize = 5;
const BEHIND: usize = 4;

/// Octets of a term: the word and its field.
const KEY: usize = TERM_OCTETS + 1;

/// Octets of the foot: offset and height of the root, number of terms, checksum.
const FOOT: usize = 8 + 1 + 8 + 4;

/// Levels of the directory at most.
/// Three would be enough for all that [`MESSAGES`] can say.
const HEIGHT: u8 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Head = 1,
    Messages = 2,
    Terms = 3,
    Directory = 4,
}

impl Kind {
    fn of(octet: u8) -> Option<Kind> {
        [Kind::Head, Kind::Messages, Kind::Terms, Kind::Directory]
            .into_iter()
            .find(|kind| *kind as u8 == octet)
    }
}

/// What a file says of itself at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub account: AccountId,
    pub tier: u8,
    pub messages: u32,
    pub first: u32,
    pub last: u32,
}

impl Head {
    fn write(&self) -> Vec<u8> {
        let mut out = vec![self.tier];
        for number in [self.account.0, self.messages, self.first, self.last] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    fn read(octets: &[u8]) -> Option<Head> {
        let mut cursor = Cursor(octets);
        let (tier, account, messages) = (cursor.u8()?, AccountId(cursor.u32()?), cursor.u32()?);
        let head = Head { account, tier, messages, first: cursor.u32()?, last: cursor.u32()? };
        (cursor.0.is_empty() && (1..=MESSAGES as u32).contains(&messages)).then_some(head)
    }
}

/// The name of a file: random, 16 hex digits on disk, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

/// Where a file is.
pub(crate) fn path(folder: &Path, id: SegmentId) -> PathBuf {
    folder.join(format!("{:016x}", id.0))
}

/// The term of a word in a field; a longer word is cut at a character.
pub(crate) fn key(word: &str, field: u8) -> Vec<u8> {
    let mut key = cut(word).as_bytes().to_vec();
    key.push(field);
    key
}

/// As much of a word as terms have.
pub(crate) fn cut(word: &str) -> &str {
    &word[..word.floor_char_boundary(TERM_OCTETS)]
}

/// Appends a key without what it shares with the one before.
fn put_key(out: &mut Vec<u8>, before: &[u8], key: &[u8]) {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    put_varint(out, shared as u64);
    put_varint(out, (key.len() - shared) as u64);
    out.extend_from_slice(&key[shared..]);
}

/// Reads a key into the one before it.
/// Keys ascend; nothing else is one.
fn next_key(cursor: &mut Cursor<'_>, key: &mut Vec<u8>) -> Option<()> {
    let shared = usize::try_from(cursor.varint()?).ok().filter(|shared| *shared <= key.len())?;
    let rest = cursor.bytes()?;
    let ascends = rest.first()? > key.get(shared).unwrap_or(&0) || shared == key.len();
    key.truncate(shared);
    key.extend_from_slice(rest);
    (ascends && key.len() <= KEY).then_some(())
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::damaged(format!("{what} of the index file {}", path.display()))
}
