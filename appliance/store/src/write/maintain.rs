//! Housekeeping in small steps, each a commit of bounded size: retention, purges, the ledger's index and its end.

use crate::directory::MailboxPolicy;
use crate::error::{Error, Result};
use crate::key::{AccountId, DayKey, FolderId, FolderKey, LedgerId, MailKey, MessageId, TermKey};
use crate::ledger::{Fate, LIST_LIMIT, LedgerRecord, ShortCode};
use crate::read::LEDGER_BLOCK;

use super::Work;
use super::change::PURGE;

/// What is kept for how long. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Now, seconds since 1970.
    pub at: u64,
    /// How long Trash keeps a message.
    pub trash_for: u64,
    /// How long the ledger keeps a record.
    pub ledger_for: u64,
    /// Most octets the ledger may take.
    pub ledger_octets: u64,
}

/// Whether anything is left to do right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintained {
    More,
    Nothing,
}

const DOING: &str = "housekeeping";
const INDEXED: &str = "ledger-indexed";
/// Entries looked at in one step.
const STEP_ENTRIES: usize = 1000;

impl Work<'_, '_> {
    /// One step: the first kind of work that has something to do.
    pub(super) fn maintain(&mut self, retention: &Retention) -> Result<Maintained> {
        let worked = self.purge_removed_account()?
            || self.index_ledger()?
            || self.trim_ledger(retention)?
            || self.trash_collected(retention)?
            || self.empty_trash(retention)?;
        Ok(if worked { Maintained::More } else { Maintained::Nothing })
    }

    fn purge_removed_account(&mut self) -> Result<bool> {
        let mark = self.tables.meta.prefix_iter(self.txn, PURGE).map_err(Error::lmdb(DOING))?.next().transpose();
        let Some((mark, id)) = mark.map_err(Error::lmdb(DOING))?.map(|(m, id)| (m.to_string(), id.to_vec())) else {
            return Ok(false);
        };
        let account = AccountId(id.try_into().map(u32::from_be_bytes).map_err(|_| Error::damaged("a purge mark"))?);
        let first = MailKey::new(account, FolderId(0), 0);
        let row = self.tables.recent.get_greater_than_or_equal_to(self.txn, &first).map_err(Error::lmdb(DOING))?;
        // As long as a folder has entries its counters are there too, here or behind them.
        let Some(key) = row.map(|(key, _)| key).filter(|key| key.account == account) else {
            self.tables.meta.delete(self.txn, &mark).map_err(Error::lmdb(DOING))?;
            return self.purge_leftovers(account).map(|()| true);
        };
        let folder = FolderKey { account, folder: key.folder };
        if self.delete_oldest(folder, |_| true)? {
            return Ok(true);
        }
        let counters = MailKey::new(account, key.folder, MailKey::STATE);
        self.tables.recent.delete(self.txn, &counters).map_err(Error::lmdb(DOING))?;
        self.tables.live.delete(self.txn, &folder).map_err(Error::lmdb(DOING))?;
        self.tables.folders.delete(self.txn, &folder).map_err(Error::lmdb(DOING))?;
        Ok(true)
    }

    fn purge_leftovers(&mut self, account: AccountId) -> Result<()> {
        for device in self.devices_with_view(account)? {
            let key = crate::key::DeviceKey { account, device };
            self.tables.views.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        }
        let days = DayKey { account, day: 0 }..=DayKey { account, day: u32::MAX };
        self.tables.collected.delete_range(self.txn, &days).map(drop).map_err(Error::lmdb(DOING))
    }

    /// Deletes from the oldest on what `wanted` says, as much as one commit may.
    fn delete_oldest(&mut self, folder: FolderKey, wanted: impl Fn(&crate::Entry) -> bool) -> Result<bool> {
        let uids = self.oldest(folder, STEP_ENTRIES, wanted)?;
        let (now, _) = self.deletable(folder, &uids)?;
        if now.is_empty() {
            return Ok(false);
        }
        for entry in self.take_entries(folder, &now)? {
            self.release(entry.message)?;
        }
        Ok(true)
    }

    fn accounts(&self) -> Result<Vec<(AccountId, crate::Account)>> {
        let rows = self.tables.accounts.iter(self.txn).map_err(Error::lmdb(DOING))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))
    }

    /// Moves to Trash what devices deleted long enough ago.
    fn trash_collected(&mut self, retention: &Retention) -> Result<bool> {
        let today = (retention.at / 86_400) as u32;
        for (account, record) in self.accounts()? {
            let MailboxPolicy::TrashAfter { days } = record.policy else { continue };
            let Some(last) = today.checked_sub(u32::from(days)) else { continue };
            let range = DayKey { account, day: 0 }..=DayKey { account, day: last };
            let row = self.tables.collected.range(self.txn, &range).map_err(Error::lmdb(DOING))?.next().transpose();
            let Some((key, set)) = row.map_err(Error::lmdb(DOING))? else { continue };
            let now = set.0.iter().take(STEP_ENTRIES).collect();
            let folder = FolderKey { account, folder: FolderId::INBOX };
            self.move_entries(folder, FolderId::TRASH, &now, retention.at)?;
            let rest = crate::mailbox::UidSet(set.0 - now);
            match rest.0.is_empty() {
                true => self.tables.collected.delete(self.txn, &key).map(drop),
                false => self.tables.collected.put(self.txn, &key, &rest),
            }
            .map_err(Error::lmdb(DOING))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Deletes for good what has been in Trash long enough, and says so in the ledger.
    fn empty_trash(&mut self, retention: &Retention) -> Result<bool> {
        let Some(before) = retention.at.checked_sub(retention.trash_for) else { return Ok(false) };
        for (account, record) in self.accounts()? {
            let folder = FolderKey { account, folder: FolderId::TRASH };
            let uids = self.oldest(folder, STEP_ENTRIES, |entry| entry.saved_at < before)?;
            let (now, _) = self.deletable(folder, &uids)?;
            if now.is_empty() {
                continue;
            }
            let removed: Vec<u64> = self.take_entries(folder, &now)?.iter().map(|e| e.message.0).collect();
            for messages in removed.chunks(LIST_LIMIT) {
                self.record(&LedgerRecord {
                    recipients: vec![record.address.clone()],
                    detail: "Trash".into(),
                    messages: messages.to_vec(),
                    ..LedgerRecord::new(retention.at, Fate::Deleted, ShortCode(super::deliver::random()? as u32))
                })?;
            }
            for message in removed {
                self.release(MessageId(message))?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn block(&self, block: u64) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let range = LedgerId(block * LEDGER_BLOCK)..LedgerId((block + 1) * LEDGER_BLOCK);
        let rows = self.tables.ledger.range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))
    }

    /// Indexes one full block. Terms go in behind the deliveries, many at a time, so that a delivery's own
    /// commit does not have to touch a page for each of them.
    fn index_ledger(&mut self) -> Result<bool> {
        let indexed = self.tables.meta.get(self.txn, INDEXED).map_err(Error::lmdb(DOING))?;
        let next = indexed.map_or(Ok(0), |v| v.try_into().map(u64::from_be_bytes));
        let next = next.map_err(|_| Error::damaged("the mark of the ledger's index"))?;
        let last = self.tables.ledger.last(self.txn).map_err(Error::lmdb(DOING))?.map_or(0, |(id, _)| id.0);
        if last < (next + 1) * LEDGER_BLOCK {
            return Ok(false);
        }
        for (_, record) in self.block(next)? {
            for term in record.terms() {
                self.tables.terms.put(self.txn, &TermKey { term, block: next }, &()).map_err(Error::lmdb(DOING))?;
            }
        }
        self.tables.meta.put(self.txn, INDEXED, &(next + 1).to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(true)
    }

    /// Removes the oldest block when it is too old or the ledger too large; the newest block always stays,
    /// as the next message id is counted from it.
    fn trim_ledger(&mut self, retention: &Retention) -> Result<bool> {
        let first = self.tables.ledger.first(self.txn).map_err(Error::lmdb(DOING))?;
        let last = self.tables.ledger.last(self.txn).map_err(Error::lmdb(DOING))?;
        let (Some((first, _)), Some((last, _))) = (first, last) else { return Ok(false) };
        let block = first.0 / LEDGER_BLOCK;
        if last.0 < (block + 2) * LEDGER_BLOCK {
            return Ok(false);
        }
        let records = self.block(block)?;
        let stat = self.tables.ledger.stat(self.txn).map_err(Error::lmdb(DOING))?;
        let too_large = stat.leaf_pages as u64 * crate::env::PAGE > retention.ledger_octets;
        let too_old = records.iter().all(|(_, r)| r.at.saturating_add(retention.ledger_for) < retention.at);
        if !too_large && !too_old {
            return Ok(false);
        }
        for (id, record) in records {
            for term in record.terms() {
                self.tables.terms.delete(self.txn, &TermKey { term, block }).map_err(Error::lmdb(DOING))?;
            }
            self.tables.ledger.delete(self.txn, &id).map_err(Error::lmdb(DOING))?;
        }
        Ok(true)
    }
}
