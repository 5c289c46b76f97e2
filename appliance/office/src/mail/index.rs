//! The index behind the deliveries: what is new is read and written in batches, so that a card is not worn out by single
//! messages. Until then searches look at new messages themselves.
//!
//! What is read is marked before (`marks`), so that a message that stops the server is found out and left alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pillarbox_platform::clock;
use pillarbox_platform::tasks::Tasks;
use pillarbox_store::{AccountId, ClearIndex, Entry, FolderId, IndexWork, Indexed, MessageId, NoteWritten, Result, Store, off_thread};

use super::marks::{Kind, Marks};
use super::readers::Readers;
use super::readers::{Budget, Unread};
use super::reading::{self, Summary};

/// Messages of one batch, and how many may wait until it is worth one.
const BATCH: usize = 64;
const WORTH: usize = 64;
/// Seconds that a single new message waits.
const PATIENCE: u64 = 300;
/// New messages that a search looks at by itself.
pub const FRESH: usize = 256;
/// How long a message may be read; of one that takes longer only the beginning counts.
const TIME: Duration = Duration::from_secs(30);

/// Works through what is new, when it is worth it. Housekeeping calls this.
pub async fn run(store: &Store, readers: &Readers, tasks: &Tasks) {
    let (store, marks, tasks) = (store.clone(), readers.marks.clone(), tasks.clone());
    let worked = off_thread(move || {
        let (store, marks) = (&store, &marks);
        clear_suspects(store, marks, &|| tasks.is_over())?;
        while !tasks.is_over() {
            let waiting = store.read(|r| r.unindexed(None, BATCH))?;
            let count: usize = waiting.iter().map(|folder| folder.entries.len()).sum();
            let oldest = waiting.iter().flat_map(|folder| &folder.entries).map(|(_, entry)| entry.saved_at).min();
            let is_old = oldest.is_some_and(|at| at + PATIENCE <= clock::now());
            if count == 0 || count < WORTH && !is_old {
                return Ok(());
            }
            for folder in waiting {
                let ids: Vec<MessageId> = folder.entries.iter().map(|(_, entry)| entry.message).filter(|id| !marks.is_withheld(*id)).collect();
                let _mark = marks.set(Kind::Batch, &ids);
                index(store, folder.account, folder.folder, &folder.entries, &|id| marks.is_withheld(id))?;
            }
        }
        Ok(())
    });
    if let Err(error) = worked.await {
        tracing::error!(%error, "indexing mail failed");
    }
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

/// Puts messages of a folder into the index.
fn index(store: &Store, account: AccountId, folder: FolderId, entries: &[(u32, Entry)], is_withheld: &dyn Fn(MessageId) -> bool) -> Result<()> {
    let mut messages = Vec::with_capacity(entries.len());
    for &(uid, entry) in entries.iter().filter(|(_, entry)| !is_withheld(entry.message)) {
        let Some(Summary { card, terms, recipients }) = summary(store, entry.message)? else { continue };
        if folder == FolderId::SENT {
            let people = recipients.into_iter().map(|person| (person.name, person.address.to_lowercase())).filter(|(_, address)| address.contains('@'));
            store.change(NoteWritten { account, people: people.collect(), at: card.date }).wait()?;
        }
        messages.push(Indexed { message: entry.message, uid, card, terms });
    }
    let below = entries.last().map_or(0, |(uid, _)| uid + 1);
    store.change(IndexWork { account, folder, messages, below }).wait().map(drop)
}

/// Makes the whole index anew; `data` is the data folder.
pub fn rebuild(store: &Store, data: &Path) -> Result<usize> {
    let withheld: BTreeSet<MessageId> = Marks::skipped_in(&super::readers::folder(data));
    store.change(ClearIndex).wait()?;
    let mut count = 0;
    loop {
        let waiting = store.read(|r| r.unindexed(None, BATCH))?;
        if waiting.is_empty() {
            return Ok(count);
        }
        for folder in waiting {
            index(store, folder.account, folder.folder, &folder.entries, &|id| withheld.contains(&id))?;
            count += folder.entries.len();
        }
    }
}

/// Card and terms of a message, read from it; `None` when it is gone. What can't be read has an empty card: one damaged
/// message must not stop the index.
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
        let record = LedgerRecord::new(1, Fate::Delivered, ShortCode(9));
        store.deliver(Delivery::local(spool.finish().unwrap(), 0, vec![placement], record)).wait().unwrap().message
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_stopped_the_server_is_left_alone_and_everything_else_is_indexed() {
        let world = World::new().await;
        let dir = tempfile::tempdir().unwrap();
        let (good, bad, innocent) = tokio::task::block_in_place(|| {
            (deliver(&world, b"Subject: a\r\n\r\nx"), deliver(&world, b"Subject: b\r\n\r\nx"), deliver(&world, b"Subject: c\r\n\r\nx"))
        });
        // The server died while it read a batch, and again while it read one of it alone.
        std::mem::forget(Marks::open(dir.path(), "1").set(Kind::Batch, &[bad, innocent, MessageId(99)]));
        std::mem::forget(Marks::open(dir.path(), "1").set(Kind::Alone, &[bad]));
        let marks = Marks::open(dir.path(), "1");
        assert_eq!(marks.skipped(), [bad]);
        tokio::task::block_in_place(|| {
            let store = &world.store;
            clear_suspects(store, &marks, &|| false).unwrap();
            assert!(marks.suspects().is_empty());
            for folder in store.read(|r| r.unindexed(None, BATCH)).unwrap() {
                index(store, folder.account, folder.folder, &folder.entries, &|id| marks.is_withheld(id)).unwrap();
            }
            let card = |id| store.read(|r| r.card(id)).unwrap().map(|card| card.subject);
            assert_eq!((card(good), card(bad), card(innocent)), (Some("a".into()), None, Some("c".into())));
            assert!(store.read(|r| r.unindexed(None, BATCH)).unwrap().is_empty(), "it does not hold the others up");
        });
    }
}
