//! The tables: one typed field each. Who writes which is the writer's business; everyone may read.

use heed::types::{Bytes, Str, Unit};
use heed::{CommitOrAbort, CommitToken, Database, Env, OnCommit};

use crate::card::{Card, PlaceKey, Places, Timed};
use crate::codec::{Key, Value};
use crate::contact::{Contact, Judgement, JudgementKey};
use crate::content::ContentHead;
use crate::directory::{Account, AddressTarget, Credential, DomainRecord, WebSession};
use crate::error::{Error, Result};
use crate::key::{AccountId, AgendaKey, BlobId, ContentKey, DayKey, DeviceKey, FolderKey, LaneKey, LedgerId, MailKey, MessageId, QueueKey, ReportKey, TermKey};
use crate::ledger::LedgerRecord;
use crate::mailbox::{Entry, FolderName, FolderState, UidSet, View};
use crate::named::{Create, Named};
use crate::owner::{Hour, OneTimeLink, SecondFactor, Setting, SignIn, SignInKey};
use crate::queue::{Outgoing, Route, SigningKey, StsPolicy, Transcript, Waiting};

type Table<'e, K, V> = Database<'e, Key<K>, Value<V>>;
type RawTable<'e, K> = Database<'e, Key<K>, Bytes>;
type TextTable<'e, V> = Named<'e, Str, V>;

/// How many named databases the environment must have room for (some to spare).
pub(crate) const MAX_TABLES: u32 = 48;

/// Declares the tables once: field, type and document line; the table's name is the field's.
macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// Every table of the store. Hot ones (touched by each delivery) are `recent`, `content`
        /// and `ledger`: each costs a path of pages per commit, so there are no others.
        #[derive(Clone, Copy)]
        pub(crate) struct Tables<'e> {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl OnCommit for Tables<'_> {
            type Committed = Tables<'static>;
            fn on_commit(self, token: &CommitToken) -> Tables<'static> {
                Tables { $($field: self.$field.on_commit(token),)* }
            }
        }

        impl Tables<'static> {
            /// Pages that hold rows, in all tables. Costs one look per table.
            pub(crate) fn pages(&self, txn: &heed::RoTxn) -> Result<u64> {
                let mut pages = 0;
                $(
                    let stat = self.$field.stat(txn).map_err(Error::lmdb("measuring the tables"))?;
                    pages += (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
                )*
                Ok(pages)
            }

            /// Opens the tables of a store that can only be read.
            pub(crate) fn open(env: &Env) -> Result<Tables<'static>> {
                let doing = "opening the tables";
                let txn = env.read_txn().map_err(Error::lmdb(doing))?;
                let tables = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                    let tables = Tables { $($field: Create::open(opener, txn, stringify!($field))?,)* };
                    Ok(CommitOrAbort::<_, ()>::Commit(tables))
                });
                tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
            }

            /// Opens the tables, creating those that are missing.
            pub(crate) fn create(env: &Env) -> Result<Tables<'static>> {
                let doing = "opening the tables";
                let txn = env.write_txn().map_err(Error::lmdb(doing))?;
                let tables = env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                    let tables = Tables { $($field: Create::create(opener, txn, stringify!($field))?,)* };
                    Ok(CommitOrAbort::<_, ()>::Commit(tables))
                });
                tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
            }
        }
    };
}

tables! {
    /// Format version, store id, small marks.
    meta: Database<'e, Str, Bytes>,
    accounts: Table<'e, AccountId, Account>,
    credentials: Table<'e, DeviceKey, Credential>,
    /// By lowercased domain name.
    domains: TextTable<'e, DomainRecord>,
    /// By canonical address, or `@domain` for a catch-all.
    addresses: TextTable<'e, AddressTarget>,
    /// Entries of all folders of all accounts, but for the newest few hundred.
    mail: RawTable<'e, MailKey>,
    /// The newest entries of all folders, and every folder's counters behind its newest entry. All
    /// deliveries meet in these few pages; from time to time they are folded into `mail`.
    recent: RawTable<'e, MailKey>,
    /// UIDs below `FolderState::live_below` that still exist.
    live: Table<'e, FolderKey, UidSet>,
    folders: Table<'e, FolderKey, FolderName>,
    /// POP3 views by device.
    views: Table<'e, DeviceKey, View>,
    /// What devices deleted, by day, for [`crate::MailboxPolicy::TrashAfter`].
    collected: Table<'e, DayKey, UidSet>,
    /// Heads (part 0) and parts of message content.
    content: RawTable<'e, ContentKey>,
    /// Number of folder entries that share a message, where it is more than one.
    shares: RawTable<'e, MessageId>,
    /// Messages whose content lies in a file, by the file's name.
    blobs: RawTable<'e, BlobId>,
    ledger: Table<'e, LedgerId, LedgerRecord>,
    /// Blocks of the ledger by hashed search term.
    terms: Database<'e, Key<TermKey>, Unit>,
    /// Messages on their way out; each counts as one share of its content.
    outgoing: Table<'e, MessageId, Outgoing>,
    /// Their recipients.
    queue: Table<'e, QueueKey, Waiting>,
    /// The scheduled ones by domain and time: what one connection can take along lies together.
    lanes: Database<'e, Key<LaneKey>, Unit>,
    /// Lanes by the time of their first recipient, with the domain: what is not due costs nothing.
    agenda: Database<'e, Key<AgendaKey>, Str>,
    /// Conversations of last attempts.
    transcripts: Table<'e, QueueKey, Transcript>,
    /// Recipients an account sent to on a day.
    usage: RawTable<'e, DayKey>,
    /// Ways out through a provider, by destination domain; the empty name is for all others.
    routes: TextTable<'e, Route>,
    /// Signing keys by `domain/selector`.
    keys: TextTable<'e, SigningKey>,
    /// MTA-STS policies by domain.
    policies: TextTable<'e, StsPolicy>,
    /// Signed-in browsers by the hash of their token.
    sessions: TextTable<'e, WebSession>,
    /// Notices that came about a message that was sent.
    reports: Database<'e, Key<ReportKey>, Unit>,
    /// What the owner chose, by name.
    settings: TextTable<'e, Setting>,
    /// Links for new passwords by the hash of what stands in them.
    links: TextTable<'e, OneTimeLink>,
    factors: Table<'e, AccountId, SecondFactor>,
    /// The last sign-ins of each account.
    sign_ins: Table<'e, SignInKey, SignIn>,
    /// What lists show of messages; made behind the deliveries, like the four tables below.
    cards: Table<'e, MessageId, Card>,
    /// Where an account has a message that is in its index.
    places: Table<'e, PlaceKey, Places>,
    /// The numbers of messages by account, term and block.
    postings: Named<'e, Bytes, UidSet>,
    /// Letters among the drafts that go out by themselves.
    timed: Table<'e, PlaceKey, Timed>,
    /// By account and address.
    contacts: Named<'e, Bytes, Contact>,
    /// Junk or not, as people judged.
    judgements: Table<'e, JudgementKey, Judgement>,
    /// UIDs below this are in the index.
    indexed: RawTable<'e, FolderKey>,
    /// By hours since 1970.
    hours: Table<'e, u64, Hour>,
}

impl Tables<'_> {
    /// An entry, wherever it is.
    pub(crate) fn entry(&self, txn: &heed::RoTxn, key: MailKey) -> Result<Option<Entry>> {
        let doing = "reading a mailbox entry";
        let recent = self.recent.remap_data_type::<Value<Entry>>().get(txn, &key).map_err(Error::lmdb(doing))?;
        match recent {
            Some(entry) => Ok(Some(entry)),
            None => self.mail.remap_data_type::<Value<Entry>>().get(txn, &key).map_err(Error::lmdb(doing)),
        }
    }

    /// A folder's entries from a UID on, in order: what was folded into `mail` is older than what was not.
    pub(crate) fn entries<'t>(&self, txn: &'t heed::RoTxn, folder: FolderKey, from: u32) -> Result<impl Iterator<Item = Result<(u32, Entry)>> + use<'t>> {
        let doing = "reading a mailbox";
        let key = |uid| MailKey::new(folder.account, folder.folder, uid);
        let range = key(from)..key(MailKey::STATE);
        let mail = self.mail.remap_data_type::<Value<Entry>>().range(txn, &range).map_err(Error::lmdb(doing))?;
        let recent = self.recent.remap_data_type::<Value<Entry>>().range(txn, &range).map_err(Error::lmdb(doing))?;
        Ok(mail.chain(recent).map(move |row| row.map(|(key, entry)| (key.uid, entry)).map_err(Error::lmdb(doing))))
    }

    pub(crate) fn folder(&self, txn: &heed::RoTxn, folder: FolderKey) -> Result<Option<FolderState>> {
        let key = MailKey::new(folder.account, folder.folder, MailKey::STATE);
        self.recent.remap_data_type::<Value<FolderState>>().get(txn, &key).map_err(Error::lmdb("reading folder counters"))
    }

    pub(crate) fn head(&self, txn: &heed::RoTxn, message: MessageId) -> Result<Option<ContentHead>> {
        let key = ContentKey { message, part: 0 };
        self.content.remap_data_type::<Value<ContentHead>>().get(txn, &key).map_err(Error::lmdb("reading a message head"))
    }
}
