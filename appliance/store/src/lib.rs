//! The mail store: one LMDB environment, content files beside it, one writing thread.
//!
//! A message is in the store when [`Store`] says so and not before: every write is answered after the
//! commit that made it durable. Reads happen in closures on the caller's thread and never block the
//! writer. The crate knows mailboxes and messages as octets; it knows no protocol, no socket and no clock.

mod blob;
mod card;
pub mod codec;
mod contact;
mod content;
mod directory;
mod env;
mod error;
#[cfg(test)]
mod golden;
mod key;
mod ledger;
mod mailbox;
mod maildrop;
mod medium;
mod migrate;
mod named;
mod off_thread;
mod owner;
mod queue;
mod read;
mod room;
mod tables;
mod write;
mod writer;

pub use blob::{BlobReader, Checksum, Spool, Spooled};
pub use card::{CARD_TEXT, Card, TERM_OCTETS, Timed};
pub use contact::{CONTACT_TEXT, CONTACTS, Contact, Judgement};
pub use content::{INLINE_OCTETS, Location};
pub use directory::{Account, AddressTarget, Credential, MailboxPolicy, WebSession, clean_name, domain_of};
pub use env::{Access, Disk, Options, Space};
pub use error::{Error, Result};
pub use key::{AccountId, BlobId, DeviceId, FolderId, LaneId, LedgerId, MessageId, QueueKey};
pub use ledger::{Fate, LedgerRecord, ShortCode, TEXT_LIMIT, term, words};
pub use mailbox::{Entry, Flags, FolderState};
pub use maildrop::{Maildrop, MaildropEntry};
pub use off_thread::off_thread;
pub use owner::{Hour, OneTimeLink, SecondFactor, SignIn};
pub use queue::{Hold, KeyKind, Notices, Outgoing, QueueState, Route, RouteTls, SigningKey, StsPolicy, Traits, Transcript, Waiting};
pub use read::{Content, Found, Reader, Resolution, SubAddresses, Unindexed};
pub use write::{
    Change, Changed, Collection, Delivered, Delivery, IndexWork, Indexed, MAIL_ORDER, MailOrder, MailWhat, Maintained, Order, Placement, QueueOrder, Relay,
    Retention, Settlement, Updated, Verdict,
};
pub use writer::{Pending, Store};
