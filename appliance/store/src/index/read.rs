//! Searching, and what is not in the index yet.

use std::ops::ControlFlow;

use roaring::RoaringBitmap;

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::index::files;
use crate::index::manifest::Named;
use crate::index::search::{Ask, Hits, Known, Term, Truth, among};
use crate::index::segment::cut;
use crate::index::segment::read::Segment;
use crate::index::{Card, Places, number};
use crate::mailbox::Entry;

/// Blocks of the index that one word of a search may meet: 4 MiB.
const BLOCKS: u64 = 1000;

/// Messages that one page of a search looks at.
const LOOKED: usize = 20_000;

const SEARCHING: &str = "searching";

/// A message that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub folder: FolderId,
    pub uid: u32,
    pub entry: Entry,
}

/// Some of what a search found, newest message first.
#[derive(Debug, Default)]
pub struct Page {
    /// Whether each is certain, or its text must be looked at.
    pub hits: Vec<(Found, bool)>,
    /// The search goes on below this message; none: that was all.
    pub next: Option<MessageId>,
    /// A file of the index is not what was written: it is to be made anew.
    pub damage: Option<Error>,
}

/// Messages of a folder that are not in the index yet, oldest first.
#[derive(Clone, Debug)]
pub struct Unindexed {
    pub account: AccountId,
    pub folder: FolderId,
    /// Where the index ends.
    pub from: u32,
    /// So many UIDs are behind that; some of them may be gone.
    pub behind: u32,
    pub entries: Vec<(u32, Entry)>,
}

/// What the files of an index say of some words.
pub(crate) struct Heard {
    hits: Hits,
    damage: Option<Error>,
}

impl Reader<'_> {
    /// What lists show of a message, once it was read for the index.
    pub fn card(&self, account: AccountId, message: MessageId) -> Result<Option<Card>> {
        self.shared
            .tables
            .index
            .summaries
            .get(&self.txn, &PlaceKey { account, message })
            .map_err(Error::lmdb("reading a card"))
    }

    /// Whether an account has a message in its index, at whatever place.
    pub fn is_indexed(&self, account: AccountId, message: MessageId) -> Result<bool> {
        self.shared.tables.index.is_indexed(&self.txn, account, message)
    }

    /// Folders with messages that are not in the index yet, at most `limit` messages of each; of one account, or of
    /// all.
    pub fn unindexed(&self, only: Option<AccountId>, limit: usize) -> Result<Vec<Unindexed>> {
        let mut found = Vec::new();
        for (key, from, next) in self.behind(only)? {
            let entries = self.entries(key.account, key.folder, from, limit)?;
            if !entries.is_empty() {
                found.push(Unindexed {
                    account: key.account,
                    folder: key.folder,
                    from,
                    behind: next - from,
                    entries,
                });
            }
        }
        Ok(found)
    }

    /// The newest messages of an account that a search must look at itself, as the index does not know them; newest
    /// first.
    pub fn fresh(&self, account: AccountId, limit: usize) -> Result<Vec<Found>> {
        // Of an index that is being given up there are still places.
        let is_void = self.is_void(account)?;
        let mut found = Vec::new();
        for (key, from, _) in self.behind(Some(account))? {
            let entries = self.entries_before(account, key.folder, u32::MAX - 1, limit)?;
            for (uid, entry) in entries.into_iter().take_while(|(uid, _)| *uid >= from) {
                if is_void || !self.is_indexed(account, entry.message)? {
                    found.push(Found { folder: key.folder, uid, entry });
                }
            }
        }
        found.sort_by_key(|one| std::cmp::Reverse((one.entry.message, one.folder)));
        found.truncate(limit);
        Ok(found)
    }

    /// Folders that may have messages which are not in the index, where it ends, and the next UID.
    fn behind(&self, only: Option<AccountId>) -> Result<Vec<(FolderKey, u32, u32)>> {
        let doing = "reading the index";
        let (first, last) =
            only.map_or((AccountId(0), AccountId(u32::MAX)), |account| (account, account));
        let range = FolderKey { account: first, folder: FolderId(0) }..=FolderKey {
            account: last,
            folder: FolderId(u32::MAX),
        };
        let keys = self
            .shared
            .tables
            .mailbox
            .folders
            .remap_data_type::<heed::types::DecodeIgnore>()
            .range(&self.txn, &range);
        let mut found = Vec::new();
        for row in keys.map_err(Error::lmdb(doing))? {
            let (key, ()) = row.map_err(Error::lmdb(doing))?;
            let from = self.shared.tables.index.below(&self.txn, &key)?;
            match self.shared.tables.mailbox.folder(&self.txn, key)? {
                Some(state) if state.next_uid > from.max(1) && state.messages > 0 => {
                    found.push((key, from, state.next_uid))
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether something is left of an index that was given up, or of one as releases before kept it.
    pub(crate) fn is_untidy(&self) -> Result<bool> {
        let index = &self.shared.tables.index;
        let manifests = index.manifests(&self.txn)?;
        let is_known = |account: &AccountId| {
            manifests.binary_search_by_key(account, |(known, _)| *known).is_ok()
        };
        if manifests.iter().any(|(_, is_void)| *is_void)
            || !index.marked(&self.txn)?.iter().all(is_known)
        {
            return Ok(true);
        }
        for (account, _) in &manifests {
            let accounts = self
                .shared
                .tables
                .directory
                .accounts
                .remap_data_type::<heed::types::DecodeIgnore>();
            if accounts.get(&self.txn, account).map_err(Error::lmdb("reading the index"))?.is_none()
            {
                return Ok(true);
            }
        }
        let is_empty = index
            .postings
            .is_empty(&self.txn)
            .and_then(|is_empty| Ok(is_empty && index.cards.is_empty(&self.txn)?));
        is_empty.map(|is_empty| !is_empty).map_err(Error::lmdb("reading the index"))
    }

    /// Whether the index of an account is being given up: it knows nothing any more.
    pub(crate) fn is_void(&self, account: AccountId) -> Result<bool> {
        let manifest = self.shared.tables.index.manifest(&self.txn, account)?;
        Ok(manifest.is_some_and(|manifest| manifest.is_void))
    }

    /// The files of an account's index, oldest first.
    pub(crate) fn segments(&self, account: AccountId) -> Result<Vec<Named>> {
        let manifest = self.shared.tables.index.manifest(&self.txn, account)?;
        Ok(manifest
            .filter(|manifest| !manifest.is_void)
            .map(|manifest| manifest.segments)
            .unwrap_or_default())
    }

    /// Whether an account has any message in its index.
    pub(crate) fn has_places(&self, account: AccountId) -> Result<bool> {
        let range = PlaceKey { account, message: MessageId(0) }..=PlaceKey {
            account,
            message: MessageId(u64::MAX),
        };
        let places = self.shared.tables.index.places.remap_data_type::<heed::types::DecodeIgnore>();
        let mut rows = places.range(&self.txn, &range).map_err(Error::lmdb("reading the index"))?;
        rows.next().transpose().map(|row| row.is_some()).map_err(Error::lmdb("reading the index"))
    }

    /// Of these numbers, ascending, those of messages that are somewhere in an account.
    pub(crate) fn living(&self, account: AccountId, numbers: &[u32]) -> Result<RoaringBitmap> {
        let mut living = RoaringBitmap::new();
        for &number in numbers {
            if self.is_indexed(account, MessageId(u64::from(number)))? {
                living.insert(number);
            }
        }
        Ok(living)
    }

    /// Which messages have which of the words.
    /// `None`: a file is not there, perhaps because this view is old.
    pub(crate) fn hear(&self, account: AccountId, ask: &Ask) -> Result<Option<Heard>> {
        let mut wanted: Vec<(&Term, u64, RoaringBitmap)> =
            ask.terms().into_iter().map(|term| (term, BLOCKS, RoaringBitmap::new())).collect();
        let mut damage = None;
        // What is found last counts most where the bound of a word is met.
        for named in self.segments(account)?.iter().rev() {
            if wanted.is_empty() {
                break;
            }
            let segment = match files::open(self.shared, account, named) {
                Ok(Some(segment)) => segment,
                Ok(None) => return Ok(None),
                Err(error @ Error::Damaged { .. }) => {
                    damage = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let heard = segment.messages().and_then(|messages| {
                for (term, left, numbers) in &mut wanted {
                    let of = |place: u32| messages.get(place as usize).copied();
                    let blocks =
                        matching(&segment, term, *left, &mut |place| numbers.extend(of(place)))?;
                    *left = left.saturating_sub(blocks);
                }
                Ok(())
            });
            match heard {
                Err(error @ Error::Damaged { .. }) => damage = Some(error),
                heard => heard?,
            }
        }
        let hits = wanted.into_iter().map(|(term, _, numbers)| (term.clone(), numbers)).collect();
        Ok(Some(Heard { hits, damage }))
    }

    /// A page of what is searched for: messages below `before`, about `limit` of them, as a message is not torn apart.
    pub(crate) fn page(
        &self,
        account: AccountId,
        ask: &Ask,
        heard: Heard,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Page> {
        let Heard { hits, damage } = heard;
        let page = Page { damage, ..Page::default() };
        let mut search = Search { reader: self, account, ask, hits: &hits, limit, looked: 0, page };
        let before = before.unwrap_or(MessageId(u64::MAX));
        match among(ask, &hits) {
            Some(numbers) => search.look_at(&numbers, before)?,
            None => search.look_at_all(before)?,
        }
        Ok(search.page)
    }
}

/// A search on its way through an account's messages, newest first, until its page is full.
struct Search<'s, 'r> {
    reader: &'s Reader<'r>,
    account: AccountId,
    ask: &'s Ask,
    hits: &'s Hits,
    limit: usize,
    /// Messages that were looked at.
    looked: usize,
    page: Page,
}

impl Search<'_, '_> {
    /// Looks at the messages with these numbers.
    fn look_at(&mut self, numbers: &RoaringBitmap, before: MessageId) -> Result<()> {
        let reader = self.reader;
        let below = numbers.iter().rev().skip_while(|number| u64::from(*number) >= before.0);
        for message in below.map(|number| MessageId(u64::from(number))) {
            let key = PlaceKey { account: self.account, message };
            let places = reader.shared.tables.index.places.get(&reader.txn, &key);
            if let Some(places) = places.map_err(Error::lmdb(SEARCHING))?
                && self.visit(message, &places)?.is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Looks at every message of the account's index.
    fn look_at_all(&mut self, before: MessageId) -> Result<()> {
        let (reader, account) = (self.reader, self.account);
        let range =
            PlaceKey { account, message: MessageId(0) }..PlaceKey { account, message: before };
        let rows = reader.shared.tables.index.places.rev_range(&reader.txn, &range);
        for row in rows.map_err(Error::lmdb(SEARCHING))? {
            let (key, places) = row.map_err(Error::lmdb(SEARCHING))?;
            if self.visit(key.message, &places)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Looks at one message, at each of its places.
    /// Breaks when the page is full.
    fn visit(&mut self, message: MessageId, places: &Places) -> Result<ControlFlow<()>> {
        let Some(number) = number(message) else { return Ok(ControlFlow::Continue(())) };
        let words = Known { number, hits: self.hits };
        for &(folder, uid) in &places.0 {
            let entry = self.reader.entry(self.account, folder, uid)?;
            let Some(entry) = entry.filter(|entry| entry.message == message) else { continue };
            let truth = self.ask.holds(&words, folder, &entry);
            if truth != Truth::No {
                // A damaged file gives fewer words than its messages have.
                let is_certain = truth == Truth::Yes && self.page.damage.is_none();
                self.page.hits.push((Found { folder, uid, entry }, is_certain));
            }
        }
        self.looked += 1;
        if self.page.hits.len() < self.limit && self.looked < LOOKED {
            return Ok(ControlFlow::Continue(()));
        }
        self.page.next = Some(message);
        Ok(ControlFlow::Break(()))
    }
}

/// The places of the messages of a file that have a word, in no order.
/// Reads about as many blocks as it may; returns how many.
fn matching(segment: &Segment, term: &Term, most: u64, take: &mut dyn FnMut(u32)) -> Result<u64> {
    let word = cut(&term.word).as_bytes();
    if word.is_empty() || most == 0 {
        return Ok(0);
    }
    segment.visit(word, &mut |entries| {
        let Some((&field, rest)) = entries.key().get(word.len()..).and_then(<[u8]>::split_last)
        else {
            return Ok(ControlFlow::Continue(()));
        };
        // Longer words are behind this one in all its fields.
        if !rest.is_empty() && !term.is_prefix || entries.blocks() > most {
            return Ok(ControlFlow::Break(()));
        }
        if term.fields.has(field) {
            entries.places(take)?;
        }
        Ok(ControlFlow::Continue(()))
    })
}
