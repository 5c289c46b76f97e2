//! What is kept of messages besides their content, for lists and searching.
//! All of it is made behind the deliveries and can be made anew.
//!
//! Words are in files (`segment`), one or more for each account, which are written once and merged now and then; what a
//! batch adds is one file.
//! The tables have small rows only: which files are an account's index, where its messages are, and what lists show.
//! A message is in an account's index exactly while it has a place there: so a removed one is masked at once, and goes
//! from the files at their next merge.

pub(crate) mod files;
pub(crate) mod manifest;
pub(crate) mod read;
pub(crate) mod removal;
pub(crate) mod search;
pub(crate) mod segment;
pub(crate) mod upkeep;
pub(crate) mod write;

use heed::types::{Bytes, DecodeIgnore};
use pillarbox_vocabulary::Timestamp;

use crate::engine::codec::{Cursor, Record, put_bytes, put_varint};
use crate::engine::snapshot::Snapshot;
use crate::engine::table::{Keyed, Raw, Table, tables};
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::index::manifest::Manifest;

tables! {
    /// What lists show and searches find; made behind the deliveries.
    Tables {
        /// What lists show of an account's messages; made behind the deliveries, like the tables below.
        /// By account, so that a batch fills a few pages, and not a bit of each page that all accounts share.
        summaries: Keyed<'e, PlaceKey, Card>,
        /// Where an account has a message that is in its index.
        places: Keyed<'e, PlaceKey, Places>,
        /// Which files are an account's index.
        segments: Keyed<'e, AccountId, Manifest>,
        /// UIDs below this are in the index.
        indexed: Raw<'e, FolderKey>,
        /// The same by message, as releases before kept it; emptied.
        cards: Raw<'e, MessageId>,
        /// The index as releases before kept it; emptied.
        postings: Table<'e, Bytes, Bytes>,
    }
}

impl Tables<'static> {
    /// UIDs of a folder below this are in the index.
    pub(crate) fn below(&self, txn: &Snapshot, folder: &FolderKey) -> Result<u32> {
        let octets = self.indexed.get(txn, folder).map_err(Error::lmdb("reading the index"))?;
        Ok(octets.and_then(|octets| octets.try_into().ok()).map_or(0, u32::from_be_bytes))
    }

    /// Whether an account has a message in its index: it has a place.
    pub(crate) fn is_indexed(
        &self,
        txn: &Snapshot,
        account: AccountId,
        message: MessageId,
    ) -> Result<bool> {
        let places =
            self.places.remap_data_type::<DecodeIgnore>().get(txn, &PlaceKey { account, message });
        Ok(places.map_err(Error::lmdb("reading the index"))?.is_some())
    }

    /// Accounts of which messages are in an index.
    pub(crate) fn marked(&self, txn: &Snapshot) -> Result<Vec<AccountId>> {
        let doing = "reading the index";
        let rows =
            self.indexed.remap_data_type::<DecodeIgnore>().iter(txn).map_err(Error::lmdb(doing))?;
        let mut accounts = rows
            .map(|row| row.map(|(key, ())| key.account))
            .collect::<heed::Result<Vec<_>>>()
            .map_err(Error::lmdb(doing))?;
        accounts.dedup();
        Ok(accounts)
    }

    /// Which files are an account's index; `None` where it has none.
    pub(crate) fn manifest(&self, txn: &Snapshot, account: AccountId) -> Result<Option<Manifest>> {
        self.segments.get(txn, &account).map_err(Error::lmdb("reading the index"))
    }

    /// Accounts with an index, and whether it is being given up.
    pub(crate) fn manifests(&self, txn: &Snapshot) -> Result<Vec<(AccountId, bool)>> {
        let doing = "reading the index";
        let rows = self.segments.iter(txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(account, manifest)| (account, manifest.is_void)))
            .collect::<heed::Result<_>>()
            .map_err(Error::lmdb(doing))
    }
}

/// Octets of each text of a card; longer ones are cut at a character.
pub const CARD_TEXT: usize = 200;

/// What a list shows of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Name and address of the first author, as far as they could be read.
    pub from_name: String,
    pub from: String,
    /// The first recipient's name or address, and how many there are in To and Cc.
    pub to: String,
    pub recipients: u32,
    pub subject: String,
    /// The beginning of the text.
    pub preview: String,
    /// The Date field; 0 when there is none.
    pub date: Timestamp,
    pub attachments: u32,
    /// Messages of one conversation share it.
    pub conversation: u64,
}

impl Record for Card {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        for text in [&self.from_name, &self.from, &self.to, &self.subject, &self.preview] {
            put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(CARD_TEXT)]);
        }
        put_varint(out, u64::from(self.recipients));
        put_varint(out, self.date.0);
        put_varint(out, u64::from(self.attachments));
        out.extend_from_slice(&self.conversation.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Card {
            from_name: octets.string()?,
            from: octets.string()?,
            to: octets.string()?,
            subject: octets.string()?,
            preview: octets.string()?,
            recipients: u32::try_from(octets.varint()?).ok()?,
            date: Timestamp(octets.varint()?),
            attachments: u32::try_from(octets.varint()?).ok()?,
            conversation: octets.u64()?,
        })
    }
}

/// Where an account has a message: folder and UID of each entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(pub Vec<(FolderId, u32)>);

impl Record for Places {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        for (folder, uid) in &self.0 {
            put_varint(out, u64::from(folder.0));
            put_varint(out, u64::from(*uid));
        }
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let mut places = Vec::new();
        while !octets.0.is_empty() {
            let folder = u32::try_from(octets.varint()?).ok()?;
            places.push((FolderId(folder), u32::try_from(octets.varint()?).ok()?));
        }
        Some(Places(places))
    }
}

/// Longest word of the index in octets; longer ones are cut at a character.
pub const TERM_OCTETS: usize = 64;

/// Where in a message a word is.
/// The numbers are those of the index files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    From = 1,
    /// To and Cc.
    To = 2,
    Subject = 3,
    Body = 4,
    /// The name of an attached file.
    File = 5,
    /// Something that is so of the message, and no word in it.
    Fact = 6,
}

/// The number of a message in the index; none for those beyond its range.
pub(crate) fn number(message: MessageId) -> Option<u32> {
    u32::try_from(message.0).ok()
}
