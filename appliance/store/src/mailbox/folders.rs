//! Folders that people make.

use crate::directory::clean_name;
use crate::engine::change::Change;
use crate::engine::notices::Happened;
use crate::engine::work::{Work, random};
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey};
use crate::mailbox::{ExpungedKey, FIRST_OWN_FOLDER, FolderName};

/// Folders an account may have.
const FOLDERS: usize = 500;

const DOING: &str = "changing a mailbox";

pub(crate) fn folder_name(name: &str) -> Result<String> {
    match clean_name(name) {
        name if name.is_empty() => Err(Error::Invalid { why: "a folder needs a name".into() }),
        name => Ok(name),
    }
}

/// Makes a folder; gives its number.
#[derive(Clone, Debug)]
pub struct MakeFolder {
    pub account: AccountId,
    pub name: String,
}

impl Change for MakeFolder {
    type Outcome = FolderId;
    fn apply(&mut self, work: &mut Work) -> Result<FolderId> {
        work.make_own_folder(self.account, &folder_name(&self.name)?)
    }
}

/// Renames a folder that people made.
#[derive(Clone, Debug)]
pub struct RenameFolder {
    pub account: AccountId,
    pub folder: FolderId,
    pub name: String,
}

impl Change for RenameFolder {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.rename_own_folder(self.account, self.folder, &folder_name(&self.name)?)
    }
}

/// Only an empty one that people made.
#[derive(Clone, Debug)]
pub struct RemoveFolder {
    pub account: AccountId,
    pub folder: FolderId,
}

impl Change for RemoveFolder {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_own_folder(self.account, self.folder)
    }
}

impl Work<'_, '_> {
    fn make_own_folder(&mut self, account: AccountId, name: &str) -> Result<FolderId> {
        let mut names = Vec::new();
        let range = FolderKey { account, folder: FolderId(0) }..=FolderKey {
            account,
            folder: FolderId(u32::MAX),
        };
        for row in
            self.tables.mailbox.folders.range(self.txn, &range).map_err(Error::lmdb(DOING))?
        {
            names.push(row.map_err(Error::lmdb(DOING))?.1.name);
        }
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Error::Exists { what: "folder", name: name.into() });
        }
        let found =
            self.tables.directory.accounts.get(self.txn, &account).map_err(Error::lmdb(DOING))?;
        let mut found = found
            .ok_or_else(|| Error::NotFound { what: "account", name: account.0.to_string() })?;
        if names.len() >= FOLDERS {
            return Err(Error::Invalid { why: format!("at most {FOLDERS} folders") });
        }
        let folder =
            FolderKey { account, folder: FolderId(found.next_folder.max(FIRST_OWN_FOLDER)) };
        found.next_folder = folder.folder.0 + 1;
        self.tables
            .directory
            .accounts
            .put(self.txn, &account, &found)
            .map_err(Error::lmdb(DOING))?;
        self.make_folder(folder, (random()? as u32).max(1))?;
        let record = FolderName { name: name.into(), special_use: None };
        self.tables.mailbox.folders.put(self.txn, &folder, &record).map_err(Error::lmdb(DOING))?;
        self.notice(folder, Happened::Renamed);
        Ok(folder.folder)
    }

    /// Only folders people made, and only empty ones can go: nothing is lost by a slip.
    fn remove_own_folder(&mut self, account: AccountId, folder: FolderId) -> Result<()> {
        let key = self.own_folder(account, folder)?;
        if self.state(key)?.messages > 0 {
            return Err(Error::Invalid { why: "the folder is not empty".into() });
        }
        self.tables.mailbox.folders.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        self.tables.mailbox.states.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let expunged =
            ExpungedKey { folder: key, modseq: 0 }..=ExpungedKey { folder: key, modseq: u64::MAX };
        self.tables
            .mailbox
            .expunged
            .delete_range(self.txn, &expunged)
            .map_err(Error::lmdb(DOING))?;
        self.tables.mailbox.live.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        self.tables.index.indexed.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        self.notice(key, Happened::Renamed);
        Ok(())
    }

    fn rename_own_folder(
        &mut self,
        account: AccountId,
        folder: FolderId,
        name: &str,
    ) -> Result<()> {
        let key = self.own_folder(account, folder)?;
        let old = self.tables.mailbox.folders.get(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let renamed =
            FolderName { name: name.into(), special_use: old.and_then(|old| old.special_use) };
        self.tables.mailbox.folders.put(self.txn, &key, &renamed).map_err(Error::lmdb(DOING))?;
        self.notice(key, Happened::Renamed);
        Ok(())
    }

    fn own_folder(&self, account: AccountId, folder: FolderId) -> Result<FolderKey> {
        let key = FolderKey { account, folder };
        let missing =
            || Error::NotFound { what: "folder of one's own", name: folder.0.to_string() };
        if folder.0 < FIRST_OWN_FOLDER
            || self
                .tables
                .mailbox
                .folders
                .get(self.txn, &key)
                .map_err(Error::lmdb(DOING))?
                .is_none()
        {
            return Err(missing());
        }
        Ok(key)
    }
}
