//! The index behind the deliveries: what is new is read in batches, each of which is one file of one account.
//! Until then searches look at new messages themselves.
//! Files are merged now and then, and all of it goes slowly while anybody else writes.
//!
//! What is read is marked before (`marks`), so that a message that stops the server is found out and left alone.

mod gentle;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pillarbox_platform::clock;
use pillarbox_platform::tasks::Tasks;
use pillarbox_store::{
    AccountId, Ask, Batch, Card, Entry, Error, FolderId, IndexWork, Indexed, Merged, MessageId,
    NoteWritten, PutCards, Result, Space, Store, Truth, Unindexed, off_thread,
};

use super::marks::{Kind, Marks};
use super::pace::Pace;
use super::readers::{Budget, Readers, Unread};
use super::reading::{self, Summary};
use super::spoken::Spoken;
use gentle::Gentle;
use pillarbox_vocabulary::Timestamp;

/// Messages of one batch, and the octets of memory its words take.
const BATCH: usize = 256;
const OCTETS: usize = 3 << 20;
/// So many new messages of an account are worth a file.
const WORTH: usize = 128;
/// How long a single new message waits at most.
/// Small files cost more than what is in them: a file system writes about 40 KB for a new one.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);
/// New messages that a search looks at by itself.
pub const FRESH: usize = 2000;
/// Octets of room that a batch needs at most.
const ROOM: u64 = 8 << 20;
/// Messages whose cards go into one commit.
const CARDS: usize = 64;
/// What is noted when it is sent may be dated later by so much: on a slow board a second passes between the two.
const BETWEEN: Duration = Duration::from_secs(120);
/// How long a message may be read; of one that takes longer only the beginning counts.
const TIME: Duration = Duration::from_secs(30);

/// Whether an account's new messages are worth a file: how many there are, and when the oldest was stored.
fn is_worth(count: usize, oldest: Option<Timestamp>, now: Timestamp) -> bool {
    count >= WORTH || oldest.is_some_and(|at| at.plus(PATIENCE) <= now)
}

/// When the oldest of these messages was stored.
fn oldest(waiting: &[Unindexed]) -> Option<Timestamp> {
    waiting.iter().flat_map(|folder| &folder.entries).map(|(_, entry)| entry.saved_at).min()
}

/// Works through what is new, when it is worth it.
/// Housekeeping calls this.
pub async fn run(store: &Store, readers: &Readers, tasks: &Tasks) {
    let (store, marks, tasks) = (store.clone(), readers.marks.clone(), tasks.clone());
    let worked = off_thread(move || {
        let is_over = || tasks.is_over();
        clear_suspects(&store, &marks, &is_over)?;
        let mut gentle = Gentle::new(&store, &is_over, Some(Pace::default()));
        tidy(&mut gentle)?;
        for (account, _) in store.read(|r| r.accounts())? {
            while gentle.breathe(0) && store.space(ROOM) == Space::Enough {
                // A short look first: there may be thousands of mailboxes.
                let waiting = store.read(|r| r.unindexed(Some(account), 1))?;
                let behind = waiting.iter().map(|folder| folder.behind as usize).sum();
                if !is_worth(behind, oldest(&waiting), clock::now()) {
                    break;
                }
                let waiting = store.read(|r| r.unindexed(Some(account), BATCH))?;
                let count = waiting.iter().map(|folder| folder.entries.len()).sum();
                if !is_worth(count, oldest(&waiting), clock::now())
                    || !batch(&mut gentle, account, waiting, Some(&marks), &|id| {
                        marks.is_withheld(id)
                    })?
                {
                    break;
                }
                merge(&mut gentle, account)?;
            }
            merge(&mut gentle, account)?;
        }
        Ok(())
    });
    if let Err(error) = worked.await {
        tracing::error!(%error, "indexing mail failed");
    }
}

/// Removes what is left of indexes that were given up.
fn tidy(gentle: &mut Gentle<'_>) -> Result<()> {
    while gentle.with(|gentle| gentle.store.tidy_index())? {
        if !gentle.breathe(0) {
            break;
        }
    }
    Ok(())
}

/// Merges files of an account while there are enough of them.
fn merge(gentle: &mut Gentle<'_>, account: AccountId) -> Result<()> {
    let store = gentle.store;
    loop {
        match gentle
            .with(|gentle| store.merge_segments(account, &mut |octets| gentle.breathe(octets)))
        {
            Ok(Merged::Done) => {}
            Ok(Merged::Nothing | Merged::GivenUp) => return Ok(()),
            Err(error) => return renew(gentle.store, account, error),
        }
    }
}

/// Makes the index of an account anew if a file of it is damaged; any other error is passed on.
pub fn renew(store: &Store, account: AccountId, error: Error) -> Result<()> {
    match error {
        Error::Damaged { .. } => {
            tracing::error!(%error, account = account.0, "the search index of a mailbox is damaged; it is made anew from the messages");
            store.forget_index(Some(account))
        }
        error => Err(error),
    }
}

/// Whether a message is one of those searched for; `None` when it can't be read.
pub fn holds(ask: &Ask, summary: &Summary, folder: FolderId, entry: &Entry) -> bool {
    ask.holds(&Spoken::of(&summary.texts), folder, entry) == Truth::Yes
}

/// Reads each message alone that was being read when the server died: those that do no harm are mail like any other.
fn clear_suspects(store: &Store, marks: &Marks, is_over: &dyn Fn() -> bool) -> Result<()> {
    for id in marks.suspects() {
        if is_over() {
            return Ok(());
        }
        if let Some(content) = store.read(|r| r.content(id))? {
            let _mark = marks.set(Kind::Alone, &[id]);
            if let Err(error) = reading::probe(store, &content, &Budget::of(TIME)) {
                tracing::warn!(%error, message = id.0, "a message that was being read when the server ended can't be read");
            }
        }
        marks.clear(id);
    }
    Ok(())
}

/// Puts messages of an account into its index: one file, as far as it goes.
/// False: somebody else was there meanwhile, or it is over.
fn batch(
    gentle: &mut Gentle<'_>,
    account: AccountId,
    waiting: Vec<Unindexed>,
    marks: Option<&Marks>,
    is_withheld: &dyn Fn(MessageId) -> bool,
) -> Result<bool> {
    let all = waiting.iter().flat_map(|folder| &folder.entries).take(BATCH);
    let ids: Vec<MessageId> =
        all.map(|(_, entry)| entry.message).filter(|id| !is_withheld(*id)).collect();
    let _mark = marks.map(|marks| marks.set(Kind::Batch, &ids));
    let mut gathered = Gathered::of(account);
    for Unindexed { folder, from, entries, .. } in waiting {
        let mut indexed = Indexed { folder, from, below: from, messages: Vec::new() };
        for (uid, entry) in entries {
            if gathered.is_full() {
                break;
            }
            gathered.seen += 1;
            indexed.below = uid + 1;
            if is_withheld(entry.message) || !gathered.read(gentle, folder, uid, entry.message)? {
                continue;
            }
            indexed.messages.push((uid, entry.message));
            if gathered.cards.len() == CARDS {
                gathered.put_cards(gentle)?;
            }
            if !gentle.breathe(0) {
                return Ok(false);
            }
        }
        if indexed.below > from {
            gathered.folders.push(indexed);
        }
    }
    gathered.write(gentle)
}

/// What a batch has read and not yet written.
struct Gathered {
    account: AccountId,
    words: Batch,
    cards: Vec<(FolderId, u32, MessageId, Card)>,
    folders: Vec<Indexed>,
    /// Entries that were looked at.
    seen: usize,
}

impl Gathered {
    fn of(account: AccountId) -> Gathered {
        Gathered {
            account,
            words: Batch::default(),
            cards: Vec::new(),
            folders: Vec::new(),
            seen: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.seen == BATCH || self.words.octets() >= OCTETS
    }

    /// Reads a message, unless it is in the index already.
    /// False: it is gone.
    fn read(
        &mut self,
        gentle: &mut Gentle<'_>,
        folder: FolderId,
        uid: u32,
        message: MessageId,
    ) -> Result<bool> {
        let (store, account) = (gentle.store, self.account);
        if self.words.contains(message) || store.read(|r| r.is_indexed(account, message))? {
            return Ok(true);
        }
        let Some(Summary { card, texts, recipients }) = summary(store, message)? else {
            return Ok(false);
        };
        if folder == FolderId::SENT {
            let people = recipients
                .into_iter()
                .map(|person| (person.name, person.address.to_lowercase()))
                .filter(|(_, address)| address.contains('@'))
                .collect();
            gentle.change(NoteWritten { account, people, at: card.date.minus(BETWEEN) })?;
        }
        self.words.add(message, Spoken::of(&texts).terms());
        self.cards.push((folder, uid, message, card));
        Ok(true)
    }

    fn put_cards(&mut self, gentle: &mut Gentle<'_>) -> Result<()> {
        let cards = std::mem::take(&mut self.cards);
        gentle.change(PutCards { account: self.account, cards })?;
        Ok(())
    }

    /// Writes a file with the words, and names it in the store.
    /// False: somebody else was there meanwhile, or it is over.
    fn write(mut self, gentle: &mut Gentle<'_>) -> Result<bool> {
        if !self.cards.is_empty() {
            self.put_cards(gentle)?;
        }
        let Gathered { account, words, folders, .. } = self;
        let mut segment = None;
        if !words.is_empty() {
            let store = gentle.store;
            segment = store.write_segment(account, &words, &mut |octets| gentle.breathe(octets))?;
            if segment.is_none() {
                return Ok(false);
            }
        }
        gentle.change(IndexWork { account, folders, segment })
    }
}

/// Makes the whole index anew; `data` is the data folder.
/// Gives how many messages were read.
pub fn rebuild(store: &Store, data: &Path) -> Result<usize> {
    let withheld: BTreeSet<MessageId> = Marks::skipped_in(&super::readers::folder(data));
    store.forget_index(None)?;
    let mut gentle = Gentle::new(store, &|| false, None);
    tidy(&mut gentle)?;
    let mut count = 0;
    for (account, _) in store.read(|r| r.accounts())? {
        loop {
            let waiting = store.read(|r| r.unindexed(Some(account), BATCH))?;
            let messages: usize = waiting.iter().map(|folder| folder.entries.len()).sum();
            if messages == 0 {
                break;
            }
            // A running server may be at it, too: whoever is second begins with what is left.
            if batch(&mut gentle, account, waiting, None, &|id| withheld.contains(&id))? {
                count += messages.min(BATCH);
            }
            merge(&mut gentle, account)?;
        }
    }
    Ok(count)
}

/// What a message says, read from it; `None` when it is gone.
/// What can't be read has an empty card: one damaged message must not stop the index.
fn summary(store: &Store, message: MessageId) -> Result<Option<Summary>> {
    let Some(content) = store.read(|r| r.content(message))? else { return Ok(None) };
    let read = match reading::summary(store, &content, &Budget::of(TIME)) {
        Err(Unread::GivenUp) => reading::glance(store, &content, &Budget::of(TIME)),
        read => read,
    };
    Ok(Some(read.unwrap_or_else(|error| {
        tracing::warn!(%error, message = message.0, "a message can't be read for the index");
        Summary::default()
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    /// Puts a message into a folder of the first account's.
    fn deliver(world: &World, content: &[u8]) -> MessageId {
        use pillarbox_store::{Delivery, Fate, Flags, LedgerRecord, Placement, ShortCode};
        let store = &world.store;
        let account = store.read(|r| r.accounts()).unwrap()[0].0;
        let mut spool = store.spool();
        spool.append(content).unwrap();
        let placement = Placement { account, folder: FolderId::INBOX, flags: Flags::default() };
        let record = LedgerRecord::new(Timestamp(1), Fate::Delivered, ShortCode(9));
        store
            .deliver(Delivery::local(spool.finish().unwrap(), 0, vec![placement], record))
            .wait()
            .unwrap()
            .message
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_stopped_the_server_is_left_alone_and_everything_else_is_indexed() {
        let world = World::new().await;
        let dir = tempfile::tempdir().unwrap();
        let (good, bad, innocent) = tokio::task::block_in_place(|| {
            (
                deliver(&world, b"Subject: a\r\n\r\nx"),
                deliver(&world, b"Subject: b\r\n\r\nx"),
                deliver(&world, b"Subject: c\r\n\r\nx"),
            )
        });
        // The server died while it read a batch, and again while it read one of it alone.
        std::mem::forget(
            Marks::open(dir.path(), "1").set(Kind::Batch, &[bad, innocent, MessageId(99)]),
        );
        std::mem::forget(Marks::open(dir.path(), "1").set(Kind::Alone, &[bad]));
        let marks = Marks::open(dir.path(), "1");
        assert_eq!(marks.skipped(), [bad]);
        tokio::task::block_in_place(|| {
            let store = &world.store;
            clear_suspects(store, &marks, &|| false).unwrap();
            assert!(marks.suspects().is_empty());
            let account = store.read(|r| r.accounts()).unwrap()[0].0;
            let mut gentle = Gentle::new(store, &|| false, Some(Pace::default()));
            let waiting = store.read(|r| r.unindexed(Some(account), BATCH)).unwrap();
            assert!(
                batch(&mut gentle, account, waiting, Some(&marks), &|id| marks.is_withheld(id))
                    .unwrap()
            );
            let card = |id| store.read(|r| r.card(account, id)).unwrap().map(|card| card.subject);
            assert_eq!(
                (card(good), card(bad), card(innocent)),
                (Some("a".into()), None, Some("c".into()))
            );
            assert!(
                store.read(|r| r.unindexed(None, BATCH)).unwrap().is_empty(),
                "it does not hold the others up"
            );
        });
    }
}
