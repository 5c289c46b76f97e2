//! The list of a folder, or of what a search found.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::structure::Person as Correspondent;
use pillarbox_message::words::marked;
use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, Ask, Card, Content, Entry, Error, Flags, FolderId, Found, MessageId, Store,
    off_thread,
};
use serde::Deserialize;

use super::{Folder, failed, folder_name, frame, missing, shown, size};
use crate::frame::{Frame, page};
use crate::session::Person;
use crate::stream;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::mail::index::{self, FRESH};
use pillarbox_office::mail::query::Query as Search;
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Summary};

/// Rows of a page; of a search about as many.
const ROWS: usize = 50;
/// How often one page of a search asks the index for more, where much of it is not what the texts say.
const ROUNDS: usize = 10;
/// How often a page that listens gets a comment at least: proxies end what is silent for long.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two events at least: a page need not be made anew for each message of a burst.
const PAUSE: Duration = Duration::from_millis(500);
/// For how long a page may listen.
const LISTEN: Duration = Duration::from_secs(600);

#[derive(Template)]
#[template(path = "mail-list.html")]
struct ListPage {
    frame: Frame,
    folders: Vec<Folder>,
    folder: u32,
    name: String,
    rows: Vec<Row>,
    q: String,
    /// How the address of the next page ends; empty on the last one.
    next: String,
    is_trash: bool,
    is_junk: bool,
    /// What can be taken back: folder, UIDs and the folder it came from.
    undo: String,
    /// A message that goes out in a moment: `folder.uid`.
    later: String,
    unseen: u32,
    /// New mail is shown outside the window too.
    notifies: bool,
    /// Folders this one can be moved into.
    parents: Vec<Folder>,
    used: String,
}

struct Row {
    /// `folder.uid`, as forms name it.
    id: String,
    folder: u32,
    uid: u32,
    who: String,
    /// Subject and preview in pieces: those that were searched for are marked.
    subject: Vec<(String, bool)>,
    preview: Vec<(String, bool)>,
    plain_subject: String,
    at: String,
    is_unread: bool,
    is_flagged: bool,
    is_answered: bool,
    attachments: u32,
    /// Messages of the same conversation on this page, this one included.
    count: usize,
    /// The folder, where a search found it.
    place: String,
}

#[derive(Deserialize)]
pub struct Asked {
    /// The UID below which a folder's list goes on, or the message below which a search does; 0: from the beginning.
    #[serde(default)]
    before: u64,
    #[serde(default)]
    q: String,
    #[serde(default)]
    undo: String,
    #[serde(default)]
    later: String,
}

pub async fn start(Person(..): Person) -> Response {
    Redirect::to("/mail/1").into_response()
}

pub async fn show(
    Person(visit, visitor): Person,
    Path(folder): Path<u32>,
    Query(asked): Query<Asked>,
) -> Response {
    let (account, folder) = (visitor.account, FolderId(folder));
    let folders = match visit.office.store.read_off_thread(move |r| r.folders(account)).await {
        Ok(folders) => folders,
        Err(error) => return failed(&visit, &error),
    };
    let Some((_, name, state)) = folders.iter().find(|(id, ..)| *id == folder) else {
        return missing(&visit);
    };
    let (name, unseen) = (folder_name(visit.texts, folder, name), state.unseen);
    let t = visit.texts;
    let named = |wanted: &str| {
        let is_named = |(id, known, _): &&(FolderId, String, _)| {
            folder_name(t, *id, known).to_lowercase() == wanted || known.to_lowercase() == wanted
        };
        folders.iter().find(is_named).map(|(id, ..)| *id)
    };
    let Search { ask, words } = Search::parse(&asked.q, &named);
    let is_search = ask != Ask::All(Vec::new());
    let found = match is_search {
        false => listed(&visit.office, t, account, folder, asked.before).await,
        true => {
            searched(
                &visit.office,
                t,
                account,
                ask,
                Some(MessageId(asked.before)).filter(|before| before.0 > 0),
            )
            .await
        }
    };
    let (mut found, next) = match found {
        Ok(found) => found,
        Err(error) => return failed(&visit, &error),
    };
    let next = match (next, is_search) {
        (0, _) => String::new(),
        (next, false) => format!("before={next}"),
        (next, true) => form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &asked.q)
            .append_pair("before", &next.to_string())
            .finish(),
    };
    let names = |id: FolderId| {
        folders
            .iter()
            .find(|(known, ..)| *known == id)
            .map_or_else(String::new, |(id, name, _)| folder_name(t, *id, name))
    };
    let place = |id| if asked.q.is_empty() { String::new() } else { names(id) };
    if !visit.preferences.conversations {
        found.iter_mut().for_each(|(_, card)| card.conversation = 0);
    }
    let rows =
        rows(t, found, folder == FolderId::SENT || folder == FolderId::DRAFTS, place, &words);
    let mut frame = frame(&visit, "mail-title");
    frame.title = name.clone();
    let shown = ListPage {
        frame,
        folders: shown(t, &folders, folder),
        folder: folder.0,
        name,
        rows,
        q: asked.q,
        next,
        is_trash: folder == FolderId::TRASH,
        is_junk: folder == FolderId::JUNK,
        undo: asked
            .undo
            .chars()
            .filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | ':'))
            .take(60)
            .collect(),
        later: super::act::parse_id(&asked.later)
            .map_or_else(String::new, |(folder, uid)| format!("{}.{uid}", folder.0)),
        unseen,
        notifies: visit.preferences.notifies,
        parents: shown(t, &folders, folder)
            .into_iter()
            .filter(|one| one.is_own && !one.is_here)
            .collect(),
        used: size(folders.iter().map(|(_, _, state)| state.octets).sum()),
    };
    page(StatusCode::OK, &shown)
}

type Rows = Vec<(Found, Card)>;

/// A page of a folder, and below which UID it goes on, or 0.
async fn listed(
    office: &Arc<Office>,
    t: Texts,
    account: AccountId,
    folder: FolderId,
    before: u64,
) -> Result<(Rows, u64), Error> {
    let before = u32::try_from(before).ok().filter(|before| *before > 0).unwrap_or(u32::MAX - 1);
    let found = office.store.read_off_thread(move |r| {
        let entries = r.entries_before(account, folder, before, ROWS + 1)?;
        entries
            .into_iter()
            .map(|(uid, entry)| Ok((Found { folder, uid, entry }, r.card(account, entry.message)?)))
            .collect::<Result<Vec<_>, Error>>()
    });
    let mut found = found.await?;
    let next = if found.len() > ROWS { u64::from(found[ROWS - 1].0.uid) } else { 0 };
    found.truncate(ROWS);
    Ok((with_cards(office, t, account, found).await, next))
}

/// Cards of messages that are not in the index yet are made from the beginnings of the messages.
/// A list is shown in any case: what could not be read now has an empty card.
async fn with_cards(
    office: &Arc<Office>,
    t: Texts,
    account: AccountId,
    found: Vec<(Found, Option<Card>)>,
) -> Rows {
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
        Err(why) => tracing::warn!(%why, "a list shows messages without what they say"),
    }
    known
}

/// How much of a message is read.
type Read = fn(&Store, &Content, &Budget) -> Result<Summary, Unread>;

/// Those of some messages whose texts are what is asked for, with their cards: at most `limit`, and how many were
/// looked at.
async fn matching(
    (office, account, ask): (&Arc<Office>, AccountId, &Arc<Ask>),
    found: &[Found],
    limit: usize,
    read: Read,
) -> (Vec<(Found, Option<Card>)>, usize) {
    let marks = &office.readers.marks;
    let wanted: Vec<(usize, Found)> = found
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, one)| !marks.is_withheld(one.entry.message))
        .collect();
    if wanted.is_empty() {
        return (Vec::new(), found.len());
    }
    let (store, ask, whole) = (office.store.clone(), ask.clone(), found.len());
    let ids = wanted.iter().map(|(_, one)| one.entry.message).collect();
    let reading = office.readers.messages(account, ids, move |budget| {
        let mut matching = Vec::new();
        for (at, one) in wanted {
            if matching.len() >= limit {
                return Ok((matching, at));
            }
            let Some(content) = store.read(|r| r.content(one.entry.message))? else { continue };
            match read(&store, &content, budget) {
                Ok(summary) if index::holds(&ask, &summary, one.folder, &one.entry) => matching.push((one, Some(summary.card))),
                Ok(_) => {}
                Err(Unread::GivenUp) => return Ok((matching, at)),
                Err(why) => tracing::warn!(%why, message = one.entry.message.0, "a message can't be read for a search"),
            }
        }
        Ok((matching, whole))
    });
    reading.await.unwrap_or_else(|why| {
        tracing::warn!(%why, "a search leaves out messages that it would have to read");
        (Vec::new(), whole)
    })
}

/// What the index finds, and what is too new for it: newest message first, and below which message it goes on, or 0.
async fn searched(
    office: &Arc<Office>,
    t: Texts,
    account: AccountId,
    ask: Ask,
    before: Option<MessageId>,
) -> Result<(Rows, u64), Error> {
    let ask = Arc::new(ask);
    let asked = ask.clone();
    let is_below = move |id: MessageId| before.is_none_or(|before| id < before);
    let fresh = office.store.read_off_thread(move |r| {
        let all = r.fresh(account, FRESH)?;
        Ok(all
            .into_iter()
            .filter(|one| is_below(one.entry.message) && asked.may_hold(one.folder, &one.entry))
            .collect::<Vec<_>>())
    });
    let fresh = fresh.await?;
    let (mut found, looked) =
        matching((office, account, &ask), &fresh, ROWS, reading::glance).await;
    // What was looked at is complete down to here.
    let mut next = fresh.get(looked.max(1)).map_or(0, |one| one.entry.message.0 + 1);
    let (mut below, mut known) = (before, 0);
    for round in 1.. {
        let (store, asked) = (office.store.clone(), ask.clone());
        let page = off_thread(move || store.search(account, &asked, below, ROWS)).await?;
        if let Some(damage) = page.damage {
            let store = office.store.clone();
            off_thread(move || index::renew(&store, account, damage)).await?;
        }
        let (certain, open): (Vec<_>, Vec<_>) =
            page.hits.into_iter().partition(|(_, is_certain)| *is_certain);
        let open: Vec<Found> = open.into_iter().map(|(one, _)| one).collect();
        let (read, looked) =
            matching((office, account, &ask), &open, usize::MAX, reading::summary).await;
        known += certain.len() + read.len();
        found.extend(certain.into_iter().map(|(one, _)| (one, None)).chain(read));
        // What took too long is looked at on the next page, unless nothing at all was: then it would be so there, too.
        let unread =
            open.get(looked).filter(|_| looked > 0).map(|one| MessageId(one.entry.message.0 + 1));
        below = unread.or(page.next);
        if known >= ROWS || round == ROUNDS || unread.is_some() || below.is_none() {
            break;
        }
    }
    next = next.max(below.map_or(0, |below| below.0));
    found.retain(|(one, _)| one.entry.message.0 >= next);
    found.sort_by_key(|(one, _)| std::cmp::Reverse((one.entry.message, one.folder, one.uid)));
    found.dedup_by_key(|(one, _)| (one.folder, one.uid));
    let ids: Vec<MessageId> =
        found.iter().filter(|(_, card)| card.is_none()).map(|(one, _)| one.entry.message).collect();
    let cards = office
        .store
        .read_off_thread(move |r| {
            ids.into_iter()
                .map(|id| Ok((id, r.card(account, id)?)))
                .collect::<Result<HashMap<_, _>, Error>>()
        })
        .await?;
    let found = found
        .into_iter()
        .map(|(one, card)| (one, card.or_else(|| cards.get(&one.entry.message).cloned().flatten())))
        .collect();
    Ok((with_cards(office, t, account, found).await, next))
}

fn rows(
    t: Texts,
    found: Rows,
    shows_recipient: bool,
    place: impl Fn(FolderId) -> String,
    words: &[String],
) -> Vec<Row> {
    let now = clock::now();
    let mut rows: Vec<(u64, Row)> = Vec::new();
    for (one, card) in found {
        // Older messages of a conversation on the same page are behind its newest one.
        if card.conversation != 0
            && let Some((_, known)) = rows.iter_mut().find(|(conversation, row)| {
                *conversation == card.conversation && row.folder == one.folder.0
            })
        {
            known.count += 1;
            known.is_unread |= !one.entry.flags.contains(Flags::SEEN);
            continue;
        }
        rows.push((
            card.conversation,
            row(
                t,
                one.folder,
                one.uid,
                one.entry,
                card,
                shows_recipient,
                now,
                place(one.folder),
                words,
            ),
        ));
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

#[allow(clippy::too_many_arguments)] // the columns of a row
fn row(
    t: Texts,
    folder: FolderId,
    uid: u32,
    entry: Entry,
    card: Card,
    shows_recipient: bool,
    now: u64,
    place: String,
    words: &[String],
) -> Row {
    let from = Correspondent { name: card.from_name, address: card.from }.short();
    Row {
        id: format!("{}.{uid}", folder.0),
        folder: folder.0,
        uid,
        who: if shows_recipient { card.to } else { from },
        plain_subject: card.subject.clone(),
        subject: if card.subject.is_empty() {
            vec![(t.get("mail-no-subject").into_owned(), false)]
        } else {
            marked(&card.subject, words)
        },
        preview: marked(&card.preview, words),
        at: t.moment(entry.saved_at, now),
        is_unread: !entry.flags.contains(Flags::SEEN),
        is_flagged: entry.flags.contains(Flags::FLAGGED),
        is_answered: entry.flags.contains(Flags::ANSWERED),
        attachments: card.attachments,
        count: 1,
        place,
    }
}

/// Tells a page that something changed in a person's folders (server-sent events, HTML §9.2).
pub async fn events(Person(visit, visitor): Person) -> Response {
    let (office, account) = (visit.office.clone(), visitor.account);
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let mut stop = office.handles.tasks.stop();
        let mut notices = office.store.notices();
        let mut last = state(&office, account).await;
        let begun = tokio::time::Instant::now();
        // Its first tick comes at once: the browser knows that it is listened to.
        let mut beat = tokio::time::interval(HEARTBEAT);
        while begun.elapsed() < LISTEN {
            let text = tokio::select! {
                notice = notices.next() => match notice {
                    None => return,
                    Some(notice) if !notice.concerns(account) => continue,
                    Some(_) => {
                        let now = state(&office, account).await;
                        // Another process changed something else, or it was read with the notice before.
                        if now == last {
                            continue;
                        }
                        last = now;
                        format!("event: mail\ndata: {}\n\n", now.1)
                    }
                },
                _ = beat.tick() => ": \n\n".to_string(),
                // The browser has gone.
                () = sender.closed() => return,
                _ = stop.changed() => return,
            };
            let is_event = text.starts_with("event");
            if sender.send(text).await.is_err() {
                return;
            }
            if is_event {
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(stream::Pieces::new(receiver)))
        .into_response()
}

/// The sum of the folders' modification sequences, and the unread in the inbox.
async fn state(office: &Arc<Office>, account: AccountId) -> (u64, u32) {
    let read = office.store.read_off_thread(move |r| {
        let folders = r.folders(account)?;
        let unseen = folders
            .iter()
            .find(|(id, ..)| *id == FolderId::INBOX)
            .map_or(0, |(_, _, state)| state.unseen);
        Ok((folders.iter().map(|(_, _, state)| state.modseq).sum(), unseen))
    });
    read.await.unwrap_or_default()
}
