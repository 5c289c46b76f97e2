//! Reading the journal from a commit on, in order: for recovery, for other processes, for whoever keeps a copy.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::SEGMENT_OCTETS;
use super::record::{
    ALIGNMENT, CONTENT_HEAD, Kind, Position, RECORD_HEAD, RecordHead, SEGMENT_HEAD, decode,
    next_offset,
};
use super::segments::Segments;
use crate::engine::layers::Writes;
use crate::error::{Error, Result};
use crate::ids::MessageId;

/// Octets looked through at a time behind damage.
const SCAN_OCTETS: usize = 64 * 1024;

/// Reads commits one after the other.
pub(crate) struct Follower {
    segments: Segments,
    file: Option<File>,
    /// Where the next record begins.
    at: Position,
    /// The number of the next commit.
    next: u64,
    /// Where the log goes on in the next segment, once that is there: the end of this one, and the commit there.
    turn: Option<(u64, u64)>,
}

/// One commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub number: u64,
    pub writes: Writes,
}

/// What is at the place of the next record.
enum Found {
    Record(RecordHead, Vec<u8>),
    /// Nothing that was finished.
    Nothing,
}

impl Follower {
    /// Reads from a place on, where commit `next` is to come.
    pub fn new(segments: Segments, at: Position, next: u64) -> Follower {
        Follower { segments, file: None, at, next, turn: None }
    }

    /// Where the log ends, as far as it was read.
    pub fn end(&self) -> Position {
        self.at
    }

    /// The number of the next commit.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// The next commit; `None` at the end.
    /// Later more may have come.
    pub fn next(&mut self) -> Result<Option<Commit>> {
        // A segment that began since says where this one ends: what is behind that does not count.
        self.look_for_turn()?;
        loop {
            if self.file.is_none() {
                self.file = self.segments.open(self.at.segment, false)?;
                self.look_for_turn()?;
            }
            let is_over = self.turn.is_some_and(|(end, _)| self.at.offset >= end);
            let found = if is_over { Found::Nothing } else { self.record(self.at)? };
            match found {
                Found::Record(head, held) if head.commit == self.next => {
                    self.at.offset = next_offset(self.at.offset, u64::from(head.length));
                    if head.kind == Kind::Rows {
                        let damaged =
                            || Error::damaged(format!("commit {} of the journal", head.commit));
                        let writes = decode(&held).ok_or_else(damaged)?;
                        self.next += 1;
                        return Ok(Some(Commit { number: head.commit, writes }));
                    }
                }
                // What was given up may not be whole.
                // Nothing is missing when the next segment goes on with the same commit.
                _ => match self.turn {
                    Some((end, commit))
                        if is_over || commit == self.next && self.at.offset < end =>
                    {
                        self.at = Position { segment: self.at.segment + 1, offset: SEGMENT_HEAD };
                        (self.file, self.turn) = (None, None);
                    }
                    _ => return Ok(None),
                },
            }
        }
    }

    /// The same for all that is there now.
    ///
    /// # Errors
    /// As those of `each`, and of reading.
    pub fn read_all(&mut self, mut each: impl FnMut(Commit) -> Result<()>) -> Result<()> {
        while let Some(commit) = self.next()? {
            each(commit)?;
        }
        Ok(())
    }

    fn look_for_turn(&mut self) -> Result<()> {
        if self.turn.is_none() {
            let head = self.segments.head(self.at.segment + 1)?;
            self.turn = head
                .filter(|head| head.before >= self.at.offset && head.commit >= self.next)
                .map(|head| (head.before, head.commit));
        }
        Ok(())
    }

    fn record(&self, at: Position) -> Result<Found> {
        let Some(file) = &self.file else { return Ok(Found::Nothing) };
        record(file, at)
    }

    /// At the end of what could be read: looks for commits behind it that prove that what is missing was finished once.
    /// Gives the number of the first of them, and goes on there.
    /// `None`: it is the end.
    pub fn skip_damage(&mut self) -> Result<Option<u64>> {
        let (used, _) = self.segments.list()?;
        for segment in used.into_iter().filter(|&segment| segment >= self.at.segment) {
            let Some(file) = self.segments.open(segment, false)? else { continue };
            let mut at = Position {
                segment,
                offset: if segment == self.at.segment { self.at.offset } else { SEGMENT_HEAD },
            };
            // A segment begins for a commit when the one before that is on the card.
            if let Some(head) = self
                .segments
                .head(segment)?
                .filter(|head| segment > self.at.segment && head.commit > self.next)
            {
                let first = self.next;
                (self.at, self.next, self.file, self.turn) = (at, head.commit, Some(file), None);
                return Ok(Some(first));
            }
            // Where the next segment says that this one ends, it ends, whatever is there.
            let end = self.segments.head(segment + 1)?.map_or(SEGMENT_OCTETS, |head| head.before);
            let mut block = vec![0; SCAN_OCTETS];
            while at.offset + RECORD_HEAD as u64 <= end {
                let count = read_some(&file, &mut block, at.offset);
                let heads = (0..count.saturating_sub(RECORD_HEAD - 1)).step_by(ALIGNMENT as usize);
                for place in heads {
                    let here = Position { segment, offset: at.offset + place as u64 };
                    let is_it = |head: &RecordHead| {
                        head.commit > self.next && head.flushed >= self.next && here.offset < end
                    };
                    let Some(_) = RecordHead::read(&block[place..], segment).filter(is_it) else {
                        continue;
                    };
                    if let Found::Record(head, _) = record(&file, here)? {
                        let first = self.next;
                        (self.at, self.next, self.file, self.turn) =
                            (here, head.commit, Some(file), None);
                        return Ok(Some(first));
                    }
                }
                match count < SCAN_OCTETS {
                    true => break,
                    // The head of a record may begin in this block and end in the next.
                    false => at.offset += (SCAN_OCTETS - RECORD_HEAD) as u64,
                }
            }
        }
        Ok(None)
    }
}

/// A message's content in a segment, whether anything refers to it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub message: MessageId,
    /// Where its octets begin, and how many there are.
    pub offset: u32,
    pub octets: u32,
}

/// The next content of a segment at or behind an offset, and where to look for the one after it; `None` at the
/// segment's end.
pub(crate) fn next_content(file: &File, segment: u64, mut offset: u64) -> Option<(Stored, u64)> {
    loop {
        let mut head = [0; RECORD_HEAD + CONTENT_HEAD];
        if !is_read(file, &mut head, offset) {
            return None;
        }
        let found = RecordHead::read(&head, segment)?;
        let next = next_offset(offset, u64::from(found.length));
        if found.kind == Kind::Content {
            let message = MessageId(u64::from_be_bytes(*head.last_chunk()?));
            let octets = found.length.checked_sub(CONTENT_HEAD as u32)?;
            return Some((
                Stored {
                    message,
                    offset: u32::try_from(offset).ok()? + (RECORD_HEAD + CONTENT_HEAD) as u32,
                    octets,
                },
                next,
            ));
        }
        offset = next;
    }
}

/// What is at a place.
/// How large segments are made is a setting, which may have been another one when this was written.
fn record(file: &File, at: Position) -> Result<Found> {
    let mut head = [0; RECORD_HEAD];
    if at.offset + RECORD_HEAD as u64 > SEGMENT_OCTETS || !is_read(file, &mut head, at.offset) {
        return Ok(Found::Nothing);
    }
    let Some(found) = RecordHead::read(&head, at.segment) else { return Ok(Found::Nothing) };
    if at.offset + RECORD_HEAD as u64 + u64::from(found.length) > SEGMENT_OCTETS {
        return Ok(Found::Nothing);
    }
    let mut held = vec![0; found.length as usize];
    let is_whole = is_read(file, &mut held, at.offset + RECORD_HEAD as u64)
        && RecordHead::is_right(&head, &held);
    Ok(if is_whole { Found::Record(found, held) } else { Found::Nothing })
}

/// Reads what is there, up to the whole of a block.
fn read_some(file: &File, block: &mut [u8], offset: u64) -> usize {
    let mut count = 0;
    while count < block.len() {
        match file.read_at(&mut block[count..], offset + count as u64) {
            Ok(0) | Err(_) => break,
            Ok(more) => count += more,
        }
    }
    count
}

/// Whether so many octets are there.
/// A card that can't give them back (EIO) has none.
fn is_read(file: &File, into: &mut [u8], offset: u64) -> bool {
    file.read_exact_at(into, offset).is_ok()
}
