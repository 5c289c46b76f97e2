//! Searching, and what is not in the index yet.

use roaring::RoaringBitmap;

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::index::{BLOCK_BITS, Card, Places, block_of, term_prefix};
use crate::mailbox::Entry;

/// Rows of the index that one word of a search may meet.
const POSTINGS: usize = 5000;

/// A message that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub folder: FolderId,
    pub uid: u32,
    pub entry: Entry,
}

/// Messages of a folder that are not in the index yet, oldest first.
#[derive(Clone, Debug)]
pub struct Unindexed {
    pub account: AccountId,
    pub folder: FolderId,
    pub entries: Vec<(u32, Entry)>,
}

impl Reader<'_> {
    /// What lists show of a message, once it was read for the index.
    pub fn card(&self, message: MessageId) -> Result<Option<Card>> {
        self.shared.tables.index.cards.get(&self.txn, &message).map_err(Error::lmdb("reading a card"))
    }

    /// Folders with messages that are not in the index yet, at most `limit` messages of each; of one account, or of all.
    pub fn unindexed(&self, only: Option<AccountId>, limit: usize) -> Result<Vec<Unindexed>> {
        let doing = "reading the index";
        let (first, last) = only.map_or((AccountId(0), AccountId(u32::MAX)), |account| (account, account));
        let range = FolderKey { account: first, folder: FolderId(0) }..=FolderKey { account: last, folder: FolderId(u32::MAX) };
        let keys = self.shared.tables.mailbox.folders.remap_data_type::<heed::types::DecodeIgnore>().range(&self.txn, &range);
        let mut found = Vec::new();
        for row in keys.map_err(Error::lmdb(doing))? {
            let (key, ()) = row.map_err(Error::lmdb(doing))?;
            let below = self.shared.tables.index.indexed.get(&self.txn, &key).map_err(Error::lmdb(doing))?;
            let below = below.and_then(|octets| octets.try_into().ok()).map_or(0, u32::from_be_bytes);
            let Some(state) = self.shared.tables.mailbox.folder(&self.txn, key)?.filter(|state| state.next_uid > below.max(1)) else { continue };
            if state.messages == 0 {
                continue;
            }
            let entries = self.entries(key.account, key.folder, below, limit)?;
            if !entries.is_empty() {
                found.push(Unindexed { account: key.account, folder: key.folder, entries });
            }
        }
        Ok(found)
    }

    /// Messages of an account in which, for each of `all`, one of the alternatives stands; newest arrival first, at most
    /// `limit` of those that `wanted` accepts. A term that ends with `*` stands for all that begin so.
    pub fn search(&self, account: AccountId, all: &[Vec<String>], limit: usize, wanted: impl Fn(&Found) -> bool) -> Result<Vec<Found>> {
        let mut numbers: Option<RoaringBitmap> = None;
        for alternatives in all {
            let mut any = RoaringBitmap::new();
            for term in alternatives {
                any |= self.postings(account, term)?;
            }
            numbers = Some(match numbers {
                Some(known) => known & any,
                None => any,
            });
        }
        let mut found = Vec::new();
        let doing = "searching";
        let mut visit = |key: PlaceKey, places: &Places| -> Result<bool> {
            for &(folder, uid) in &places.0 {
                let Some(entry) = self.entry(account, folder, uid)?.filter(|entry| entry.message == key.message) else { continue };
                let one = Found { folder, uid, entry };
                if wanted(&one) {
                    found.push(one);
                }
            }
            Ok(found.len() < limit)
        };
        match numbers {
            Some(numbers) => {
                for number in numbers.iter().rev() {
                    let key = PlaceKey { account, message: MessageId(u64::from(number)) };
                    let places = self.shared.tables.index.places.get(&self.txn, &key).map_err(Error::lmdb(doing))?;
                    if let Some(places) = places
                        && !visit(key, &places)?
                    {
                        break;
                    }
                }
            }
            None => {
                let range = PlaceKey { account, message: MessageId(0) }..=PlaceKey { account, message: MessageId(u64::MAX) };
                for row in self.shared.tables.index.places.rev_range(&self.txn, &range).map_err(Error::lmdb(doing))? {
                    let (key, places) = row.map_err(Error::lmdb(doing))?;
                    if !visit(key, &places)? {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn postings(&self, account: AccountId, term: &str) -> Result<RoaringBitmap> {
        let doing = "searching";
        let (term, is_prefix) = term.strip_suffix('*').map_or((term, false), |term| (term, true));
        let mut prefix = term_prefix(account, term);
        if !is_prefix {
            prefix.push(0);
        }
        let mut numbers = RoaringBitmap::new();
        for row in self.shared.tables.index.postings.prefix_iter(&self.txn, &prefix).map_err(Error::lmdb(doing))?.take(POSTINGS) {
            let (key, block) = row.map_err(Error::lmdb(doing))?;
            // A block holds its own numbers only; another's would be damage.
            let own = block_of(key).map(|block| block << BLOCK_BITS..(block + 1) << BLOCK_BITS);
            numbers |= block.0.iter().filter(|n| own.as_ref().is_some_and(|own| own.contains(n))).collect::<RoaringBitmap>();
        }
        Ok(numbers)
    }
}
