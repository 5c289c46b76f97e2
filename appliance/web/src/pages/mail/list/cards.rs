//! Messages with their cards: those of messages that are not in the index yet are made from their beginnings.

use std::collections::HashMap;
use std::sync::Arc;

use pillarbox_office::Office;
use pillarbox_office::mail::readers::Unread;
use pillarbox_office::mail::reading;
use pillarbox_store::{AccountId, Card, Found, MessageId};

use crate::text::Texts;

/// A list is shown in any case: what could not be read now has an empty card.
pub async fn with_cards(
    office: &Arc<Office>,
    t: Texts,
    account: AccountId,
    found: Vec<(Found, Option<Card>)>,
) -> Vec<(Found, Card)> {
    let fresh =
        found.iter().filter(|(_, card)| card.is_none()).map(|(one, _)| one.entry.message).collect();
    let mut known = glances(office, account, fresh).await;
    let marks = &office.readers.marks;
    let card = |(one, card): (Found, Option<Card>)| {
        let card = match card {
            Some(card) => card,
            None if marks.is_withheld(one.entry.message) => {
                Card { subject: t.get("mail-not-opened").into_owned(), ..Card::default() }
            }
            None => known.remove(&one.entry.message).unwrap_or_default(),
        };
        (one, card)
    };
    found.into_iter().map(card).collect()
}

/// The cards of messages by their beginnings, as far as they can and may be read.
async fn glances(
    office: &Arc<Office>,
    account: AccountId,
    mut ids: Vec<MessageId>,
) -> HashMap<MessageId, Card> {
    let cards = &office.readers.cards;
    let mut known: HashMap<MessageId, Card> =
        ids.iter().filter_map(|id| Some((*id, cards.get(*id)?))).collect();
    ids.retain(|id| !known.contains_key(id) && !office.readers.marks.is_withheld(*id));
    if ids.is_empty() {
        return known;
    }
    let (store, wanted) = (office.store.clone(), ids.clone());
    let read = office.readers.messages(account, ids, move |budget| {
        let mut found = Vec::new();
        for id in wanted {
            let Some(content) = store.read(|r| r.content(id))? else { continue };
            match reading::glance(&store, &content, budget) {
                Ok(summary) => found.push((id, summary.card)),
                Err(Unread::GivenUp) => break,
                Err(why) => {
                    tracing::warn!(%why, message = id.0, "a message can't be read for a list")
                }
            }
        }
        Ok(found)
    });
    match read.await {
        Ok(read) => {
            read.iter().for_each(|(id, card)| cards.keep(*id, card));
            known.extend(read);
        }
        Err(why) => tracing::warn!(%why, "a list shows messages without their texts"),
    }
    known
}
