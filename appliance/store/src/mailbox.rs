//! Folders and the messages in them: entries, counters, live sets, the views of POP3 devices, what readers judged.

pub(crate) mod change;
pub(crate) mod collect;
pub(crate) mod deliver;
pub(crate) mod entries;
pub(crate) mod folders;
pub(crate) mod maildrop;
pub(crate) mod read;
pub(crate) mod retention;

use std::ops::RangeInclusive;

use pillarbox_vocabulary::Timestamp;
use roaring::RoaringBitmap;

use crate::engine::codec::{Cursor, FixedKey, Record, compound_key, put_bytes, put_varint};
use crate::engine::snapshot::Snapshot;
use crate::engine::table::{Keyed, Raw, tables};
use crate::error::{Error, Result};
use crate::ids::{AccountId, DayKey, DeviceKey, FolderId, FolderKey, MessageId, PlaceKey};

tables! {
    /// Folders and the messages in them.
    Tables {
        /// Entries of all folders of all accounts.
        mail: Keyed<'e, MailKey, Entry>,
        /// Every folder's counters.
        states: Keyed<'e, FolderKey, FolderState>,
        /// UIDs that went, by folder and the modification sequence of that (RFC 7162 §3.2.6).
        expunged: Keyed<'e, ExpungedKey, UidSet>,
        /// The newest entries and all counters as stores up to format 3 kept them: empty since.
        recent: Raw<'e, MailKey>,
        /// UIDs below `FolderState::live_below` that still exist.
        live: Keyed<'e, FolderKey, UidSet>,
        folders: Keyed<'e, FolderKey, FolderName>,
        /// POP3 views by device.
        views: Keyed<'e, DeviceKey, View>,
        /// What devices deleted, by day, for the policy that moves it to Trash later.
        collected: Keyed<'e, DayKey, UidSet>,
        /// Drafts that go out by themselves.
        timed: Keyed<'e, PlaceKey, Timed>,
        /// Junk or not, as people judged.
        judgements: Keyed<'e, JudgementKey, Judgement>,
    }
}

/// A message in a folder.
/// UIDs ascend and are never reused within a UIDVALIDITY (RFC 9051 §2.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailKey {
    pub account: AccountId,
    pub folder: FolderId,
    pub uid: u32,
}

impl MailKey {
    /// No message has it.
    /// Up to format 3 of the store the folder's counters were in this row of `recent`.
    pub const STATE: u32 = u32::MAX;

    pub(crate) fn new(account: AccountId, folder: FolderId, uid: u32) -> Self {
        MailKey { account, folder, uid }
    }
}

impl FixedKey for MailKey {
    const WIDTH: usize = 12;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.folder.write(out);
        out.extend_from_slice(&self.uid.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(MailKey {
            account: AccountId::read(octets)?,
            folder: FolderId::read(octets)?,
            uid: octets.u32()?,
        })
    }
}

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
    /// Random and unique: the POP3 unique-id (RFC 1939 §7).
    /// It is drawn, not counted, so that a store restored from an old backup never gives an old id to a new message.
    pub unique_id: u64,
    /// Size with CRLF line ends, as POP3 and IMAP report it.
    pub octets: u32,
    /// When it was put into this folder.
    pub saved_at: Timestamp,
    pub flags: Flags,
    /// The folder's modification sequence at the last change (RFC 7162).
    pub modseq: u64,
    /// Flags that people or programs made up (RFC 9051 §2.3.2), a bit for each keyword of the account.
    pub keywords: u64,
}

impl Record for Entry {
    /// Version 1 had no keywords.
    const VERSION: u8 = 2;
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        out.extend_from_slice(&self.unique_id.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
        self.saved_at.write(out);
        out.extend_from_slice(&self.flags.0.to_be_bytes());
        out.extend_from_slice(&self.modseq.to_be_bytes());
        put_varint(out, self.keywords);
    }
    fn read(version: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Entry {
            message: MessageId::read(octets)?,
            unique_id: octets.u64()?,
            octets: octets.u32()?,
            saved_at: Timestamp::read(octets)?,
            flags: Flags(octets.u16()?),
            modseq: octets.u64()?,
            keywords: if version >= 2 { octets.varint()? } else { 0 },
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
        for value in [self.uid_validity, self.next_uid, self.messages, self.unseen, self.live_below]
        {
            out.extend_from_slice(&value.to_be_bytes());
        }
        out.extend_from_slice(&self.octets.to_be_bytes());
        out.extend_from_slice(&self.modseq.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let [uid_validity, next_uid, messages, unseen, live_below] =
            [octets.u32()?, octets.u32()?, octets.u32()?, octets.u32()?, octets.u32()?];
        Some(FolderState {
            uid_validity,
            next_uid,
            messages,
            unseen,
            live_below,
            octets: octets.u64()?,
            modseq: octets.u64()?,
        })
    }
}

/// The UIDs of a folder as a compressed bitmap: a snapshot of a maildrop costs a copy of it, not a walk over the
/// messages.
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
    /// `None`: a folder that somebody made, or one whose number says its use.
    pub special_use: Option<SpecialUse>,
}

/// What a folder is for, where its number does not say it (RFC 6154 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialUse {
    Archive = 1,
}

impl Record for FolderName {
    /// Version 1 had no special use.
    const VERSION: u8 = 2;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        out.push(self.special_use.map_or(0, |special_use| special_use as u8));
    }
    fn read(version: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let name = octets.string()?;
        let special_use = match if version >= 2 { octets.u8()? } else { 0 } {
            0 => None,
            1 => Some(SpecialUse::Archive),
            _ => return None,
        };
        Some(FolderName { name, special_use })
    }
}

compound_key! {
    /// A change of a folder in which messages went.
    ExpungedKey {
        folder: FolderKey,
        modseq: u64,
    }
}

/// A draft that goes out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When it goes out.
    pub due: Timestamp,
    /// Where it is.
    pub uid: u32,
}

impl Record for Timed {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.due.write(out);
        out.extend_from_slice(&self.uid.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Timed { due: Timestamp::read(octets)?, uid: octets.u32()? })
    }
}

/// What an account says about a message.
/// It goes with the message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JudgementKey {
    pub message: MessageId,
    pub account: AccountId,
}

impl FixedKey for JudgementKey {
    const WIDTH: usize = 12;
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        self.account.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(JudgementKey { message: MessageId::read(octets)?, account: AccountId::read(octets)? })
    }
}

/// Junk or not, as a person judged: what a filter learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub is_junk: bool,
    pub at: Timestamp,
}

impl Record for Judgement {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_junk));
        put_varint(out, self.at.0);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Judgement { is_junk: octets.u8()? != 0, at: Timestamp(octets.varint()?) })
    }
}

impl Tables<'static> {
    pub(crate) fn entry(&self, txn: &Snapshot, key: MailKey) -> Result<Option<Entry>> {
        self.mail.get(txn, &key).map_err(Error::lmdb("reading a mailbox entry"))
    }

    /// A folder's entries with these UIDs, in order.
    pub(crate) fn entries<'t>(
        &self,
        txn: &'t Snapshot,
        folder: FolderKey,
        uids: RangeInclusive<u32>,
    ) -> Result<impl Iterator<Item = Result<(u32, Entry)>> + use<'t>> {
        let doing = "reading a mailbox";
        let key = |uid| MailKey::new(folder.account, folder.folder, uid);
        // The last number is no message's: MailKey::STATE.
        let end = uids.end().saturating_add(1);
        let rows =
            self.mail.range(txn, &(key(*uids.start())..key(end))).map_err(Error::lmdb(doing))?;
        Ok(rows
            .map(move |row| row.map(|(key, entry)| (key.uid, entry)).map_err(Error::lmdb(doing))))
    }

    /// A folder's live set, as it was written last.
    pub(crate) fn live_set(&self, txn: &Snapshot, folder: FolderKey) -> Result<UidSet> {
        let live = self.live.get(txn, &folder).map_err(Error::lmdb("reading a live set"))?;
        Ok(live.unwrap_or_default())
    }

    /// The UIDs that a folder has now: its live set, and what came behind it.
    pub(crate) fn live_now(
        &self,
        txn: &Snapshot,
        folder: FolderKey,
        state: &FolderState,
    ) -> Result<UidSet> {
        let mut live = self.live_set(txn, folder)?;
        for row in self.entries(txn, folder, state.live_below..=u32::MAX)? {
            live.0.insert(row?.0);
        }
        Ok(live)
    }

    pub(crate) fn folder(&self, txn: &Snapshot, folder: FolderKey) -> Result<Option<FolderState>> {
        self.states.get(txn, &folder).map_err(Error::lmdb("reading folder counters"))
    }

    /// The step from format 3: the newest entries go to the others, counters to a table of their own.
    pub(crate) fn sort_in_recent(&self, txn: &mut heed::RwTxn) -> heed::Result<()> {
        let mut old = Vec::new();
        for row in self.recent.base().iter(txn)? {
            let (key, value) = row?;
            old.push((key.to_vec(), value.to_vec()));
        }
        for (key, value) in old {
            let (folder, uid) = key.split_at(key.len().saturating_sub(4));
            match uid == MailKey::STATE.to_be_bytes() {
                true => self.states.base().put(txn, folder, &value)?,
                false => self.mail.base().put(txn, &key, &value)?,
            }
        }
        self.recent.base().clear(txn)
    }
}

/// Folders people make are numbered from here.
pub(crate) const FIRST_OWN_FOLDER: u32 = 16;
