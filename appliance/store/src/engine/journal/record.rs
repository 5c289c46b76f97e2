//! Octets of the journal: the head of a segment, the head of a record, and the writes of one commit.

use crate::engine::codec::{Cursor, put_bytes, put_varint};
use crate::engine::layers::{NUMBER_OCTETS, Writes};

/// A segment begins with it.
const MAGIC: &[u8; 8] = b"PBXJRNL1";
/// Octets of a segment's head; the first record follows.
pub(crate) const SEGMENT_HEAD: u64 = 64;
/// Octets of a record's head.
pub(crate) const RECORD_HEAD: usize = 32;
/// Records begin at multiples of this.
pub(crate) const ALIGNMENT: u64 = 16;
/// In front of a message's octets in its record: whose they are.
pub(crate) const CONTENT_HEAD: usize = 8;

/// Where something is in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Segments are numbered from 1.
    pub segment: u64,
    /// From the beginning of the segment, in octets.
    pub offset: u64,
}

/// The head of a segment in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub segment: u64,
    /// The number of the commit that was to come when it began.
    pub commit: u64,
    /// Where the log ends in the segment before.
    pub before: u64,
}

impl SegmentHead {
    pub fn write(&self) -> [u8; SEGMENT_HEAD as usize] {
        let mut out = [0; SEGMENT_HEAD as usize];
        out[..8].copy_from_slice(MAGIC);
        for (place, value) in [self.segment, self.commit, self.before].into_iter().enumerate() {
            out[8 + 8 * place..][..8].copy_from_slice(&value.to_be_bytes());
        }
        let sum = crc32fast::hash(&out[..32]);
        out[32..36].copy_from_slice(&sum.to_be_bytes());
        out
    }

    /// `None` for whatever is not one.
    pub fn read(octets: &[u8]) -> Option<SegmentHead> {
        let mut fields = Cursor(octets);
        let magic = fields.take(8)?;
        let (segment, commit, before) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let sum = fields.u32()?;
        (magic == MAGIC && crc32fast::hash(octets.get(..32)?) == sum).then_some(SegmentHead {
            segment,
            commit,
            before,
        })
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message's octets, with the message's id in front.
    /// It belongs to the commit whose number it bears.
    Content = 1,
    /// All row writes of a commit.
    /// With it the commit is there.
    Rows = 2,
}

/// The head of a record: CRC-32 of all that follows, length of what it holds, kind, segment, commit, flushed commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub kind: Kind,
    /// Octets behind the head.
    pub length: u32,
    /// So that what an earlier use of the same file left is never taken for a record.
    pub segment: u64,
    pub commit: u64,
    /// Commits up to this one were on stable storage when it was written: one of them that can't be read is damaged, a
    /// later one may just not have been finished.
    pub flushed: u64,
}

impl RecordHead {
    /// The head's octets; the sum went over what the record holds.
    pub fn write(&self, held: &crc32fast::Hasher) -> [u8; RECORD_HEAD] {
        let mut out = [0; RECORD_HEAD];
        out[4..8].copy_from_slice(&self.length.to_be_bytes());
        out[8] = self.kind as u8;
        out[12..16].copy_from_slice(&(self.segment as u32).to_be_bytes());
        out[16..24].copy_from_slice(&self.commit.to_be_bytes());
        out[24..32].copy_from_slice(&self.flushed.to_be_bytes());
        let mut sum = crc32fast::Hasher::new();
        sum.update(&out[4..]);
        sum.combine(held);
        out[..4].copy_from_slice(&sum.finalize().to_be_bytes());
        out
    }

    /// The head, without a look at what it is the head of.
    /// `None` for what can't be one in this segment.
    pub fn read(octets: &[u8], segment: u64) -> Option<RecordHead> {
        let mut fields = Cursor(octets.get(4..RECORD_HEAD)?);
        let length = fields.u32()?;
        let kind = match fields.u32()?.to_be_bytes() {
            [1, 0, 0, 0] => Kind::Content,
            [2, 0, 0, 0] => Kind::Rows,
            _ => return None,
        };
        let in_segment = fields.u32()? == segment as u32;
        let (commit, flushed) = (fields.u64()?, fields.u64()?);
        (in_segment && flushed < commit).then_some(RecordHead {
            kind,
            length,
            segment,
            commit,
            flushed,
        })
    }

    /// Whether head and what it is the head of are as they were written.
    pub fn is_right(head: &[u8], held: &[u8]) -> bool {
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head[4..RECORD_HEAD]);
        sum.update(held);
        sum.finalize().to_be_bytes() == head[..4]
    }
}

/// Where the next record begins, behind one of a length at an offset.
pub(crate) fn next_offset(offset: u64, length: u64) -> u64 {
    (offset + RECORD_HEAD as u64 + length).next_multiple_of(ALIGNMENT)
}

/// The writes of a commit as octets: table, key, and the row or that it goes.
pub(crate) fn encode(writes: &Writes) -> Vec<u8> {
    let mut out = Vec::with_capacity(
        writes
            .iter()
            .map(|(key, row)| key.len() + row.as_ref().map_or(0, |row| row.len()) + 6)
            .sum(),
    );
    for (key, row) in writes {
        put_bytes(&mut out, key);
        match row {
            None => out.push(0),
            Some(row) => {
                put_varint(&mut out, row.len() as u64 + 1);
                out.extend_from_slice(row);
            }
        }
    }
    out
}

/// The writes back.
/// `None` when they are none; bounded by the octets.
pub(crate) fn decode(octets: &[u8]) -> Option<Writes> {
    let mut fields = Cursor(octets);
    let mut writes = Writes::new();
    while !fields.0.is_empty() {
        let key = fields.bytes()?;
        let length = fields.varint()?;
        let row = match length {
            0 => None,
            length => Some(fields.take(usize::try_from(length - 1).ok()?)?.into()),
        };
        if key.len() <= NUMBER_OCTETS {
            return None;
        }
        writes.insert(key.into(), row);
    }
    Some(writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn writes_come_back_and_arbitrary_octets_do_no_harm(
            rows in proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 3..40), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
            other in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let writes: Writes = rows.into_iter().map(|(key, row)| (key.into(), row.map(Into::into))).collect();
            prop_assert_eq!(decode(&encode(&writes)), Some(writes));
            decode(&other);
            SegmentHead::read(&other);
            RecordHead::read(&other, 7);
        }
    }

    #[test]
    fn heads_come_back_and_those_of_another_segment_do_not() {
        let segment = SegmentHead { segment: 7, commit: 8, before: 9 };
        assert_eq!(SegmentHead::read(&segment.write()), Some(segment));
        let head = RecordHead { kind: Kind::Content, length: 5, segment: 7, commit: 3, flushed: 2 };
        let mut sum = crc32fast::Hasher::new();
        [b"he".as_slice(), b"llo"].iter().for_each(|piece| sum.update(piece));
        let octets = head.write(&sum);
        assert_eq!(
            (RecordHead::read(&octets, 7), RecordHead::read(&octets, 8)),
            (Some(head), None)
        );
        assert!(
            RecordHead::is_right(&octets, b"hello") && !RecordHead::is_right(&octets, b"hellO")
        );
        let mut changed = octets;
        changed[20] ^= 1;
        assert!(!RecordHead::is_right(&changed, b"hello"));
    }
}
