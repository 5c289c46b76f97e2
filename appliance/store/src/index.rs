//! What is kept of messages besides their content, for lists and searching. All of it is made behind the deliveries and
//! can be made anew.

pub(crate) mod read;
#[allow(dead_code)] // its users come with the next commit
pub(crate) mod segment;
pub(crate) mod write;

use heed::types::Bytes;

use crate::engine::codec::{Cursor, Record, put_bytes, put_varint};
use crate::engine::table::{Keyed, Named, Raw, tables};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::mailbox::UidSet;

tables! {
    /// What lists show and searches find; made behind the deliveries.
    Tables {
        /// What lists show of messages; made behind the deliveries, like the four tables below.
        cards: Keyed<'e, MessageId, Card>,
        /// Where an account has a message that is in its index.
        places: Keyed<'e, PlaceKey, Places>,
        /// The numbers of messages by account, term and block.
        postings: Named<'e, Bytes, UidSet>,
        /// UIDs below this are in the index.
        indexed: Raw<'e, FolderKey>,
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
    /// The Date field, seconds since 1970; 0 when there is none.
    pub date: u64,
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
        put_varint(out, self.date);
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
            date: octets.varint()?,
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

/// Messages of one block of the index: their numbers below are distances from its beginning.
pub(crate) const BLOCK_BITS: u32 = 14;

/// Longest word of the index in octets; longer ones are cut at a character.
pub const TERM_OCTETS: usize = 64;

/// Where in a message a word is. The numbers are those of the index files.
#[allow(dead_code)] // its users come with the next commit
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

/// The key of a term's messages within a block.
pub(crate) fn posting(account: AccountId, term: &str, block: u32) -> Vec<u8> {
    let mut key = term_prefix(account, term);
    key.push(0);
    key.extend_from_slice(&block.to_be_bytes());
    key
}

/// What all keys of terms begin with that begin like this.
pub(crate) fn term_prefix(account: AccountId, term: &str) -> Vec<u8> {
    let mut key = account.0.to_be_bytes().to_vec();
    key.extend(term[..term.floor_char_boundary(TERM_OCTETS)].bytes().filter(|&b| b != 0));
    key
}

/// The block in a posting's key.
pub(crate) fn block_of(key: &[u8]) -> Option<u32> {
    key.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))
}

/// The number of a message in the index; none for those beyond its range.
pub(crate) fn number(message: MessageId) -> Option<u32> {
    u32::try_from(message.0).ok()
}
