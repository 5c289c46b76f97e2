//! Mail that goes by itself: what devices deleted, what lay in Trash long enough, what removed accounts left.

use pillarbox_vocabulary::{ShortCode, Timestamp};

use crate::directory::{MailboxPolicy, PURGE};
use crate::engine::work::{Work, random};
use crate::error::{Error, Result};
use crate::ids::{AccountId, DayKey, FolderId, FolderKey, MessageId};
use crate::ledger::detail::Detail;
use crate::ledger::{Fate, LIST_LIMIT, LedgerRecord};
use crate::mailbox::ExpungedKey;

const DOING: &str = "housekeeping";

/// Entries looked at in one step.
const STEP_ENTRIES: usize = 1000;

impl Work<'_, '_> {
    pub(crate) fn purge_removed_account(&mut self) -> Result<bool> {
        let mark = self
            .tables
            .meta
            .prefix_iter(self.txn, PURGE)
            .map_err(Error::lmdb(DOING))?
            .next()
            .transpose();
        let Some((mark, id)) =
            mark.map_err(Error::lmdb(DOING))?.map(|(m, id)| (m.to_string(), id.to_vec()))
        else {
            return Ok(false);
        };
        let account = AccountId(
            id.try_into().map(u32::from_be_bytes).map_err(|_| Error::damaged("a purge mark"))?,
        );
        let folders = FolderKey { account, folder: FolderId(0) }..=FolderKey {
            account,
            folder: FolderId(u32::MAX),
        };
        let row = self
            .tables
            .mailbox
            .states
            .range(self.txn, &folders)
            .map_err(Error::lmdb(DOING))?
            .next()
            .transpose();
        let Some((folder, _)) = row.map_err(Error::lmdb(DOING))? else {
            self.tables.meta.delete(self.txn, &mark).map_err(Error::lmdb(DOING))?;
            return self.purge_leftovers(account).map(|()| true);
        };
        if self.delete_oldest(folder, |_| true)? {
            return Ok(true);
        }
        self.tables.mailbox.states.delete(self.txn, &folder).map_err(Error::lmdb(DOING))?;
        let expunged = ExpungedKey { folder, modseq: 0 }..=ExpungedKey { folder, modseq: u64::MAX };
        self.tables
            .mailbox
            .expunged
            .delete_range(self.txn, &expunged)
            .map_err(Error::lmdb(DOING))?;
        self.tables.mailbox.live.delete(self.txn, &folder).map_err(Error::lmdb(DOING))?;
        self.tables.mailbox.folders.delete(self.txn, &folder).map_err(Error::lmdb(DOING))?;
        Ok(true)
    }

    fn purge_leftovers(&mut self, account: AccountId) -> Result<()> {
        for device in self.devices_with_view(account)? {
            let key = crate::ids::DeviceKey { account, device };
            self.tables.mailbox.views.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        }
        let days = DayKey { account, day: 0 }..=DayKey { account, day: u32::MAX };
        self.tables
            .mailbox
            .collected
            .delete_range(self.txn, &days)
            .map(drop)
            .map_err(Error::lmdb(DOING))
    }

    /// Deletes from the oldest on what `wanted` says, as much as one commit may.
    fn delete_oldest(
        &mut self,
        folder: FolderKey,
        wanted: impl Fn(&crate::mailbox::Entry) -> bool,
    ) -> Result<bool> {
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

    /// Moves to Trash what devices deleted long enough ago.
    pub(crate) fn trash_collected(&mut self, at: Timestamp) -> Result<bool> {
        let today = at.day();
        for (account, record) in self.accounts()? {
            let MailboxPolicy::TrashAfter { days } = record.policy else { continue };
            let Some(last) = today.checked_sub(u32::from(days)) else { continue };
            let range = DayKey { account, day: 0 }..=DayKey { account, day: last };
            let row = self
                .tables
                .mailbox
                .collected
                .range(self.txn, &range)
                .map_err(Error::lmdb(DOING))?
                .next()
                .transpose();
            let Some((key, set)) = row.map_err(Error::lmdb(DOING))? else { continue };
            let now = set.0.iter().take(STEP_ENTRIES).collect();
            let folder = FolderKey { account, folder: FolderId::INBOX };
            self.move_entries(folder, FolderId::TRASH, &now, at)?;
            let rest = crate::mailbox::UidSet(set.0 - now);
            match rest.0.is_empty() {
                true => self.tables.mailbox.collected.delete(self.txn, &key).map(drop),
                false => self.tables.mailbox.collected.put(self.txn, &key, &rest),
            }
            .map_err(Error::lmdb(DOING))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Deletes for good what has been in Trash, or in Junk, long enough, and says so in the ledger.
    pub(crate) fn empty(&mut self, from: FolderId, at: Timestamp, seconds: u64) -> Result<bool> {
        let detail = if from == FolderId::JUNK { Detail::text("Junk") } else { Detail::Trash };
        let Some(before) = at.0.checked_sub(seconds).map(Timestamp) else { return Ok(false) };
        for (account, record) in self.accounts()? {
            let folder = FolderKey { account, folder: from };
            let uids = self.oldest(folder, STEP_ENTRIES, |entry| entry.saved_at < before)?;
            let (now, _) = self.deletable(folder, &uids)?;
            if now.is_empty() {
                continue;
            }
            let removed: Vec<u64> =
                self.take_entries(folder, &now)?.iter().map(|e| e.message.0).collect();
            for messages in removed.chunks(LIST_LIMIT) {
                self.record(&LedgerRecord {
                    recipients: vec![record.address.clone()],
                    detail: detail.clone(),
                    messages: messages.to_vec(),
                    ..LedgerRecord::new(at, Fate::Deleted, ShortCode(random()? as u32))
                })?;
            }
            for message in removed {
                self.release(MessageId(message))?;
            }
            return Ok(true);
        }
        Ok(false)
    }
}
