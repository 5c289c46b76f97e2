//! Writing the index behind the deliveries: small rows that say which files are an account's index, and where its
//! messages are.

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::index::manifest::{Manifest, Named};
use crate::index::segment::SegmentId;
use crate::index::segment::write::Written;
use crate::index::{Card, Places};
use crate::mailbox::MailKey;

const DOING: &str = "changing the index";

/// What lists show of messages that were read.
#[derive(Clone, Debug)]
pub struct PutCards {
    pub account: AccountId,
    /// Where each message is.
    pub cards: Vec<(FolderId, u32, MessageId, Card)>,
}

impl Change for PutCards {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        for (folder, uid, message, card) in &self.cards {
            // A card goes with its message.
            if work.is_at(self.account, *folder, *uid, *message)? {
                let key = PlaceKey { account: self.account, message: *message };
                work.tables
                    .index
                    .summaries
                    .put(work.txn, &key, card)
                    .map_err(Error::lmdb(DOING))?;
            }
        }
        Ok(())
    }
    fn grows(&self) -> bool {
        true
    }
}

/// A folder's messages from where the index ended up to a UID.
#[derive(Clone, Debug)]
pub struct Indexed {
    pub folder: FolderId,
    /// Where the index ended when they were read.
    pub from: u32,
    /// Everything below is done.
    pub below: u32,
    /// UIDs and messages that are in the index now.
    pub messages: Vec<(u32, MessageId)>,
}

/// Takes messages into an account's index.
/// True: it is done; false: somebody else was there meanwhile, nothing was changed.
#[derive(Debug)]
pub struct IndexWork {
    pub account: AccountId,
    pub folders: Vec<Indexed>,
    /// The file with their words; none where they all were known.
    pub segment: Option<Written>,
}

impl Change for IndexWork {
    type Outcome = bool;
    fn apply(&mut self, work: &mut Work) -> Result<bool> {
        self.segment.iter_mut().for_each(|segment| segment.is_named = false);
        let mut manifest = work.manifest(self.account)?.unwrap_or_default();
        if manifest.is_void || self.segment.as_ref().is_some_and(|segment| !segment.exists()) {
            return Ok(false);
        }
        for indexed in &self.folders {
            let folder = FolderKey { account: self.account, folder: indexed.folder };
            if work.tables.index.below(work.txn, &folder)? != indexed.from {
                return Ok(false);
            }
        }
        let mut is_any = false;
        for indexed in &self.folders {
            for &(uid, message) in &indexed.messages {
                // One that is gone, or has moved on, is met where it is now.
                if work.is_at(self.account, indexed.folder, uid, message)? {
                    work.place(self.account, message, (indexed.folder, uid))?;
                    is_any = true;
                }
            }
            let folder = FolderKey { account: self.account, folder: indexed.folder };
            work.tables
                .index
                .indexed
                .put(work.txn, &folder, &indexed.below.to_be_bytes())
                .map_err(Error::lmdb(DOING))?;
        }
        if let Some(segment) = self.segment.as_mut().filter(|_| is_any) {
            segment.is_named = true;
            manifest.segments.push(named(segment));
        }
        work.put_manifest(self.account, &manifest)?;
        Ok(true)
    }
    fn grows(&self) -> bool {
        true
    }
    fn keep(&mut self) {
        self.segment.iter_mut().for_each(Written::keep);
    }
}

/// Puts one file in the place of several.
/// True: it is done, and they can go; false: they are not all there any more.
#[derive(Debug)]
pub(crate) struct Replace {
    pub account: AccountId,
    pub gone: Vec<SegmentId>,
    pub by: Option<Written>,
}

impl Change for Replace {
    type Outcome = bool;
    fn apply(&mut self, work: &mut Work) -> Result<bool> {
        self.by.iter_mut().for_each(|segment| segment.is_named = false);
        let Some(mut manifest) = work.manifest(self.account)?.filter(|manifest| !manifest.is_void)
        else {
            return Ok(false);
        };
        let at = manifest.segments.iter().position(|segment| self.gone.contains(&segment.id));
        let before = manifest.segments.len();
        manifest.segments.retain(|segment| !self.gone.contains(&segment.id));
        let Some(at) = at.filter(|_| before - manifest.segments.len() == self.gone.len()) else {
            return Ok(false);
        };
        match &mut self.by {
            Some(segment) if !segment.exists() => return Ok(false),
            Some(segment) => {
                segment.is_named = true;
                manifest.segments.insert(at, named(segment));
            }
            None => {}
        }
        work.put_manifest(self.account, &manifest)?;
        Ok(true)
    }
    fn keep(&mut self) {
        self.by.iter_mut().for_each(Written::keep);
    }
}

fn named(segment: &Written) -> Named {
    Named {
        id: segment.id,
        tier: segment.head.tier,
        messages: segment.head.messages,
        octets: segment.octets,
    }
}

impl Work<'_, '_> {
    pub(super) fn manifest(&self, account: AccountId) -> Result<Option<Manifest>> {
        self.tables.index.manifest(self.txn, account)
    }

    pub(super) fn put_manifest(&mut self, account: AccountId, manifest: &Manifest) -> Result<()> {
        self.tables.index.segments.put(self.txn, &account, manifest).map_err(Error::lmdb(DOING))
    }

    fn is_at(
        &self,
        account: AccountId,
        folder: FolderId,
        uid: u32,
        message: MessageId,
    ) -> Result<bool> {
        let here = self.tables.mailbox.entry(self.txn, MailKey::new(account, folder, uid))?;
        Ok(here.is_some_and(|entry| entry.message == message))
    }

    /// What lists show of a message that an account has in its index; the inner one is missing where none could be
    /// made.
    pub(crate) fn indexed_card(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<Option<Card>>> {
        if !self.tables.index.is_indexed(self.txn, account, message)? {
            return Ok(None);
        }
        self.tables
            .index
            .summaries
            .get(self.txn, &PlaceKey { account, message })
            .map(Some)
            .map_err(Error::lmdb(DOING))
    }

    /// A message of the index moved on, with what lists show of it.
    pub(crate) fn settle_in(
        &mut self,
        account: AccountId,
        message: MessageId,
        at: (FolderId, u32),
        card: Option<&Card>,
    ) -> Result<()> {
        if let Some(card) = card {
            self.tables
                .index
                .summaries
                .put(self.txn, &PlaceKey { account, message }, card)
                .map_err(Error::lmdb(DOING))?;
        }
        self.place(account, message, at)
    }

    /// An entry left its place.
    /// Messages that are not in the index have none.
    pub(crate) fn leave(
        &mut self,
        account: AccountId,
        message: MessageId,
        from: (FolderId, u32),
    ) -> Result<()> {
        let key = PlaceKey { account, message };
        let Some(mut places) =
            self.tables.index.places.get(self.txn, &key).map_err(Error::lmdb(DOING))?
        else {
            return Ok(());
        };
        places.0.retain(|place| *place != from);
        match places {
            Places(none) if none.is_empty() => {
                self.tables.index.summaries.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
                self.tables.index.places.delete(self.txn, &key).map(drop)
            }
            places => self.tables.index.places.put(self.txn, &key, &places),
        }
        .map_err(Error::lmdb(DOING))
    }

    /// A message of the index is found at a place.
    fn place(&mut self, account: AccountId, message: MessageId, at: (FolderId, u32)) -> Result<()> {
        let key = PlaceKey { account, message };
        let mut places = self
            .tables
            .index
            .places
            .get(self.txn, &key)
            .map_err(Error::lmdb(DOING))?
            .unwrap_or_default();
        if places.0.contains(&at) {
            return Ok(());
        }
        places.0.push(at);
        self.tables.index.places.put(self.txn, &key, &places).map_err(Error::lmdb(DOING))
    }
}
