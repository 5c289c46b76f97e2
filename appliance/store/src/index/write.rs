//! Writing the index behind the deliveries.

use roaring::RoaringBitmap;

use crate::engine::change::Change;
use crate::engine::table::fits;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::index::{BLOCK_BITS, Card, Places, number, posting};
use crate::mailbox::{MailKey, UidSet};

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

const DOING: &str = "changing a mailbox";

impl Change for IndexWork {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.index(self)
    }
    fn grows(&self) -> bool {
        true
    }
}

/// Forgets the whole index; it is made anew from the messages.
#[derive(Clone, Copy, Debug)]
pub struct ClearIndex;

impl Change for ClearIndex {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.clear_index()
    }
    fn frees_much(&self) -> bool {
        true
    }
}

impl Work<'_, '_> {
    pub(crate) fn index(&mut self, work: &IndexWork) -> Result<()> {
        let folder = FolderKey { account: work.account, folder: work.folder };
        let mut postings: std::collections::BTreeMap<Vec<u8>, RoaringBitmap> = std::collections::BTreeMap::new();
        for indexed in &work.messages {
            let key = PlaceKey { account: work.account, message: indexed.message };
            let here = self.tables.mailbox.entry(self.txn, MailKey::new(work.account, work.folder, indexed.uid))?;
            if here.is_none_or(|entry| entry.message != indexed.message) {
                // Gone, or moved on: it is met where it is now.
                continue;
            }
            let mut places = self.tables.index.places.get(self.txn, &key).map_err(Error::lmdb(DOING))?.unwrap_or_default();
            if !places.0.contains(&(work.folder, indexed.uid)) {
                places.0.push((work.folder, indexed.uid));
                self.tables.index.places.put(self.txn, &key, &places).map_err(Error::lmdb(DOING))?;
            }
            self.tables.index.cards.put(self.txn, &indexed.message, &indexed.card).map_err(Error::lmdb(DOING))?;
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
            let mut all = self.tables.index.postings.get(self.txn, &key).map_err(Error::lmdb(DOING))?.unwrap_or_default();
            all.0 |= numbers;
            self.tables.index.postings.put(self.txn, &key, &UidSet(all.0)).map_err(Error::lmdb(DOING))?;
        }
        self.tables.index.indexed.put(self.txn, &folder, &work.below.to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    /// Forgets the whole index; it is made anew from the messages.
    fn clear_index(&mut self) -> Result<()> {
        self.tables.index.postings.clear(self.txn).map_err(Error::lmdb(DOING))?;
        self.tables.index.places.clear(self.txn).map_err(Error::lmdb(DOING))?;
        self.tables.index.cards.clear(self.txn).map_err(Error::lmdb(DOING))?;
        self.tables.index.indexed.clear(self.txn).map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    /// An entry left its place. Messages that are not in the index have none.
    pub(crate) fn leave(&mut self, account: AccountId, message: MessageId, from: (FolderId, u32)) -> Result<()> {
        let key = PlaceKey { account, message };
        let Some(mut places) = self.tables.index.places.get(self.txn, &key).map_err(Error::lmdb(DOING))? else { return Ok(()) };
        places.0.retain(|place| *place != from);
        match places {
            Places(none) if none.is_empty() => self.tables.index.places.delete(self.txn, &key).map(drop),
            places => self.tables.index.places.put(self.txn, &key, &places),
        }
        .map_err(Error::lmdb(DOING))
    }

    /// A moved entry is found at its new place at once; one without a card is met there by the index.
    pub(crate) fn settle_in(&mut self, folder: FolderKey, message: MessageId, uid: u32) -> Result<()> {
        if self.tables.index.cards.get(self.txn, &message).map_err(Error::lmdb(DOING))?.is_none() {
            return Ok(());
        }
        let key = PlaceKey { account: folder.account, message };
        let mut places = self.tables.index.places.get(self.txn, &key).map_err(Error::lmdb(DOING))?.unwrap_or_default();
        places.0.push((folder.folder, uid));
        self.tables.index.places.put(self.txn, &key, &places).map_err(Error::lmdb(DOING))
    }
}
