//! The list of a folder, or of what a search found.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_store::{AccountId, Card, Entry, Error, Flags, FolderId, Found};
use serde::Deserialize;

use super::{Folder, failed, folder_name, frame, missing, shown, size};
use crate::clock;
use crate::context::{Context, off_thread};
use crate::mail::index::{self, FRESH};
use crate::mail::query;
use crate::mail::words::marked;
use crate::web::pages::{Frame, page};
use crate::web::session::Person;
use crate::web::stream;
use crate::web::text::Texts;

/// Rows of a page.
const ROWS: usize = 50;
/// How often a page that listens is looked at, and for how long it may listen.
const LOOK: Duration = Duration::from_secs(2);
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
    let folders = match visit.context.read(move |r| r.folders(account)).await {
        Ok(folders) => folders,
        Err(error) => return failed(&visit, &error),
    };
    let Some((_, name, state)) = folders.iter().find(|(id, ..)| *id == folder) else { return missing(&visit) };
    let (name, unseen) = (folder_name(visit.texts, folder, name), state.unseen);
    let query = query::Query::parse(&asked.q);
    let words = query.words.clone();
    let t = visit.texts;
    let found = match query.is_empty() {
        true => listed(&visit.context, account, folder, before).await,
        false => {
            let wanted = query.folder.as_ref().and_then(|wanted| {
                let is_named =
                    |(id, known, _): &&(FolderId, String, _)| folder_name(t, *id, known).to_lowercase() == *wanted || known.to_lowercase() == *wanted;
                folders.iter().find(is_named).map(|(id, ..)| *id)
            });
            searched(&visit.context, account, query, wanted).await
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

async fn listed(context: &Arc<Context>, account: AccountId, folder: FolderId, before: u32) -> Result<Rows, Error> {
    let store = context.store.clone();
    off_thread(move || {
        let found = store.read(|r| {
            let entries = r.entries_before(account, folder, before, ROWS + 1)?;
            entries.into_iter().map(|(uid, entry)| Ok((Found { folder, uid, entry }, r.card(entry.message)?))).collect::<Result<Vec<_>, Error>>()
        })?;
        with_cards(&store, found)
    })
    .await
}

/// Cards of messages that are not in the index yet are read from the messages.
fn with_cards(store: &pillarbox_store::Store, found: Vec<(Found, Option<Card>)>) -> Result<Rows, Error> {
    let card = |(one, card): (Found, Option<Card>)| {
        let card = match card {
            Some(card) => card,
            None => index::summary(store, one.entry.message)?.map(|summary| summary.card).unwrap_or_default(),
        };
        Ok((one, card))
    };
    found.into_iter().map(card).collect()
}

/// What the index finds, and what is too new for it.
async fn searched(context: &Arc<Context>, account: AccountId, query: query::Query, folder: Option<FolderId>) -> Result<Rows, Error> {
    let store = context.store.clone();
    off_thread(move || {
        let fresh = store.read(|r| r.unindexed(Some(account), FRESH))?;
        let mut rows: Rows = Vec::new();
        for one in fresh {
            for (uid, entry) in one.entries.into_iter().rev().take(FRESH) {
                let found = Found { folder: one.folder, uid, entry };
                if query.passes(&found, folder)
                    && let Some(summary) = index::summary(&store, entry.message)?
                    && query.matches(&summary.terms)
                {
                    rows.push((found, summary.card));
                }
            }
        }
        let found = store.read(|r| {
            let found = r.search(account, &query.clauses, ROWS, |found| query.passes(found, folder))?;
            found.into_iter().map(|one| Ok((one, r.card(one.entry.message)?))).collect::<Result<Vec<_>, Error>>()
        })?;
        let known: Vec<(FolderId, u32)> = rows.iter().map(|(one, _)| (one.folder, one.uid)).collect();
        let found = found.into_iter().filter(|(one, _)| !known.contains(&(one.folder, one.uid))).collect();
        rows.extend(with_cards(&store, found)?);
        rows.sort_by_key(|(one, _)| std::cmp::Reverse((one.entry.saved_at, one.uid)));
        Ok(rows)
    })
    .await
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
    let from = if card.from_name.is_empty() { card.from } else { card.from_name };
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
    let (context, account) = (visit.context.clone(), visitor.account);
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let mut stop = context.stop();
        let mut last = state(&context, account).await;
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < LISTEN {
            tokio::select! {
                _ = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => return,
            }
            let now = state(&context, account).await;
            // A comment now and then finds out that the browser has gone.
            let text = if now == last { ": \n\n".to_string() } else { format!("event: mail\ndata: {}\n\n", now.1) };
            last = now;
            if sender.send(text).await.is_err() {
                return;
            }
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(stream::Pieces::new(receiver))).into_response()
}

/// The sum of the folders' modification sequences, and the unread in the inbox.
async fn state(context: &Arc<Context>, account: AccountId) -> (u64, u32) {
    let read = context.read(move |r| {
        let folders = r.folders(account)?;
        let unseen = folders.iter().find(|(id, ..)| *id == FolderId::INBOX).map_or(0, |(_, _, state)| state.unseen);
        Ok((folders.iter().map(|(_, _, state)| state.modseq).sum(), unseen))
    });
    read.await.unwrap_or_default()
}
