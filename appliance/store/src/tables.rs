//! All tables: those of each idea, which declares its own, and a small one of the engine.

use heed::types::{Bytes, Str};

use crate::engine::codec::Record;
use crate::engine::table::{Table, tables};
use crate::{
    contacts, content, directory, index, ledger, lessons, mailbox, queue, sending, sessions,
    settings, statistics,
};

tables! {
    /// Every table of the store.
    Tables {
        /// Format version, store id, small marks.
        meta: Table<'e, Str, Bytes>,
        directory: directory::Tables<'e>,
        sessions: sessions::Tables<'e>,
        settings: settings::Tables<'e>,
        statistics: statistics::Tables<'e>,
        mailbox: mailbox::Tables<'e>,
        content: content::Tables<'e>,
        ledger: ledger::Tables<'e>,
        queue: queue::Tables<'e>,
        sending: sending::Tables<'e>,
        index: index::Tables<'e>,
        contacts: contacts::Tables<'e>,
        lessons: lessons::Tables<'e>,
    }
}

/// Decodes arbitrary octets as every kind of value and checks that what decodes can be written and read back.
/// Writing may shorten what is longer than its limit (texts of the ledger), but only once.
/// For fuzzing and property tests.
///
/// # Panics
/// When a value does not survive.
pub fn check_all(octets: &[u8]) {
    <Tables as crate::engine::table::declared::Declared>::check(octets);
    // Tables that hold several kinds of values give them back as octets.
    mailbox::Entry::check(octets);
    mailbox::FolderState::check(octets);
    content::ContentHead::check(octets);
}
