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
use pillarbox_store::{AccountId, Card, Entry, Error, Flags, FolderId, Found, MessageId};
use serde::Deserialize;

use super::{Folder, failed, folder_name, frame, missing, shown, size};
use crate::frame::{Frame, page};
use crate::session::Person;
use crate::stream;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::mail::index::FRESH;
use pillarbox_office::mail::query;
use pillarbox_office::mail::readers::Unread;
use pillarbox_office::mail::reading::{self, Summary};

/// Rows of a page.
const ROWS: usize = 50;
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
    /// Where the next page begins; 0 on the last one.
    next: u32,
    is_trash: bool,
    is_junk: bool,
    /// What can be taken back: folder, UIDs and the folder it came from.
    undo: String,
    /// A letter that goes out in a moment: `folder.uid`.
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
    #[serde(default)]
    before: u32,
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

pub async fn show(Person(visit, visitor): Person, Path(folder): Path<u32>, Query(asked): Query<Asked>) -> Response {
    let (account, folder) = (visitor.account, FolderId(folder));
    let before = if asked.before == 0 { u32::MAX - 1 } else { asked.before };
    let folders = match visit.office.store.read_off_thread(move |r| r.folders(account)).await {
        Ok(folders) => folders,
        Err(error) => return failed(&visit, &error),
    };
    let Some((_, name, state)) = folders.iter().find(|(id, ..)| *id == folder) else { return missing(&visit) };
    let (name, unseen) = (folder_name(visit.texts, folder, name), state.unseen);
    let query = query::Query::parse(&asked.q);
    let words = query.words.clone();
    let t = visit.texts;
    let found = match query.is_empty() {
        true => listed(&visit.office, t, account, folder, before).await,
        false => {
            let wanted = query.folder.as_ref().and_then(|wanted| {
                let is_named =
                    |(id, known, _): &&(FolderId, String, _)| folder_name(t, *id, known).to_lowercase() == *wanted || known.to_lowercase() == *wanted;
                folders.iter().find(is_named).map(|(id, ..)| *id)
            });
            searched(&visit.office, t, account, query, wanted).await
        }
    };
    let mut found = match found {
        Ok(found) => found,
        Err(error) => return failed(&visit, &error),
    };
    let next = if asked.q.is_empty() && found.len() > ROWS { found.get(ROWS - 1).map_or(0, |(one, _)| one.uid) } else { 0 };
    found.truncate(ROWS);
    let names = |id: FolderId| folders.iter().find(|(known, ..)| *known == id).map_or_else(String::new, |(id, name, _)| folder_name(t, *id, name));
    let place = |id| if asked.q.is_empty() { String::new() } else { names(id) };
    if !visit.preferences.conversations {
        found.iter_mut().for_each(|(_, card)| card.conversation = 0);
    }
    let rows = rows(t, found, folder == FolderId::SENT || folder == FolderId::DRAFTS, place, &words);
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
        undo: asked.undo.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | ':')).take(60).collect(),
        later: super::act::parse_id(&asked.later).map_or_else(String::new, |(folder, uid)| format!("{}.{uid}", folder.0)),
        unseen,
        notifies: visit.preferences.notifies,
        parents: shown(t, &folders, folder).into_iter().filter(|one| one.is_own && !one.is_here).collect(),
        used: size(folders.iter().map(|(_, _, state)| state.octets).sum()),
    };
    page(StatusCode::OK, &shown)
}

type Rows = Vec<(Found, Card)>;

async fn listed(office: &Arc<Office>, t: Texts, account: AccountId, folder: FolderId, before: u32) -> Result<Rows, Error> {
    let found = office.store.read_off_thread(move |r| {
        let entries = r.entries_before(account, folder, before, ROWS + 1)?;
        entries.into_iter().map(|(uid, entry)| Ok((Found { folder, uid, entry }, r.card(entry.message)?))).collect::<Result<Vec<_>, Error>>()
    });
    Ok(with_cards(office, t, account, found.await?).await)
}

/// Cards of messages that are not in the index yet are made from the beginnings of the messages. A list is shown in any case: what could
/// not be read now has an empty card.
async fn with_cards(office: &Arc<Office>, t: Texts, account: AccountId, found: Vec<(Found, Option<Card>)>) -> Rows {
    let fresh = found.iter().filter(|(_, card)| card.is_none()).map(|(one, _)| one.entry.message).collect();
    let mut known: HashMap<MessageId, Card> = glances(office, account, fresh).await.into_iter().map(|(id, summary)| (id, summary.card)).collect();
    let marks = &office.readers.marks;
    let card = |(one, card): (Found, Option<Card>)| {
        let card = match card {
            Some(card) => card,
            None if marks.is_withheld(one.entry.message) => Card { subject: t.get("mail-not-opened").into_owned(), ..Card::default() },
            None => known.remove(&one.entry.message).unwrap_or_default(),
        };
        (one, card)
    };
    found.into_iter().map(card).collect()
}

/// The beginnings of messages, as far as they can and may be read.
async fn glances(office: &Arc<Office>, account: AccountId, mut ids: Vec<MessageId>) -> HashMap<MessageId, Summary> {
    ids.retain(|id| !office.readers.marks.is_withheld(*id));
    if ids.is_empty() {
        return HashMap::new();
    }
    let (store, wanted) = (office.store.clone(), ids.clone());
    let read = office.readers.messages(account, ids, move |budget| {
        let mut found = HashMap::new();
        for id in wanted {
            let Some(content) = store.read(|r| r.content(id))? else { continue };
            match reading::glance(&store, &content, budget) {
                Ok(summary) => drop(found.insert(id, summary)),
                Err(Unread::GivenUp) => break,
                Err(why) => tracing::warn!(%why, message = id.0, "a message can't be read for a list"),
            }
        }
        Ok(found)
    });
    read.await.unwrap_or_else(|why| {
        tracing::warn!(%why, "a list shows messages without what they say");
        HashMap::new()
    })
}

/// What the index finds, and what is too new for it.
async fn searched(office: &Arc<Office>, t: Texts, account: AccountId, query: query::Query, folder: Option<FolderId>) -> Result<Rows, Error> {
    let (asked, query) = (query.clone(), Arc::new(query));
    let fresh = office.store.read_off_thread(move |r| {
        let all = r.unindexed(Some(account), FRESH)?;
        let one = |folder: FolderId, (uid, entry): (u32, Entry)| Found { folder, uid, entry };
        let all = all.into_iter().flat_map(|some| some.entries.into_iter().rev().take(FRESH).map(move |entry| one(some.folder, entry)));
        Ok(all.filter(|found| asked.passes(found, folder)).take(FRESH).collect::<Vec<_>>())
    });
    let fresh = fresh.await?;
    let mut summaries = glances(office, account, fresh.iter().map(|one| one.entry.message).collect()).await;
    let read = |one: Found| summaries.remove(&one.entry.message).filter(|summary| query.matches(&summary.terms)).map(|summary| (one, summary.card));
    let mut rows: Rows = fresh.into_iter().filter_map(read).collect();
    let asked = query.clone();
    let found = office.store.read_off_thread(move |r| {
        let found = r.search(account, &asked.clauses, ROWS, |found| asked.passes(found, folder))?;
        found.into_iter().map(|one| Ok((one, r.card(one.entry.message)?))).collect::<Result<Vec<_>, Error>>()
    });
    let found = found.await?;
    let known: Vec<(FolderId, u32)> = rows.iter().map(|(one, _)| (one.folder, one.uid)).collect();
    let found = found.into_iter().filter(|(one, _)| !known.contains(&(one.folder, one.uid))).collect();
    rows.extend(with_cards(office, t, account, found).await);
    rows.sort_by_key(|(one, _)| std::cmp::Reverse((one.entry.saved_at, one.uid)));
    Ok(rows)
}

fn rows(t: Texts, found: Rows, shows_recipient: bool, place: impl Fn(FolderId) -> String, words: &[String]) -> Vec<Row> {
    let now = clock::now();
    let mut rows: Vec<(u64, Row)> = Vec::new();
    for (one, card) in found {
        // Older messages of a conversation on the same page are behind its newest one.
        if card.conversation != 0
            && let Some((_, known)) = rows.iter_mut().find(|(conversation, row)| *conversation == card.conversation && row.folder == one.folder.0)
        {
            known.count += 1;
            known.is_unread |= !one.entry.flags.contains(Flags::SEEN);
            continue;
        }
        rows.push((card.conversation, row(t, one.folder, one.uid, one.entry, card, shows_recipient, now, place(one.folder), words)));
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

#[allow(clippy::too_many_arguments)] // the columns of a row
fn row(t: Texts, folder: FolderId, uid: u32, entry: Entry, card: Card, shows_recipient: bool, now: u64, place: String, words: &[String]) -> Row {
    let from = Correspondent { name: card.from_name, address: card.from }.short();
    Row {
        id: format!("{}.{uid}", folder.0),
        folder: folder.0,
        uid,
        who: if shows_recipient { card.to } else { from },
        plain_subject: card.subject.clone(),
        subject: if card.subject.is_empty() { vec![(t.get("mail-no-subject").into_owned(), false)] } else { marked(&card.subject, words) },
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
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(stream::Pieces::new(receiver))).into_response()
}

/// The sum of the folders' modification sequences, and the unread in the inbox.
async fn state(office: &Arc<Office>, account: AccountId) -> (u64, u32) {
    let read = office.store.read_off_thread(move |r| {
        let folders = r.folders(account)?;
        let unseen = folders.iter().find(|(id, ..)| *id == FolderId::INBOX).map_or(0, |(_, _, state)| state.unseen);
        Ok((folders.iter().map(|(_, _, state)| state.modseq).sum(), unseen))
    });
    read.await.unwrap_or_default()
}
