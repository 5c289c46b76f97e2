//! Appending to the journal.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crc32fast::Hasher;

use super::record::{
    CONTENT_HEAD, Kind, Position, RECORD_HEAD, RecordHead, SEGMENT_HEAD, SegmentHead, encode,
    next_offset,
};
use super::segments::Segments;
use crate::engine::early;
use crate::engine::files::open_small;
use crate::engine::layers::Writes;
use crate::error::{Error, Result};
use crate::ids::MessageId;

/// Zeros written behind a record that makes a segment's file longer, at a time: the next records find their blocks
/// there, so that their commits cost one flush in place of two.
const AHEAD_OCTETS: u64 = 256 * 1024;
/// A commit with more octets than this gains less from that flush than the zeros cost.
const AHEAD_WORTHWHILE: u64 = 64 * 1024;

/// Octets that are written at once; longer ones in pieces of it.
const COPIED_OCTETS: usize = 64 * 1024;

/// A record of so many octets is worth a word to the card before the flush.
const LARGE_OCTETS: u64 = 128 * 1024;

/// Where a message's octets are in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub segment: u64,
    /// Of the first octet of the content.
    pub offset: u32,
}

/// The end of the journal, where commits are appended.
/// One process at a time holds its lock.
pub(crate) struct Log {
    pub segments: Segments,
    /// The segment in use; `None` before the first.
    file: Option<File>,
    /// Octets of its file that are there.
    length: u64,
    /// The offset from which it is worth to look for a spare segment again.
    look_from: u64,
    /// Where the next commit begins.
    at: Position,
    /// The number of the next commit; all before it are on stable storage.
    next: u64,
    /// The commit under way.
    draft: Draft,
    /// The last flush failed: it is unknown what is on the card behind `at`, so the next commit goes into another
    /// segment.
    is_doubtful: bool,
    lock: File,
    /// How many commits processes beside the server made, for the server to see.
    others: Watch,
}

/// A commit under way: its contents are written, but nothing refers to them.
#[derive(Default)]
struct Draft {
    /// Where its next record goes; `None`: nothing was written yet.
    at: Option<Position>,
    /// Segments before the one in use that it wrote to: to be flushed, too.
    before: Vec<File>,
}

impl Log {
    /// The log behind what was read.
    pub fn open(segments: Segments, at: Position, next: u64) -> Result<Log> {
        let (lock, others) =
            (open_small(&segments.folder().join("lock"))?, Watch::open(segments.folder())?);
        let mut log = Log {
            segments,
            file: None,
            length: 0,
            look_from: 0,
            at,
            next,
            draft: Draft::default(),
            is_doubtful: false,
            lock,
            others,
        };
        log.moved_to(at, next)?;
        Ok(log)
    }

    /// Others went on to here.
    pub fn moved_to(&mut self, at: Position, next: u64) -> Result<()> {
        if self.file.is_none() || at.segment != self.at.segment {
            self.file = self
                .segments
                .open(at.segment, true)
                .or_else(|_| self.segments.open(at.segment, false))?;
        }
        self.length =
            self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |facts| facts.len());
        (self.at, self.next) = (at, next);
        Ok(())
    }

    /// Where the next commit begins, and its number.
    pub fn end(&self) -> (Position, u64) {
        (self.at, self.next)
    }

    /// Keeps other processes from appending until it is let go.
    pub fn lock(&self) -> Result<()> {
        self.lock.lock().map_err(Error::io("locking", &self.segments.folder().join("lock")))
    }

    pub fn unlock(&self) {
        // Only fails for what is no lock.
        let _ = self.lock.unlock();
    }

    /// Says to the server that another process made a commit.
    /// To be called with the lock held, and before anybody hears of the commit: without it the server writes its next
    /// one to the same place.
    pub fn count_own(&mut self) -> Result<()> {
        let next = self.others.count().wrapping_add(1);
        let path = self.segments.folder().join("others");
        self.others
            .counter
            .write_all_at(&next.to_be_bytes(), 0)
            .map_err(Error::io("writing", &path))
    }

    /// Writes the content of a message as part of the commit under way; `sum` went over it.
    pub fn content(&mut self, message: MessageId, content: &[u8], sum: &Hasher) -> Result<Extent> {
        let head = message.0.to_be_bytes();
        let mut held = hash(&head);
        held.combine(sum);
        let at = self.append(Kind::Content, &[&head, content], &held)?;
        self.begin_writing(at, content.len() as u64);
        extent(at)
    }

    /// The same for content of a length that comes in pieces: `read` fills one with what is at an offset.
    /// Gives the CRC-32 of what was written.
    pub fn content_of(
        &mut self,
        message: MessageId,
        length: u64,
        read: impl Fn(&mut [u8], u64) -> Result<()>,
    ) -> Result<(Extent, u32)> {
        let at = self.room_for(CONTENT_HEAD as u64 + length)?;
        let (head, mut content) = (message.0.to_be_bytes(), Hasher::new());
        let mut held = hash(&head);
        let begin = at.offset + RECORD_HEAD as u64;
        self.write_at(at.segment, &head, begin)?;
        let (mut piece, mut copied) = (vec![0; COPIED_OCTETS], 0);
        while copied < length {
            let piece = &mut piece[..COPIED_OCTETS.min((length - copied) as usize)];
            read(piece, copied)?;
            content.update(piece);
            self.write_at(at.segment, piece, begin + CONTENT_HEAD as u64 + copied)?;
            copied += piece.len() as u64;
        }
        held.combine(&content);
        let length = CONTENT_HEAD as u64 + length;
        self.write_at(at.segment, &self.head(Kind::Content, at, length).write(&held), at.offset)?;
        self.appended(Kind::Content, at, length);
        self.begin_writing(at, length);
        Ok((extent(at)?, content.finalize()))
    }

    /// Ends the commit under way: its writes, and the flush.
    /// On an error nothing counts as written.
    pub fn commit(&mut self, writes: &Writes) -> Result<u64> {
        let octets = encode(writes);
        self.append(Kind::Rows, &[&octets], &hash(&octets))?;
        let draft = std::mem::take(&mut self.draft);
        let files = draft.before.iter().chain(&self.file);
        let mut flushed = files.map(flush);
        if let Some(error) = flushed.find_map(std::io::Result::err) {
            // Where it reached into a second segment, that may have begun or not: recovery finds out.
            if !draft.before.is_empty() {
                return Err(Error::Spent);
            }
            self.is_doubtful = true;
            return Err(Error::io("flushing", &self.segments.path(self.at.segment))(error));
        }
        self.at = draft.at.unwrap_or(self.at);
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Gives the commit under way up.
    pub fn abandon(&mut self) {
        self.draft = Draft::default();
    }

    /// `sum` went over what is held.
    fn append(&mut self, kind: Kind, held: &[&[u8]], sum: &Hasher) -> Result<Position> {
        let length = held.iter().map(|piece| piece.len()).sum::<usize>() as u64;
        let at = self.room_for(length)?;
        let mut octets =
            Vec::with_capacity(RECORD_HEAD + length.min(COPIED_OCTETS as u64) as usize);
        octets.extend_from_slice(&self.head(kind, at, length).write(sum));
        let mut offset = at.offset;
        for piece in held {
            match octets.len() + piece.len() <= COPIED_OCTETS {
                true => octets.extend_from_slice(piece),
                false => {
                    self.write_at(at.segment, &octets, offset)?;
                    self.write_at(at.segment, piece, offset + octets.len() as u64)?;
                    offset += (octets.len() + piece.len()) as u64;
                    octets.clear();
                }
            }
        }
        self.write_at(at.segment, &octets, offset)?;
        self.appended(kind, at, length);
        Ok(at)
    }

    /// Lets the card begin with a large record, while the rest of the commit is put together.
    /// Only a help: the flush counts.
    fn begin_writing(&self, at: Position, length: u64) {
        if let Some(file) = self.file.as_ref().filter(|_| length >= LARGE_OCTETS) {
            early::begin(file, at.offset, length);
        }
    }

    fn head(&self, kind: Kind, at: Position, length: u64) -> RecordHead {
        RecordHead {
            kind,
            length: length as u32,
            segment: at.segment,
            commit: self.next,
            flushed: self.next - 1,
        }
    }

    fn write_at(&self, segment: u64, octets: &[u8], offset: u64) -> Result<()> {
        let file = self
            .file
            .as_ref()
            .ok_or_else(|| Error::Invalid { why: "the journal has no segment".into() })?;
        file.write_all_at(octets, offset)
            .map_err(|error| Error::io("writing", &self.segments.path(segment))(error))
    }

    /// A record of a length is at a place: the next comes behind it.
    fn appended(&mut self, kind: Kind, at: Position, length: u64) {
        let end = next_offset(at.offset, length);
        if end > self.length {
            let drafted =
                end.saturating_sub(if self.at.segment == at.segment { self.at.offset } else { 0 });
            let ahead = (self.segments.octets - end.min(self.segments.octets)).min(AHEAD_OCTETS);
            self.length = end;
            // Only an optimisation: a full disk shows itself at the next record.
            if kind == Kind::Rows
                && drafted <= AHEAD_WORTHWHILE
                && self.write_at(at.segment, &vec![0; ahead as usize], end).is_ok()
            {
                self.length = end + ahead;
            }
        }
        self.draft.at = Some(Position { segment: at.segment, offset: end });
    }

    /// Where a record of a length goes; begins a segment when it does not fit into this one, or would make its file
    /// longer while a spare one has the blocks.
    fn room_for(&mut self, length: u64) -> Result<Position> {
        let octets = self.segments.octets;
        if next_offset(SEGMENT_HEAD, length) > octets {
            return Err(Error::Invalid {
                why: format!("a commit of {length} octets does not fit the journal's segments"),
            });
        }
        let at = self.draft.at.unwrap_or(self.at);
        let end = next_offset(at.offset, length);
        let fits = self.file.is_some() && !self.is_doubtful && end <= octets;
        if fits && !(end > self.length && self.has_better(at, length)) {
            return Ok(at);
        }
        // A commit whose flush failed does not count: the log ends where it began.
        let before = if self.is_doubtful { self.at.offset } else { at.offset };
        let segment = at.segment + 1;
        let file = self.segments.begin(SegmentHead { segment, commit: self.next, before })?;
        self.length = file.metadata().map_or(0, |facts| facts.len());
        self.look_from = 0;
        self.is_doubtful = false;
        let begun = Position { segment, offset: SEGMENT_HEAD };
        let had_draft = self.draft.at.is_some();
        if let Some(old) = self.file.replace(file).filter(|_| had_draft) {
            self.draft.before.push(old);
        }
        // Also when the commit is given up: the segment has begun, and the log goes on in it.
        self.at = begun;
        self.draft.at = Some(begun);
        Ok(begun)
    }

    /// Whether a commit that begins with a record of a length is better off in a spare segment than behind the end of
    /// this one's file.
    /// Only an optimisation: a folder that can't be listed shows itself elsewhere.
    fn has_better(&mut self, at: Position, length: u64) -> bool {
        if self.draft.at.is_some() || length > AHEAD_WORTHWHILE || at.offset < self.look_from {
            return false;
        }
        self.look_from = at.offset + AHEAD_OCTETS;
        self.segments.next_spare_octets().is_some_and(|spare| spare >= self.segments.octets / 2)
    }
}

/// The check sum of octets, to go on with.
pub(crate) fn hash(octets: &[u8]) -> Hasher {
    let mut sum = Hasher::new();
    sum.update(octets);
    sum
}

/// Where the content is that a record holds.
fn extent(at: Position) -> Result<Extent> {
    let offset = at.offset + (RECORD_HEAD + CONTENT_HEAD) as u64;
    Ok(Extent {
        segment: at.segment,
        offset: u32::try_from(offset)
            .map_err(|_| Error::Invalid { why: "a segment is too large".into() })?,
    })
}

/// Returns when what was written to a segment is on the card.
#[cfg(not(feature = "careless"))]
fn flush(segment: &File) -> std::io::Result<()> {
    segment.sync_data()
}

/// Leaves it out, so that tests can show that they notice.
#[cfg(feature = "careless")]
fn flush(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// Looks whether other processes wrote.
pub(crate) struct Watch {
    counter: File,
}

impl Watch {
    pub fn open(journal: &Path) -> Result<Watch> {
        let counter = open_small(&journal.join("others"))?;
        Ok(Watch { counter })
    }

    /// A number that others' commits change.
    /// A look at eight octets.
    pub fn count(&self) -> u64 {
        let mut octets = [0; 8];
        // Empty before the first.
        self.counter.read_exact_at(&mut octets, 0).map_or(0, |()| u64::from_be_bytes(octets))
    }
}
