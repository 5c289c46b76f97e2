//! What is done with indexes as a whole: searching, writing and merging files, giving up and checking.
//! Blocks.

use roaring::RoaringBitmap;

use crate::engine::limits::Space;
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageId};
use crate::index::files;
use crate::index::manifest::{Named, due};
use crate::index::read::Page;
use crate::index::removal::{Forget, Tidy};
use crate::index::search::Ask;
use crate::index::segment::SegmentId;
use crate::index::segment::batch::Batch;
use crate::index::segment::merge::merge;
use crate::index::segment::read::Segment;
use crate::index::segment::write::{Written, unless_given_up};
use crate::index::write::Replace;
use crate::store::Store;

/// Messages looked up in one view of the store.
const STEP: usize = 1000;

/// How often a search begins anew because a file was merged away under it.
const TRIES: usize = 4;

/// What an attempt to merge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// There is nothing to merge.
    Nothing,
    Done,
    /// It was given up, or was overtaken; it can be tried again.
    GivenUp,
}

impl Store {
    /// Searches an account's index: messages below `before`, newest first, about `limit` of them.
    pub fn search(
        &self,
        account: AccountId,
        ask: &Ask,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Page> {
        for _ in 0..TRIES {
            let page = self.read(|r| match r.is_void(account)? {
                true => Ok(Some(Page::default())),
                false => r
                    .hear(account, ask)?
                    .map(|heard| r.page(account, ask, heard, before, limit))
                    .transpose(),
            })?;
            if let Some(page) = page {
                return Ok(page);
            }
        }
        let damage =
            Some(Error::damaged(format!("a file of the index of account {} is gone", account.0)));
        Ok(Page { damage, ..Page::default() })
    }

    /// Writes a batch of messages into a file; it is part of the index once an [`IndexWork`](crate::IndexWork) was
    /// carried out, else it goes.
    /// `breathe` is called after each slice of 64 KiB that the card was given, with its octets, and may take its time;
    /// when it says false, the file is given up.
    pub fn write_segment(
        &self,
        account: AccountId,
        batch: &Batch,
        breathe: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Written>> {
        unless_given_up(batch.write(&files::folder(self.shared()), account, breathe))
    }

    /// Merges files of an account's index, if there are enough; messages that are gone go.
    /// `breathe` as above.
    ///
    /// # Errors
    /// [`Error::Damaged`]: the index of this account is to be made anew.
    pub fn merge_segments(
        &self,
        account: AccountId,
        breathe: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Merged> {
        let (all, has_mail) = self.read(|r| Ok((r.segments(account)?, r.has_places(account)?)))?;
        if !has_mail && !all.is_empty() {
            return self.replace(account, &all, None);
        }
        let Some((named, tier)) = due(&all) else { return Ok(Merged::Nothing) };
        // For a while both are on the disk.
        // What can be made anew does not take the last room.
        if self.space(named.iter().map(|one| one.octets).sum()) == Space::Short {
            return Ok(Merged::GivenUp);
        }
        let mut segments: Vec<Segment> = Vec::new();
        for one in &named {
            match files::open(self.shared(), account, one)? {
                Some(segment) => segments.push(segment),
                None if self.read(|r| r.segments(account))?.contains(one) => {
                    return Err(files::missing(self.shared(), one.id, "is gone"));
                }
                None => return Ok(Merged::GivenUp),
            }
        }
        let mut lives = |numbers: &[u32]| {
            let mut living = RoaringBitmap::new();
            for some in numbers.chunks(STEP) {
                living |= self.read(|r| r.living(account, some))?;
            }
            Ok(living)
        };
        let merged = unless_given_up(merge(
            &files::folder(self.shared()),
            account,
            tier,
            &segments,
            &mut lives,
            breathe,
        ))?;
        match merged {
            Some(by) => self.replace(account, &named, by),
            None => Ok(Merged::GivenUp),
        }
    }

    /// Puts one file, or none, in the place of several.
    fn replace(&self, account: AccountId, named: &[Named], by: Option<Written>) -> Result<Merged> {
        let gone: Vec<SegmentId> = named.iter().map(|one| one.id).collect();
        match self.change(Replace { account, gone: gone.clone(), by }).wait()? {
            true => {
                files::remove(self.shared(), &gone);
                Ok(Merged::Done)
            }
            false => Ok(Merged::GivenUp),
        }
    }

    /// Gives up the index of an account, or of all: its messages wait for a new one, which begins once
    /// [`Store::tidy_index`] has nothing more to do.
    pub fn forget_index(&self, account: Option<AccountId>) -> Result<()> {
        let gone = self.change(Forget(account)).wait()?;
        files::remove(self.shared(), &gone);
        Ok(())
    }

    /// One step of removing what is left of indexes that were given up, and of an index as releases before kept it: at
    /// most 2,000 small rows.
    /// False: there is nothing left.
    pub fn tidy_index(&self) -> Result<bool> {
        if !self.read(|r| r.is_untidy())? {
            return Ok(false);
        }
        let tidied = self.change(Tidy).wait()?;
        files::remove(self.shared(), &tidied.gone);
        Ok(tidied.is_more)
    }

    /// Reads all files of an account's index and compares their checksums; how many octets they take.
    /// `go_on` is asked now and then.
    ///
    /// # Errors
    /// [`Error::Damaged`] for the first one that is not what was written.
    pub fn check_index(&self, account: AccountId, go_on: &mut dyn FnMut() -> bool) -> Result<u64> {
        let mut octets = 0;
        for named in self.read(|r| r.segments(account))? {
            match files::open(self.shared(), account, &named)? {
                Some(segment) => segment.verify(go_on)?,
                None if self.read(|r| r.segments(account))?.contains(&named) => {
                    return Err(files::missing(self.shared(), named.id, "is gone"));
                }
                // A running server has merged it.
                None => {}
            }
            octets += named.octets;
        }
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::options::{Access, Options};
    use crate::engine::work::Work;
    use crate::ids::{FolderId, FolderKey, PlaceKey};
    use crate::index::Places;

    #[test]
    fn an_index_as_releases_before_kept_it_goes_in_small_steps() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
        assert!(!store.tidy_index().unwrap(), "a new store has nothing to tidy up");
        let (index, account) = (&store.shared().tables.index, AccountId(5));
        let folder = FolderKey { account, folder: FolderId::INBOX };
        let fill = |work: &mut Work| -> Result<()> {
            let put = |result: heed::Result<()>| result.map_err(Error::lmdb("test"));
            put(index.indexed.put(work.txn, &folder, &9u32.to_be_bytes()))?;
            for n in 0..5000u64 {
                put(index.places.put(
                    work.txn,
                    &PlaceKey { account, message: MessageId(n) },
                    &Places(vec![(FolderId::INBOX, 1)]),
                ))?;
                put(index.cards.put(work.txn, &MessageId(n), &[1; 50]))?;
                put(index.postings.put(work.txn, format!("term{n}").as_bytes(), &[1; 50]))?;
            }
            Ok(())
        };
        store.shared().transact(fill).unwrap();
        let rows = || {
            let view = store.shared().view().unwrap();
            let index = &store.shared().tables.index;
            (
                index.indexed.len(&view).unwrap(),
                index.places.len(&view).unwrap()
                    + index.postings.len(&view).unwrap()
                    + index.cards.len(&view).unwrap(),
                index.segments.len(&view).unwrap(),
            )
        };
        let mut before = rows();
        assert_eq!(before, (1, 15_000, 0));
        while store.tidy_index().unwrap() {
            let after = rows();
            assert!(after.0 == 0 && before.1 - after.1 <= 2000, "{before:?} {after:?}");
            before = after;
        }
        assert_eq!(rows(), (0, 0, 0));
    }
}
