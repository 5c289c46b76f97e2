//! What a search finds: in the index, and among the messages that are too new for it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use pillarbox_office::Office;
use pillarbox_office::mail::index::{self, FRESH};
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Summary};
use pillarbox_store::{AccountId, Ask, Card, Content, Error, Found, MessageId, Store, off_thread};

/// Rows of a page; of a search about as many.
pub const ROWS: usize = 50;
/// How often one page of a search asks the index for more, where much of it is not what the texts say.
const ROUNDS: usize = 10;

/// Messages with their cards, as far as these are known.
pub type Hits = Vec<(Found, Option<Card>)>;
/// How much of a message is read.
type Read = fn(&Store, &Content, &Budget) -> Result<Summary, Unread>;

/// One page of a search: newest message first, and below which message it goes on, or 0.
pub async fn searched(
    office: &Arc<Office>,
    account: AccountId,
    ask: Ask,
    before: Option<MessageId>,
) -> Result<(Hits, u64), Error> {
    let search = Search { office, account, ask: Arc::new(ask) };
    let (mut found, fresh_end) = search.fresh(before).await?;
    let (indexed, index_end) = search.indexed(before).await?;
    found.extend(indexed);
    // Both were looked at down to here.
    let next = fresh_end.max(index_end);
    found.retain(|(one, _)| one.entry.message.0 >= next);
    found.sort_by_key(|(one, _)| Reverse((one.entry.message, one.folder, one.uid)));
    found.dedup_by_key(|(one, _)| (one.folder, one.uid));
    Ok((search.with_stored_cards(found).await?, next))
}

struct Search<'a> {
    office: &'a Arc<Office>,
    account: AccountId,
    ask: Arc<Ask>,
}

impl Search<'_> {
    /// Hits among the messages that are too new for the index, and from which message on all were looked at; 0: all.
    async fn fresh(&self, before: Option<MessageId>) -> Result<(Hits, u64), Error> {
        let (account, ask) = (self.account, self.ask.clone());
        let is_below = move |id: MessageId| before.is_none_or(|before| id < before);
        let fresh = self.office.store.read_off_thread(move |r| {
            let all = r.fresh(account, FRESH)?;
            Ok(all
                .into_iter()
                .filter(|one| is_below(one.entry.message) && ask.may_hold(one.folder, &one.entry))
                .collect::<Vec<_>>())
        });
        let fresh = fresh.await?;
        let (found, looked) = self.matching(&fresh, ROWS, reading::glance).await;
        let end = fresh.get(looked.max(1)).map_or(0, |one| one.entry.message.0 + 1);
        Ok((found, end))
    }

    /// Hits of the index, and from which message on all were looked at; 0: all.
    async fn indexed(&self, before: Option<MessageId>) -> Result<(Hits, u64), Error> {
        let (mut found, mut below) = (Hits::new(), before);
        for round in 1.. {
            let (store, account, ask) = (self.office.store.clone(), self.account, self.ask.clone());
            let page = off_thread(move || store.search(account, &ask, below, ROWS)).await?;
            if let Some(damage) = page.damage {
                let store = self.office.store.clone();
                off_thread(move || index::renew(&store, account, damage)).await?;
            }
            let (certain, open): (Vec<_>, Vec<_>) =
                page.hits.into_iter().partition(|(_, is_certain)| *is_certain);
            let open: Vec<Found> = open.into_iter().map(|(one, _)| one).collect();
            let (read, looked) = self.matching(&open, usize::MAX, reading::summary).await;
            found.extend(certain.into_iter().map(|(one, _)| (one, None)).chain(read));
            // What took too long is looked at on the next page.
            // Unless nothing at all was looked at: then the next page would come no further.
            let unread = open
                .get(looked)
                .filter(|_| looked > 0)
                .map(|one| MessageId(one.entry.message.0 + 1));
            below = unread.or(page.next);
            if found.len() >= ROWS || round == ROUNDS || unread.is_some() || below.is_none() {
                break;
            }
        }
        Ok((found, below.map_or(0, |below| below.0)))
    }

    /// Those of some messages whose texts are what is asked for: at most `limit`, and how many were looked at.
    async fn matching(&self, found: &[Found], limit: usize, read: Read) -> (Hits, usize) {
        let readers = &self.office.readers;
        let wanted: Vec<(usize, Found)> = found
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, one)| !readers.marks.is_withheld(one.entry.message))
            .collect();
        if wanted.is_empty() {
            return (Vec::new(), found.len());
        }
        let (store, ask, whole) = (self.office.store.clone(), self.ask.clone(), found.len());
        let ids = wanted.iter().map(|(_, one)| one.entry.message).collect();
        let reading = readers.messages(self.account, ids, move |budget| {
            let mut matching = Vec::new();
            for (at, one) in wanted {
                if matching.len() >= limit {
                    return Ok((matching, at));
                }
                let message = one.entry.message;
                let Some(content) = store.read(|r| r.content(message))? else { continue };
                match read(&store, &content, budget) {
                    Ok(summary) if index::holds(&ask, &summary, one.folder, &one.entry) => {
                        matching.push((one, Some(summary.card)))
                    }
                    Ok(_) => {}
                    Err(Unread::GivenUp) => return Ok((matching, at)),
                    Err(why) => {
                        let message = message.0;
                        tracing::warn!(%why, message, "a message can't be read for a search")
                    }
                }
            }
            Ok((matching, whole))
        });
        reading.await.unwrap_or_else(|why| {
            tracing::warn!(%why, "a search leaves out messages that it would have to read");
            (Vec::new(), whole)
        })
    }

    /// Cards that are in the store for hits that have none.
    async fn with_stored_cards(&self, found: Hits) -> Result<Hits, Error> {
        let ids: Vec<MessageId> = found
            .iter()
            .filter(|(_, card)| card.is_none())
            .map(|(one, _)| one.entry.message)
            .collect();
        let account = self.account;
        let cards = self.office.store.read_off_thread(move |r| {
            ids.into_iter()
                .map(|id| Ok((id, r.card(account, id)?)))
                .collect::<Result<HashMap<_, _>, Error>>()
        });
        let cards = cards.await?;
        let stored = |one: &Found| cards.get(&one.entry.message).cloned().flatten();
        Ok(found.into_iter().map(|(one, card)| (one, card.or_else(|| stored(&one)))).collect())
    }
}
