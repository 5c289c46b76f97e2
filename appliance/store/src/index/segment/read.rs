//! Reading a file: its messages, a term, a beginning, or everything in order.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{
    BEFORE, BEHIND, FOOT, FRAME, HEIGHT, Head, Kind, MAGIC, SegmentId, damaged, next_key, path,
    postings,
};
use crate::engine::codec::Cursor;
use crate::error::{Error, Result};

/// Octets that are read at a time: most blocks come whole.
const READ: usize = 5 * 1024;

/// An open file.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    pub head: Head,
    /// Where the first frame behind the head is, and where the foot is.
    begin: u64,
    end: u64,
    root: (u64, u8),
    terms: u64,
}

impl Segment {
    /// Opens a file; `None` when it is not there.
    pub fn open(folder: &Path, id: SegmentId) -> Result<Option<Segment>> {
        let path = path(folder, id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("reading", &path)(error)),
        };
        Segment::of(file, path).map(Some)
    }

    pub fn of(file: File, path: PathBuf) -> Result<Segment> {
        let octets = file.metadata().map_err(Error::io("reading", &path))?.len();
        let end = octets.checked_sub(FOOT as u64).ok_or_else(|| damaged(&path, "the length"))?;
        let empty =
            Head { account: crate::ids::AccountId(0), tier: 0, messages: 1, first: 0, last: 0 };
        let segment = Segment { file, path, head: empty, begin: 0, end, root: (0, 0), terms: 0 };
        let mut magic = [0; MAGIC.len()];
        segment.read_at(&mut magic, 0)?;
        let (kind, payload, begin) = match magic == MAGIC {
            true => segment.frame(magic.len() as u64)?,
            false => return Err(damaged(&segment.path, "the beginning")),
        };
        let head = Head::read(&payload)
            .filter(|_| kind == Kind::Head)
            .ok_or_else(|| damaged(&segment.path, "the head"))?;
        let mut foot = [0; FOOT];
        segment.read_at(&mut foot, end)?;
        let (root, terms) = read_foot(&foot)
            .filter(|((_, height), _)| *height <= HEIGHT)
            .ok_or_else(|| damaged(&segment.path, "the foot"))?;
        Ok(Segment { head, begin, root, terms, ..segment })
    }

    pub fn octets(&self) -> u64 {
        self.end + FOOT as u64
    }

    /// The messages, ascending.
    pub fn messages(&self) -> Result<Vec<u32>> {
        let wrong = || damaged(&self.path, "the list of messages");
        let count = self.head.messages as usize;
        let mut messages: Vec<u32> = Vec::with_capacity(count);
        let mut at = self.begin;
        while messages.len() < count {
            let (kind, payload, next) = self.frame(at)?;
            let mut cursor = Cursor(&payload);
            if kind != Kind::Messages || payload.is_empty() {
                return Err(wrong());
            }
            while !cursor.0.is_empty() {
                let distance = cursor
                    .varint()
                    .filter(|distance| *distance > 0 || messages.is_empty())
                    .ok_or_else(wrong)?;
                let before = messages.last().map_or(0, |last| u64::from(*last));
                let message = before
                    .checked_add(distance)
                    .and_then(|message| u32::try_from(message).ok())
                    .ok_or_else(wrong)?;
                if messages.len() == count {
                    return Err(wrong());
                }
                messages.push(message);
            }
            at = next;
        }
        let bounds = (messages.first().copied(), messages.last().copied());
        if bounds == (Some(self.head.first), Some(self.head.last)) {
            Ok(messages)
        } else {
            Err(wrong())
        }
    }

    /// All terms in order.
    pub fn entries(&self) -> Entries<'_> {
        Entries {
            segment: self,
            at: self.begin,
            block: Vec::new(),
            offset: 0,
            key: Vec::new(),
            count: 0,
            places: 0..0,
            blocks: 0,
        }
    }

    /// The terms from the block on in which `key` is, if it is there.
    pub fn entries_from(&self, key: &[u8]) -> Result<Entries<'_>> {
        let wrong = || damaged(&self.path, "the directory");
        let mut entries = self.entries();
        let (mut at, height) = self.root;
        if height == 0 {
            entries.at = self.end;
            return Ok(entries);
        }
        for _ in 1..height {
            let (kind, payload, _) = self.frame(at)?;
            if kind != Kind::Directory {
                return Err(wrong());
            }
            let (mut cursor, mut first, mut below) = (Cursor(&payload), Vec::new(), None);
            while !cursor.0.is_empty() {
                next_key(&mut cursor, &mut first).ok_or_else(wrong)?;
                let offset = cursor.varint().filter(|offset| *offset < at).ok_or_else(wrong)?;
                if below.is_some() && first.as_slice() > key {
                    break;
                }
                below = Some(offset);
            }
            at = below.ok_or_else(wrong)?;
        }
        entries.at = at;
        Ok(entries)
    }

    /// Visits the terms that begin with `prefix`, until no more of them are wanted.
    /// Returns how many blocks were read.
    pub fn visit(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&Entries<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<u64> {
        let mut entries = self.entries_from(prefix)?;
        while entries.advance()? {
            if entries.key() < prefix {
                continue;
            }
            if !entries.key().starts_with(prefix) || visit(&entries)?.is_break() {
                break;
            }
        }
        Ok(entries.blocks)
    }

    /// Reads everything there is and compares the checksums.
    pub fn verify(&self, go_on: &mut dyn FnMut() -> bool) -> Result<()> {
        self.messages()?;
        let (mut entries, mut count) = (self.entries(), 0);
        while entries.advance()? {
            entries.places(&mut |_| {})?;
            count += 1;
            if count % 4096 == 0 && !go_on() {
                return Ok(());
            }
        }
        if count == self.terms { Ok(()) } else { Err(damaged(&self.path, "the number of terms")) }
    }

    fn read_at(&self, octets: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(octets, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(&self.path, "the length"),
            // A card that can't give it back any more has damaged it as well as one that gives something else.
            _ if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) => {
                damaged(&self.path, "an unreadable part")
            }
            _ => Error::io("reading", &self.path)(error),
        })
    }

    /// The frame at an offset, and where the next one is.
    fn frame(&self, at: u64) -> Result<(Kind, Vec<u8>, u64)> {
        let wrong = || damaged(&self.path, "a block");
        let left = self
            .end
            .checked_sub(at)
            .filter(|left| *left >= (BEFORE + BEHIND) as u64)
            .ok_or_else(wrong)?;
        let mut octets = vec![0; (READ as u64).min(left) as usize];
        self.read_at(&mut octets, at)?;
        let mut cursor = Cursor(&octets);
        let kind = cursor.u8().and_then(Kind::of).ok_or_else(wrong)?;
        let length = cursor
            .u32()
            .map(|length| length as usize)
            .filter(|length| *length <= FRAME)
            .ok_or_else(wrong)?;
        let whole = BEFORE + length + BEHIND;
        if whole as u64 > left {
            return Err(wrong());
        }
        let known = octets.len();
        octets.resize(whole, 0);
        if whole > known {
            self.read_at(&mut octets[known..], at + known as u64)?;
        }
        let (covered, checksum) = octets.split_at(whole - BEHIND);
        if crc32fast::hash(covered).to_be_bytes() != checksum {
            return Err(wrong());
        }
        octets.truncate(whole - BEHIND);
        octets.drain(..BEFORE);
        Ok((kind, octets, at + whole as u64))
    }
}

type Foot = ((u64, u8), u64);

fn read_foot(foot: &[u8; FOOT]) -> Option<Foot> {
    let (covered, checksum) = foot.split_at(FOOT - 4);
    let mut cursor = Cursor(covered);
    let (offset, height) = (cursor.u64()?, cursor.u8()?);
    (crc32fast::hash(covered).to_be_bytes() == checksum)
        .then_some(((offset, height), cursor.u64()?))
}

/// Walks through terms.
/// Holds one block.
pub(crate) struct Entries<'a> {
    segment: &'a Segment,
    /// Where the next block is.
    at: u64,
    block: Vec<u8>,
    offset: usize,
    key: Vec<u8>,
    count: u32,
    places: std::ops::Range<usize>,
    blocks: u64,
}

impl Entries<'_> {
    /// Goes to the next term; false behind the last one.
    pub fn advance(&mut self) -> Result<bool> {
        let wrong = || damaged(&self.segment.path, "a block of terms");
        while self.offset == self.block.len() {
            if self.at == self.segment.end {
                return Ok(false);
            }
            let (kind, payload, next) = self.segment.frame(self.at)?;
            self.at = next;
            match kind {
                Kind::Terms if payload.is_empty() => return Err(wrong()),
                Kind::Terms => {
                    // Terms ascend from block to block, too.
                    let mut first = Vec::new();
                    next_key(&mut Cursor(&payload), &mut first)
                        .filter(|()| first > self.key)
                        .ok_or_else(wrong)?;
                    self.key.clear();
                    (self.block, self.offset) = (payload, 0);
                    self.blocks += 1;
                }
                Kind::Messages | Kind::Directory => {}
                Kind::Head => return Err(wrong()),
            }
        }
        let mut cursor = Cursor(&self.block[self.offset..]);
        let whole = self.block.len();
        let mut key = std::mem::take(&mut self.key);
        let mut read = || {
            next_key(&mut cursor, &mut key)?;
            let count = cursor
                .varint()
                .filter(|count| (1..=u64::from(self.segment.head.messages)).contains(count))?
                as u32;
            let length = match count {
                // The place itself.
                1 => {
                    let before = cursor.0.len();
                    let mut place = Cursor(cursor.0);
                    place.varint()?;
                    before - place.0.len()
                }
                _ => usize::try_from(cursor.varint()?).ok()?,
            };
            let from = whole - cursor.0.len();
            cursor.take(length)?;
            Some((count, from..from + length))
        };
        (self.count, self.places) =
            read().ok_or_else(|| damaged(&self.segment.path, "a block of terms"))?;
        self.key = key;
        self.offset = self.places.end;
        Ok(true)
    }

    /// Blocks that were read so far.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The term: a word and an octet for its field.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The places of the messages that have it, ascending.
    pub fn places(&self, take: &mut dyn FnMut(u32)) -> Result<()> {
        let messages = self.segment.head.messages;
        let octets = &self.block[self.places.clone()];
        let read = match self.count {
            1 => Cursor(octets)
                .varint()
                .and_then(|place| u32::try_from(place).ok())
                .filter(|place| *place < messages)
                .map(take),
            count => postings::read(octets, count, messages, take),
        };
        read.ok_or_else(|| damaged(&self.segment.path, "the postings"))
    }
}
