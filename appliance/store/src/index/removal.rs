//! Giving up an index: it counts no more at once, and its rows go little by little.

use heed::types::DecodeIgnore;

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::index::manifest::Manifest;
use crate::index::segment::SegmentId;

/// Rows that one commit removes of an index that is given up: some dozen pages.
const ROWS: usize = 2000;

const DOING: &str = "changing the index";

/// Gives up the index of an account, or of all; it is made anew from the messages.
/// Gives the files that are not needed any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forget(pub Option<AccountId>);

impl Change for Forget {
    type Outcome = Vec<SegmentId>;
    fn apply(&mut self, work: &mut Work) -> Result<Vec<SegmentId>> {
        let accounts = match self.0 {
            Some(account) => vec![account],
            None => work.indexed_accounts()?,
        };
        let mut gone = Vec::new();
        for account in accounts {
            gone.extend(work.forget(account)?);
        }
        Ok(gone)
    }
}

/// What a step of tidying up came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tidied {
    pub is_more: bool,
    pub gone: Vec<SegmentId>,
}

/// Removes some of what is left of indexes that were given up, and of an index as releases before kept it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tidy;

impl Change for Tidy {
    type Outcome = Tidied;
    fn apply(&mut self, work: &mut Work) -> Result<Tidied> {
        work.tidy()
    }
    fn frees_much(&self) -> bool {
        true
    }
}

impl Work<'_, '_> {
    /// Accounts with an index of whatever kind.
    fn indexed_accounts(&self) -> Result<Vec<AccountId>> {
        let mut accounts = self.tables.index.marked(self.txn)?;
        for row in self.tables.index.segments.iter(self.txn).map_err(Error::lmdb(DOING))? {
            accounts.push(row.map_err(Error::lmdb(DOING))?.0);
        }
        accounts.sort_unstable();
        accounts.dedup();
        Ok(accounts)
    }

    /// The account has no index from now on, and all of its messages wait for one.
    fn forget(&mut self, account: AccountId) -> Result<Vec<SegmentId>> {
        let known = self.manifest(account)?.unwrap_or_default();
        self.put_manifest(account, &Manifest { is_void: true, segments: Vec::new() })?;
        let range = FolderKey { account, folder: FolderId(0) }..=FolderKey {
            account,
            folder: FolderId(u32::MAX),
        };
        self.tables.index.indexed.delete_range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        Ok(known.segments.iter().map(|segment| segment.id).collect())
    }

    fn tidy(&mut self) -> Result<Tidied> {
        let mut tidied = Tidied::default();
        self.forget_strays(&mut tidied)?;
        let mut room = ROWS;
        tidied.is_more |= self.remove_void(&mut room)?;
        tidied.is_more |= self.remove_old_kind(&mut room)?;
        Ok(tidied)
    }

    /// Gives up indexes of accounts that are gone, and those as releases before kept them: marks without a manifest.
    fn forget_strays(&mut self, tidied: &mut Tidied) -> Result<()> {
        for account in self.indexed_accounts()? {
            let found = self.tables.directory.accounts.get(self.txn, &account);
            let exists = found.map_err(Error::lmdb(DOING))?.is_some();
            if self.manifest(account)?.is_none_or(|manifest| !manifest.is_void && !exists) {
                tidied.gone.extend(self.forget(account)?);
                tidied.is_more = true;
            }
        }
        Ok(())
    }

    /// Removes rows of indexes that were given up, as many as there is room for; the manifest goes last.
    /// True: there were some.
    fn remove_void(&mut self, room: &mut usize) -> Result<bool> {
        let mut is_any = false;
        for (account, is_void) in self.tables.index.manifests(self.txn)? {
            if !is_void || *room == 0 {
                continue;
            }
            let range = PlaceKey { account, message: MessageId(0) }..=PlaceKey {
                account,
                message: MessageId(u64::MAX),
            };
            let places = self.tables.index.places.remap_data_type::<DecodeIgnore>();
            let rows = places.range(self.txn, &range).map_err(Error::lmdb(DOING))?;
            let keys = rows.take(*room).map(|row| row.map(|(key, ())| key));
            let keys: Vec<PlaceKey> =
                keys.collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))?;
            *room -= keys.len();
            for key in &keys {
                self.tables.index.places.delete(self.txn, key).map_err(Error::lmdb(DOING))?;
                self.tables.index.summaries.delete(self.txn, key).map_err(Error::lmdb(DOING))?;
            }
            if *room > 0 {
                let segments = self.tables.index.segments;
                segments.delete(self.txn, &account).map_err(Error::lmdb(DOING))?;
            }
            is_any = true;
        }
        Ok(is_any)
    }

    /// Removes rows of the index as releases before kept it, as many as there is room for.
    /// True: there were some.
    fn remove_old_kind(&mut self, room: &mut usize) -> Result<bool> {
        if *room == 0 {
            return Ok(false);
        }
        let index = &self.tables.index;
        let before = *room;
        *room -= index.postings.delete_first(self.txn, *room).map_err(Error::lmdb(DOING))?;
        *room -= index.cards.delete_first(self.txn, *room).map_err(Error::lmdb(DOING))?;
        Ok(*room < before)
    }
}
