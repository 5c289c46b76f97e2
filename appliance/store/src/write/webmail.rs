//! What a person does with mail in the browser, and the index that serves them.

use roaring::RoaringBitmap;

use crate::card::{BLOCK_BITS, Card, PlaceKey, Places, Timed, number, posting};
use crate::contact::Judgement;
use crate::error::{Error, Result};
use crate::key::{AccountId, FolderId, FolderKey, MailKey, MessageId};
use crate::ledger::{Fate, LIST_LIMIT, LedgerRecord, ShortCode};
use crate::mailbox::{Flags, FolderName, UidSet};
use crate::named::fits;

use super::Work;
use super::change::{Changed, FIRST_OWN_FOLDER};

/// Folders an account may have.
const FOLDERS: usize = 500;
const DOING: &str = "changing a mailbox";

/// What to do with messages of one folder. At most [`MAIL_ORDER`] at a time.
#[derive(Clone, Debug)]
pub struct MailOrder {
    pub account: AccountId,
    pub folder: FolderId,
    pub uids: Vec<u32>,
    pub what: MailWhat,
    /// Seconds since 1970.
    pub at: u64,
}

#[derive(Clone, Debug)]
pub enum MailWhat {
    Flag {
        add: Flags,
        remove: Flags,
    },
    Move {
        to: FolderId,
    },
    /// Moved to the junk folder, or from it to the inbox; what its reader said is kept for a filter to learn from.
    Judge {
        is_junk: bool,
    },
    /// For good, as many as one commit may free ([`Changed::Left`] tells of the rest); `code` stands in the ledger.
    Delete {
        code: ShortCode,
    },
}

/// Most messages of one order.
pub const MAIL_ORDER: usize = 400;

/// A message that was read for the index.
#[derive(Clone, Debug)]
pub struct Indexed {
    pub message: MessageId,
    pub uid: u32,
    pub card: Card,
    /// Folded words with their field in front; each once.
    pub terms: Vec<String>,
}

/// A folder's messages from where the index ended up to a UID.
#[derive(Clone, Debug)]
pub struct IndexWork {
    pub account: AccountId,
    pub folder: FolderId,
    pub messages: Vec<Indexed>,
    /// Everything below is done.
    pub below: u32,
}

impl Work<'_, '_> {
    pub(super) fn mail_order(&mut self, order: &MailOrder) -> Result<Changed> {
        let folder = FolderKey { account: order.account, folder: order.folder };
        self.state(folder)?;
        if order.uids.len() > MAIL_ORDER {
            return Err(Error::Invalid { why: format!("at most {MAIL_ORDER} messages at a time") });
        }
        let uids: RoaringBitmap = order.uids.iter().copied().collect();
        match order.what {
            MailWhat::Flag { add, remove } => self.flag(folder, &uids, add, remove)?,
            MailWhat::Move { to } if to == order.folder => {}
            MailWhat::Move { to } => {
                self.state(FolderKey { account: order.account, folder: to })?;
                self.move_entries(folder, to, &uids, order.at)?;
            }
            MailWhat::Judge { is_junk } => {
                let to = if is_junk { FolderId::JUNK } else { FolderId::INBOX };
                self.judge(folder, &uids, Judgement { is_junk, at: order.at })?;
                if to != order.folder {
                    self.move_entries(folder, to, &uids, order.at)?;
                }
            }
            MailWhat::Delete { code } => return self.delete_for_good(folder, &uids, order.at, code),
        }
        Ok(Changed::Done)
    }

    fn flag(&mut self, folder: FolderKey, uids: &RoaringBitmap, add: Flags, remove: Flags) -> Result<()> {
        let mut state = self.state(folder)?;
        state.modseq += 1;
        for uid in uids {
            let key = MailKey::new(folder.account, folder.folder, uid);
            let Some(mut entry) = self.tables.entry(self.txn, key)? else { continue };
            let flags = entry.flags.with(add).without(remove);
            if flags == entry.flags {
                continue;
            }
            match (entry.flags.contains(Flags::SEEN), flags.contains(Flags::SEEN)) {
                (false, true) => state.unseen = state.unseen.saturating_sub(1),
                (true, false) => state.unseen += 1,
                _ => {}
            }
            (entry.flags, entry.modseq) = (flags, state.modseq);
            let encoded = crate::codec::Record::encode(&entry);
            let is_recent = self.tables.recent.get(self.txn, &key).map_err(Error::lmdb(DOING))?.is_some();
            let table = if is_recent { self.tables.recent } else { self.tables.mail };
            table.put(self.txn, &key, &encoded).map_err(Error::lmdb(DOING))?;
        }
        self.put_state(folder, &state)
    }

    fn delete_for_good(&mut self, folder: FolderKey, uids: &RoaringBitmap, at: u64, code: ShortCode) -> Result<Changed> {
        let (now, left) = self.deletable(folder, uids)?;
        let account = self.tables.accounts.get(self.txn, &folder.account).map_err(Error::lmdb(DOING))?;
        let removed: Vec<u64> = self.take_entries(folder, &now)?.iter().map(|entry| entry.message.0).collect();
        for removed in removed.chunks(LIST_LIMIT) {
            let record = LedgerRecord {
                recipients: account.iter().map(|a| a.address.clone()).collect(),
                detail: "webmail".into(),
                messages: removed.to_vec(),
                ..LedgerRecord::new(at, Fate::Deleted, code)
            };
            self.record(&record)?;
        }
        removed.into_iter().try_for_each(|message| self.release(MessageId(message)))?;
        Ok(Changed::Left(left.len() as u32))
    }

    pub(super) fn make_own_folder(&mut self, account: AccountId, name: &str) -> Result<Changed> {
        let mut names = Vec::new();
        let range = FolderKey { account, folder: FolderId(0) }..=FolderKey { account, folder: FolderId(u32::MAX) };
        for row in self.tables.folders.range(self.txn, &range).map_err(Error::lmdb(DOING))? {
            names.push(row.map_err(Error::lmdb(DOING))?.1.name);
        }
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Error::Exists { what: "folder", name: name.into() });
        }
        let found = self.tables.accounts.get(self.txn, &account).map_err(Error::lmdb(DOING))?;
        let mut found = found.ok_or_else(|| Error::NotFound { what: "account", name: account.0.to_string() })?;
        if names.len() >= FOLDERS {
            return Err(Error::Invalid { why: format!("at most {FOLDERS} folders") });
        }
        let folder = FolderKey { account, folder: FolderId(found.next_folder.max(FIRST_OWN_FOLDER)) };
        found.next_folder = folder.folder.0 + 1;
        self.tables.accounts.put(self.txn, &account, &found).map_err(Error::lmdb(DOING))?;
        self.make_folder(folder, (super::deliver::random()? as u32).max(1))?;
        let record = FolderName { name: name.into() };
        self.tables.folders.put(self.txn, &folder, &record).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Folder(folder.folder))
    }

    /// Only folders people made, and only empty ones can go: nothing is lost by a slip.
    pub(super) fn remove_own_folder(&mut self, account: AccountId, folder: FolderId) -> Result<Changed> {
        let key = self.own_folder(account, folder)?;
        if self.state(key)?.messages > 0 {
            return Err(Error::Invalid { why: "the folder is not empty".into() });
        }
        self.tables.folders.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let counters = MailKey::new(account, folder, MailKey::STATE);
        self.tables.recent.delete(self.txn, &counters).map_err(Error::lmdb(DOING))?;
        self.tables.live.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        self.tables.indexed.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(super) fn rename_own_folder(&mut self, account: AccountId, folder: FolderId, name: &str) -> Result<Changed> {
        let key = self.own_folder(account, folder)?;
        self.tables.folders.put(self.txn, &key, &FolderName { name: name.into() }).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    fn own_folder(&self, account: AccountId, folder: FolderId) -> Result<FolderKey> {
        let key = FolderKey { account, folder };
        let missing = || Error::NotFound { what: "folder of one's own", name: folder.0.to_string() };
        if folder.0 < FIRST_OWN_FOLDER || self.tables.folders.get(self.txn, &key).map_err(Error::lmdb(DOING))?.is_none() {
            return Err(missing());
        }
        Ok(key)
    }

    pub(super) fn set_timed(&mut self, account: AccountId, message: MessageId, timed: Option<Timed>) -> Result<Changed> {
        let key = PlaceKey { account, message };
        match timed {
            Some(timed) => self.tables.timed.put(self.txn, &key, &timed),
            None => self.tables.timed.delete(self.txn, &key).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(super) fn index(&mut self, work: &IndexWork) -> Result<Changed> {
        let folder = FolderKey { account: work.account, folder: work.folder };
        let mut postings: std::collections::BTreeMap<Vec<u8>, RoaringBitmap> = std::collections::BTreeMap::new();
        for indexed in &work.messages {
            let key = PlaceKey { account: work.account, message: indexed.message };
            let here = self.tables.entry(self.txn, MailKey::new(work.account, work.folder, indexed.uid))?;
            if here.is_none_or(|entry| entry.message != indexed.message) {
                // Gone, or moved on: it is met where it is now.
                continue;
            }
            let mut places = self.tables.places.get(self.txn, &key).map_err(Error::lmdb(DOING))?.unwrap_or_default();
            if !places.0.contains(&(work.folder, indexed.uid)) {
                places.0.push((work.folder, indexed.uid));
                self.tables.places.put(self.txn, &key, &places).map_err(Error::lmdb(DOING))?;
            }
            self.tables.cards.put(self.txn, &indexed.message, &indexed.card).map_err(Error::lmdb(DOING))?;
            let Some(number) = number(indexed.message) else { continue };
            for term in &indexed.terms {
                let key = posting(work.account, term, number >> BLOCK_BITS);
                if !fits(&key) {
                    // No word: nobody types it, and the others are to be found.
                    continue;
                }
                postings.entry(key).or_default().insert(number);
            }
        }
        for (key, numbers) in postings {
            let mut all = self.tables.postings.get(self.txn, &key).map_err(Error::lmdb(DOING))?.unwrap_or_default();
            all.0 |= numbers;
            self.tables.postings.put(self.txn, &key, &UidSet(all.0)).map_err(Error::lmdb(DOING))?;
        }
        self.tables.indexed.put(self.txn, &folder, &work.below.to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    /// Forgets the whole index; it is made anew from the messages.
    pub(super) fn clear_index(&mut self) -> Result<Changed> {
        self.tables.postings.clear(self.txn).map_err(Error::lmdb(DOING))?;
        self.tables.places.clear(self.txn).map_err(Error::lmdb(DOING))?;
        self.tables.cards.clear(self.txn).map_err(Error::lmdb(DOING))?;
        self.tables.indexed.clear(self.txn).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    /// An entry left its place. Messages that are not in the index have none.
    pub(super) fn leave(&mut self, account: AccountId, message: MessageId, from: (FolderId, u32)) -> Result<()> {
        let key = PlaceKey { account, message };
        let Some(mut places) = self.tables.places.get(self.txn, &key).map_err(Error::lmdb(DOING))? else { return Ok(()) };
        places.0.retain(|place| *place != from);
        match places {
            Places(none) if none.is_empty() => self.tables.places.delete(self.txn, &key).map(drop),
            places => self.tables.places.put(self.txn, &key, &places),
        }
        .map_err(Error::lmdb(DOING))
    }

    /// A moved entry is found at its new place at once; one without a card is met there by the index.
    pub(super) fn settle_in(&mut self, folder: FolderKey, message: MessageId, uid: u32) -> Result<()> {
        if self.tables.cards.get(self.txn, &message).map_err(Error::lmdb(DOING))?.is_none() {
            return Ok(());
        }
        let key = PlaceKey { account: folder.account, message };
        let mut places = self.tables.places.get(self.txn, &key).map_err(Error::lmdb(DOING))?.unwrap_or_default();
        places.0.push((folder.folder, uid));
        self.tables.places.put(self.txn, &key, &places).map_err(Error::lmdb(DOING))
    }
}
