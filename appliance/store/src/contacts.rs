//! People somebody writes to.

pub(crate) mod read;
pub(crate) mod write;

use heed::types::Bytes;
use pillarbox_vocabulary::Timestamp;

use crate::engine::codec::{Cursor, Record, put_bytes, put_varint};
use crate::engine::table::{Named, tables};
use crate::ids::AccountId;

tables! {
    /// People somebody writes to.
    Tables {
        /// By account and address.
        contacts: Named<'e, Bytes, Contact>,
    }
}

/// Contacts of one account.
pub const CONTACTS: usize = 5_000;

/// Octets of a contact's name and of its note; longer ones are cut at a character.
pub const CONTACT_TEXT: usize = 1_000;

/// Somebody a person knows; the address is the row's key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    pub name: String,
    /// Telephone, company, whatever belongs to it; lines.
    pub note: String,
    /// Letters written to it.
    pub written: u64,
    /// The last of them.
    pub last: Timestamp,
    /// Made or edited by the person, not only collected from what was sent.
    pub is_kept: bool,
}

impl Record for Contact {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        for text in [&self.name, &self.note] {
            put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(CONTACT_TEXT)]);
        }
        put_varint(out, self.written);
        put_varint(out, self.last.0);
        out.push(u8::from(self.is_kept));
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Contact {
            name: octets.string()?,
            note: octets.string()?,
            written: octets.varint()?,
            last: Timestamp(octets.varint()?),
            is_kept: octets.u8()? != 0,
        })
    }
}

/// Longest address of a contact, in octets (RFC 5321 §4.5.3.1: 64, an @ and 255).
const ADDRESS_OCTETS: usize = 320;

/// Whether a text can be a contact's address.
pub(crate) fn can_be_address(text: &str) -> bool {
    (1..=ADDRESS_OCTETS).contains(&text.len())
}

/// The key of a contact: the account, then the address.
pub(crate) fn contact_key(account: AccountId, address: &str) -> Vec<u8> {
    let mut key = account.0.to_be_bytes().to_vec();
    key.extend_from_slice(&address.as_bytes()[..address.floor_char_boundary(ADDRESS_OCTETS)]);
    key
}
