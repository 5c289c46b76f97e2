//! Reading folders and entries.

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId};
use crate::mailbox::{Entry, FolderState, Judgement, JudgementKey, MailKey, Timed};

impl Reader<'_> {
    /// A folder's counters.
    pub fn folder(&self, account: AccountId, folder: FolderId) -> Result<Option<FolderState>> {
        self.shared.tables.mailbox.folder(&self.txn, FolderKey { account, folder })
    }

    /// Entries of any folder from a UID on, at most `limit`.
    pub fn entries(
        &self,
        account: AccountId,
        folder: FolderId,
        from: u32,
        limit: usize,
    ) -> Result<Vec<(u32, Entry)>> {
        self.shared
            .tables
            .mailbox
            .entries(&self.txn, FolderKey { account, folder }, from..=u32::MAX)?
            .take(limit)
            .collect()
    }

    /// One entry of a folder.
    pub fn entry(&self, account: AccountId, folder: FolderId, uid: u32) -> Result<Option<Entry>> {
        self.shared.tables.mailbox.entry(&self.txn, MailKey::new(account, folder, uid))
    }

    /// Entries of a folder below a UID, newest first, at most `limit`: the same work at any size of the folder.
    pub fn entries_before(
        &self,
        account: AccountId,
        folder: FolderId,
        before: u32,
        limit: usize,
    ) -> Result<Vec<(u32, Entry)>> {
        let doing = "reading a mailbox";
        let key = |uid| MailKey::new(account, folder, uid);
        let range = key(0)..key(before);
        let rows = self
            .shared
            .tables
            .mailbox
            .mail
            .rev_range(&self.txn, &range)
            .map_err(Error::lmdb(doing))?;
        rows.take(limit)
            .map(|row| row.map(|(key, entry)| (key.uid, entry)).map_err(Error::lmdb(doing)))
            .collect()
    }

    /// The folders of an account with their names and counters, in order of their numbers.
    pub fn folders(&self, account: AccountId) -> Result<Vec<(FolderId, String, FolderState)>> {
        let doing = "reading folders";
        let range = FolderKey { account, folder: FolderId(0) }..=FolderKey {
            account,
            folder: FolderId(u32::MAX),
        };
        let rows = self
            .shared
            .tables
            .mailbox
            .folders
            .range(&self.txn, &range)
            .map_err(Error::lmdb(doing))?;
        let mut found = Vec::new();
        for row in rows {
            let (key, name) = row.map_err(Error::lmdb(doing))?;
            if let Some(state) = self.shared.tables.mailbox.folder(&self.txn, key)? {
                found.push((key.folder, name.name, state));
            }
        }
        Ok(found)
    }

    /// What a person said about a message.
    pub fn judgement(&self, account: AccountId, message: MessageId) -> Result<Option<Judgement>> {
        let key = JudgementKey { message, account };
        self.shared
            .tables
            .mailbox
            .judgements
            .get(&self.txn, &key)
            .map_err(Error::lmdb("reading a judgement"))
    }

    /// Drafts that go out by themselves, with their accounts.
    pub fn timed(&self) -> Result<Vec<(AccountId, MessageId, Timed)>> {
        let doing = "reading drafts for later";
        let rows = self.shared.tables.mailbox.timed.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| {
            row.map(|(key, timed)| (key.account, key.message, timed)).map_err(Error::lmdb(doing))
        })
        .collect()
    }
}
