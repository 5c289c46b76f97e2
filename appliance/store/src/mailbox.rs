//! Values of the mailbox tables: entries, folder counters, live sets, device views.

use roaring::RoaringBitmap;

use crate::codec::{Cursor, FixedKey, Record, put_bytes};
use crate::key::MessageId;

/// Message flags (RFC 9051 §2.3.2), a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    pub const SEEN: Flags = Flags(1);
    pub const ANSWERED: Flags = Flags(2);
    pub const FLAGGED: Flags = Flags(4);
    pub const DELETED: Flags = Flags(8);
    pub const DRAFT: Flags = Flags(16);

    /// True when every flag of `other` is set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both sets together.
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
    /// This set less the other.
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// A message in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub message: MessageId,
    /// Random and unique: the POP3 unique-id (RFC 1939 §7). It is drawn, not counted,
    /// so that a store restored from an old backup never gives an old id to a new message.
    pub unique_id: u64,
    /// Size with CRLF line ends, as POP3 and IMAP report it.
    pub octets: u32,
    /// When it was put into this folder, seconds since 1970.
    pub saved_at: u64,
    pub flags: Flags,
    /// The folder's modification sequence at the last change (RFC 7162).
    pub modseq: u64,
}

impl Record for Entry {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        out.extend_from_slice(&self.unique_id.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
        out.extend_from_slice(&self.saved_at.to_be_bytes());
        out.extend_from_slice(&self.flags.0.to_be_bytes());
        out.extend_from_slice(&self.modseq.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Entry {
            message: MessageId::read(octets)?,
            unique_id: octets.u64()?,
            octets: octets.u32()?,
            saved_at: octets.u64()?,
            flags: Flags(octets.u16()?),
            modseq: octets.u64()?,
        })
    }
}

/// A folder's counters: they make STAT and STATUS cost the same at any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderState {
    /// RFC 9051 §2.3.1.1.
    pub uid_validity: u32,
    pub next_uid: u32,
    pub messages: u32,
    pub unseen: u32,
    pub octets: u64,
    /// The highest modification sequence given out.
    pub modseq: u64,
    /// UIDs below this are in the folder's live set; newer ones are found by a short scan.
    pub live_below: u32,
}

impl Record for FolderState {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        for value in [self.uid_validity, self.next_uid, self.messages, self.unseen, self.live_below] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        out.extend_from_slice(&self.octets.to_be_bytes());
        out.extend_from_slice(&self.modseq.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let [uid_validity, next_uid, messages, unseen, live_below] = [octets.u32()?, octets.u32()?, octets.u32()?, octets.u32()?, octets.u32()?];
        Some(FolderState { uid_validity, next_uid, messages, unseen, live_below, octets: octets.u64()?, modseq: octets.u64()? })
    }
}

/// The UIDs of a folder as a compressed bitmap: a snapshot of a maildrop costs a copy of it,
/// not a walk over the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UidSet(pub RoaringBitmap);

fn put_bitmap(out: &mut Vec<u8>, bitmap: &RoaringBitmap) {
    // Runs compress the usual case (nothing or everything deleted) to a few octets.
    let mut compact = bitmap.clone();
    compact.optimize();
    // Writing to a Vec cannot fail.
    let _ = compact.serialize_into(&mut *out);
}

fn read_bitmap(octets: &mut Cursor<'_>) -> Option<RoaringBitmap> {
    RoaringBitmap::deserialize_from(octets.rest()).ok()
}

impl Record for UidSet {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bitmap(out, &self.0);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        read_bitmap(octets).map(UidSet)
    }
}

/// One device's view of the inbox: what it deleted is hidden from it alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Octets of the hidden messages that still exist.
    pub hidden_octets: u64,
    /// UIDs of the hidden messages that still exist.
    pub hidden: RoaringBitmap,
}

impl Record for View {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hidden_octets.to_be_bytes());
        put_bitmap(out, &self.hidden);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(View { hidden_octets: octets.u64()?, hidden: read_bitmap(octets)? })
    }
}

/// A folder's name and use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderName {
    pub name: String,
}

impl Record for FolderName {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(FolderName { name: octets.string()? })
    }
}
