//! The index behind the deliveries: what is new is read and written in batches, so that a card is not worn out by single
//! messages. Until then searches look at new messages themselves.

use std::sync::Arc;

use pillarbox_store::{AccountId, Change, Entry, FolderId, IndexWork, Indexed, MessageId, Result, Store};

use super::reading::{self, Summary};
use crate::clock;
use crate::context::{Context, off_thread};

/// Messages of one batch, and how many may wait until it is worth one.
const BATCH: usize = 64;
const WORTH: usize = 64;
/// Seconds that a single new message waits.
const PATIENCE: u64 = 300;
/// New messages that a search looks at by itself.
pub const FRESH: usize = 256;

/// Works through what is new, when it is worth it. Housekeeping calls this.
pub async fn run(context: &Arc<Context>) {
    let context = context.clone();
    let worked = off_thread(move || {
        let stop = context.stop();
        while !*stop.borrow() {
            let waiting = context.store.read(|r| r.unindexed(None, BATCH))?;
            let count: usize = waiting.iter().map(|folder| folder.entries.len()).sum();
            let oldest = waiting.iter().flat_map(|folder| &folder.entries).map(|(_, entry)| entry.saved_at).min();
            let is_old = oldest.is_some_and(|at| at + PATIENCE <= clock::now());
            if count == 0 || count < WORTH && !is_old {
                return Ok(());
            }
            for folder in waiting {
                index(&context.store, folder.account, folder.folder, &folder.entries)?;
            }
        }
        Ok(())
    });
    if let Err(error) = worked.await {
        tracing::error!(%error, "indexing mail failed");
    }
}

/// Puts messages of a folder into the index.
fn index(store: &Store, account: AccountId, folder: FolderId, entries: &[(u32, Entry)]) -> Result<()> {
    let mut messages = Vec::with_capacity(entries.len());
    for &(uid, entry) in entries {
        let Some(Summary { card, terms, recipients }) = summary(store, entry.message)? else { continue };
        if folder == FolderId::SENT {
            let people = recipients.into_iter().map(|person| (person.name, person.address.to_lowercase())).filter(|(_, address)| address.contains('@'));
            store.change(Change::NoteWritten { account, people: people.collect(), at: card.date }).wait()?;
        }
        messages.push(Indexed { message: entry.message, uid, card, terms });
    }
    let below = entries.last().map_or(0, |(uid, _)| uid + 1);
    store.change(Change::Index(IndexWork { account, folder, messages, below })).wait().map(drop)
}

/// Makes the whole index anew.
pub fn rebuild(store: &Store) -> Result<usize> {
    store.change(Change::ClearIndex).wait()?;
    let mut count = 0;
    loop {
        let waiting = store.read(|r| r.unindexed(None, BATCH))?;
        if waiting.is_empty() {
            return Ok(count);
        }
        for folder in waiting {
            index(store, folder.account, folder.folder, &folder.entries)?;
            count += folder.entries.len();
        }
    }
}

/// Card and terms of a message, read from it; `None` when it is gone. What can't be read has an empty card: one damaged
/// message must not stop the index.
pub fn summary(store: &Store, message: MessageId) -> Result<Option<Summary>> {
    let Some(content) = store.read(|r| r.content(message))? else { return Ok(None) };
    match reading::summary(store, &content) {
        Ok(found) => Ok(Some(found)),
        Err(error) => {
            tracing::warn!(%error, message = message.0, "a message can't be read for the index");
            Ok(Some(Summary::default()))
        }
    }
}
