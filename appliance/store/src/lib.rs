//! The mail store: one LMDB environment, content files beside it, one writing thread.
//!
//! A message is in the store when [`Store`] says so and not before: every write is answered after the commit that made
//! it durable.
//! Reads happen in closures on the caller's thread and never block the writer.
//! The crate knows mailboxes and messages as octets; it knows no protocol, no socket and no clock.

mod contacts;
mod content;
mod directory;
mod engine;
mod error;
#[cfg(test)]
mod golden;
mod ids;
mod index;
mod ledger;
mod lessons;
mod mailbox;
mod maintenance;
mod off_thread;
mod queue;
mod sending;
mod sessions;
mod settings;
mod statistics;
mod store;
mod tables;

pub use contacts::write::{NoteWritten, PutContacts};
pub use contacts::{CONTACT_TEXT, CONTACTS, Contact};
pub use content::read::Content;
pub use content::spool::{Checksum, Spool, Spooled};
pub use content::stream::ContentReader;
pub use content::{INLINE_OCTETS, Location, PREFIX_OCTETS};
pub use directory::read::{Resolution, SubAddresses};
pub use directory::write::{
    AddAccount, AddDevice, AddDomain, RemoveAccount, RemoveAlias, RemoveDevice, RemoveDomain,
    SetAlias, SetName, SetPassword, SetPolicy,
};
pub use directory::{Account, AddressTarget, Credential, MailboxPolicy, clean_name, domain_of};
pub use engine::change::{AnyChange, Change};
pub use engine::limits::Space;
pub use engine::notices::{Happened, Listener, Notice};
pub use engine::options::{Access, Options, Recovered};
pub use engine::reader::Reader;
pub use engine::room::Disk;
pub use error::{Error, Result};
pub use ids::{BlobId, DestinationId};
pub use index::read::{Found, Page, Unindexed};
pub use index::search::{Ask, Fact, Fields, Term, Truth, Words};
pub use index::segment::batch::Batch;
pub use index::segment::check::check_segment;
pub use index::segment::write::Written;
pub use index::upkeep::Merged;
pub use index::write::{IndexWork, Indexed, PutCards};
pub use index::{CARD_TEXT, Card, Field, TERM_OCTETS};
pub use ledger::detail::{ACCOUNT_PASSWORD, Detail, RemoteReply, Status};
pub use ledger::{Fate, LedgerRecord, Service, TEXT_LIMIT, fresh_code, term, words};
pub use lessons::access::PutLessons;
pub use lessons::{LESSON_OCTETS, Lesson};
pub use mailbox::change::{MAIL_ORDER, MailOrder, MailWhat, SetTimed};
pub use mailbox::collect::{Collection, Updated};
pub use mailbox::deliver::{Delivered, Delivery, Placement};
pub use mailbox::folders::{MakeFolder, RemoveFolder, RenameFolder};
pub use mailbox::maildrop::{Maildrop, MaildropEntry};
pub use mailbox::{Entry, Flags, FolderState, Judgement, Timed};
pub use maintenance::{Maintained, Retention};
pub use off_thread::off_thread;
pub use pillarbox_vocabulary::{
    AccountId, DeviceId, FolderId, LedgerId, MessageId, ShortCode, Timestamp,
};
pub use queue::entries::Relay;
pub use queue::settle::{Order, QueueOrder, Settlement, Verdict};
pub use queue::{Hold, Notices, Outgoing, QueueKey, QueueState, Traits, Transcript, Waiting};
pub use sending::write::{AddFirstKey, PutKey, RemoveKey, RemoveRoute, SetPolicyOf, SetRoute};
pub use sending::{KeyKind, Route, RouteTls, SigningKey, StsPolicy};
pub use sessions::write::{
    BeginSession, NoteSignIn, PutLink, RemoveSession, ReplaceFactor, SeeSession, SetFactor, UseLink,
};
pub use sessions::{OneTimeLink, SecondFactor, SignIn, WebSession};
pub use settings::access::SetSetting;
pub use statistics::Hour;
pub use statistics::access::PutHour;
pub use store::{Load, Pending, Store};
pub use tables::check_all;
